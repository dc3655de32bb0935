"""``POST /v1/sites/{site}/archive`` as an ASGI application, body by body."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Router

from af import sites
from af.core.context import Actor, Context, Platform
from af.core.web import RequestContext
from af.sites import http, jobs
from af.sites.models import DeploymentStatus
from tests.unit.sites.test_archives import SITE_TAR, tar_of, uploads
from tests.unit.sites.test_multipart import part


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    json: Any


@pytest.fixture
def app(platform: Platform, owner: Context) -> RequestContext:
    async def as_owner(_: Context, __: HTTPConnection) -> Actor:
        return owner.actor

    return RequestContext(Router(routes=http.routes), platform, as_owner)


async def post(
    app: RequestContext, site: str, body: Sequence[bytes], *, query: str = "", cut: bool = False, **headers: str
) -> Reply:
    """One request; ``cut`` drops the connection instead of ending the body."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []
    path = f"/v1/sites/{quote(site, safe='')}/archive"
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/v1/sites/{site}/archive",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8787),
        "scheme": "http",
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    names = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], names, json.loads(content))


async def test_an_archive_as_the_body_is_accepted_and_deployed(
    app: RequestContext, owner: Context, system: Context, site: sites.Site
) -> None:
    pieces = [SITE_TAR[start : start + 1000] for start in range(0, len(SITE_TAR), 1000)]
    reply = await post(app, "blog", pieces, query="message=by+hand", content_type="application/x-tar")
    assert reply.status == 202
    deployment = reply.json["deployment"]
    assert (deployment["status"], deployment["message"]) == ("PENDING", "by hand")
    assert deployment["url"].endswith("--blog.localhost:8787")
    assert deployment["createdAt"].endswith("Z")
    await jobs.WORKFLOWS[0].run(system, deployment["id"])
    ready = await sites.get_deployment(owner, deployment["id"])
    assert (ready.status, ready.production, ready.files) == (DeploymentStatus.SUCCESS, True, 2)


async def test_forms_of_one_archive_and_of_many_files_give_the_same_root(
    app: RequestContext, owner: Context, system: Context, site: sites.Site
) -> None:
    files = {"index.html": b"<p>hi", "a/b.css": b"p {}"}
    forms = [
        [part("file", "site.tar", tar_of(files)), b"--XX--\r\n"],
        [*(part("files", name, content) for name, content in files.items()), b"--XX--\r\n"],
    ]
    roots = []
    for form in forms:
        reply = await post(
            app, site.id, form, query="production=false", content_type="multipart/form-data; boundary=XX"
        )
        assert reply.status == 202
        assert not reply.json["deployment"]["production"]
        await jobs.WORKFLOWS[0].run(system, reply.json["deployment"]["id"])
        roots.append((await sites.get_deployment(owner, reply.json["deployment"]["id"])).cid)
    assert roots[0] == roots[1] != ""


async def test_bad_requests_are_refused_and_leave_nothing(
    app: RequestContext, owner: Context, platform: Platform, site: sites.Site
) -> None:
    large = bytes(platform.settings.archive_bytes_max)
    for reply, status, code in (
        (await post(app, "nothing", [SITE_TAR]), 404, "site_not_found"),
        (await post(app, "blog", []), 400, "invalid_upload"),
        (await post(app, "blog", [SITE_TAR], query="production=maybe"), 400, "invalid_input"),
        (await post(app, "blog", [large, b"x"]), 413, "upload_too_large"),
        (await post(app, "blog", [], content_length="99999999999"), 413, "upload_too_large"),
        (await post(app, "blog", [b"a=b"], content_type="application/x-www-form-urlencoded"), 400, "invalid_upload"),
        (await post(app, "blog", [b"junk"], content_type="multipart/form-data; boundary=XX"), 400, "invalid_upload"),
        (await post(app, "blog", [b"junk"], content_type="multipart/form-data"), 400, "invalid_upload"),
    ):
        assert (reply.status, reply.json["code"]) == (status, code)
        assert reply.headers["content-type"] == "application/problem+json"
    assert uploads(platform) == []
    assert await sites.list_deployments(owner, site.id) == []


async def test_an_upload_that_is_cut_leaves_nothing(
    app: RequestContext, owner: Context, platform: Platform, site: sites.Site
) -> None:
    await post(app, "blog", [SITE_TAR[:100]], cut=True)
    assert uploads(platform) == []
    assert await sites.list_deployments(owner, site.id) == []
