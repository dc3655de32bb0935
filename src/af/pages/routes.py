"""All addresses of the pages."""

from __future__ import annotations

from starlette.routing import BaseRoute

from af.pages import code, device, invitation, login, second_factor, static


def routes() -> list[BaseRoute]:
    """The pages and their files."""
    return [*static.routes, *login.routes, *code.routes, *second_factor.routes, *device.routes, *invitation.routes]
