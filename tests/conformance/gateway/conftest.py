"""One running gateway and one demo site for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Served, demo_site, served


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def site(gateway: Served) -> str:
    return demo_site(gateway)
