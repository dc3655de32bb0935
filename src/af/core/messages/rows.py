"""The table of messages, and what its rows are outside of it. Addresses and contents are sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa

from af.core.db import Timestamp, metadata
from af.core.ids import MessageId
from af.core.messages import Channel
from af.core.messages.texts import Content
from af.core.seal import Sealer

outbox_messages = sa.Table(
    "outbox_messages",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("locale", sa.Text, nullable=False),
    sa.Column("recipient", sa.LargeBinary),  # sealed; erased when the time is over
    sa.Column("content", sa.LargeBinary),  # sealed values of the template; erased with the delivery
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", Timestamp(), nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("expires_at", Timestamp(), nullable=False, index=True),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("sent_at", Timestamp()),
    sa.Index("ix_outbox_messages_state_channel_next_attempt_at", "state", "channel", "next_attempt_at"),
)


class State(Enum):
    QUEUED = "queued"
    SENT = "sent"
    """A mail server or SMS service took it."""
    SHOWN = "shown"
    """Nothing is configured to send it: it is in the outbox page, and was in the log."""
    FAILED = "failed"
    EXPIRED = "expired"
    """Its time was over before anybody took it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as the outbox page lists it. ``to`` is `None` once it was erased."""

    id: MessageId
    channel: Channel
    to: str | None
    template: str
    locale: str
    state: State
    attempts: int
    next_attempt_at: datetime
    last_error: str
    expires_at: datetime
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One message. ``content`` is `None` where messages are really sent (an operator must not read people's codes),
    and once it was erased."""

    entry: Entry
    content: Content | None


def seal_text(sealer: Sealer, text: str, message_id: str) -> bytes:
    return sealer.seal(text.encode(), purpose=f"messages:{message_id}")


def open_text(sealer: Sealer, sealed: bytes, message_id: str) -> str:
    return sealer.open(sealed, purpose=f"messages:{message_id}").decode()


def open_values(sealer: Sealer, row: Any) -> dict[str, str]:
    """What fills the template of a row that still has its content."""
    values: dict[str, str] = json.loads(open_text(sealer, row.content, row.id))
    return values


def entry(sealer: Sealer, row: Any) -> Entry:
    return Entry(
        id=MessageId(row.id),
        channel=Channel(row.channel),
        to=None if row.recipient is None else open_text(sealer, row.recipient, row.id),
        template=row.template,
        locale=row.locale,
        state=State(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        expires_at=row.expires_at,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
