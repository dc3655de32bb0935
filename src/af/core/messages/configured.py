"""Which transports this platform has, from its settings."""

from __future__ import annotations

from af.core.clock import Clock
from af.core.http import Client
from af.core.messages import smtp
from af.core.messages.sms import GatewayTexter, TwilioTexter
from af.core.messages.transports import Mailer, Texter, Transports
from af.core.settings import Settings

_TWILIO = (
    ("AF_TWILIO_ACCOUNT_SID", "twilio_account_sid"),
    ("AF_TWILIO_AUTH_TOKEN", "twilio_auth_token"),
    ("AF_TWILIO_FROM", "twilio_from"),
)


def open_transports(settings: Settings, client: Client, clock: Clock) -> Transports:
    """Twilio comes before the gateway when both are there. On a local platform (AF_DOMAIN is localhost), and with
    AF_OUTBOX, what cannot be sent is shown in the outbox."""
    transports = Transports(
        mailer=_mailer(settings, clock),
        texter=_texter(settings, client),
        shows=settings.outbox or f".{settings.domain}".endswith(".localhost"),
    )
    absent = [variable for variable, name in _TWILIO if not getattr(settings, name)]
    if 0 < len(absent) < len(_TWILIO):
        return Transports(transports.mailer, transports.texter, transports.shows, missing_sms=" and ".join(absent))
    return transports


def _mailer(settings: Settings, clock: Clock) -> Mailer | None:
    if not settings.smtp_url:
        return None
    sender = smtp.parse_sender(settings.mail_from) if settings.mail_from else ("", f"no-reply@{settings.domain}")
    return smtp.SmtpMailer(smtp.parse_url(settings.smtp_url), sender=sender, host=settings.domain, clock=clock)


def _texter(settings: Settings, client: Client) -> Texter | None:
    if all(getattr(settings, name) for _, name in _TWILIO):
        return TwilioTexter(
            client,
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            sender=settings.twilio_from,
        )
    if settings.sms_gateway_url:
        return GatewayTexter(client, url=settings.sms_gateway_url, token=settings.sms_gateway_token)
    return None
