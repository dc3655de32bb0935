"""Copies on Arweave, with a real arlocal as node and gateway, and a stand-in for the upload service Turbo that bundles
into it (tests/support/turbo.py)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from af.core.http import Client
from af.core.settings import Settings
from af.protocols.arweave.encoding import is_id
from af.protocols.arweave.wallets import Wallet
from af.protocols.ipfs import cid as cids
from af.replication.backends import Provider
from af.replication.backends.arweave import Arweave, SiteFile, open_arweave
from af.replication.backends.arweave_errors import KeyUnusable, ManifestImpossible, NotPaid, TooExpensive
from af.replication.errors import ProviderFailed, ProviderNotConfigured, ProviderRefused
from af.replication.models import CopyState
from tests.support import answering, arweave_js, turbo
from tests.support.answering import Asked, Handler
from tests.support.arlocal import ArLocal
from tests.support.arweave_js import pattern
from tests.support.copies import source_of
from tests.support.processes import wait_until
from tests.support.turbo import Turbo

pytestmark = pytest.mark.timeout(arweave_js.INSTALL_SECONDS + 120)  # the first run of a machine installs arlocal
FILES = {"index.html": b"<h1>hello</h1>", "css/a.css": b"h1 { color: teal }"}
PLENTY = 10**15
SOME = cids.of(cids.RAW, b"of no consequence")


@pytest.fixture
def service() -> Iterator[Turbo]:
    with turbo.running() as started:
        yield started


@pytest.fixture
def settings(chain: ArLocal, wallet: Wallet) -> Settings:
    """Transactions to the gateway; `by_service` makes it items to the upload service."""
    return Settings(
        arweave_gateway=chain.url,
        arweave_upload_url="off",
        arweave_key=wallet.to_jwk(),
        arweave_winston_max=PLENTY,
        arweave_confirmations=3,
    )


def by_service(settings: Settings, service: Turbo) -> Settings:
    return replace(settings, arweave_upload_url=service.url, arweave_payment_url=service.url)


@pytest.fixture
def arweave(settings: Settings) -> Arweave:
    return open_arweave(settings, Client())


def site(files: dict[str, bytes]) -> list[SiteFile]:
    kinds = {"html": "text/html", "css": "text/css"}

    def opened(data: bytes) -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 100_000):
                yield data[at : at + 100_000]

        return pieces()

    return [
        SiteFile(
            path=path,
            content_type=kinds.get(path.rpartition(".")[2], "application/octet-stream"),
            size_bytes=len(data),
            open=lambda data=data: opened(data),  # type: ignore[misc]
        )
        for path, data in files.items()
    ]


# --- transactions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 1_500_000])
async def test_a_copy_is_followed_from_its_post_to_finality_and_read_back(
    arweave: Provider, chain: ArLocal, size: int
) -> None:
    source, blocks = source_of({**FILES, "data": pattern(size)})
    cost = await arweave.estimate(source)
    assert cost is not None
    assert (cost.unit, cost.amount > 0) == ("winston", True)
    posted = await arweave.store(source)
    assert posted.state is CopyState.WAITING
    chain.mine()
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.STORED
    chain.mine(3)
    final = await arweave.status(source.root, posted.ref)
    assert (final.state, final.detail) == (CopyState.FINAL, "3 confirmations")
    for cid, block in blocks.data.items():
        assert await arweave.read(source.root, posted.ref, cid) == block
    whole = b"".join([piece async for piece in source.car()])
    assert chain.ask(final.url.removeprefix(chain.url))[1] == whole
    await arweave.remove(source.root, posted.ref)
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.FINAL


async def test_a_copy_is_found_by_its_cid(arweave: Arweave, chain: ArLocal) -> None:
    source, _ = source_of({"unique": b"by tag"})
    posted = await arweave.store(source)
    chain.mine()
    found = chain.graphql(
        f'{{transactions(tags:[{{name:"IPFS-CID", values:["{cids.to_text(source.root)}"]}}])'
        "{edges{node{id tags{name value}}}}}"
    )
    (node,) = [edge["node"] for edge in found["transactions"]["edges"]]
    assert posted.ref.startswith(node["id"])
    assert {"name": "Content-Type", "value": "application/vnd.ipld.car"} in node["tags"]
    assert not any("site" in tag["value"] for tag in node["tags"])  # its name is nobody's business


async def test_storing_again_pays_nothing(arweave: Arweave, settings: Settings, chain: ArLocal, wallet: Wallet) -> None:
    source, _ = source_of({"again": pattern(600_000)})
    first = await arweave.store(source)
    paid = chain.balance(wallet.address)
    assert (await arweave.store(source)).ref == first.ref
    chain.mine()
    another_process = open_arweave(settings, Client())
    assert (await another_process.store(source)).ref.partition(".")[0] == first.ref.partition(".")[0]
    assert chain.balance(wallet.address) == paid


def refusing_chunks(chain: ArLocal, statuses: list[int]) -> answering.Answer:
    """A gateway in front of arlocal that answers the first chunks with these statuses."""

    def answer(handler: Handler, asked: Asked) -> None:
        status, body = statuses.pop(0) if statuses and asked.path == "/chunk" else 0, b""
        if not status:
            status, body = chain.ask(asked.path, method=asked.method, body=json.loads(asked.body or b"null"))
        answering.reply(status, body)(handler, asked)

    return answer


async def test_chunks_that_a_crash_cut_off_are_sent_later_and_not_paid_again(
    settings: Settings, chain: ArLocal, wallet: Wallet
) -> None:
    source, blocks = source_of({"cut off": pattern(900_000)})
    with answering.running() as server:
        server.answers.append(refusing_chunks(chain, [200, 400]))
        with pytest.raises(ProviderRefused, match="chunk"):
            await open_arweave(replace(settings, arweave_gateway=server.url), Client()).store(source)
    paid = chain.balance(wallet.address)
    arweave = open_arweave(settings, Client())  # as after the crash: it remembers nothing
    posted = await arweave.store(source)
    assert chain.balance(wallet.address) == paid
    for cid, block in blocks.data.items():
        assert await arweave.read(source.root, posted.ref, cid) == block


async def test_a_chunk_that_fails_once_is_sent_again(settings: Settings, chain: ArLocal) -> None:
    source, blocks = source_of({"once more": pattern(500_000)})
    with answering.running() as server:
        server.answers.append(refusing_chunks(chain, [503]))
        arweave = open_arweave(replace(settings, arweave_gateway=server.url), Client())
        posted = await arweave.store(source)
        assert await arweave.read(source.root, posted.ref, source.root) == blocks.data[source.root]


async def test_two_tasks_with_the_same_content_pay_once(arweave: Arweave, chain: ArLocal, wallet: Wallet) -> None:
    source, _ = source_of({"twice": b"twice"})
    before, cost = chain.balance(wallet.address), await arweave.estimate(source)
    first, second = await asyncio.gather(arweave.store(source), arweave.store(source))
    assert first.ref == second.ref
    assert before - chain.balance(wallet.address) == cost.amount


async def test_a_transaction_that_no_block_takes_is_lost_and_made_anew(arweave: Arweave, chain: ArLocal) -> None:
    source, _ = source_of({"dropped": b"dropped"})
    first = await arweave.store(source)
    chain.drop(first.ref.partition(".")[0])
    assert (await arweave.status(source.root, first.ref)).state is CopyState.WAITING
    chain.mine(60)
    assert (await arweave.status(source.root, first.ref)).state is CopyState.LOST
    second = await arweave.store(source)
    assert second.ref != first.ref
    chain.mine()
    assert (await arweave.status(source.root, second.ref)).state is CopyState.STORED


async def test_nothing_is_sent_above_the_limit_or_without_money(
    settings: Settings, chain: ArLocal, wallet: Wallet
) -> None:
    source, _ = source_of({"dear": b"dear"})
    before = chain.balance(wallet.address)
    frugal = open_arweave(replace(settings, arweave_winston_max=10), Client())
    with pytest.raises(TooExpensive, match=r"limit is 0\.00000000001 AR"):
        await frugal.store(source)
    assert chain.balance(wallet.address) == before
    poor = open_arweave(replace(settings, arweave_key=Wallet.generate().to_jwk()), Client())
    with pytest.raises(NotPaid):
        await poor.store(source)


async def test_a_block_that_is_not_in_the_copy_is_not_invented(arweave: Arweave) -> None:
    source, _ = source_of({"here": b"here"})
    other, _ = source_of({"there": b"there"})
    posted = await arweave.store(source)
    for _ in range(2):
        with pytest.raises(ProviderFailed, match="no block"):
            await arweave.read(source.root, posted.ref, other.root)
    with pytest.raises(ProviderFailed, match="does not have"):
        await arweave.read(source.root, "A" * 43, source.root)


async def test_content_that_changes_its_size_is_not_sent(arweave: Arweave) -> None:
    source, _ = source_of({"size": b"size"})
    for size in (source.car_bytes - 1, source.car_bytes + 1):
        with pytest.raises(ProviderFailed, match=r"bytes|large"):
            await arweave.store(replace(source, car_bytes=size))
    with pytest.raises(ProviderRefused):
        await arweave.store(replace(source, car_bytes=0))


# --- items ----------------------------------------------------------------------------------------------------------


async def test_an_item_is_followed_from_the_upload_service_to_the_chain(
    settings: Settings, chain: ArLocal, service: Turbo, wallet: Wallet
) -> None:
    arweave = open_arweave(by_service(settings, service), Client())
    source, blocks = source_of({**FILES, "item": pattern(300_000)})
    cost = await arweave.estimate(source)
    posted = await arweave.store(source)
    assert (posted.state, cost.unit) == (CopyState.WAITING, "winc")
    assert cost.amount == int(service.states[posted.ref]["winc"])  # the estimate is what was paid
    service.bundle(chain, wallet)
    chain.mine()
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.STORED
    for cid, block in blocks.data.items():
        assert await arweave.read(source.root, posted.ref, cid) == block
    service.finish()
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.FINAL


async def test_an_item_is_uploaded_and_paid_once_whatever_is_repeated(settings: Settings, service: Turbo) -> None:
    source, _ = source_of({"once": b"once"})
    first = await open_arweave(by_service(settings, service), Client()).store(source)
    credit = service.credit
    again = await open_arweave(by_service(settings, service), Client()).store(source)
    assert (again.ref, service.uploads, service.credit) == (first.ref, 1, credit)
    service.states.clear()  # a service that forgot its states, but has the item
    await open_arweave(by_service(settings, service), Client()).store(source)
    assert (service.uploads, service.credit) == (2, credit)


async def test_an_item_that_the_service_forgot_is_looked_up_in_the_chain(
    settings: Settings, chain: ArLocal, service: Turbo, wallet: Wallet
) -> None:
    arweave = open_arweave(by_service(settings, service), Client())
    source, _ = source_of({"forgotten": b"forgotten"})
    posted = await arweave.store(source)
    service.states[posted.ref] |= {"status": "FAILED", "info": "failed", "reason": "too_many_failures"}
    failed = await arweave.status(source.root, posted.ref)
    assert (failed.state, failed.detail) == (CopyState.FAILED, "too_many_failures")
    service.states[posted.ref] = {"info": "new"}
    service.bundle(chain, wallet)
    service.states.clear()
    chain.mine()
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.STORED
    chain.mine(4)
    assert (await arweave.status(source.root, posted.ref)).state is CopyState.FINAL
    assert (await arweave.status(source.root, "A" * 43)).state is CopyState.LOST


async def test_an_upload_service_that_fails_or_wants_money_is_told_apart(settings: Settings, service: Turbo) -> None:
    arweave = open_arweave(by_service(settings, service), Client())
    source, _ = source_of({"refused": b"refused"})
    service.failure = 503
    with pytest.raises(ProviderFailed, match="HTTP 503"):
        await arweave.store(source)
    service.failure = 400
    with pytest.raises(ProviderRefused):
        await arweave.store(source)
    service.failure, service.credit = 0, 10
    with pytest.raises(NotPaid):
        await arweave.store(source)
    frugal = open_arweave(replace(by_service(settings, service), arweave_winston_max=10), Client())
    with pytest.raises(TooExpensive):
        await frugal.store(source)


# --- sites ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [b"", pattern(700_000)])
async def test_a_site_opens_at_its_manifest(arweave: Arweave, chain: ArLocal, large: bytes) -> None:
    files = {**FILES, "copy.css": FILES["css/a.css"], "404.html": b"nothing here", "large.bin": large}
    assert (await arweave.estimate_site(site(files))).amount > len(large)
    stored = await arweave.store_site(site(files))
    assert is_id(stored.manifest_id)
    assert stored.paths["copy.css"] == stored.paths["css/a.css"]  # the same bytes travel once
    base = stored.url.removeprefix(chain.url)
    wait_until(lambda: chain.ask(base)[0] == 200, seconds=20, what="arlocal unpacks what came in chunks")
    chain.mine()
    assert chain.ask(base) == (200, FILES["index.html"])
    assert chain.ask(f"{base}css/a.css") == (200, FILES["css/a.css"])
    assert chain.ask(f"/{stored.paths['index.html']}") == (200, FILES["index.html"])
    if large:
        assert chain.ask(f"{base}large.bin") == (200, large)
    chain.mine(4)
    assert (await arweave.status(SOME, stored.copy.ref)).state is CopyState.FINAL


async def test_a_site_goes_through_the_upload_service_as_one_item(
    settings: Settings, chain: ArLocal, service: Turbo, wallet: Wallet
) -> None:
    arweave = open_arweave(by_service(settings, service), Client())
    stored = await arweave.store_site(site(FILES))
    again = await arweave.store_site(site(FILES))
    assert (again.manifest_id, again.copy.ref, service.uploads) == (stored.manifest_id, stored.copy.ref, 1)
    assert list(service.items) == [stored.copy.ref]


@pytest.mark.parametrize(
    "files",
    [
        [],
        site({"/absolute": b"x"}),
        site({"": b"x"}),
        site({"p" * 5000: b"x"}),
        [replace(site({"a": b"x"})[0], content_type="text/html\u00e9")],
        [replace(site({"a": b"x"})[0], content_type="")],
    ],
)
async def test_files_that_cannot_be_a_site_are_refused(arweave: Arweave, files: list[SiteFile]) -> None:
    with pytest.raises(ManifestImpossible):
        await arweave.store_site(files)


# --- settings -------------------------------------------------------------------------------------------------------


def test_the_key_comes_from_a_file_or_the_environment(settings: Settings, wallet: Wallet, tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    path.write_text(wallet.to_jwk())
    by_file = open_arweave(replace(settings, arweave_key="", arweave_key_file=str(path)), Client())
    assert by_file.address == open_arweave(settings, Client()).address == wallet.address
    assert by_file.name == "arweave"


def test_a_key_that_is_none_is_said_to_be_none_and_not_shown(
    settings: Settings, wallet: Wallet, tmp_path: Path
) -> None:
    broken = json.dumps(json.loads(wallet.to_jwk()) | {"d": "AQAB"})
    for key, file in ((broken, ""), ("{}", ""), ("", str(tmp_path / "missing")), ("", str(tmp_path))):
        with pytest.raises(KeyUnusable) as refused:
            open_arweave(replace(settings, arweave_key=key, arweave_key_file=file), Client())
        assert json.loads(wallet.to_jwk())["p"][:20] not in f"{refused.value} {refused.value.detail}"
    with pytest.raises(ProviderNotConfigured, match="no wallet"):
        open_arweave(replace(settings, arweave_key="", arweave_key_file=""), Client())
