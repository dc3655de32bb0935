"""All addresses of the pages."""

from __future__ import annotations

from starlette.routing import BaseRoute

from af.pages import (
    account,
    code,
    device,
    invitation,
    login,
    member,
    methods,
    outbox,
    second_factor,
    sessions,
    static,
    team,
    tokens,
)

_PARTS = (
    static,
    login,
    code,
    second_factor,
    device,  # after those: its address is /login/{id}
    account,
    methods,
    sessions,
    team,
    member,
    tokens,
    invitation,
    outbox,
)


def routes() -> list[BaseRoute]:
    """The pages and their files."""
    return [route for part in _PARTS for route in part.routes]
