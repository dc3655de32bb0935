"""E-mail by SMTP (RFC 5321), one connection per message: aiosmtplib speaks it, the standard library writes the mail.

TLS is required unless the server is on this machine or the settings say ``starttls=off``: without it, whoever is on the
way reads the codes. Headers are made by `email.message.EmailMessage` from checked values, so none can bring a line end.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from af.core.clock import Clock
from af.core.errors import InvalidInput
from af.core.http import is_loopback
from af.core.messages import addresses
from af.core.messages.errors import DeliveryDelayed, DeliveryRefused
from af.core.messages.texts import Content

CONNECT_SECONDS = 10.0
SEND_SECONDS = 45.0
REASON_CHARS_MAX = 200
_NAME_CHARS_MAX = 80
_SENDER = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_QUOTED_ADDRESS = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class Server:
    """What AF_SMTP_URL says. ``implicit_tls``: TLS from the first byte (port 465); ``starttls``: switched to, or not
    sent at all. ``ca_file``: certificates to trust instead of the system's."""

    host: str
    port: int
    user: str
    password: str
    implicit_tls: bool
    starttls: bool
    ca_file: str

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"


def parse_url(text: str) -> Server:
    """``smtp://user:password@host:587`` (STARTTLS), ``smtps://…:465`` (TLS); options ``?starttls=on|off&ca=FILE``.

    :raises ValueError: something else; the text may hold a password and is not quoted.
    """
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    unknown = sorted(set(options) - {"starttls", "ca"})
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise ValueError("must be smtp://user:password@host:587 or smtps://user:password@host:465")
    if unknown or options.get("starttls", "on") not in ("on", "off"):
        raise ValueError("knows the options starttls=on, starttls=off and ca=FILE only")
    secure = parts.scheme == "smtps"
    if secure and "starttls" in options:
        raise ValueError("smtps:// is TLS from the start: starttls is for smtp://")
    starttls = options["starttls"] == "on" if "starttls" in options else not is_loopback(parts.hostname)
    return Server(
        host=parts.hostname,
        port=parts.port or (465 if secure else 587),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        implicit_tls=secure,
        starttls=starttls and not secure,
        ca_file=options.get("ca", ""),
    )


def parse_sender(text: str) -> tuple[str, str]:
    """``Name <address>`` or an address: (name, address).

    :raises ValueError: it is not one address, or the name has control characters.
    """
    found = _SENDER.fullmatch(text.strip())
    try:
        address = addresses.email(found["address"] if found else text)
    except InvalidInput as error:
        raise ValueError("must be an address, or a name and an address as in Example <mail@example.org>") from error
    name = found["name"].strip().strip('"') if found else ""
    if not text.isprintable() or len(name) > _NAME_CHARS_MAX:
        raise ValueError(f"has a name that is not printable or longer than {_NAME_CHARS_MAX} characters")
    return name, address


def compose(
    *, to: str, sender: tuple[str, str], content: Content, message_id: str, host: str, clock: Clock
) -> EmailMessage:
    """The mail as it goes out. ``Auto-Submitted`` keeps absence notices away (RFC 3834 §5).

    :raises InvalidAddress: ``to`` is not one plain address.
    """
    name, address = sender
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = Address(addr_spec=addresses.email(to))
    mail["Subject"] = content.subject
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = f"<{message_id}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"  # what Microsoft's servers look at instead
    mail.set_content(content.text, cte="quoted-printable")
    mail.add_alternative(content.html, subtype="html", cte="quoted-printable")
    return mail


class SmtpMailer:
    """A `Mailer`. ``host`` is the platform's own name, for EHLO and Message-IDs."""

    def __init__(self, server: Server, *, sender: tuple[str, str], host: str, clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._host = host
        self._clock = clock

    async def send(self, to: str, content: Content, *, message_id: str) -> None:
        """See `Mailer`."""
        import aiosmtplib

        mail = compose(
            to=to, sender=self._sender, content=content, message_id=message_id, host=self._host, clock=self._clock
        )
        server = self._server
        try:
            client = aiosmtplib.SMTP(
                hostname=server.host,
                port=server.port,
                username=server.user or None,
                password=server.password or None,
                use_tls=server.implicit_tls,
                start_tls=server.starttls,
                tls_context=_trusting(server) if server.implicit_tls or server.starttls else None,
                local_hostname=self._host,
                timeout=CONNECT_SECONDS,
            )
            async with asyncio.timeout(SEND_SECONDS), client:
                await client.sendmail(self._sender[1], [addresses.email(to)], mail.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise _refusal(first.code, first.message, final=first.code >= 500) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _refusal(error.code, "the server refuses our user name and password", final=False) from None
        except aiosmtplib.SMTPResponseException as error:
            final = error.code >= 500 and isinstance(error, aiosmtplib.SMTPDataError)  # others: ours, may be mended
            raise _refusal(error.code, error.message, final=final) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            raise DeliveryDelayed("The mail server could not be used.", detail=redacted(reason)) from None


def redacted(reason: str) -> str:
    """A server's answer on one line, without the addresses that it quotes: reasons are kept and logged in the clear."""
    line = " ".join(reason.split())
    return _QUOTED_ADDRESS.sub("[address]", line)[:REASON_CHARS_MAX]


def _refusal(code: int, message: str, *, final: bool) -> DeliveryRefused | DeliveryDelayed:
    detail = f"{code} {redacted(message)}"
    if final:
        return DeliveryRefused("The mail server refused the message.", detail=detail)
    return DeliveryDelayed("The mail server did not take the message.", detail=detail)


def _trusting(server: Server) -> ssl.SSLContext:
    """A context that checks the certificate and its name. :raises OSError: the ``ca`` file cannot be read."""
    return ssl.create_default_context(cafile=server.ca_file or None)
