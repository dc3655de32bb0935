"""`af storage add --to arweave` against a real arlocal: what it costs, what opens there, and when it is final."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from af.protocols.arweave.wallets import Wallet
from tests.e2e.hostile import af, write
from tests.e2e.platform import Running, running
from tests.support import arlocal, arweave_js
from tests.support.arlocal import ArLocal

pytestmark = pytest.mark.timeout(arweave_js.INSTALL_SECONDS + 120)  # the first run of a machine installs arlocal
FILES = {"index.html": b"<h1>hello</h1>", "css/a.css": b"h1 { color: teal }"}


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, wallet: Wallet) -> Iterator[ArLocal]:
    with arlocal.running(tmp_path_factory.mktemp("arlocal")) as started:
        started.mint(wallet.address, 10**15)
        yield started


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, chain: ArLocal, wallet: Wallet) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("platform")
    key = folder / "wallet.json"
    key.write_text(wallet.to_jwk())
    with running(
        folder,
        AF_ARWEAVE_GATEWAY=chain.url,
        AF_ARWEAVE_UPLOAD_URL="off",
        AF_ARWEAVE_KEY_FILE=str(key),
        AF_ARWEAVE_CONFIRMATIONS="3",
        AF_ARWEAVE_WINSTON_MAX=str(10**15),
    ) as started:
        yield started


def add(platform: Running, *arguments: str | Path) -> Any:
    done = af(platform, "storage", "add", *arguments, "--to", "arweave", "--json", seconds=120)
    return json.loads(done.out) | {"code": done.code}


def test_a_folder_is_priced_agreed_to_and_opens(
    platform: Running, chain: ArLocal, wallet: Wallet, tmp_path: Path
) -> None:
    folder = write(tmp_path / "site", FILES)
    before = chain.balance(wallet.address)

    asked = add(platform, folder, "--estimate")
    assert int(asked["cost"]["amount"]) > 0
    assert asked["cost"]["ar"].startswith("0.")
    refused = add(platform, folder)
    assert (refused["code"], refused["error"]["code"]) == (2, "usage")
    assert "--yes" in refused["error"]["hint"]
    assert asked["cost"]["ar"] in refused["error"]["message"]
    assert chain.balance(wallet.address) == before, "nothing was paid so far"
    pins = af(platform, "storage", "list", "--json").json["data"]
    assert asked["cid"] not in [pin["cid"] for pin in pins]

    stored = add(platform, folder, "--yes")
    assert (stored["code"], stored["cid"], stored["pin"]["cid"]) == (0, asked["cid"], asked["cid"])
    assert before - chain.balance(wallet.address) == int(asked["cost"]["amount"])
    again = add(platform, folder, "--yes")
    assert again["arweave"]["url"] == stored["arweave"]["url"]
    assert before - chain.balance(wallet.address) == int(asked["cost"]["amount"]), "the same again is free"
    chain.mine()
    base = stored["arweave"]["url"].removeprefix(chain.url)
    assert {path: chain.ask(base + path) for path in FILES} == {path: (200, data) for path, data in FILES.items()}
    assert {file["path"] for file in stored["arweave"]["files"]} == FILES.keys()


def test_an_upload_is_followed_until_it_is_final(platform: Running, chain: ArLocal, tmp_path: Path) -> None:
    file = write(tmp_path, {"a.json": b'{"a": 1}'}) / "a.json"
    stop = threading.Event()

    def blocks_come() -> None:
        while not stop.wait(0.5):
            chain.mine()

    miner = threading.Thread(target=blocks_come)
    miner.start()
    try:
        stored = add(platform, file, "--yes", "--wait")
    finally:
        stop.set()
        miner.join()
    assert stored["arweave"]["standing"]["state"] == "FINAL"
    ref = stored["arweave"]["standing"]["ref"]
    assert af(platform, "storage", "arweave", ref, "--json").json["state"] == "FINAL"
    assert chain.ask(stored["arweave"]["url"].removeprefix(chain.url)) == (200, b'{"a": 1}')
    assert [each["path"] for each in stored["arweave"]["files"]] == ["a.json"]


def test_what_cannot_be_there_is_refused_before_it_is_paid(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "site", FILES)
    (folder / "link").symlink_to("index.html")
    refused = add(platform, folder, "--yes")
    assert (refused["code"], refused["error"]["code"]) == (4, "ARWEAVE_FILES_IMPOSSIBLE")
    assert af(platform, "storage", "add", folder, "--estimate").code == 2
    assert af(platform, "storage", "add", folder, "--to", "arweave", "--wrap").code == 2
    assert af(platform, "storage", "arweave", "nonsense", "--json").json["error"]["code"] == "BAD_USER_INPUT"


def test_without_a_wallet_it_says_what_to_set(tmp_path: Path) -> None:
    with running(tmp_path) as bare:
        refused = add(bare, write(tmp_path / "site", FILES), "--estimate")
    assert refused["error"]["code"] == "PROVIDER_NOT_CONFIGURED"
    assert "AF_ARWEAVE_KEY_FILE" in refused["error"]["hint"]
