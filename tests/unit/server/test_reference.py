"""The reference that is generated from the code, and the table that is compared with it."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from af.server import generate, openapi
from af.server.health import PATHS
from af.server.targets import rest_routes


@pytest.mark.parametrize("name", generate.OUTPUTS)
def test_the_committed_reference_is_up_to_date(name: str) -> None:
    path = generate.ROOT / name
    assert path.exists(), f"run `python -m af.server.generate`: {name} is missing"
    assert path.read_text() == generate.OUTPUTS[name](), f"run `python -m af.server.generate`: {name} has drifted"


def test_every_rest_route_is_in_the_openapi_document_and_nothing_else_is() -> None:
    real = {("GET", path) for path in PATHS}
    for route in rest_routes():
        assert isinstance(route, Route)
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        real |= {(method, path) for method in (route.methods or ()) if method != "HEAD"}
    described = [(operation.method, operation.path) for operation in openapi.OPERATIONS]
    assert len(described) == len(set(described))
    assert set(described) == real
