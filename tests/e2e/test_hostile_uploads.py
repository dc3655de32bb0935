"""Uploads that lie, break off, or ask for what is not theirs."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from tests.e2e import hostile
from tests.e2e.hostile import CAR, car_of, dag, missing, post, raw_block
from tests.e2e.platform import Running, running
from tests.support.processes import wait_until

UPLOAD = "/v1/projects/default/content/car"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("uploads")) as started:
        yield started


def stranger(platform: Running, name: str) -> tuple[str, str]:
    """A token that is limited to a second project, and that project's slug."""
    project = platform.graphql("mutation($n:String!){createProject(data:{name:$n}){id slug}}", n=name)["createProject"]
    made = platform.graphql(
        'mutation($p:ID){createPersonalAccessToken(name:"s", projectId:$p){token}}', p=project["id"]
    )
    return str(made["createPersonalAccessToken"]["token"]), str(project["slug"])


# --- cut and resumed -------------------------------------------------------------------------------------------------


def send_part(platform: Running, body: bytes, part: int) -> None:
    """The head of an upload of the whole ``body``, its first ``part`` bytes, and then nothing: the line is cut."""
    token = platform.profile()["token"]
    head = (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost:{platform.port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {CAR}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as connection:
        connection.sendall(head.encode() + body[:part])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, not a goodbye


def test_after_a_cut_upload_only_the_rest_is_sent(platform: Running, tmp_path: Path) -> None:
    data = os.urandom(24 << 20)
    root, blocks = dag({"big": data})
    body = car_of(root, blocks.items())
    send_part(platform, body, 18 << 20)
    left = wait_until(
        lambda: (gone := missing(platform, blocks)) and len(gone) < len(blocks) and gone,
        seconds=10,
        what="some blocks of the cut upload are kept",
    )
    folder = hostile.write(tmp_path / "resumed", {"big": data})
    done = hostile.deploy(platform, folder)["deployment"]
    assert done["uploadedBytes"] <= (len(left) + 2) << 20
    assert done["uploadedBytes"] < len(data)
    assert done["cid"] == cids.to_text(root)


def test_a_cut_upload_leaves_nothing_that_was_not_whole(platform: Running) -> None:
    data = os.urandom(1 << 19)
    root, blocks = dag({"one": data})
    body = car_of(root, blocks.items())
    send_part(platform, body, 1 << 18)
    time.sleep(0.2)  # there is nothing to wait for: nothing must happen
    assert len(missing(platform, blocks)) == len(blocks)


# --- CARs that lie ---------------------------------------------------------------------------------------------------


def test_a_wrong_block_is_named_with_its_place_and_never_stored(platform: Running) -> None:
    good, other = os.urandom(1000), os.urandom(1000)
    root = raw_block(good)
    body = car.header([root])
    body += car.frame(raw_block(b"first"), b"first")
    at = len(body)
    body += car.frame(root, other)
    reply = post(platform, UPLOAD, body)
    assert reply.status == 422
    problem = reply.json()
    assert problem["code"] == "invalid_car_block"
    assert cids.to_text(root) in problem["detail"]
    assert str(at) in problem["detail"].replace(",", "")
    assert missing(platform, [root, raw_block(other)]) == {cids.to_text(root), cids.to_text(raw_block(other))}


HEADER = car.header([raw_block(b"fine")])
WHOLE = car_of(raw_block(b"fine"), [(raw_block(b"fine"), b"fine")])
IDENTITY_SHA1 = bytes([1, 0x55, 0x11, 20]) + bytes(20)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0", id="zero"),
        pytest.param(b"hello, this is no CAR", id="text"),
        pytest.param(WHOLE[:-1], id="cut"),
        pytest.param(WHOLE[:10], id="cut in the header"),
        pytest.param(WHOLE + b"\1", id="trailing byte"),
        pytest.param(WHOLE + b"garbage" * 100, id="trailing garbage"),
        pytest.param(WHOLE + b"\0" * 512, id="zero padding"),
        pytest.param(gzip.compress(WHOLE), id="gzip"),
        pytest.param(b"\xff" * 10 + b"\1", id="endless varint"),
        pytest.param(b"\xff\xff\xff\xff\x7f" + b"x" * 100, id="header of 32 GiB"),
        pytest.param(HEADER + b"\xff\xff\xff\x7f" + b"x" * 100, id="block of 256 MiB"),
        pytest.param(HEADER + car.frame(IDENTITY_SHA1, b"x"), id="weak hash"),
        pytest.param(b"\xa1\x01" + b"\xa2" * 300, id="nested header"),
    ],
)  # fmt: skip
def test_a_broken_car_is_refused_with_a_reason(platform: Running, body: bytes) -> None:
    reply = post(platform, UPLOAD, body)
    assert reply.status == 422, reply.body
    problem = reply.json()
    assert problem["code"] in ("invalid_car", "invalid_car_file", "invalid_car_block"), problem
    assert len(problem["detail"]) > 15


def test_a_header_that_nests_deeply_does_not_exhaust_the_stack(platform: Running) -> None:
    for opening in (b"\x81", b"\xa1\x61a", b"\xd8\x2a"):
        inner = opening * 20_000 + b"\x01"
        reply = post(platform, UPLOAD, _varint(len(inner)) + inner)
        assert reply.status == 422, reply.body


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def test_a_gzip_encoded_body_is_not_taken_for_its_content(platform: Running) -> None:
    headers = {**hostile.owner(platform), "Content-Type": CAR, "Content-Encoding": "gzip"}
    reply = platform.request(UPLOAD, method="POST", body=gzip.compress(WHOLE), headers=headers)
    assert reply.status in (415, 422)


def test_a_body_that_announces_too_much_is_refused_before_it_comes(platform: Running) -> None:
    head = (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost:{platform.port}\r\nContent-Length: {1 << 40}\r\n"
        f"Authorization: Bearer {platform.profile()['token']}\r\n\r\n"
    )
    assert b" 413 " in hostile.raw(platform.port, head.encode(), seconds=1).split(b"\r\n")[0]


def test_a_chunked_body_over_the_limit_is_cut_off(tmp_path: Path) -> None:
    with running(tmp_path, AF_CAR_BYTES_MAX=str(1 << 20)) as platform:
        token = platform.profile()["token"]
        head = (
            f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost:{platform.port}\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: {CAR}\r\n\r\n"
        ).encode()
        piece = os.urandom(1 << 16)
        body = car.header([raw_block(piece)]) + car.frame(raw_block(piece), piece) * 64
        answer = hostile.raw(platform.port, head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n", seconds=2)
        assert answer == b"" or b" 413 " in answer.split(b"\r\n")[0]
        assert platform.request("/health").status == 200


def test_a_missing_block_refuses_a_deployment_and_only_marks_an_import_incomplete(platform: Running) -> None:
    root, blocks = dag({"a": os.urandom(3000), "b": os.urandom(3000)})
    left_out = next(cid for cid in blocks if cid != root)
    body = car_of(root, [(cid, data) for cid, data in blocks.items() if cid != left_out])
    assert post(platform, UPLOAD, body).status == 200
    site = platform.graphql('mutation{createSite(data:{name:"incomplete"}){id}}')["createSite"]
    answer = hostile.graphql(
        platform,
        "mutation($s:ID!,$c:String!){createDeployment(data:{siteId:$s,cid:$c}){id}}",
        s=site["id"],
        c=cids.to_text(root),
    )
    (error,) = answer["errors"]
    assert error["extensions"]["code"].lower() == "missing_blocks"
    assert cids.to_text(left_out) in json.dumps(error)
    imported = post(platform, "/v1/projects/default/content/import", body)
    assert imported.status == 200
    assert imported.json()["complete"] is False
    assert imported.json()["missing"] == [cids.to_text(left_out)]


def test_a_dag_of_dags_does_not_stop_the_platform(platform: Running) -> None:
    """40 levels of a folder that holds the next one twice: 2^40 paths in 41 blocks."""
    from af.protocols.ipfs import unixfs

    blocks: dict[cids.CID, bytes] = {}
    entry = unixfs.directory((), blocks.__setitem__)
    for _ in range(40):
        entry = unixfs.directory([(b"a", entry), (b"b", entry)], blocks.__setitem__)
    assert post(platform, UPLOAD, car_of(entry.cid, blocks.items())).status == 200
    site = platform.graphql('mutation{createSite(data:{name:"doubling"}){id}}')["createSite"]
    started = time.monotonic()
    answer = hostile.graphql(
        platform,
        "mutation($s:ID!,$c:String!){createDeployment(data:{siteId:$s,cid:$c}){id files bytes}}",
        s=site["id"],
        c=cids.to_text(entry.cid),
    )
    assert time.monotonic() - started < 10
    assert "errors" not in answer or "INTERNAL" not in json.dumps(answer["errors"]).upper()
    assert platform.request("/health").status == 200


# --- what is not theirs ----------------------------------------------------------------------------------------------


def test_blocks_of_another_project_are_missing_until_one_shows_them(platform: Running) -> None:
    token, slug = stranger(platform, "Curious")
    secret = os.urandom(2000)
    cid = raw_block(secret)
    assert post(platform, UPLOAD, car_of(cid, [(cid, secret)])).status == 200
    assert not missing(platform, [cid])
    text = cids.to_text(cid)
    assert missing(platform, [cid], project=slug, token=token) == {text}
    headers = {"Authorization": f"Bearer {token}"}
    for project in (slug, "default"):
        for path in (f"{text}.car", f"{text}/file/"):
            reply = platform.request(f"/v1/projects/{project}/content/{path}", headers=headers)
            assert reply.status == 404, (project, path)
            assert secret not in reply.body
    for host, path in (
        ("127.0.0.1", f"/ipfs/{text}"),
        ("gateway.localhost", f"/ipfs/{text}?format=raw"),
        (f"{text}.ipfs.localhost", "/"),
    ):
        reply = platform.request(path, host=host)
        assert reply.status == 404, (host, path)
        assert secret not in reply.body
    answer = hostile.graphql(platform, "mutation($c:String!){createPin(data:{cid:$c}){cid}}", token=token, c=text)
    assert "errors" in answer
    assert post(platform, f"/v1/projects/{slug}/content/car", car_of(cid, [(cid, secret)]), token=token).status == 200
    assert not missing(platform, [cid], project=slug, token=token)


def test_a_folder_that_names_a_strangers_block_does_not_open_it(platform: Running) -> None:
    """The stranger knows the CID, wraps it in a folder of his own, and deploys that."""
    from af.protocols.ipfs import unixfs

    token, slug = stranger(platform, "Wrapper")
    secret = os.urandom(2000)
    cid = raw_block(secret)
    assert post(platform, UPLOAD, car_of(cid, [(cid, secret)])).status == 200
    blocks: dict[cids.CID, bytes] = {}
    folder = unixfs.directory([(b"index.html", unixfs.Entry(cid, len(secret), len(secret)))], blocks.__setitem__)
    body = car_of(folder.cid, blocks.items())
    assert post(platform, f"/v1/projects/{slug}/content/car", body, token=token).status == 200
    made = hostile.graphql(platform, 'mutation{createSite(data:{name:"wrap"}){id}}', token=token)
    answer = hostile.graphql(
        platform,
        "mutation($s:ID!,$c:String!){createDeployment(data:{siteId:$s,cid:$c}){id}}",
        token=token,
        s=made["data"]["createSite"]["id"],
        c=cids.to_text(folder.cid),
    )
    assert answer["errors"][0]["extensions"]["code"].lower() == "missing_blocks"
    imported = post(platform, f"/v1/projects/{slug}/content/import?public=true", body, token=token)
    assert imported.json()["complete"] is False
    for path in (f"{cids.to_text(folder.cid)}.car", f"{cids.to_text(folder.cid)}/file/index.html"):
        headers = {"Authorization": f"Bearer {token}"}
        received = b""
        with contextlib.suppress(http.client.HTTPException):  # a stream that breaks off is as good as a refusal
            received = platform.request(f"/v1/projects/{slug}/content/{path}", headers=headers).body
        assert secret not in received


def test_a_private_import_is_not_public(platform: Running) -> None:
    secret = os.urandom(2000)
    cid = raw_block(secret)
    reply = post(platform, "/v1/projects/default/content/import?public=false", car_of(cid, [(cid, secret)]))
    assert reply.json()["complete"] is True
    assert platform.request(f"/ipfs/{cids.to_text(cid)}", host="127.0.0.1").status == 404
    file = platform.request(f"/v1/projects/default/content/{cids.to_text(cid)}/file/", headers=hostile.owner(platform))
    assert (file.status, file.body) == (200, secret)
    assert file.headers["content-disposition"].startswith("attachment")


# --- slow ------------------------------------------------------------------------------------------------------------


def test_slow_uploads_do_not_keep_others_waiting(platform: Running) -> None:
    token = platform.profile()["token"]
    head = (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost:{platform.port}\r\nContent-Length: 1000000\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: {CAR}\r\n\r\n"
    ).encode()
    slow = []
    try:
        for _ in range(300):
            connection = socket.create_connection(("127.0.0.1", platform.port), timeout=5)
            connection.sendall(head + WHOLE[:5])
            slow.append(connection)
        started = time.monotonic()
        assert post(platform, UPLOAD, WHOLE).status == 200
        assert platform.request("/health").status == 200
        assert time.monotonic() - started < 3
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    "given",
    ["[]", "{}", '{"cids": 5}', '{"cids": [1]}', '{"cids": ["x"]}', '{"cids": null}', "", "[" * 100_000],
    ids=range(8),
)
def test_a_bad_question_is_refused(platform: Running, given: str) -> None:
    reply = post(platform, "/v1/projects/default/content/missing", given.encode(), kind="application/json")
    assert reply.status == 400, reply.body
    assert reply.json()["detail"]


def test_too_many_cids_are_refused(platform: Running) -> None:
    body = json.dumps({"cids": [cids.to_text(raw_block(b"x"))] * 20_001}).encode()
    assert post(platform, "/v1/projects/default/content/missing", body, kind="application/json").status == 400
