"""The platform's outbox page: its messages, for the operator alone."""

from __future__ import annotations

from af.auth.service.users import require_operator
from af.core.context import Context
from af.core.messages import outbox
from af.core.messages.rows import Entry, Shown


async def outbox_list(ctx: Context, *, first: int = outbox.PAGE_MAX, after: str | None = None) -> list[Entry]:
    """Messages, the newest first; contents are not in it. ``after``: the id of the last one of the page before.

    :raises OperatorOnly: the caller does not run the platform.
    """
    await require_operator(ctx)
    return await outbox.list_messages(ctx, first=first, after=after)


async def outbox_message(ctx: Context, message_id: str) -> Shown:
    """One message, with its content where nothing is configured to send it.

    :raises OperatorOnly: the caller does not run the platform. :raises MessageNotFound: there is none.
    """
    await require_operator(ctx)
    return await outbox.read_message(ctx, message_id)
