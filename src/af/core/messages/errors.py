"""What can be wrong with a message or its delivery. Numbers 1120–1129."""

from __future__ import annotations

from af.core.errors import InvalidInput, NotFound, Unavailable, Upstream


class MessagesNotConfigured(Unavailable):
    """This platform has no way to send on that channel; the message names the settings."""

    code = "messages_not_configured"
    number = 1120
    http_status = 501
    retryable = False
    explain = (
        "The platform has no settings to send e-mail (AF_SMTP_URL) or SMS (AF_TWILIO_ACCOUNT_SID, AF_TWILIO_AUTH_TOKEN "
        "and AF_TWILIO_FROM, or AF_SMS_GATEWAY_URL). On a local platform, or with AF_OUTBOX=true, messages go to the "
        "operator's outbox page instead."
    )


class InvalidAddress(InvalidInput):
    """Not an e-mail address or phone number that a message can be sent to."""

    code = "invalid_recipient"
    number = 1121
    explain = (
        "E-mail addresses are one plain address such as name@example.org, at most 254 characters, with an ASCII part "
        "before the @. Phone numbers are written with their country, +4915112345678."
    )


class DeliveryRefused(Upstream):
    """The other side will never take this message."""

    code = "delivery_refused"
    number = 1122
    retryable = False
    explain = (
        "The mail server or SMS service refused the message for good, for example because there is no such address. "
        "The outbox page shows its answer."
    )


class DeliveryDelayed(Upstream):
    """It may work later; ``retry_after_seconds`` when the other side says when."""

    code = "delivery_delayed"
    number = 1123
    explain = (
        "The mail server or SMS service could not be reached, refused our credentials or asked to come back later. The "
        "message is tried again until it is no longer worth anything; the outbox page shows the reason."
    )


class MessageNotFound(NotFound):
    """No message with this id, or it was removed after its time."""

    code = "message_not_found"
    number = 1124
    explain = "The outbox has no such message. Messages are removed some days after their time is over."
