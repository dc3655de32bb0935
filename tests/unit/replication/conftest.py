"""A local Arweave, and a wallet with enough on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from af.protocols.arweave.wallets import Wallet
from tests.support import arlocal, arweave_js
from tests.support.arlocal import ArLocal


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, wallet: Wallet) -> Iterator[ArLocal]:
    with arlocal.running(tmp_path_factory.mktemp("arlocal")) as started:
        started.mint(wallet.address, 10**15)
        yield started
