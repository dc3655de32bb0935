"""One's own account: what others see of it, taking its data along, deleting it and changing one's mind."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from af import auth, projects
from af.core.errors import Error
from af.pages.frame import Visit, go
from af.pages.settings import routes_of, settings_page

PROFILE = "/settings"
ADDRESS = "/settings/account"


async def show_profile(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings``"""
    return settings_page(visit, "profile.html", problem=problem)


async def save_profile(visit: Visit) -> Response:
    """``display_name`` and ``avatar_url``; an empty field is emptied."""
    await auth.profile.update_profile(
        visit.ctx, display_name=visit.field("display_name"), avatar_url=visit.field("avatar_url")
    )
    return go(PROFILE, done="saved")


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/account``"""
    return settings_page(visit, "account.html", problem=problem, days=visit.ctx.settings.account_grace_days)


async def export(visit: Visit) -> Response:
    """Everything about the account as a file."""
    document = msgspec.json.encode(await auth.profile.export(visit.ctx))
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="account.json"',
        "X-Content-Type-Options": "nosniff",
    }
    return Response(document, headers=headers, media_type="application/json")


async def delete(visit: Visit) -> Response:
    """``confirm`` is the user name."""
    await projects.delete_account(visit.ctx, visit.field("confirm"))
    return go(ADDRESS)


async def restore(visit: Visit) -> Response:
    await auth.profile.restore(visit.ctx)
    return go(ADDRESS, done="restored")


routes = [
    *routes_of(PROFILE, show_profile, {"save": save_profile}),
    *routes_of(ADDRESS, show, {"export": export, "delete": delete, "restore": restore}),
]
