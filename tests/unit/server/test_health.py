from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from af.server.health import may_see_metrics


@pytest.mark.parametrize(
    "client, headers, allowed",
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("10.1.2.3", {}, True),
        ("8.8.8.8", {}, False),
        ("127.0.0.1", {"x-forwarded-for": "8.8.8.8"}, False),
        ("127.0.0.1", {"forwarded": "for=8.8.8.8"}, False),
        ("", {}, False),
        ("unix", {}, False),
    ],
)
def test_metrics_are_for_this_machine_and_its_private_network(
    client: str, headers: dict[str, str], allowed: bool
) -> None:
    assert may_see_metrics(client, Headers(headers)) is allowed
