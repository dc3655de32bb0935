"""One running gateway and one demo site for each file of tests, and another gateway for the specifications'."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Served, demo_site, served
from tests.support.gateway_specs import Content, content


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="module")
def site(gateway: Served) -> str:
    return demo_site(gateway)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Content]:
    with content(tmp_path_factory.mktemp("gateway")) as running:
        yield running
