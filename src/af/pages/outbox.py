"""The platform's outbox, for its operator: what was sent, and where nothing sends, the messages themselves."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.core.messages import Channel
from af.core.messages.transports import Transports
from af.pages.frame import Visit, page
from af.pages.settings import settings_page

ADDRESS = "/settings/outbox"
ENTRIES_SHOWN = 30


async def show(visit: Visit) -> Response:
    """``GET /settings/outbox?after=``: the newest first. :raises OperatorOnly: not for everybody."""
    found = await auth.outbox_list(visit.ctx, first=ENTRIES_SHOWN + 1, after=visit.query("after") or None)
    shown = [await auth.outbox_message(visit.ctx, entry.id) for entry in found[:ENTRIES_SHOWN]]
    transports = visit.ctx.get(Transports)
    return settings_page(
        visit,
        "outbox.html",
        messages=shown,
        more=found[ENTRIES_SHOWN - 1].id if len(found) > ENTRIES_SHOWN else None,
        sends_mail=transports.sends(Channel.EMAIL),
        sends_sms=transports.sends(Channel.SMS),
        missing_mail=transports.missing_mail,
    )


routes = [Route(ADDRESS, page(show), methods=["GET"])]
