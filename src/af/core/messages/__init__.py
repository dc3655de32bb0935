"""Messages to people: e-mail and SMS, through an outbox.

A service writes a message in its own transaction (`outbox.enqueue`); the worker delivers it. So nothing waits for a
mail server, nothing is lost, and asking for a code takes the same time whoever the address belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum


class Channel(Enum):
    EMAIL = "email"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Message:
    """``template`` names the texts and ``values`` fill them. After ``life`` the message is worthless and not sent."""

    channel: Channel
    to: str
    template: str
    values: Mapping[str, str] = field(default_factory=dict)
    locale: str = "en"
    life: timedelta = timedelta(days=1)
