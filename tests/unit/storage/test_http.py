"""The REST edge and the original upload protocol, as an ASGI application, body by body."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Router

from af import projects, storage
from af.core.context import Actor, Context, Platform
from af.core.ids import ProjectId
from af.core.web import RequestContext
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.storage import http
from tests.unit.storage.conftest import SITE, Content


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Calls the routes as one user."""

    def __init__(self, platform: Platform, actor: Actor) -> None:
        async def authenticate(_: Context, __: HTTPConnection) -> Actor:
            return actor

        app = Router(routes=http.routes)
        self._app = RequestContext(app, platform, authenticate, renderings=http.renderings)

    async def __call__(
        self, method: str, target: str, body: Sequence[bytes] | bytes = b"", *, cut: bool = False, **headers: str
    ) -> Reply:
        """``cut`` drops the connection instead of ending the body."""
        pieces = [body] if isinstance(body, bytes) else body
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": p, "more_body": True} for p in pieces]
        messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b""})
        sent: list[dict[str, Any]] = []
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8787),
            "scheme": "http",
            "root_path": "",
        }

        async def receive() -> dict[str, Any]:
            if not messages:
                await asyncio.Event().wait()  # the client stays to hear the answer
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        names = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], names, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def call(platform: Platform, owner: Context) -> Caller:
    return Caller(platform, owner.actor)


@pytest.fixture
def stranger_call(platform: Platform, stranger: Context, other_project_id: ProjectId) -> Caller:
    return Caller(platform, stranger.actor)


def question(wanted: Sequence[str]) -> bytes:
    return json.dumps({"cids": wanted}).encode()


# --- /v1/projects/{project}/content ----------------------------------------------------------------------------------


async def test_asking_sending_and_asking_again(call: Caller, site: Content) -> None:
    wanted = [cids.to_text(cid) for cid in site.blocks]
    base = "/v1/projects/default/content"
    assert (await call("POST", f"{base}/missing", question(wanted))).json == {"missing": wanted}
    reply = await call("POST", f"{base}/car", site.car())
    assert reply.json == {
        "roots": [cids.to_text(site.root)],
        "blocks": len(wanted),
        "newBlocks": len(wanted),
        "bytes": sum(map(len, site.blocks.values())),
    }
    assert (await call("POST", f"{base}/missing", question(wanted))).json == {"missing": []}


async def test_bad_questions_are_refused(call: Caller) -> None:
    target = "/v1/projects/default/content/missing"
    for body in (b"", b"[]", b'{"cids": [1]}', question(["not-a-cid"]), question(["bafk"] * 20_001)):
        assert (await call("POST", target, body)).status == 400


async def test_a_wrong_block_is_named(call: Caller) -> None:
    cid = cids.of(cids.RAW, b"right")
    reply = await call("POST", "/v1/projects/default/content/car", car.header([cid]) + car.frame(cid, b"wrong"))
    assert (reply.status, reply.json["code"]) == (422, "invalid_car_block")
    assert cids.to_text(cid) in reply.json["detail"]


async def test_an_upload_that_breaks_off_is_refused_and_can_be_resumed(call: Caller, site: Content) -> None:
    target = "/v1/projects/default/content/car"
    half = site.car()[: len(site.car()) // 2]
    assert (await call("POST", target, [half], cut=True)).json["code"] == "invalid_car"
    assert (await call("POST", target, site.car())).status == 200


async def test_too_large_a_car_is_refused_before_it_comes(call: Caller, platform: Platform) -> None:
    too_large = str(platform.settings.car_bytes_max + 1)
    reply = await call("POST", "/v1/projects/default/content/car", b"x", content_length=too_large)
    assert reply.status == 413


async def test_import_tells_what_is_missing(call: Caller, site: Content) -> None:
    lost = next(cid for cid in site.blocks if cid != site.root)
    target = "/v1/projects/default/content/import?name=x&public=false"
    reply = (await call("POST", target, site.car(without=[lost]))).json
    assert (reply["complete"], reply["missing"]) == (False, [cids.to_text(lost)])
    assert (await call("POST", target, site.car())).json["complete"] is True
    assert (await call("POST", "/v1/projects/default/content/import?public=maybe", site.car())).status == 400


async def test_content_comes_back_as_car_and_as_files(call: Caller, site: Content) -> None:
    await call("POST", "/v1/projects/default/content/car", site.car())
    root = cids.to_text(site.root)
    reply = await call("GET", f"/v1/projects/default/content/{root}.car")
    assert reply.headers["content-type"].startswith("application/vnd.ipld.car")
    reader = car.CarReader()
    assert dict(reader.feed(reply.body)) == site.blocks
    assert reader.roots == (site.root,)
    reader.finish()
    for name, data in SITE.items():
        reply = await call("GET", f"/v1/projects/default/content/{root}/file/{name}")
        assert reply.body == data
        assert reply.headers["content-length"] == str(len(data))
        assert reply.headers["content-disposition"].startswith("attachment")
    for path in ("nothing.txt", "a", "index.html/x", ""):
        assert (await call("GET", f"/v1/projects/default/content/{root}/file/{path}")).status == 404


async def test_a_folder_is_listed_in_pages(call: Caller, site: Content) -> None:
    await call("POST", "/v1/projects/default/content/car", site.car())
    listing = f"/v1/projects/default/content/{cids.to_text(site.root)}/folder/"
    whole = (await call("GET", listing)).json
    assert (whole["kind"], whole["after"]) == ("folder", None)
    names = sorted({name.split("/")[0] for name in SITE})
    assert [entry["name"] for entry in whole["entries"]] == names
    paged: list[Any] = []
    reply: dict[str, Any] = {"after": ""}
    while reply["after"] is not None:
        reply = (await call("GET", f"{listing}?first=1&after={quote(paged[-1]['name'] if paged else '')}")).json
        paged += reply["entries"]
    assert paged == whole["entries"]
    for entry in whole["entries"]:
        below = (await call("GET", listing + entry["name"])).json
        assert (below["cid"], below["kind"], below["size"]) == (entry["cid"], entry["kind"], entry["size"])
        if entry["kind"] == "file":
            assert (below["entries"], below["size"]) == ([], len(SITE[entry["name"]]))
    assert {entry["kind"] for entry in whole["entries"]} == {"file", "folder"}


async def test_lists_say_what_is_not_there(call: Caller, stranger_call: Caller, site: Content) -> None:
    lost = cids.of(cids.RAW, SITE["index.html"])
    await call("POST", "/v1/projects/default/content/car", site.car(without=[lost]))
    listing = f"/v1/projects/default/content/{cids.to_text(site.root)}/folder/"
    found = {entry["cid"]: entry["kind"] for entry in (await call("GET", listing)).json["entries"]}
    assert found.pop(cids.to_text(lost)) == "missing"
    assert set(found.values()) == {"file", "folder"}
    assert (await call("GET", listing + "nothing")).status == 404
    assert (await call("GET", listing + "index.html/x")).status == 404
    assert (await stranger_call("GET", listing)).status == 404
    for first in ("0", "1001", "x", "-1", "\u00b2"):
        assert (await call("GET", f"{listing}?first={quote(first)}")).status == 400


async def test_others_get_nothing(call: Caller, stranger_call: Caller, site: Content, other_project_id: str) -> None:
    await call("POST", "/v1/projects/default/content/car", site.car())
    root = cids.to_text(site.root)
    for project in ("default", other_project_id):
        assert (await stranger_call("GET", f"/v1/projects/{project}/content/{root}.car")).status == 404
        assert (await stranger_call("GET", f"/v1/projects/{project}/content/{root}/file/index.html")).status == 404
    assert (await stranger_call("POST", "/v1/projects/default/content/car", site.car())).status == 404


# --- the original protocol -------------------------------------------------------------------------------------------


def shards(site: Content) -> list[bytes]:
    """As the SDK cuts them: whole CARs, only the last one names the root."""
    blocks = list(site.blocks.items())
    middle = len(blocks) // 2
    first = car.header([]) + b"".join(car.frame(*block) for block in blocks[:middle])
    return [first, car.header([site.root]) + b"".join(car.frame(*block) for block in blocks[middle:])]


async def test_the_sdks_upload_from_the_first_question_to_the_pin(
    call: Caller, owner: Context, project_id: ProjectId, site: Content
) -> None:
    root = cids.to_text(site.root)
    assert (await call("GET", f"/duplicity/{root}")).status == 200
    stored = []
    for shard in shards(site):
        reply = await call("POST", "/store", shard, content_type="application/vnd.ipld.car")
        assert reply.status == 200
        digest = hashlib.sha256(shard).digest()
        assert cids.parse(reply.body.decode()) == b"\x01\x82\x04\x12\x20" + digest
        stored.append(reply.body.decode())
    finish = {"basename": "site", "totalSize": 12, "rootCid": root, "shardCids": stored}
    reply = await call("POST", "/upload?sites=true", json.dumps(finish).encode(), content_type="application/json")
    assert reply.status == 200
    size = sum(map(len, SITE.values()))
    assert reply.json == {"pin": {"cid": root, "size": size}, "duplicate": False}
    assert (await call("POST", "/upload", json.dumps(finish).encode())).json["duplicate"] is True
    assert (await call("GET", f"/duplicity/{root}")).status == 409
    assert [pin.name for pin in await storage.list_pins(owner, project_id)] == ["site"]


async def test_an_upload_without_all_shards_is_refused(call: Caller, site: Content) -> None:
    await call("POST", "/store", shards(site)[1])
    reply = await call("POST", "/upload", json.dumps({"rootCid": cids.to_text(site.root)}).encode())
    assert (reply.status, reply.json["code"]) == (409, "missing_blocks")
    assert (await call("GET", f"/duplicity/{cids.to_text(site.root)}")).status == 200


async def test_folders_are_remembered_by_name(call: Caller, site: Content) -> None:
    for shard in shards(site):
        await call("POST", "/store", shard)
    assert (await call("GET", "/folder/f1/duplicity/my site")).status == 200
    finish = {"basename": "my site", "parentFolderId": "f1", "rootCid": cids.to_text(site.root)}
    assert (await call("POST", "/upload", json.dumps(finish).encode())).status == 200
    assert (await call("GET", "/folder/f1/duplicity/my site")).status == 409
    assert (await call("GET", "/folder/f2/duplicity/my site")).status == 200


async def test_functions_stay_private(call: Caller, platform: Platform, site: Content) -> None:
    for shard in shards(site):
        await call("POST", "/store", shard)
    finish = json.dumps({"basename": "f", "rootCid": cids.to_text(site.root)}).encode()
    await call("POST", "/upload?function=true", finish)
    with pytest.raises(storage.BlockMissing):
        await platform.ports[storage.BlockStore].get(site.root, public_only=True)


async def test_a_pin_is_deleted_by_cid(call: Caller, site: Content) -> None:
    for shard in shards(site):
        await call("POST", "/store", shard)
    root = cids.to_text(site.root)
    await call("POST", "/upload", json.dumps({"rootCid": root}).encode())
    reply = await call("DELETE", f"/delete/{root}")
    assert (reply.status, set(reply.json)) == (200, {"message"})
    assert (await call("DELETE", f"/delete/{root}")).status == 404


def form(file: bytes, declared: str) -> bytes:
    return (
        b'--XX\r\nContent-Disposition: form-data; name="hash"\r\n\r\n' + declared.encode() + b"\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="bundle.js"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + file + b"\r\n--XX--\r\n"
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_private_file_is_checked_and_kept(
    call: Caller, stranger_call: Caller, platform: Platform, algorithm: str
) -> None:
    file = b"export default 1" * 100
    declared = f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, file).digest()).decode()}"
    kind = {"content_type": "multipart/form-data; boundary=XX"}
    reply = await call("POST", "/upload/private", form(file, declared), **kind)
    assert reply.status == 201
    assert cids.parse(reply.json["cid"]) == cids.of(cids.RAW, file)
    assert (await call("GET", f"/v1/projects/default/content/{reply.json['cid']}/file/")).body == file
    with pytest.raises(storage.BlockMissing):
        await platform.ports[storage.BlockStore].get(cids.of(cids.RAW, file), public_only=True)


async def test_a_private_file_with_a_wrong_hash_is_refused(call: Caller) -> None:
    kind = {"content_type": "multipart/form-data; boundary=XX"}
    wrong = "sha256-" + base64.b64encode(bytes(32)).decode()
    for declared in (wrong, "blake3-AAAA", "sha256-?", "", "md5-AAAA"):
        assert (await call("POST", "/upload/private", form(b"x", declared), **kind)).status == 400
    assert (await call("POST", "/upload/private", b"--XX--\r\n", **kind)).status == 400


async def test_a_private_file_of_somebody_who_may_not_upload_is_not_read(
    owner: Context, project_id: ProjectId, stranger: Context, platform: Platform
) -> None:
    """The form is broken, which only who reads it can tell."""
    await projects.add_member(owner, project_id, user="stranger", role=projects.Role.VIEWER)
    viewer = Caller(platform, replace(stranger.actor, project_id=project_id))
    kind = {"content_type": "multipart/form-data; boundary=XX"}
    assert (await viewer("POST", "/upload/private", b"--XX--\r\n", **kind)).status == 403
