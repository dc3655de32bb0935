"""What the owner of an account is told when it changes: a mail to the proven address, if there is one and it can go."""

from __future__ import annotations

import contextlib

from af.auth.backends import Methods
from af.auth.devices import place_of
from af.auth.models import LoginMethod, User
from af.core.context import Context
from af.core.messages import Channel, Message, outbox
from af.core.messages.errors import MessagesNotConfigured


async def tell(ctx: Context, user: User, template: str, *, page: str, **values: str) -> None:
    """A notice by ``template`` in the caller's transaction, with a link to our ``page``. That no mail can be sent stops
    nobody from changing their account, and keeps no stolen session alive."""
    if user.email is None:
        return
    link = ctx.platform.url(ctx.settings.domain) + page
    with contextlib.suppress(MessagesNotConfigured):
        await outbox.enqueue(ctx, Message(Channel.EMAIL, user.email, template, {**values, "link": link}))


def when(ctx: Context) -> str:
    """Now, as messages say it."""
    return f"{ctx.now:%Y-%m-%d %H:%M} UTC"


def place(ctx: Context) -> str:
    """Where the change comes from."""
    return place_of(ctx.actor)


async def tell_of_method(ctx: Context, user: User, template: str, method: LoginMethod) -> None:
    """That a way in was added (``method_added``) or removed (``method_removed``)."""
    backend = ctx.get(Methods).backends.get(method.method)
    await tell(
        ctx,
        user,
        template,
        page="/settings/methods",
        method=method.method if backend is None else backend.title,
        label=method.label,
        when=when(ctx),
        place=place(ctx),
    )
