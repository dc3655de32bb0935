"""A project's folder on a real arlocal, file by file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from af import projects
from af.core.context import Context, Platform
from af.core.errors import Forbidden, NotFound
from af.core.http import Client
from af.core.settings import Settings
from af.protocols.arweave.wallets import Wallet
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.replication.backends.arweave import Arweave, open_arweave
from af.replication.backends.arweave_errors import ManifestImpossible
from af.replication.service import arweave as sites
from af.storage import BlockStore
from tests.support import arlocal, arweave_js
from tests.support.arlocal import ArLocal
from tests.support.blocks import MemoryBlocks
from tests.support.platforms import open_platform, user

pytestmark = pytest.mark.timeout(arweave_js.INSTALL_SECONDS + 120)  # the first run of a machine installs arlocal
FILES = {"index.html": b"<h1>hello</h1>", "css/a.css": b"h1 { color: teal }", "b/c/d/page": b"<!doctype html>deep"}


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return arweave_js.wallet()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, wallet: Wallet) -> Iterator[ArLocal]:
    with arlocal.running(tmp_path_factory.mktemp("arlocal")) as started:
        started.mint(wallet.address, 10**15)
        yield started


@pytest.fixture
def arweave(chain: ArLocal, wallet: Wallet) -> Arweave:
    settings = Settings(
        arweave_gateway=chain.url,
        arweave_upload_url="off",
        arweave_key=wallet.to_jwk(),
        arweave_winston_max=10**15,
    )
    return open_arweave(settings, Client())


@pytest.fixture
async def platform(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with open_platform(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def owner(platform: Platform) -> Context:
    return await user(platform, "owner")


async def stored(ctx: Context, project_id: str, files: Mapping[str, bytes | unixfs.Entry]) -> CID:
    """The root of these files, which the project has."""
    memory = MemoryBlocks()
    root = memory.folder(files)
    await ctx.get(BlockStore).put(list(memory.data.items()), scope=project_id)  # type: ignore[type-abstract]
    return root


async def test_a_folder_opens_as_a_site(owner: Context, arweave: Arweave, chain: ArLocal) -> None:
    project = await projects.create_project(owner, "site")
    files = FILES | {"of.txt": project.id.encode()}  # on each database another site: the same one is not paid again
    root = await stored(owner, project.id, files)
    cost = await sites.estimate_site(owner, arweave, project.id, root)
    before = chain.balance(arweave.address)
    receipt = await sites.store_site(owner, arweave, project.id, root)
    assert before - chain.balance(arweave.address) == cost.amount
    chain.mine()
    base = receipt.url.removeprefix(chain.url)
    assert {path: chain.ask(base + path) for path in files} == {path: (200, data) for path, data in files.items()}
    assert chain.ask(base) == (200, FILES["index.html"])
    assert receipt.paths.keys() == files.keys()
    tags = chain.graphql(f'{{transaction(id:"{receipt.paths["b/c/d/page"]}"){{tags{{name value}}}}}}')
    assert {"name": "Content-Type", "value": "text/html; charset=utf-8"} in tags["transaction"]["tags"]


async def test_a_single_file_opens_too(owner: Context, arweave: Arweave, chain: ArLocal) -> None:
    project = await projects.create_project(owner, "file")
    memory = MemoryBlocks()
    root = memory.file(b'{"a": 1}').cid
    await owner.get(BlockStore).put(list(memory.data.items()), scope=project.id)  # type: ignore[type-abstract]
    receipt = await sites.store_site(owner, arweave, project.id, root, name="a.json")
    chain.mine()
    assert chain.ask(receipt.url.removeprefix(chain.url)) == (200, b'{"a": 1}')
    assert list(receipt.paths) == ["a.json"]


async def test_links_and_names_that_arweave_has_not_are_refused(owner: Context, arweave: Arweave) -> None:
    project = await projects.create_project(owner, "odd")
    memory = MemoryBlocks()
    link = memory.symlink(b"index.html")
    await owner.get(BlockStore).put(list(memory.data.items()), scope=project.id)  # type: ignore[type-abstract]
    root = await stored(owner, project.id, {"index.html": b"x", "link": link})
    with pytest.raises(ManifestImpossible, match="symbolic link"):
        await sites.estimate_site(owner, arweave, project.id, root)


async def test_only_those_who_may_write_send_and_only_what_they_see(
    platform: Platform, owner: Context, arweave: Arweave
) -> None:
    project = await projects.create_project(owner, "mine")
    root = await stored(owner, project.id, FILES)
    stranger = await user(platform, "stranger")
    theirs = await projects.create_project(stranger, "theirs")
    for act in (sites.estimate_site, sites.store_site):
        with pytest.raises(NotFound):
            await act(stranger, arweave, project.id, root)
        with pytest.raises(NotFound):
            await act(stranger, arweave, theirs.id, root)
    reader = owner.acting_as(replace(owner.actor, scopes=frozenset({"storage:read"})))
    await sites.estimate_site(reader, arweave, project.id, root)
    with pytest.raises(Forbidden):
        await sites.store_site(reader, arweave, project.id, root)
