"""The RPC client against a real Kubo, and against what is none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from af.core.errors import NotFound
from af.core.http import Client
from af.protocols.ipfs import car, ipns
from af.protocols.ipfs import cid as cids
from af.storage.backends.kubo_rpc import KuboRpc
from af.storage.errors import KuboRefused, KuboUnauthorized, KuboUnreachable
from tests.support import answering, kubo, ports
from tests.unit.storage.conftest import Content, folder, pieces

pytestmark = pytest.mark.kubo
SECRET = "secret-of-the-node"


@pytest.fixture(scope="module")
def node() -> Iterator[kubo.KuboDaemon]:
    with kubo.KuboDaemon(kubo.kubo_or_skip(), token=SECRET) as daemon:
        yield daemon


@pytest.fixture
def rpc(node: kubo.KuboDaemon) -> KuboRpc:
    return KuboRpc(node.api_url, Client(), token=SECRET)


async def collected(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def test_a_car_is_imported_pinned_listed_exported_and_let_go(rpc: KuboRpc, site: Content) -> None:
    assert await rpc.import_car(pieces(site.car(), 70_000)) == (site.root,)
    assert await rpc.is_pinned(site.root)
    assert site.root in {cid async for cid in rpc.pins()}
    async with rpc.dag_export(site.root, limit_bytes=64 << 20) as parts:
        exported = await collected(parts)
    reader = car.CarReader(max_block_bytes=2 << 20)
    assert dict(reader.feed(exported)) == site.blocks
    assert await rpc.pin_rm(site.root)
    assert not await rpc.is_pinned(site.root)
    assert not await rpc.pin_rm(site.root)


async def test_a_root_of_which_something_is_missing_is_not_kept(rpc: KuboRpc) -> None:
    content = folder({"a": b"not sent at all", "b": b"sent"})
    absent = next(cid for cid in content.blocks if cids.codec(cid) == cids.RAW)
    with pytest.raises(KuboRefused, match="did not keep"):
        await rpc.import_car(pieces(content.car(without=[absent])))
    assert not await rpc.is_pinned(content.root)


async def test_a_car_that_cannot_be_read_to_its_end_fails_with_our_reason(rpc: KuboRpc, site: Content) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield site.car()[:100]
        raise NotFound("a block is not here")

    with pytest.raises(NotFound, match="a block is not here"):
        await rpc.import_car(broken())


async def test_what_is_no_car_is_refused_with_the_nodes_words(rpc: KuboRpc) -> None:
    with pytest.raises(KuboRefused, match="dag/import"):
        await rpc.import_car(pieces(b"this is no CAR"))


async def test_a_block_that_the_node_does_not_have_is_none(rpc: KuboRpc) -> None:
    assert await rpc.block_get(cids.of(cids.RAW, b"never put anywhere")) is None


async def test_the_node_tells_who_and_how_large_it_is(rpc: KuboRpc, node: kubo.KuboDaemon) -> None:
    assert await rpc.version() == kubo.KUBO.version.removeprefix("v")
    identity = await rpc.identity()
    assert identity.agent.startswith("kubo/")
    assert identity.peer_id.startswith("12D3Koo")
    assert await rpc.peers() == 0
    use = await rpc.repository()
    assert 0 < use.bytes < use.bytes_max


async def test_an_ipns_record_made_here_is_resolved_there(rpc: KuboRpc, node: kubo.KuboDaemon) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = ipns.to_text(ipns.name_of(key))
    ends = datetime.now(UTC) + timedelta(days=2)
    path = f"/ipfs/{cids.to_text(cids.EMPTY_DIRECTORY)}"
    record = ipns.create(key, path.encode(), sequence=1, valid_until=ends, ttl_seconds=60)
    await rpc.put_ipns_record(name, record)
    assert json.loads(node.call(f"/api/v0/name/resolve?arg=/ipns/{name}&offline=true"))["Path"] == path


async def test_what_is_announced_is_found_by_another_node() -> None:
    """By a real DHT of two nodes."""
    binary = kubo.kubo_or_skip()
    with (
        kubo.KuboDaemon(binary, swarm=True, routing="dhtserver") as first,
        kubo.KuboDaemon(binary, swarm=True, routing="dhtserver") as second,
    ):
        rpc = KuboRpc(first.api_url, Client())
        await rpc.connect(second.address())
        assert await rpc.peers() == 1
        content = folder({"index.html": b"announced"})
        await rpc.import_car(pieces(content.car()))
        await rpc.provide(content.root)
        found = second.call(f"/api/v0/routing/findprovs?arg={cids.to_text(content.root)}").decode()
        assert (await rpc.identity()).peer_id in found
        fetched = KuboRpc(second.api_url, Client())
        for cid, data in content.blocks.items():
            assert await fetched.block_get(cid) is None
            assert await fetched.block_get(cid, offline=False) == data
        assert await fetched.block_get(cids.of(cids.RAW, b"nowhere"), offline=False, timeout_seconds=2.5) is None


async def test_nobody_to_tell_is_an_error(rpc: KuboRpc, site: Content) -> None:
    with pytest.raises(KuboRefused, match="routing/provide"):
        await rpc.provide(site.root)


async def test_without_the_right_token_the_setting_is_named(node: kubo.KuboDaemon) -> None:
    for token in ("", "another"):
        with pytest.raises(KuboUnauthorized) as caught:
            await KuboRpc(node.api_url, Client(), token=token).version()
        assert "AF_KUBO_RPC_TOKEN" in caught.value.hint


async def test_where_nobody_listens_the_setting_is_named() -> None:
    with pytest.raises(KuboUnreachable) as caught:
        await KuboRpc(f"http://127.0.0.1:{ports.free_port()}", Client()).version()
    assert "AF_KUBO_RPC_URL" in caught.value.hint


async def test_the_gateway_of_a_node_is_not_its_rpc(node: kubo.KuboDaemon) -> None:
    with pytest.raises(KuboRefused, match="AF_KUBO_RPC_URL"):
        await KuboRpc(node.gateway_url, Client()).version()


async def test_a_server_that_answers_nonsense_is_refused() -> None:
    with answering.running() as server:
        server.answers = [answering.reply(200, b"<html>", "text/html")]
        with pytest.raises(KuboRefused, match="unexpected"):
            await KuboRpc(server.url, Client()).identity()


async def test_a_redirect_does_not_get_the_token() -> None:
    with answering.running() as server, answering.running() as elsewhere:
        server.answers = [answering.reply(307, Location=elsewhere.url)]
        elsewhere.answers = [answering.reply(200)]
        with pytest.raises(KuboRefused):
            await KuboRpc(server.url, Client(), token=SECRET).version()
        assert server.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert elsewhere.requests == []
