"""Copies at Lighthouse and Filecoin Pin, against stand-ins that speak as their published programs do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from af.core.http import Client
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.replication.backends import Provider
from af.replication.backends.configured import open_providers
from af.replication.backends.filecoin_pin import open_filecoin_pin
from af.replication.backends.lighthouse import deal_ids, open_lighthouse
from af.replication.errors import NotReadable, ProviderFailed, ProviderNotConfigured, ProviderRefused
from af.replication.models import CopyState
from tests.support import answering, filecoin
from tests.support.answering import Server
from tests.support.copies import source_of
from tests.support.filecoin import PIECE, TOKEN, LighthouseAccount, PinDaemon

FILES = {"index.html": b"<h1>hello</h1>", "css/a.css": b"h1 { color: teal }"}
PROVED = {
    "chainDealID": 74606268, "dealId": 74606268, "storageProvider": "f01771403", "dealStatus": "Sealing: Proving",
    "endEpoch": 4232864, "pieceCID": "baga6ea4seaq", "dealUUID": "10ed5a44",
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    with answering.running() as started:
        yield started


@pytest.fixture
def settings(server: Server) -> Settings:
    return Settings(
        lighthouse_api_key=TOKEN,
        lighthouse_api_url=server.url,
        lighthouse_upload_url=server.url,
        lighthouse_gateway_url=server.url,
        filecoin_pin_url=server.url,
        filecoin_pin_token=TOKEN,
    )


def asked(server: Server, method: str) -> list[str]:
    return [request.path for request in server.requests if request.method == method]


# --- Lighthouse -------------------------------------------------------------------------------------------------------


async def test_lighthouse_keeps_the_car_and_gives_its_blocks_back(server: Server, settings: Settings) -> None:
    account = LighthouseAccount()
    server.answers = [account.answer]
    provider: Provider = open_lighthouse(settings, Client())
    source, blocks = source_of(FILES)
    receipt = await provider.store(source)
    assert (receipt.state, receipt.ref) == (CopyState.STORED, cids.to_text(source.root))
    assert account.blocks.keys() == {cids.to_text(cid) for cid in blocks.data}
    for cid, data in blocks.data.items():
        assert await provider.read(source.root, receipt.ref, cid) == data
    assert await provider.estimate(source) is None


async def test_content_that_the_account_has_is_not_sent_again(server: Server, settings: Settings) -> None:
    account = LighthouseAccount()
    server.answers = [account.answer]
    provider = open_lighthouse(settings, Client())
    source, _ = source_of(FILES)
    for number in range(5):
        account.add(cids.to_text(cids.of(cids.RAW, b"%d" % number)))  # pages of other files before it
    await provider.store(source)
    again = await provider.store(source)
    assert again.state is CopyState.STORED
    assert len(asked(server, "POST")) == 1


@pytest.mark.parametrize(
    ("deals", "state", "detail"),
    [
        ([], CopyState.STORED, "no deal yet"),
        ([PROVED], CopyState.FINAL, "deal 74606268 at f01771403 until epoch 4232864"),
        ([{**PROVED, "dealStatus": "Sealing: PreCommit1"}], CopyState.STORED, "deal 74606268 at f01771403 until epoch"),
        ([{**PROVED, "chainDealID": 0, "dealId": 0}], CopyState.STORED, "deal in the making at f01771403"),
        ([{"dealStatus": "Inactive"}], CopyState.STORED, "deal in the making"),
        ([{**PROVED, "dealStatus": "Inactive"}, PROVED], CopyState.FINAL, "deal 74606268"),
    ],
)
async def test_only_a_proved_deal_makes_a_copy_final(
    server: Server, settings: Settings, deals: list[dict[str, object]], state: CopyState, detail: str
) -> None:
    server.answers = [LighthouseAccount(deals=deals).answer]
    provider = open_lighthouse(settings, Client())
    source, _ = source_of(FILES)
    stored = await provider.store(source)
    receipt = await provider.status(source.root, stored.ref)
    assert (receipt.state, receipt.detail[: len(detail)]) == (state, detail)
    assert deal_ids(receipt.detail) == (["74606268"] if "deal 7" in detail else [])


async def test_what_lighthouse_deleted_is_lost_and_can_be_stored_anew(server: Server, settings: Settings) -> None:
    account = LighthouseAccount()
    server.answers = [account.answer]
    provider = open_lighthouse(settings, Client())
    source, _ = source_of(FILES)
    receipt = await provider.store(source)
    account.add(receipt.ref)  # the account has it twice
    await provider.remove(source.root, receipt.ref)
    assert account.files == []
    await provider.remove(source.root, receipt.ref)
    assert (await provider.status(source.root, receipt.ref)).state is CopyState.LOST
    assert (await provider.store(source)).state is CopyState.STORED


async def test_lighthouse_refusing_and_failing_are_told_apart(server: Server, settings: Settings) -> None:
    source, _ = source_of(FILES)
    server.answers = [LighthouseAccount().answer]
    wrong_key = open_lighthouse(replace(settings, lighthouse_api_key="wrong"), Client())
    with pytest.raises(ProviderRefused):
        await wrong_key.store(source)
    provider = open_lighthouse(settings, Client())
    ref = cids.to_text(source.root)
    other = cids.to_text(cids.of(cids.RAW, b"other"))
    for answer in (
        answering.json_reply({}, 500), answering.drop, answering.reply(200, b"<html>"), answering.reply(200, b"[]"),
        answering.json_reply({"cid": other}), answering.json_reply({"fileList": 3}),
    ):  # fmt: skip
        server.answers = [answer]
        with pytest.raises(ProviderFailed):
            await provider.status(source.root, ref)
        with pytest.raises(ProviderFailed):
            await provider.store(source)
    server.answers = [answering.json_reply({"fileList": []}), answering.json_reply({"Hash": other})]
    with pytest.raises(ProviderFailed, match="did not say"):
        await provider.store(source)


# --- Filecoin Pin -----------------------------------------------------------------------------------------------------


async def test_filecoin_pin_waits_until_it_is_proved_on_chain(server: Server, settings: Settings) -> None:
    daemon = PinDaemon()
    server.answers = [daemon.answer]
    provider: Provider = open_filecoin_pin(settings, Client())
    source, _ = source_of(FILES)
    receipt = await provider.store(source)
    assert receipt.state is CopyState.WAITING
    assert (await provider.store(source)).ref == receipt.ref, "every pin is paid for: there is one"
    daemon.finish()
    done = await provider.status(source.root, receipt.ref)
    assert (done.state, done.ref) == (CopyState.FINAL, f"{receipt.ref}@{PIECE}")
    assert PIECE in done.detail
    assert (await provider.store(source)).ref == done.ref
    assert len(asked(server, "POST")) == 1


async def test_a_pin_without_all_blocks_has_failed_whatever_the_daemon_calls_it(
    server: Server, settings: Settings
) -> None:
    daemon = PinDaemon()
    server.answers = [daemon.answer]
    provider = open_filecoin_pin(settings, Client())
    source, _ = source_of(FILES)
    receipt = await provider.store(source)
    daemon.finish(missing=2)
    failed = await provider.status(source.root, receipt.ref)
    assert failed.state is CopyState.FAILED
    assert "2 blocks" in failed.detail
    assert (await provider.store(source)).ref != receipt.ref, "it is tried anew"
    daemon.finish(error="Synapse upload failed: insufficient funds")
    refused = await provider.status(source.root, receipt.ref)
    assert (refused.state, "insufficient funds" in refused.detail) == (CopyState.FAILED, True)


async def test_after_a_restart_of_the_daemon_only_what_was_stored_counts(server: Server, settings: Settings) -> None:
    daemon = PinDaemon()
    server.answers = [daemon.answer]
    provider = open_filecoin_pin(settings, Client())
    source, _ = source_of(FILES)
    waiting = await provider.store(source)
    daemon.finish()
    stored = await provider.status(source.root, waiting.ref)
    daemon.pins.clear()
    assert (await provider.status(source.root, waiting.ref)).state is CopyState.LOST
    kept = await provider.status(source.root, stored.ref)
    assert (kept.state, kept.ref) == (CopyState.STORED, stored.ref)
    assert PIECE in kept.detail


async def test_a_copy_is_read_back_only_where_a_gateway_is_named(server: Server, settings: Settings) -> None:
    source, blocks = source_of(FILES)
    with pytest.raises(NotReadable):
        await open_filecoin_pin(settings, Client()).read(source.root, "pin-1", source.root)
    data = blocks.data[source.root]
    server.answers = [answering.reply(200, data, "application/vnd.ipld.raw")]
    provider = open_filecoin_pin(replace(settings, filecoin_pin_gateway_url=server.url), Client())
    assert await provider.read(source.root, "pin-1", source.root) == data
    assert "Authorization" not in server.requests[-1].headers


async def test_what_the_daemon_says_is_checked(server: Server, settings: Settings) -> None:
    source, _ = source_of(FILES)
    text = cids.to_text(source.root)
    provider = open_filecoin_pin(settings, Client())
    pin = {"requestid": "pin-1", "status": "pinned", "pin": {"cid": text}, "info": {"synapse_piece_cid": PIECE}}
    for wrong in (
        {**pin, "status": "done"}, {**pin, "pin": {"cid": cids.to_text(cids.of(cids.RAW, b"other"))}},
        {**pin, "info": {}}, {**pin, "info": {"synapse_piece_cid": text}}, {**pin, "requestid": "../x"}, {}, {"pin": 3},
        {**pin, "pin": {"cid": 5}},
    ):  # fmt: skip
        server.answers = [answering.json_reply(wrong)]
        with pytest.raises(ProviderFailed):
            await provider.status(source.root, "pin-1")
    for ref in ("", "../../x", "pin-1@piece", f"{text}@{text}"):
        with pytest.raises(ProviderFailed):
            await provider.status(source.root, ref)
    server.answers = [PinDaemon().answer]
    await provider.remove(source.root, "pin-1")
    await provider.remove(source.root, "../../x")
    assert asked(server, "DELETE") == ["/pins/pin-1"]


# --- settings ---------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named() -> None:
    providers = open_providers(Settings(), Client())
    for name, setting in (("lighthouse", "AF_LIGHTHOUSE_API_KEY"), ("filecoin-pin", "AF_FILECOIN_PIN_URL")):
        with pytest.raises(ProviderNotConfigured) as missing:
            providers.get(name)
        assert setting in missing.value.hint


def test_the_stand_in_gives_a_real_piece() -> None:
    from af.protocols.filecoin import read_cid_v2

    assert read_cid_v2(cids.parse(filecoin.PIECE)).payload_bytes == 128
