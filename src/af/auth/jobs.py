"""The worker's part in identity: accounts whose time is over are erased."""

from __future__ import annotations

from af.auth.service import profile
from af.core.context import Context
from af.core.db import DatabaseUnavailable
from af.core.workflows import Reconciler, Schedule, Workflow


async def erase_due(ctx: Context) -> int:
    """Erase the accounts whose time is over; how many. One that fails holds up no other."""
    erased = 0
    after = None
    while due := await profile.due_for_erasure(ctx, after):
        for user_id in due:
            try:
                erased += await profile.erase(ctx, user_id)
            except DatabaseUnavailable:
                raise  # nobody's fault: the next run tries them all again
            except Exception as error:  # a job runner: the next run tries this one again
                ctx.log.error("an account was not erased", user=user_id, exc_info=error)
        after = due[-1]
    return erased


WORKFLOWS: tuple[Workflow, ...] = ()
RECONCILERS: tuple[Reconciler, ...] = ()
SCHEDULES = (Schedule("auth.erase_accounts", 3600.0, erase_due),)
