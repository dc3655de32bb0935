"""Content on Arweave: `Client.arweave`. It is public there, for ever, and paid from the platform's wallet."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from alternatefutures import operations_arweave as operations
from alternatefutures.errors import NotFinal
from alternatefutures.transport import HOURS_SECONDS, Transport

Document = dict[str, Any]
_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


class Arweave:
    """Answers are documents as the platform's GraphQL schema has them. ``name`` is what content that is a single file
    is called there."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def cost(self, cid: str, *, name: str = "") -> Document:
        """``amount`` in ``unit``, and in ``ar``. Nothing is sent."""
        variables = {"cid": cid, "name": name}
        answer = self._transport.graphql(operations.ARWEAVE_COST, variables, read_seconds=HOURS_SECONDS)
        return dict(answer["arweaveCost"])

    def store(self, cid: str, *, name: str = "", cost_max: str | None = None) -> Document:
        """Put the files there; ``url`` opens them. Done when the upload is taken. ``cost_max`` is an ``amount``."""
        variables = {"cid": cid, "name": name, "costMax": cost_max}
        # The same content is not paid twice, so asking again after a cut does no harm.
        answer = self._transport.graphql(operations.STORE_ON_ARWEAVE, variables, read_seconds=HOURS_SECONDS)
        return dict(answer["storeOnArweave"])

    def standing(self, ref: str) -> Document:
        """How far an upload is, by ``standing.ref`` of what `store` gave."""
        return dict(self._transport.graphql(operations.ARWEAVE_STANDING, {"ref": ref})["arweaveStanding"])

    def wait(
        self, ref: str, *, timeout_seconds: float = HOURS_SECONDS, report: Callable[[Document], None] | None = None
    ) -> Document:
        """The standing once it is final. :raises NotFinal: it was lost, failed, or takes longer"""
        deadline = time.monotonic() + timeout_seconds
        pause = _PAUSE_SECONDS
        while True:
            found = self.standing(ref)
            if found["state"] == "FINAL":
                return found
            if report is not None:
                report(found)
            if found["state"] in ("LOST", "FAILED"):
                raise NotFinal(
                    f"The upload is {found['state'].lower()}.", cause=found["detail"], hint="Store it again."
                )
            if time.monotonic() + pause > deadline:
                raise NotFinal(
                    f"The upload is still {found['state'].lower()}.",
                    cause=found["detail"],
                    hint=f"It goes on by itself: af storage arweave {ref}",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
