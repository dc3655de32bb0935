"""Who takes messages away: the ports of delivery, found in a context as one `Transports`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from af.core.messages import Channel
from af.core.messages.errors import MessagesNotConfigured
from af.core.messages.texts import Content


class Mailer(Protocol):
    """Sends e-mail."""

    async def send(self, to: str, content: Content, *, message_id: str) -> None:
        """Give one message to a mail server. ``message_id`` is ours, the same at each try.

        :raises DeliveryRefused: it will never be taken. :raises DeliveryDelayed: it may be, later.
        """
        ...


class Texter(Protocol):
    """Sends SMS."""

    async def send(self, to: str, text: str) -> None:
        """Give one message to an SMS service; ``to`` is an E.164 number.

        :raises DeliveryRefused: it will never be taken. :raises DeliveryDelayed: it may be, later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Transports:
    """What this platform can send with. ``shows``: what it cannot send goes to the operator's outbox page."""

    mailer: Mailer | None = None
    texter: Texter | None = None
    shows: bool = False
    missing_mail: str = "AF_SMTP_URL"
    missing_sms: str = "AF_TWILIO_ACCOUNT_SID, AF_TWILIO_AUTH_TOKEN and AF_TWILIO_FROM, or AF_SMS_GATEWAY_URL"

    def sends(self, channel: Channel) -> bool:
        return (self.mailer if channel is Channel.EMAIL else self.texter) is not None

    def require(self, channel: Channel) -> None:
        """:raises MessagesNotConfigured: nothing can be sent there, nor shown."""
        if self.sends(channel) or self.shows:
            return
        word, missing = ("e-mail", self.missing_mail) if channel is Channel.EMAIL else ("SMS", self.missing_sms)
        raise MessagesNotConfigured(
            f"This platform cannot send {word}.", hint=f"Its operator must set {missing}.", field=channel.value
        )
