"""CAR responses of the trustless gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/#car-responses,
IPIP-0402, IPIP-0412, IPIP-0523), and graphs that are small but name very much."""

from __future__ import annotations

import time

import pytest

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import Link
from tests.support.gateway import until
from tests.support.gateway_specs import CAR, PATH_HOST, SHARDED, Content, blocks_of, identity, root_of, same_headers

CONTENT = b"".join(b"%010d" % number for number in range(100))  # 10 leaves of 100 bytes, 4 to a node


def leaf(number: int) -> CID:
    return cids.of(cids.RAW, CONTENT[number * 100 : number * 100 + 100])


def leaves(found: list[CID]) -> list[int]:
    """Which leaves of CONTENT are among ``found``, in order."""
    known = {leaf(number): number for number in range(10)}
    return [known[cid] for cid in found if cid in known]


def path_of(cid: CID, below: str = "") -> str:
    return f"/ipfs/{cids.to_text(cid)}{below}"


@pytest.fixture(scope="module")
def file(specs: Content) -> CID:
    return specs.file(CONTENT).cid


@pytest.fixture(scope="module")
def folder(specs: Content) -> CID:
    return specs.folder({"a/b/c.txt": b"deep", "a/other.txt": b"beside", "z.txt": b"last"})


# --- what is in it (dag-scope) ----------


def test_all_is_everything_depth_first_in_the_order_of_links(specs: Content, folder: CID) -> None:
    blocks = specs.gateway.blocks.data
    found = specs.car(path_of(folder))
    assert found[0] == folder
    assert [blocks[cid] for cid in found if cids.codec(cid) == cids.RAW] == [b"deep", b"beside", b"last"]
    assert specs.car(path_of(folder), dag_scope="all") == found
    assert specs.car(path_of(folder), car_order="dfs") == found


def test_the_blocks_of_the_path_come_first_and_the_root_stays_the_roots_cid(specs: Content, folder: CID) -> None:
    answer = specs.ask(path_of(folder, "/a/b/c.txt?format=car"))
    found = [cid for cid, _ in blocks_of(answer.body)]
    assert (found[0], found[-1], len(found)) == (folder, cids.of(cids.RAW, b"deep"), 4)
    assert root_of(answer.body) == folder


def test_block_is_the_path_and_one_block(specs: Content, folder: CID, file: CID) -> None:
    assert specs.car(path_of(folder), dag_scope="block") == [folder]
    assert specs.car(path_of(file), dag_scope="block") == [file]
    assert len(specs.car(path_of(folder, "/a"), dag_scope="block")) == 2


def test_entity_is_a_whole_file_or_what_lists_a_directory(specs: Content, folder: CID, file: CID) -> None:
    assert specs.car(path_of(folder), dag_scope="entity") == [folder]
    assert leaves(specs.car(path_of(file), dag_scope="entity")) == list(range(10))
    root = specs.folder({f"name {number}": b"entry %d" % number for number in range(60)}, SHARDED)
    shards = specs.car(path_of(root), dag_scope="entity")
    assert shards[0] == root
    assert len(shards) > 3
    assert all(cids.codec(cid) == cids.DAG_PB for cid in shards)
    along = specs.car(path_of(root, "/name%2023"))
    assert set(along[:-1]) <= set(shards)
    assert along[-1] == cids.of(cids.RAW, b"entry 23")


def test_paths_through_dag_cbor_carry_its_blocks(specs: Content, file: CID) -> None:
    inner = specs.put(cids.DAG_CBOR, dagcbor.encode({"file": Link(file)}))
    root = specs.put(cids.DAG_CBOR, dagcbor.encode({"list": [None, Link(inner)]}))
    assert specs.car(path_of(root, "/list/1/file"), dag_scope="block") == [root, inner, file]
    assert specs.car(path_of(root))[:3] == [root, inner, file]
    assert specs.ask(path_of(root, "/list?format=car")).status == 501
    assert specs.ask(path_of(root, "/none?format=car")).status == 404


# --- entity-bytes ----------


@pytest.mark.parametrize(
    "span, expected",
    [
        ("0:*", range(10)),
        ("0:0", [0]),
        ("99:100", [0, 1]),
        ("100:199", [1]),
        ("950:*", [9]),
        ("-1:*", [9]),
        ("-101:*", [8, 9]),
        ("-200:-101", [8]),
        ("-5000:*", range(10)),
        ("0:-901", [0]),
        ("0:-1", range(10)),
        ("500:99999999999", range(5, 10)),
        ("250:-650", [2, 3]),
        ("5000:6000", []),
    ],
)
def test_entity_bytes_are_the_leaves_that_hold_them(specs: Content, file: CID, span: str, expected: list[int]) -> None:
    found = specs.car(path_of(file), entity_bytes=span, dag_scope="entity")
    assert (found[0], leaves(found)) == (file, list(expected))
    assert specs.car(path_of(file), entity_bytes=span) == found, "entity-bytes implies the scope"


@pytest.mark.parametrize(
    "span",
    [
        "",
        "0",
        ":",
        "a:b",
        "5:2",
        "-2:-5",
        "0:1:2",
        "*:0",
        "0:",
        ":5",
        "+1:2",
        "1.0:2",
        "0:" + "9" * 30,
        "0x1:2",
        " 0:1",
    ],
)
def test_malformed_entity_bytes_are_400(specs: Content, file: CID, span: str) -> None:
    asked = path_of(file, f"?format=car&dag-scope=entity&entity-bytes={span.replace(' ', '%20').replace('+', '%2B')}")
    assert specs.ask(asked).status == (200 if span == "" else 400)


def test_entity_bytes_mean_nothing_to_a_directory(specs: Content, folder: CID) -> None:
    assert specs.car(path_of(folder), entity_bytes="3:4") == [folder]


def test_a_range_does_not_need_blocks_outside_of_it(specs: Content) -> None:
    content = CONTENT[::-1]
    root = specs.file(content).cid
    specs.gateway.blocks.data.pop(cids.of(cids.RAW, content[500:600]))
    assert len(specs.car(path_of(root), entity_bytes="0:450")) > 5
    assert specs.ask(path_of(root), Range="bytes=0-450").body == content[:451]
    status, body = specs.until_it_breaks(path_of(root, "?format=car"))
    assert status == 200
    assert not body.endswith(b"0\r\n\r\n"), "an archive that broke off must not look whole"


def test_a_root_that_is_not_here_is_404_and_no_archive(specs: Content) -> None:
    gone = cids.of(cids.RAW, b"nobody has this")
    for query in ("?format=car", "?format=car&dag-scope=block"):
        assert specs.ask(path_of(gone, query)).status == 404
        assert specs.ask(path_of(gone, query), Cache_Control="only-if-cached").status == 412


# --- parameters (dups, order, version) ----------


def test_dups(specs: Content) -> None:
    twice = specs.folder({"a": b"the same", "b": b"the same", "c": b"other"})
    same, other = cids.of(cids.RAW, b"the same"), cids.of(cids.RAW, b"other")
    for accept, query in ((f"{CAR}; dups=y", {}), ("", {"car_dups": "y"}), (f"{CAR};dups=n", {"car_dups": "y"})):
        assert specs.car(path_of(twice), accept=accept, **query) == [twice, same, same, other]
    for accept, query in (("", {}), (f'{CAR};dups="n"', {}), (f"{CAR};dups=y", {"car_dups": "n"})):
        assert specs.car(path_of(twice), accept=accept, **query) == [twice, same, other]
    answer = specs.ask(path_of(twice), Accept=f"{CAR}; version=1; order=dfs; dups=y")
    assert answer.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=y"


@pytest.mark.parametrize(
    "accept, query",
    [
        (f"{CAR}; version=2", ""),
        (f"{CAR}; order=bfs", ""),
        (f"{CAR}; dups=maybe", ""),
        ("", "car-version=2"),
        ("", "car-version=0"),
        ("", "car-order=random"),
        ("", "car-dups=yes"),
        ("", "dag-scope=everything"),
        ("", "dag-scope=ALL"),
    ],
)
def test_what_is_not_made_is_400(specs: Content, folder: CID, accept: str, query: str) -> None:
    asked = path_of(folder, "?" + "&".join(filter(None, ("" if accept else "format=car", query))))
    assert specs.ask(asked, **({"Accept": accept} if accept else {})).status == 400


def test_headers_of_an_archive(specs: Content, folder: CID) -> None:
    asked = path_of(folder, "/a?format=car")
    get, head = specs.ask(asked), specs.ask(asked, method="HEAD")
    assert same_headers(get, head)
    assert head.body == b""
    assert get.headers["etag"].startswith('W/"')
    assert get.headers["accept-ranges"] == "none"
    assert get.headers["content-disposition"].startswith('attachment; filename="')
    assert get.headers["content-disposition"].endswith('.car"')
    assert get.headers["x-content-type-options"] == "nosniff"
    assert get.headers["x-ipfs-path"] == path_of(folder, "/a")
    assert specs.ask(asked, Range="bytes=0-3").status == 200
    for tag in (get.headers["etag"], get.headers["etag"].removeprefix("W/"), f'"x", {get.headers["etag"]}', "*"):
        assert specs.ask(asked, If_None_Match=tag).status == 304
    others = {
        specs.ask(asked + more).headers["etag"]
        for more in ("", "&dag-scope=block", "&dag-scope=entity", "&car-dups=y", "&entity-bytes=0:5")
    }
    assert len(others) == 5, "different archives have different ETags"


def test_identity_blocks_are_walked_but_never_written(specs: Content) -> None:
    below = specs.put(cids.RAW, b"below")
    small = identity(cids.DAG_CBOR, dagcbor.encode({"x": Link(below)}))
    root = specs.put(cids.DAG_CBOR, dagcbor.encode([Link(small), Link(identity(cids.RAW, b"tiny"))]))
    assert specs.car(path_of(root)) == [root, below]
    assert specs.car(path_of(root), car_dups="y") == [root, below]
    assert specs.car(path_of(root, "/0/x")) == [root, below]
    assert specs.car(path_of(identity(cids.RAW, b"tiny"))) == []


# --- bombs: while one client has such an archive made, others are answered at once ----------


def tower(specs: Content, levels: int) -> CID:
    """A file of 2^levels bytes in levels + 1 blocks."""
    cid, size = specs.put(cids.RAW, b"x"), 1
    for _ in range(levels):
        cid = specs.file_of([(cid, size), (cid, size)])
        size *= 2
    return cid


def shards_of_nothing(specs: Content, levels: int) -> CID:
    """A sharded directory of 256^levels shards, in levels + 1 blocks, without one entry."""
    cid = specs.shard({})
    for _ in range(levels):
        cid = specs.shard(dict.fromkeys(range(256), (b"", cid)))
    return cid


@pytest.mark.parametrize("scope", ["all", "entity"])
def test_without_repeats_a_bomb_is_as_small_as_it_is(specs: Content, scope: str) -> None:
    started = time.monotonic()
    assert len(specs.car(path_of(tower(specs, 40)), dag_scope=scope)) == 41
    assert len(specs.car(path_of(tower(specs, 30)), entity_bytes="1:*")) == 31
    assert len(specs.car(path_of(shards_of_nothing(specs, 7)), dag_scope=scope)) == 8
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("query", ["", "&dag-scope=entity", "&entity-bytes=1:*"])
def test_a_bomb_with_repeats_stops_no_other_and_ends_with_its_client(specs: Content, query: str) -> None:
    asked = path_of(tower(specs, 40), f"?format=car&car-dups=y{query}")
    with specs.gateway.socket() as client:
        client.sendall(f"GET {asked} HTTP/1.1\r\nHost: {PATH_HOST}\r\n\r\n".encode())
        received = 0
        while received < 500_000:
            received += len(client.recv(1 << 16))
        started = time.monotonic()
        assert specs.ask(path_of(identity(cids.RAW, b"another visitor"))).status == 200
        assert time.monotonic() - started < 2
    until(lambda: specs.gateway.connections() == 0)


@pytest.mark.parametrize("query", ["/", "/?page=200", "?format=tar"])
def test_a_directory_of_empty_shards_is_given_up(specs: Content, query: str) -> None:
    started = time.monotonic()
    assert specs.ask(path_of(shards_of_nothing(specs, 6), query)).status == 406
    assert time.monotonic() - started < 8


def test_a_very_deep_graph_is_walked_without_recursion(specs: Content) -> None:
    cid = specs.put(cids.RAW, b"bottom")
    for _ in range(5_000):
        cid = specs.put(cids.DAG_CBOR, dagcbor.encode([Link(cid)]))
    assert len(specs.car(path_of(cid))) == 5_001
