"""Content fetched from trustless gateways that work, fail, lie, send too much or nothing at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from af import storage
from af.core.clock import monotonic
from af.core.context import Context
from af.core.errors import Error
from af.core.http import Client
from af.core.ids import ProjectId
from af.core.settings import load
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb
from af.protocols.ipfs.cid import CID
from af.storage.backends.sources import GatewaySource, introduce, sources_for
from af.storage.errors import InvalidDag, PinQuotaExceeded, RetrievalFailed, RetrievalTooSlow
from af.storage.service.retrieval import Limits, retrieve
from tests.support import answering, trustless
from tests.support.answering import Asked, Handler
from tests.support.trustless import TrustlessGateway
from tests.unit.storage.conftest import Content, folder

LIMITS = Limits(block_bytes_max=2 << 20, bytes_max=8 << 20, patience_seconds=0.4, seconds_max=20.0)


@pytest.fixture
def gateway(site: Content) -> Iterator[TrustlessGateway]:
    with trustless.gateway(site.blocks) as started:
        yield started


@pytest.fixture
def other(site: Content) -> Iterator[TrustlessGateway]:
    with trustless.gateway(site.blocks) as started:
        yield started


class Fetching:
    """Retrievals into one project."""

    def __init__(self, system: Context, project_id: ProjectId) -> None:
        self.store = system.get(storage.BlockStore)
        self.scope = project_id
        self.told: list[tuple[int, int]] = []

    async def __call__(self, root: CID, *gateways: TrustlessGateway, limits: Limits = LIMITS) -> None:
        sources = [GatewaySource(Client(), each.url, name=each.url, allow_private=True) for each in gateways]

        async def report(blocks: int, size: int) -> None:
            self.told.append((blocks, size))

        await retrieve(self.store, self.scope, root, sources, limits, report)

    async def missing(self, content: Content) -> list[CID]:
        return await self.store.missing(list(content.blocks), scope=self.scope)


@pytest.fixture
def fetch(system: Context, project_id: ProjectId) -> Fetching:
    return Fetching(system, project_id)


def inner(content: Content) -> CID:
    """A block with links that is not the root."""
    return next(cid for cid in content.blocks if cids.codec(cid) == cids.DAG_PB and cid != content.root)


def leaf(content: Content) -> CID:
    return next(cid for cid in content.blocks if cids.codec(cid) == cids.RAW)


async def test_block_by_block_each_is_asked_for_once(fetch: Fetching, site: Content, gateway: TrustlessGateway) -> None:
    await fetch(site.root, gateway)
    assert await fetch.missing(site) == []
    wanted = [f"raw {cids.to_text(cid)}" for cid in site.blocks]
    assert sorted(gateway.asked[1:]) == sorted(wanted)
    assert gateway.asked[0] == f"car {cids.to_text(site.root)}"
    assert fetch.told[-1] == (len(site.blocks), sum(map(len, site.blocks.values())))


async def test_a_car_is_one_exchange(fetch: Fetching, site: Content, gateway: TrustlessGateway) -> None:
    gateway.cars = True
    await fetch(site.root, gateway)
    assert await fetch.missing(site) == []
    assert gateway.asked == [f"car {cids.to_text(site.root)}"]


async def test_what_a_cut_car_lacks_comes_block_by_block(
    fetch: Fetching, site: Content, gateway: TrustlessGateway
) -> None:
    gateway.cars, gateway.frames_max = True, 2
    await fetch(site.root, gateway)
    assert await fetch.missing(site) == []
    assert len(gateway.asked) == 1 + len(site.blocks) - 2


async def test_blocks_that_nobody_asked_for_are_not_kept(
    fetch: Fetching, site: Content, gateway: TrustlessGateway
) -> None:
    smuggled = folder({"smuggled.txt": b"nobody asked for this"})
    gateway.cars = True
    gateway.blocks = {**smuggled.blocks, **site.blocks}
    await fetch(site.root, gateway)
    assert await fetch.missing(site) == []
    assert set(await fetch.missing(smuggled)) == set(smuggled.blocks)


async def test_a_source_that_fails_at_first_is_asked_again(
    fetch: Fetching, site: Content, gateway: TrustlessGateway
) -> None:
    gateway.failing_first = 3
    await fetch(site.root, gateway, limits=replace(LIMITS, patience_seconds=10.0))
    assert await fetch.missing(site) == []


async def test_another_source_helps_where_one_has_nothing(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, other: TrustlessGateway
) -> None:
    del gateway.blocks[inner(site)]
    await fetch(site.root, gateway, other)
    assert await fetch.missing(site) == []
    assert f"raw {cids.to_text(inner(site))}" in other.asked


async def test_who_gives_wrong_bytes_is_not_asked_again(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, other: TrustlessGateway
) -> None:
    gateway.broken[site.root] = answering.reply(200, b"something else", trustless.RAW)
    await fetch(site.root, gateway, other)
    assert await fetch.missing(site) == []
    assert [text.partition(" ")[0] for text in gateway.asked] == ["car", "raw"]


async def test_wrong_bytes_alone_end_in_a_reason(fetch: Fetching, site: Content, gateway: TrustlessGateway) -> None:
    lie = leaf(site)
    gateway.broken[lie] = answering.reply(200, b"something else", trustless.RAW)
    with pytest.raises(RetrievalFailed, match="wrong bytes") as failed:
        await fetch(site.root, gateway)
    assert cids.to_text(lie) in failed.value.message
    assert lie in await fetch.missing(site)


async def test_a_lie_in_a_car_is_not_kept(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, other: TrustlessGateway
) -> None:
    lie = inner(site)
    gateway.cars = True
    gateway.blocks[lie] = b"something else"
    await fetch(site.root, gateway, other)
    assert await fetch.missing(site) == []
    assert await fetch.store.get(lie) == site.blocks[lie]
    assert gateway.asked == [f"car {cids.to_text(site.root)}"]


async def test_an_unknown_cid_fails_soon_and_says_why(fetch: Fetching, gateway: TrustlessGateway) -> None:
    root = cids.of(cids.RAW, b"nobody has this")
    began = monotonic()
    with pytest.raises(RetrievalFailed, match="HTTP 404"):
        await fetch(root, gateway)
    assert monotonic() - began < 5


async def test_without_a_source_it_fails_at_once(fetch: Fetching) -> None:
    with pytest.raises(RetrievalFailed, match="no source"):
        await fetch(cids.of(cids.RAW, b"nobody has this"))


async def test_a_source_that_never_answers_does_not_hold_it_up_for_ever(
    fetch: Fetching, site: Content, gateway: TrustlessGateway
) -> None:
    released = threading.Event()

    def hang(handler: Handler, asked: Asked) -> None:
        released.wait(20)

    gateway.broken[site.root] = hang
    try:
        with pytest.raises(RetrievalTooSlow):
            await fetch(site.root, gateway, limits=replace(LIMITS, seconds_max=0.5))
    finally:
        released.set()


async def test_it_goes_on_where_it_was_cut_off(fetch: Fetching, site: Content, gateway: TrustlessGateway) -> None:
    lost = leaf(site)
    gateway.blocks.pop(lost)
    with pytest.raises(RetrievalFailed):
        await fetch(site.root, gateway)
    gateway.blocks[lost] = site.blocks[lost]
    gateway.server.requests.clear()
    await fetch(site.root, gateway)
    assert await fetch.missing(site) == []
    assert f"raw {cids.to_text(site.root)}" not in gateway.asked
    assert f"raw {cids.to_text(lost)}" in gateway.asked


async def test_what_is_here_needs_no_source(fetch: Fetching, site: Content) -> None:
    await fetch.store.put(list(site.blocks.items()), scope=fetch.scope)
    await fetch(site.root)
    assert fetch.told == []


async def test_what_another_project_keeps_to_itself_is_not_here(
    fetch: Fetching, site: Content, other_project_id: ProjectId
) -> None:
    await fetch.store.put(list(site.blocks.items()), scope=other_project_id)
    with pytest.raises(RetrievalFailed):
        await fetch(site.root)


@pytest.mark.parametrize("cars", [True, False])
async def test_more_than_the_project_may_keep_is_refused(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, cars: bool
) -> None:
    gateway.cars = cars
    with pytest.raises(PinQuotaExceeded):
        await fetch(site.root, gateway, limits=replace(LIMITS, bytes_max=100_000))


async def test_a_block_over_the_limit_is_refused(fetch: Fetching, gateway: TrustlessGateway) -> None:
    large = bytes(300_000)
    root = cids.of(cids.RAW, large)
    gateway.blocks[root] = large
    with pytest.raises(RetrievalFailed, match="more than a block"):
        await fetch(root, gateway, limits=replace(LIMITS, block_bytes_max=1 << 18))


@pytest.mark.parametrize("cars", [True, False])
async def test_a_block_that_cannot_be_read_ends_it(fetch: Fetching, gateway: TrustlessGateway, cars: bool) -> None:
    garbage = b"\xff\xff not dag-pb"
    broken = cids.of(cids.DAG_PB, garbage)
    node = dagpb.encode_node([dagpb.Link(broken, b"x", 1)], b"\x08\x01")
    root = cids.of(cids.DAG_PB, node)
    gateway.cars = cars
    gateway.blocks = {broken: garbage, root: node}
    with pytest.raises(InvalidDag):
        await fetch(root, gateway)


async def test_redirects_are_followed_and_do_not_go_in_circles(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, other: TrustlessGateway
) -> None:
    text = cids.to_text(site.root)
    other.cars = True
    gateway.broken[site.root] = answering.reply(301, b"", location=f"{other.url}/ipfs/{text}?format=car")
    await fetch(site.root, gateway)
    assert (gateway.asked, other.asked) == ([f"car {text}"], [f"car {text}"])
    unknown = cids.of(cids.RAW, b"unknown")
    gateway.broken[unknown] = answering.reply(302, b"", location=f"/ipfs/{cids.to_text(unknown)}?format=car")
    with pytest.raises(RetrievalFailed):
        await fetch(unknown, gateway)


async def test_every_kind_of_broken_answer_is_survived(
    fetch: Fetching, site: Content, gateway: TrustlessGateway, other: TrustlessGateway
) -> None:
    bodies = [b"", b"\x00", b"\xff" * 100, site.car()[:-1], site.car() + b"\x05", b"<html>"]
    answers = [answering.drop, *(answering.reply(200, body, trustless.CAR) for body in bodies)]
    answers += [answering.reply(status, b"", "text/plain") for status in (204, 301, 403, 429, 500, 503)]
    for answer in answers:
        root = folder({"index.html": repr(answer).encode()})
        gateway.broken[root.root] = answer
        other.blocks.update(root.blocks)
        await fetch(root.root, gateway, other)
        assert await fetch.missing(root) == []


# --- which sources ---------------------------------------------------------------------------------------------------


def names(origins: Sequence[str], **environment: str) -> list[str]:
    return [source.name for source in sources_for(load(environment), Client(), origins)]


def test_sources_are_asked_in_order() -> None:
    environment = {
        "AF_KUBO_RPC_URL": "http://127.0.0.1:5001",
        "AF_RETRIEVAL_GATEWAYS": "https://a.example,http://10.0.0.1:8080",
    }
    origins = ["/p2p/12D3KooW", "https://b.example/ipfs/bafy", "/dns4/c.example/tcp/443/https", "https://b.example"]
    assert names(origins, **environment) == [
        "https://b.example",
        "https://c.example",
        "the platform's Kubo node",
        "the platform's gateway 1",
        "the platform's gateway 2",
    ]


def test_a_kubo_node_that_holds_our_blocks_is_no_source() -> None:
    environment = {"AF_KUBO_RPC_URL": "http://127.0.0.1:5001", "AF_BLOCK_BACKEND": "kubo"}
    assert names([], **environment) == []


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "https://user:secret@example.org",
        "https://example.org:99999",
        "https://example.org:x",
        "https://[::1",
        "/ip4/203.0.113.1/udp/4001/quic-v1/p2p/12D3KooW",
        "file:///etc/passwd",
    ],
)
def test_origins_that_are_no_gateways_are_passed_over(origin: str) -> None:
    assert names([origin]) == []


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "http://[::1]:8080", "/ip4/10.0.0.1/tcp/80/http"])
async def test_private_addresses_are_refused_unless_settings_name_them(origin: str) -> None:
    (source,) = sources_for(load({}), Client(), [origin])
    with pytest.raises(Error) as refused:
        await source.block(cids.of(cids.RAW, b"x"), limit_bytes=10)
    assert refused.value.code == "address_refused"


@pytest.mark.parametrize(
    ("origin", "is_dialled"),
    [
        ("/ip4/8.8.8.8/tcp/4001/p2p/12D3KooW", True),
        ("/ip6/2606:4700::1/udp/4001/quic-v1/p2p/12D3KooW", True),
        ("/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW", False),
        ("/ip4/10.0.0.1/tcp/4001/p2p/12D3KooW", False),
        ("/ip4/8.8.8.8/tcp/4001", False),
        ("/dns4/example.org/tcp/4001/p2p/12D3KooW", False),
        ("/ip4/8.8.8.8/tcp/4001/p2p/12D3KooW/p2p-circuit/p2p/12D3KooX", False),
        ("https://example.org", False),
    ],
)
async def test_our_node_is_led_to_public_nodes_only(origin: str, is_dialled: bool) -> None:
    with answering.running() as node:
        node.answers = [answering.reply(200, b"{}")]
        await introduce(load({"AF_KUBO_RPC_URL": node.url}), Client(), [origin])
        assert [asked.path.partition("?")[0] for asked in node.requests] == ["/api/v0/swarm/connect"] * is_dialled
