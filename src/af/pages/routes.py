"""All addresses of the pages."""

from __future__ import annotations

from starlette.routing import BaseRoute

from af.pages import code, login, static


def routes() -> list[BaseRoute]:
    """The pages and their files."""
    return [*static.routes, *login.routes, *code.routes]
