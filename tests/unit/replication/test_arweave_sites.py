"""A project's folder on a real arlocal, file by file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from af import projects
from af.core.context import Context, Platform
from af.core.errors import Forbidden, InvalidInput, NotFound
from af.core.http import Client
from af.core.settings import Settings
from af.protocols.arweave.wallets import Wallet
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.replication.backends.arweave import Arweave, open_arweave
from af.replication.backends.arweave_errors import ManifestImpossible, TooExpensive
from af.replication.backends.configured import Providers
from af.replication.errors import ProviderNotConfigured
from af.replication.models import CopyState
from af.replication.service import arweave as sites
from af.storage import BlockStore
from tests.support import arweave_js
from tests.support.arlocal import ArLocal
from tests.support.blocks import MemoryBlocks
from tests.support.platforms import open_platform, user

pytestmark = pytest.mark.timeout(arweave_js.INSTALL_SECONDS + 120)  # the first run of a machine installs arlocal
FILES = {"index.html": b"<h1>hello</h1>", "css/a.css": b"h1 { color: teal }", "b/c/d/page": b"<!doctype html>deep"}


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
async def platform(database_url: str, tmp_path: Path, arweave: Arweave) -> AsyncIterator[Platform]:
    async with open_platform(database_url, tmp_path) as opened:
        yield replace(opened, ports={**opened.ports, Providers: Providers({"arweave": arweave})})


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
    cost = await sites.estimate_site(owner, project.id, root)
    before = chain.balance(arweave.address)
    receipt = await sites.store_site(owner, project.id, root)
    assert before - chain.balance(arweave.address) == cost.amount
    chain.mine()
    base = receipt.url.removeprefix(chain.url)
    assert {path: chain.ask(base + path) for path in files} == {path: (200, data) for path, data in files.items()}
    assert chain.ask(base) == (200, FILES["index.html"])
    assert receipt.paths.keys() == files.keys()
    tags = chain.graphql(f'{{transaction(id:"{receipt.paths["b/c/d/page"]}"){{tags{{name value}}}}}}')
    assert {"name": "Content-Type", "value": "text/html; charset=utf-8"} in tags["transaction"]["tags"]


async def test_a_single_file_opens_too(owner: Context, chain: ArLocal) -> None:
    project = await projects.create_project(owner, "file")
    memory = MemoryBlocks()
    root = memory.file(b'{"a": 1}').cid
    await owner.get(BlockStore).put(list(memory.data.items()), scope=project.id)  # type: ignore[type-abstract]
    receipt = await sites.store_site(owner, project.id, root, name="a.json")
    chain.mine()
    assert chain.ask(receipt.url.removeprefix(chain.url)) == (200, b'{"a": 1}')
    assert list(receipt.paths) == ["a.json"]


async def test_links_and_names_that_arweave_has_not_are_refused(owner: Context) -> None:
    project = await projects.create_project(owner, "odd")
    memory = MemoryBlocks()
    link = memory.symlink(b"index.html")
    await owner.get(BlockStore).put(list(memory.data.items()), scope=project.id)  # type: ignore[type-abstract]
    root = await stored(owner, project.id, {"index.html": b"x", "link": link})
    with pytest.raises(ManifestImpossible, match="symbolic link"):
        await sites.estimate_site(owner, project.id, root)


async def test_only_admins_spend_and_only_on_what_they_see(platform: Platform, owner: Context) -> None:
    project = await projects.create_project(owner, "mine")
    root = await stored(owner, project.id, FILES)
    stranger = await user(platform, "stranger")
    theirs = await projects.create_project(stranger, "theirs")
    for act in (sites.estimate_site, sites.store_site):
        with pytest.raises(NotFound):
            await act(stranger, project.id, root)
        with pytest.raises(NotFound):
            await act(stranger, theirs.id, root)
    for scopes in ({"storage:read"}, {"storage:read", "storage:write"}):
        limited = owner.acting_as(replace(owner.actor, scopes=frozenset(scopes)))
        await sites.estimate_site(limited, project.id, root)
        with pytest.raises(Forbidden):
            await sites.store_site(limited, project.id, root)


async def test_nothing_is_sent_above_what_was_agreed_to(owner: Context, arweave: Arweave, chain: ArLocal) -> None:
    project = await projects.create_project(owner, "dear")
    root = await stored(owner, project.id, {"index.html": project.id.encode()})
    cost = await sites.estimate_site(owner, project.id, root)
    before = chain.balance(arweave.address)
    with pytest.raises(TooExpensive, match="you agreed to"):
        await sites.store_site(owner, project.id, root, cost_max=cost.amount - 1)
    assert chain.balance(arweave.address) == before
    receipt = await sites.store_site(owner, project.id, root, cost_max=cost.amount)
    assert chain.balance(arweave.address) == before - cost.amount
    chain.mine()
    assert (await sites.site_standing(owner, project.id, receipt.copy.ref)).state is CopyState.STORED
    for ref in ("", "x", "../../x" + "y" * 40, receipt.copy.ref + ".1"):
        with pytest.raises(InvalidInput):
            await sites.site_standing(owner, project.id, ref)
    found = await projects.list_audit(owner, project.id)
    assert [entry.after for entry in found if entry.action == "arweave.store"] == [
        {"url": receipt.url, "ref": receipt.copy.ref}
    ]


async def test_without_a_wallet_it_says_what_to_set(platform: Platform, owner: Context) -> None:
    bare = Providers({}, {"arweave": "Set AF_ARWEAVE_KEY_FILE."})
    ctx = replace(platform, ports={**platform.ports, Providers: bare}).context(owner.actor)
    project = await projects.create_project(ctx, "bare")
    root = await stored(ctx, project.id, FILES)
    for act in (sites.estimate_site, sites.store_site):
        with pytest.raises(ProviderNotConfigured) as refused:
            await act(ctx, project.id, root)
        assert refused.value.hint == "Set AF_ARWEAVE_KEY_FILE."
