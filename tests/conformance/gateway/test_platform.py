"""The gateway over the real host table, block store and sites service, on both databases: two processes of it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from af import domains, projects, sites, storage
from af.core.bell import Bell
from af.core.clock import SystemClock
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.db import Database, async_url
from af.core.settings import load
from af.gateway import Gateway, application
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.storage.backends.configured import open_blocks

Upload = Callable[[Mapping[str, bytes]], Awaitable[str]]


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    settings = load({}, data=tmp_path, database_url=database_url)
    database = Database(async_url(database_url, settings.sqlite_path))
    bell = Bell(tmp_path / "bell")
    async with open_blocks(settings, SystemClock()) as blocks:
        ports = {storage.BlockStore: blocks}
        yield Platform(settings=settings, database=database, clock=SystemClock(), bell=bell, ports=ports, port=8787)
    await database.close()
    bell.close()


@pytest.fixture
async def owner(platform: Platform) -> Context:
    made = await projects.bootstrap(platform.context(SYSTEM))
    return platform.context(Actor(ActorKind.USER, user_id=made.user.id))


@pytest.fixture
async def gateways(platform: Platform) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two that share nothing but the database, the blocks and the bell's file."""
    second_bell = Bell(platform.settings.data / "bell")
    with contextlib.ExitStack() as stack:
        stack.callback(second_bell.close)
        yield (
            stack.enter_context(contextlib.closing(application(platform))),
            stack.enter_context(contextlib.closing(application(replace(platform, bell=second_bell)))),
        )


@pytest.fixture
async def upload(platform: Platform, owner: Context) -> Upload:
    project = (await projects.bootstrap(platform.context(SYSTEM))).project

    async def put(files: Mapping[str, bytes]) -> str:
        blocks: list[tuple[cids.CID, bytes]] = []
        entries = [
            (path, unixfs.import_file(io.BytesIO(content).read, lambda *block: blocks.append(block)))
            for path, content in files.items()
        ]
        root = unixfs.build_tree(entries, lambda *block: blocks.append(block))
        await platform.ports[storage.BlockStore].put(blocks, scope=project.id)
        return cids.to_text(root.cid)

    return put


async def ask(gateway: Gateway, host: str, path: str = "/") -> tuple[int, bytes]:
    """Status and body of one request to the ASGI application."""
    status, body = 0, b""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        nonlocal status, body
        status = message.get("status", status)  # type: ignore[assignment]
        body += message.get("body", b"")  # type: ignore[operator]

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", host.encode())],
    }
    await gateway(scope, receive, send)  # type: ignore[arg-type]
    return status, body


async def test_a_deployment_and_a_rollback_are_visible_in_every_process_at_the_next_request(
    owner: Context, gateways: tuple[Gateway, Gateway], upload: Upload
) -> None:
    site = await sites.create(owner, "Blog", project_id="default")
    for gateway in gateways:
        assert (await ask(gateway, "blog.localhost"))[0] == 404
    deployments = []
    for text in (b"one", b"two"):
        deployments.append(await sites.create_deployment(owner, site.id, await upload({"index.html": text})))
        for gateway in gateways:
            assert await ask(gateway, "blog.localhost") == (200, text)
    for _ in range(5):
        for deployment, text in zip(deployments, (b"one", b"two"), strict=True):
            await sites.rollback(owner, site.id, deployment.id)
            for gateway in gateways:
                assert await ask(gateway, "blog.localhost") == (200, text)
    first = f"{deployments[0].id[-16:]}--blog.localhost"
    for gateway in gateways:
        assert await ask(gateway, first) == (200, b"one")


async def test_a_deleted_site_is_gone_from_every_process(
    owner: Context, gateways: tuple[Gateway, Gateway], upload: Upload
) -> None:
    site = await sites.create(owner, "Blog", project_id="default")
    await sites.create_deployment(owner, site.id, await upload({"index.html": b"x"}))
    for gateway in gateways:
        assert (await ask(gateway, "blog.localhost"))[0] == 200
    await sites.delete(owner, site.id)
    for gateway in gateways:
        assert (await ask(gateway, "blog.localhost"))[0] == 404


async def test_uploaded_content_is_public_by_its_cid_only_once_it_is_deployed(
    owner: Context, gateways: tuple[Gateway, Gateway], upload: Upload
) -> None:
    root = await upload({"index.html": b"draft"})
    for address in ((f"{root}.ipfs.localhost", "/"), ("127.0.0.1", f"/ipfs/{root}/")):
        assert (await ask(gateways[0], *address))[0] == 404
    site = await sites.create(owner, "Blog", project_id="default")
    await sites.create_deployment(owner, site.id, root)
    for address in ((f"{root}.ipfs.localhost", "/"), ("127.0.0.1", f"/ipfs/{root}/")):
        assert await ask(gateways[0], *address) == (200, b"draft")


async def test_rules_of_a_deployment_are_followed_with_it(
    owner: Context, gateways: tuple[Gateway, Gateway], upload: Upload
) -> None:
    site = await sites.create(owner, "Single", project_id="default")
    files = {"index.html": b"app", "_redirects": b"/* /index.html 200\n"}
    with_rules = await sites.create_deployment(owner, site.id, await upload(files))
    assert await ask(gateways[0], "single.localhost", "/any/path") == (200, b"app")
    await sites.create_deployment(owner, site.id, await upload({"index.html": b"app"}))
    assert (await ask(gateways[0], "single.localhost", "/any/path"))[0] == 404
    await sites.rollback(owner, site.id, with_rules.id)
    assert await ask(gateways[0], "single.localhost", "/any/path") == (200, b"app")


async def test_known_sites_stay_up_without_the_database(
    owner: Context, platform: Platform, gateways: tuple[Gateway, Gateway], upload: Upload
) -> None:
    site = await sites.create(owner, "Blog", project_id="default")
    await sites.create_deployment(owner, site.id, await upload({"index.html": b"up", "more.txt": b"more"}))
    assert await ask(gateways[0], "blog.localhost") == (200, b"up")
    assert await domains.latest_change(platform.context(SYSTEM)) > 0
    missing = Database(async_url("", platform.settings.data / "nowhere" / "gone.sqlite"), read_only=True)
    gateways[0].hosts._source = type(gateways[0].hosts._source)(replace(platform, database=missing))  # type: ignore[call-arg]
    platform.bell.ring("hosts")
    assert await ask(gateways[0], "blog.localhost", "/more.txt") == (200, b"more")
    assert (await ask(gateways[0], "unknown.localhost"))[0] == 503
    await missing.close()
