"""What the platform wrote to people, read from its outbox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from af.core.clock import FixedClock
from af.core.context import SYSTEM, Platform
from af.core.messages import outbox


@dataclass(frozen=True)
class Letter:
    to: str
    template: str
    text: str

    @property
    def code(self) -> str:
        found = re.search(r"\b(\d{3})[ \u00a0]?(\d{3})\b", self.text)
        assert found, self.text
        return found[1] + found[2]

    @property
    def link_token(self) -> str:
        found = re.search(r"token=([A-Za-z0-9_-]+)", self.text)
        assert found, self.text
        return found[1]


async def letters(platform: Platform) -> list[Letter]:
    """The newest first."""
    ctx = platform.context(SYSTEM)
    found = []
    for entry in await outbox.list_messages(ctx):
        shown = await outbox.read_message(ctx, entry.id)
        assert shown.content is not None
        found.append(Letter(entry.to or "", entry.template, shown.content.text))
    return found


async def last_letter(platform: Platform) -> Letter:
    """The newest that asks for an answer; time goes on, so that the next one is newer."""
    newest = next(each for each in await letters(platform) if each.template in ("sign_in", "sms_code"))
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(timedelta(milliseconds=1))
    return newest
