"""Every setting of the platform, declared once: name, environment variable, default, help and validation.

``docs/reference/settings.md`` is generated from this file. Values come, in rising order, from the default, the
environment and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from pathlib import Path
from typing import Any

from af.core import setting_kinds as kinds
from af.core.errors import InvalidInput
from af.core.setting_kinds import setting
from af.core.settings_networks import NetworkSettings


class InvalidSetting(InvalidInput):
    """A setting has a value that it cannot have."""

    code = "invalid_setting"
    number = 1101
    explain = "A setting (environment variable or option) has a value outside its range. The message names both."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(NetworkSettings):
    """The resolved settings. Sizes are bytes, durations seconds."""

    # Addresses
    host: str = setting("127.0.0.1", "AF_HOST", "Address to listen on.")
    port: int = setting(8787, "AF_PORT", "Port to listen on; 0 picks a free one.", kinds.integer(0, 65535))
    domain: str = setting(
        "localhost",
        "AF_DOMAIN",
        "Main address: dashboard, API, and links in mail.",
        kinds.domain,
    )
    scheme: str = setting(
        "http",
        "AF_SCHEME",
        "How users reach us: https behind a TLS front.",
        kinds.one_of("http", "https"),
    )
    public_port: int = setting(
        0,
        "AF_PUBLIC_PORT",
        "Port in the URLs we print; 0 means the port listened on.",
        kinds.integer(0, 65535),
    )
    sites_domain: str = setting(
        "",
        "AF_SITES_DOMAIN",
        "Sites live at <slug>.<this>; empty means AF_DOMAIN.",
        kinds.domain,
    )

    # Data
    data: Path = setting(Path("./af-data"), "AF_DATA", "Folder for everything that is kept.", kinds.path)
    database_url: str = setting(
        "",
        "AF_DATABASE_URL",
        "postgresql://user:password@host/db; empty means SQLite in the data folder.",
        kinds.database_url,
        secret=True,
    )
    master_key: str = setting(
        "",
        "AF_MASTER_KEY",
        "Base64 of 32 bytes that seals secrets; empty means a key file in AF_DATA.",
        secret=True,
    )

    # Processes
    workers: int = setting(1, "AF_WORKERS", "Number of HTTP processes.", kinds.integer(1, 64))
    drain_seconds: float = setting(
        10.0,
        "AF_DRAIN_SECONDS",
        "Time that in-flight requests get to finish at a stop.",
        kinds.number(0, 600),
    )
    log_level: str = setting(
        "info",
        "AF_LOG_LEVEL",
        "debug, info, warning or error.",
        kinds.one_of("debug", "info", "warning", "error"),
    )

    # Content
    block_backend: str = setting(
        "segments",
        "AF_BLOCK_BACKEND",
        "Block store: segments (this machine's disk), kubo, or s3 (a bucket that many machines share).",
        kinds.one_of("segments", "kubo", "s3"),
    )
    kubo: bool = setting(
        False, "AF_KUBO", "Run a Kubo node beside the platform (af up --kubo), which gets public content.", kinds.flag
    )
    kubo_binary: str = setting("", "AF_KUBO_BINARY", "Its program; empty means ipfs on PATH.")
    kubo_network: str = setting(
        "public",
        "AF_KUBO_NETWORK",
        "Whom it talks to: the public IPFS network, or nobody but AF_KUBO_PEERS and who connects to it.",
        kinds.one_of("public", "peers"),
    )
    kubo_peers: str = setting(
        "",
        "AF_KUBO_PEERS",
        "Nodes it stays connected to: /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…, with commas.",
        kinds.peers,
    )
    kubo_swarm_host: str = setting(
        "", "AF_KUBO_SWARM_HOST", "IP address on which other nodes reach it; empty means all.", kinds.ip_address
    )
    kubo_swarm_port: int = setting(
        4001,
        "AF_KUBO_SWARM_PORT",
        "Port on which other nodes reach it (TCP and UDP); 0 picks a free one.",
        kinds.integer(0, 65535),
    )
    kubo_rpc_url: str = setting(
        "", "AF_KUBO_RPC_URL", "RPC address of a Kubo node elsewhere, e.g. http://127.0.0.1:5001.", kinds.http_url
    )
    kubo_rpc_token: str = setting("", "AF_KUBO_RPC_TOKEN", "Sent to it as Bearer (API.Authorizations).", secret=True)
    s3_endpoint: str = setting(
        "",
        "AF_S3_ENDPOINT",
        "S3-compatible service that keeps blocks, e.g. https://s3.example.org; empty means Amazon's in AF_S3_REGION.",
        kinds.http_url,
    )
    s3_region: str = setting("us-east-1", "AF_S3_REGION", "Its region, as signatures name it.", kinds.s3_region)
    s3_bucket: str = setting("", "AF_S3_BUCKET", "Its bucket, which must exist.", kinds.s3_bucket)
    s3_prefix: str = setting("", "AF_S3_PREFIX", "What our objects' names begin with, e.g. blocks/.", kinds.s3_prefix)
    s3_access_key_id: str = setting("", "AF_S3_ACCESS_KEY_ID", "Access key.")
    s3_secret_access_key: str = setting("", "AF_S3_SECRET_ACCESS_KEY", "Its secret.", secret=True)
    s3_cache_bytes: int = setting(
        4 << 30,
        "AF_S3_CACHE_BYTES",
        "Blocks of the bucket kept on this machine's disk; 0 keeps none.",
        kinds.integer(0, 1 << 44),
    )
    segment_bytes: int = setting(
        512 << 20,
        "AF_SEGMENT_BYTES",
        "Size at which a block segment is closed.",
        kinds.integer(1 << 20, 8 << 30),
    )
    block_bytes_max: int = setting(2 << 20, "AF_BLOCK_BYTES_MAX", "Largest block.", kinds.integer(1 << 18, 16 << 20))
    car_bytes_max: int = setting(64 << 20, "AF_CAR_BYTES_MAX", "Largest CAR body.", kinds.integer(1 << 20, 8 << 30))
    archive_bytes_max: int = setting(
        2 << 30,
        "AF_ARCHIVE_BYTES_MAX",
        "Largest zip or tar upload, and what it may unpack to.",
        kinds.integer(1, 1 << 40),
    )
    files_max: int = setting(
        200_000,
        "AF_FILES_MAX",
        "Most files in one deployment.",
        kinds.integer(1, 10_000_000),
    )
    disk_free_bytes_min: int = setting(
        64 << 20,
        "AF_DISK_FREE_BYTES_MIN",
        "Writes are refused below this much free disk.",
        kinds.integer(0, 1 << 40),
    )
    disk_warn_bytes: int = setting(
        1 << 30,
        "AF_DISK_WARN_BYTES",
        "`/ready` and `af doctor` warn below this much free disk (and at twice AF_DISK_FREE_BYTES_MIN anyway).",
        kinds.integer(0, 1 << 44),
    )
    collect_grace_seconds: int = setting(
        86_400,
        "AF_COLLECT_GRACE_SECONDS",
        "Age below which unreachable blocks are kept.",
        kinds.integer(0, 31_536_000),
    )

    # Gateway
    gateway_cache_bytes: int = setting(
        64 << 20,
        "AF_GATEWAY_CACHE_BYTES",
        "Memory for small responses and directories.",
        kinds.integer(0, 1 << 36),
    )
    gateway_hosts_max: int = setting(
        10_000,
        "AF_GATEWAY_HOSTS_MAX",
        "Hosts kept in memory by the gateway.",
        kinds.integer(16, 10_000_000),
    )

    # Limits of the API
    graphql_depth_max: int = setting(10, "AF_GRAPHQL_DEPTH_MAX", "Deepest GraphQL query.", kinds.integer(1, 100))
    graphql_cost_max: int = setting(
        5000, "AF_GRAPHQL_COST_MAX", "Costliest GraphQL query.", kinds.integer(1, 1_000_000)
    )
    graphql_aliases_max: int = setting(
        30, "AF_GRAPHQL_ALIASES_MAX", "Most aliases in a query.", kinds.integer(0, 10_000)
    )
    graphql_tokens_max: int = setting(
        4000, "AF_GRAPHQL_TOKENS_MAX", "Most tokens in a query.", kinds.integer(1, 1_000_000)
    )
    rate_per_minute: int = setting(
        1200,
        "AF_RATE_PER_MINUTE",
        "API requests per minute and caller.",
        kinds.integer(1, 10_000_000),
    )
    rate_per_minute_anonymous: int = setting(
        120,
        "AF_RATE_PER_MINUTE_ANONYMOUS",
        "API requests per minute and address.",
        kinds.integer(1, 10_000_000),
    )

    # Messages
    smtp_url: str = setting(
        "",
        "AF_SMTP_URL",
        "Mail server: smtp://user:password@host:587 (STARTTLS; ?starttls=off sends in the clear, the default on this "
        "machine only) or smtps://user:password@host:465; ?ca=FILE trusts these certificates.",
        kinds.smtp_url,
        secret=True,
    )
    mail_from: str = setting(
        "",
        "AF_MAIL_FROM",
        "Sender of our mail: Example <mail@example.org>; empty means no-reply@AF_DOMAIN.",
        kinds.mail_from,
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
        kinds.http_url,
    )
    sms_gateway_token: str = setting("", "AF_SMS_GATEWAY_TOKEN", "Sent to it as Bearer.", secret=True)
    outbox: bool = setting(
        False,
        "AF_OUTBOX",
        "Show messages that nothing is configured to send to the operator, in the outbox page and in the log, also "
        "when AF_DOMAIN is not localhost: whoever reads them can sign in as anybody.",
        kinds.flag,
    )

    # Identity
    session_seconds: int = setting(
        30 * 86_400,
        "AF_SESSION_SECONDS",
        "Life of a session; one of a command line or app also ends after a week without use.",
        kinds.integer(60, 31_536_000),
    )
    access_token_seconds: int = setting(
        900,
        "AF_ACCESS_TOKEN_SECONDS",
        "Life of a session's access token, which a refresh token renews.",
        kinds.integer(60, 3_600),
    )
    signing_key_days: int = setting(
        90,
        "AF_SIGNING_KEY_DAYS",
        "Age at which the key that signs access tokens is replaced.",
        kinds.integer(1, 3_650),
    )
    private_issuers: str = setting(
        "",
        "AF_PRIVATE_ISSUERS",
        "Issuers of pipeline tokens on private addresses that trust rules may name; comma-separated.",
    )
    account_grace_days: int = setting(
        14,
        "AF_ACCOUNT_GRACE_DAYS",
        "Days in which a deleted account can be restored.",
        kinds.integer(0, 365),
    )
    login_link_seconds: int = setting(
        600,
        "AF_LOGIN_LINK_SECONDS",
        "Life of the one-time login link.",
        kinds.integer(10, 86_400),
    )
    events_keep_seconds: int = setting(
        7 * 86_400,
        "AF_EVENTS_KEEP_SECONDS",
        "How long events can be replayed.",
        kinds.integer(60, 31_536_000),
    )

    # Sign-in with wallets
    ethereum_rpc_urls: str = setting(
        "",
        "AF_ETHEREUM_RPC_URLS",
        "Ethereum nodes that check smart contract wallets: 1=https://…,8453=https://…; keys need none.",
        kinds.chains,
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
        "Origins of other web apps that may sign people in here, with commas (https://app.example.org).",
        kinds.origins,
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
    """The declarations, in order; those of other networks last."""
    networks = fields(NetworkSettings)
    return fields(Settings)[len(networks) :] + networks


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
