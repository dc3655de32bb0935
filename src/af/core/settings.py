"""Every setting of the platform, declared once: name, environment variable, default, help and validation.

``docs/reference/settings.md`` is generated from this file. Values come, in rising order, from the default, the
environment and the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from af.core.errors import InvalidInput

Parse = Callable[[str], Any]


class InvalidSetting(InvalidInput):
    """A setting has a value that it cannot have."""

    code = "invalid_setting"
    number = 1101
    explain = "A setting (environment variable or option) has a value outside its range. The message names both."


def _integer(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


def _number(low: float, high: float) -> Parse:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be true or false")


def _one_of(*allowed: str) -> Parse:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _domain(text: str) -> str:
    name = text.strip().lower().rstrip(".")
    labels = name.split(".")
    if not name or len(name) > 253 or any(not label or len(label) > 63 for label in labels):
        raise ValueError("must be a DNS name such as example.org")
    if not all(c.isascii() and (c.isalnum() or c in "-.") for c in name):
        raise ValueError("must be a DNS name such as example.org (punycode for other scripts)")
    return name


def _origins(text: str) -> str:
    """Origins with commas between them, each as a browser writes it."""
    origins = [part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        plain = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or plain != origin:
            raise ValueError("must be origins such as https://app.example.org, with commas between them")
    return ",".join(origins)


def _database_url(text: str) -> str:
    if text.partition(":")[0].partition("+")[0] not in ("postgresql", "postgres", "sqlite"):
        raise ValueError("must be postgresql://user:password@host/database")
    urlsplit(text).port  # noqa: B018 - raises ValueError for a host or port that cannot be
    return text


def chain_addresses(text: str) -> dict[str, str]:
    """``1=https://…,8453=https://…``: chain id -> address of a node. :raises ValueError: it is not that."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        chain_id, _, address = part.partition("=")
        if not (chain_id.isascii() and chain_id.isdigit() and str(int(chain_id)) == chain_id):
            raise ValueError("must be chain ids with addresses such as 1=https://…,8453=https://…")
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise ValueError(f"must have an http(s) address for chain {chain_id}")
        found[chain_id] = address
    return found


def _chains(text: str) -> str:
    chain_addresses(text)
    return text


def _smtp_url(text: str) -> str:
    from af.core.messages.smtp import parse_url

    if text:
        parse_url(text)
    return text


def _mail_from(text: str) -> str:
    from af.core.messages.smtp import parse_sender

    if text:
        parse_sender(text)
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password):
        raise ValueError("must be http(s)://host/path, without a user name or password")
    return text


def _path(text: str) -> Path:
    return Path(text).expanduser()


def setting(default: Any, env: str, help: str, parse: Parse = str, *, secret: bool = False) -> Any:
    """Declare one setting as a dataclass field; ``parse`` turns the text of the environment into the value."""
    return field(
        default=default,
        metadata={"env": env, "help": help, "parse": parse, "secret": secret},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The resolved settings. Sizes are bytes, durations seconds."""

    # Addresses
    host: str = setting("127.0.0.1", "AF_HOST", "Address to listen on.")
    port: int = setting(8787, "AF_PORT", "Port to listen on; 0 picks a free one.", _integer(0, 65535))
    domain: str = setting(
        "localhost",
        "AF_DOMAIN",
        "Main address: dashboard, API, and links in mail.",
        _domain,
    )
    scheme: str = setting(
        "http",
        "AF_SCHEME",
        "How users reach us: https behind a TLS front.",
        _one_of("http", "https"),
    )
    public_port: int = setting(
        0,
        "AF_PUBLIC_PORT",
        "Port in the URLs we print; 0 means the port listened on.",
        _integer(0, 65535),
    )
    sites_domain: str = setting(
        "",
        "AF_SITES_DOMAIN",
        "Sites live at <slug>.<this>; empty means AF_DOMAIN.",
        _domain,
    )

    # Data
    data: Path = setting(Path("./af-data"), "AF_DATA", "Folder for everything that is kept.", _path)
    database_url: str = setting(
        "",
        "AF_DATABASE_URL",
        "postgresql://user:password@host/db; empty means SQLite in the data folder.",
        _database_url,
        secret=True,
    )
    master_key: str = setting(
        "",
        "AF_MASTER_KEY",
        "Base64 of 32 bytes that seals secrets; empty means a key file in AF_DATA.",
        secret=True,
    )

    # Processes
    workers: int = setting(1, "AF_WORKERS", "Number of HTTP processes.", _integer(1, 64))
    drain_seconds: float = setting(
        10.0,
        "AF_DRAIN_SECONDS",
        "Time that in-flight requests get to finish at a stop.",
        _number(0, 600),
    )
    log_level: str = setting(
        "info",
        "AF_LOG_LEVEL",
        "debug, info, warning or error.",
        _one_of("debug", "info", "warning", "error"),
    )

    # Content
    block_backend: str = setting("segments", "AF_BLOCK_BACKEND", "Block store.", _one_of("segments", "kubo"))
    kubo_rpc_url: str = setting("", "AF_KUBO_RPC_URL", "Kubo RPC address, e.g. http://127.0.0.1:5001.")
    segment_bytes: int = setting(
        512 << 20,
        "AF_SEGMENT_BYTES",
        "Size at which a block segment is closed.",
        _integer(1 << 20, 8 << 30),
    )
    block_bytes_max: int = setting(2 << 20, "AF_BLOCK_BYTES_MAX", "Largest block.", _integer(1 << 18, 16 << 20))
    car_bytes_max: int = setting(64 << 20, "AF_CAR_BYTES_MAX", "Largest CAR body.", _integer(1 << 20, 8 << 30))
    archive_bytes_max: int = setting(
        2 << 30,
        "AF_ARCHIVE_BYTES_MAX",
        "Largest zip or tar upload, and what it may unpack to.",
        _integer(1, 1 << 40),
    )
    files_max: int = setting(
        200_000,
        "AF_FILES_MAX",
        "Most files in one deployment.",
        _integer(1, 10_000_000),
    )
    disk_free_bytes_min: int = setting(
        64 << 20,
        "AF_DISK_FREE_BYTES_MIN",
        "Writes are refused below this much free disk.",
        _integer(0, 1 << 40),
    )
    collect_grace_seconds: int = setting(
        86_400,
        "AF_COLLECT_GRACE_SECONDS",
        "Age below which unreachable blocks are kept.",
        _integer(0, 31_536_000),
    )

    # Gateway
    gateway_cache_bytes: int = setting(
        64 << 20,
        "AF_GATEWAY_CACHE_BYTES",
        "Memory for small responses and directories.",
        _integer(0, 1 << 36),
    )
    gateway_hosts_max: int = setting(
        10_000,
        "AF_GATEWAY_HOSTS_MAX",
        "Hosts kept in memory by the gateway.",
        _integer(16, 10_000_000),
    )

    # Limits of the API
    graphql_depth_max: int = setting(10, "AF_GRAPHQL_DEPTH_MAX", "Deepest GraphQL query.", _integer(1, 100))
    graphql_cost_max: int = setting(5000, "AF_GRAPHQL_COST_MAX", "Costliest GraphQL query.", _integer(1, 1_000_000))
    graphql_aliases_max: int = setting(30, "AF_GRAPHQL_ALIASES_MAX", "Most aliases in a query.", _integer(0, 10_000))
    graphql_tokens_max: int = setting(4000, "AF_GRAPHQL_TOKENS_MAX", "Most tokens in a query.", _integer(1, 1_000_000))
    rate_per_minute: int = setting(
        1200,
        "AF_RATE_PER_MINUTE",
        "API requests per minute and caller.",
        _integer(1, 10_000_000),
    )
    rate_per_minute_anonymous: int = setting(
        120,
        "AF_RATE_PER_MINUTE_ANONYMOUS",
        "API requests per minute and address.",
        _integer(1, 10_000_000),
    )

    # Messages
    smtp_url: str = setting(
        "",
        "AF_SMTP_URL",
        "Mail server: smtp://user:password@host:587 (STARTTLS; ?starttls=off sends in the clear, the default on this "
        "machine only) or smtps://user:password@host:465; ?ca=FILE trusts these certificates.",
        _smtp_url,
        secret=True,
    )
    mail_from: str = setting(
        "",
        "AF_MAIL_FROM",
        "Sender of our mail: Example <mail@example.org>; empty means no-reply@AF_DOMAIN.",
        _mail_from,
    )
    twilio_account_sid: str = setting("", "AF_TWILIO_ACCOUNT_SID", "Twilio account that sends SMS.")
    twilio_auth_token: str = setting("", "AF_TWILIO_AUTH_TOKEN", "Its token.", secret=True)
    twilio_from: str = setting(
        "", "AF_TWILIO_FROM", "Sender of SMS: a number (+15005550006), a name, or a Messaging Service (MG...)."
    )
    sms_gateway_url: str = setting(
        "",
        "AF_SMS_GATEWAY_URL",
        'Any SMS service that takes POST {"to", "text"}; used where Twilio is not set.',
        _http_url,
    )
    sms_gateway_token: str = setting("", "AF_SMS_GATEWAY_TOKEN", "Sent to it as Bearer.", secret=True)
    outbox: bool = setting(
        False,
        "AF_OUTBOX",
        "Show messages that nothing is configured to send to the operator, in the outbox page and in the log, also "
        "when AF_DOMAIN is not localhost: whoever reads them can sign in as anybody.",
        _flag,
    )

    # Identity
    session_seconds: int = setting(
        30 * 86_400,
        "AF_SESSION_SECONDS",
        "Life of a session; one of a command line or app also ends after a week without use.",
        _integer(60, 31_536_000),
    )
    access_token_seconds: int = setting(
        900,
        "AF_ACCESS_TOKEN_SECONDS",
        "Life of a session's access token, which a refresh token renews.",
        _integer(60, 3_600),
    )
    signing_key_days: int = setting(
        90,
        "AF_SIGNING_KEY_DAYS",
        "Age at which the key that signs access tokens is replaced.",
        _integer(1, 3_650),
    )
    private_issuers: str = setting(
        "",
        "AF_PRIVATE_ISSUERS",
        "Issuers of pipeline tokens on private addresses that trust rules may name; comma-separated.",
    )
    login_link_seconds: int = setting(
        600,
        "AF_LOGIN_LINK_SECONDS",
        "Life of the one-time login link.",
        _integer(10, 86_400),
    )
    events_keep_seconds: int = setting(
        7 * 86_400,
        "AF_EVENTS_KEEP_SECONDS",
        "How long events can be replayed.",
        _integer(60, 31_536_000),
    )

    # Sign-in with wallets
    ethereum_rpc_urls: str = setting(
        "",
        "AF_ETHEREUM_RPC_URLS",
        "Ethereum nodes that check smart contract wallets: 1=https://…,8453=https://…; keys need none.",
        _chains,
        secret=True,
    )

    # Sign-in with other providers
    oauth_google_client_id: str = setting("", "AF_OAUTH_GOOGLE_CLIENT_ID", "Client id at Google.")
    oauth_google_client_secret: str = setting("", "AF_OAUTH_GOOGLE_CLIENT_SECRET", "Secret of it.", secret=True)
    oauth_github_client_id: str = setting("", "AF_OAUTH_GITHUB_CLIENT_ID", "Client id at GitHub.")
    oauth_github_client_secret: str = setting("", "AF_OAUTH_GITHUB_CLIENT_SECRET", "Secret of it.", secret=True)
    oauth_twitter_client_id: str = setting("", "AF_OAUTH_TWITTER_CLIENT_ID", "Client id at X (Twitter).")
    oauth_twitter_client_secret: str = setting("", "AF_OAUTH_TWITTER_CLIENT_SECRET", "Secret of it.", secret=True)
    oauth_discord_client_id: str = setting("", "AF_OAUTH_DISCORD_CLIENT_ID", "Client id at Discord.")
    oauth_discord_client_secret: str = setting("", "AF_OAUTH_DISCORD_CLIENT_SECRET", "Secret of it.", secret=True)
    oidc_providers: str = setting(
        "",
        "AF_OIDC_PROVIDERS",
        'OpenID Connect issuers: JSON [{"name", "title", "issuer", "clientId", "clientSecret", "scopes"?}, …].',
        secret=True,
    )
    allowed_redirect_origins: str = setting(
        "",
        "AF_ALLOWED_REDIRECT_ORIGINS",
        "Origins of other web apps that may sign people in here, with commas: https://app.example.org,…",
        _origins,
    )

    @property
    def sites_suffix(self) -> str:
        """The domain under which sites live, without a leading dot."""
        return self.sites_domain or self.domain

    @property
    def sqlite(self) -> bool:
        return not self.database_url

    @property
    def sqlite_path(self) -> Path:
        return self.data / "platform.sqlite"

    def url(self, host: str, port: int) -> str:
        """The address of ``host`` as users type it; ``port`` is the one really listened on."""
        shown = self.public_port or port
        standard = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if shown == standard else f":{shown}")


def declared() -> tuple[Field[Any], ...]:
    """The declarations, in order."""
    return fields(Settings)


def load(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from an environment; ``overrides`` (already parsed, `None` = not given) win.

    :raises InvalidSetting: a value does not parse; the message names the variable and the rule.
    """
    values: dict[str, Any] = {}
    for declaration in declared():
        text = environment.get(declaration.metadata["env"])
        if text is None or (text == "" and declaration.default is not MISSING):
            continue
        try:
            values[declaration.name] = declaration.metadata["parse"](text)
        except ValueError as error:
            env = declaration.metadata["env"]
            shown = "(hidden)" if declaration.metadata["secret"] else repr(text)
            raise InvalidSetting(
                f"{env} is {shown}: {error}",
                hint=f"Unset {env} to use the default, {declaration.default}.",
                field=env,
            ) from error
    return replace(
        Settings(**values),
        **{name: value for name, value in overrides.items() if value is not None},
    )


def to_environment(settings: Settings) -> dict[str, str]:
    """The inverse of `load`: what a child process needs to resolve the same settings."""
    return {d.metadata["env"]: str(getattr(settings, d.name)) for d in declared() if getattr(settings, d.name) != ""}
