"""CARs in: verified, bounded, visible to their project only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable

import pytest

from af import projects, storage
from af.core.context import ANONYMOUS, Context, Platform
from af.core.errors import Forbidden, NotFound, Unauthenticated
from af.core.ids import ProjectId
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage.errors import InvalidCarBlock, InvalidCarFile
from tests.unit.storage.conftest import Content, limited, pieces


def raw(data: bytes) -> tuple[CID, bytes]:
    return cids.of(cids.RAW, data), data


async def test_a_whole_car_is_stored(owner: Context, project_id: ProjectId, site: Content, platform: Platform) -> None:
    receipt = await storage.receive_car(owner, project_id, pieces(site.car()))
    assert receipt.roots == (site.root,)
    assert (receipt.blocks, receipt.new_blocks) == (len(site.blocks), len(site.blocks))
    assert receipt.bytes == sum(map(len, site.blocks.values()))
    for cid, data in site.blocks.items():
        assert await platform.ports[storage.BlockStore].get(cid) == data
    again = await storage.receive_car(owner, project_id, pieces(site.car(), 77_777))
    assert (again.blocks, again.new_blocks) == (len(site.blocks), 0)


async def test_missing_goes_down_to_nothing(owner: Context, project_id: ProjectId, site: Content) -> None:
    wanted = list(site.blocks)
    assert await storage.missing(owner, project_id, wanted) == wanted
    await storage.receive_car(owner, project_id, pieces(site.car(without=wanted[:2])))
    assert await storage.missing(owner, project_id, wanted) == wanted[:2]
    await storage.receive_car(owner, project_id, pieces(site.car()))
    assert await storage.missing(owner, project_id, wanted) == []


async def test_what_others_uploaded_is_missing_to_me(
    owner: Context, project_id: ProjectId, stranger: Context, other_project_id: ProjectId, site: Content
) -> None:
    await storage.receive_car(owner, project_id, pieces(site.car()))
    wanted = list(site.blocks)
    assert await storage.missing(stranger, other_project_id, wanted) == wanted
    receipt = await storage.receive_car(stranger, other_project_id, pieces(site.car()))
    assert receipt.new_blocks == len(wanted), "the answer does not tell that somebody else has the same content"


async def test_a_wrong_block_is_named_with_its_offset_and_not_stored(
    owner: Context, project_id: ProjectId, platform: Platform
) -> None:
    good, bad, after = raw(b"good"), raw(b"wrong"), raw(b"after")
    start = car.header([good[0]]) + car.frame(*good)
    body = start + car.frame(bad[0], b"WRONG") + car.frame(*after)
    with pytest.raises(InvalidCarBlock) as caught:
        await storage.receive_car(owner, project_id, pieces(body, 7))
    assert caught.value.cid == bad[0]
    assert caught.value.offset == len(start)
    assert cids.to_text(bad[0]) in caught.value.message
    assert f"{len(start):,}" in caught.value.message
    assert bad[0] in await storage.missing(owner, project_id, [good[0], bad[0]])
    assert platform.ports[storage.BlockStore].peek(bad[0]) is None


async def test_a_hash_that_cannot_be_computed_is_refused(owner: Context, project_id: ProjectId) -> None:
    blake3 = CID(b"\x01\x55\x1e\x20" + os.urandom(32))
    with pytest.raises(InvalidCarBlock, match="cannot be checked"):
        await storage.receive_car(owner, project_id, pieces(car.header([blake3]) + car.frame(blake3, b"x")))


async def test_other_hash_functions_are_verified(owner: Context, project_id: ProjectId) -> None:
    data = b"sha-512"
    cid = CID(b"\x01\x55\x13\x40" + hashlib.sha512(data).digest())
    receipt = await storage.receive_car(owner, project_id, pieces(car.header([cid]) + car.frame(cid, data)))
    assert receipt.new_blocks == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[:20],
        lambda whole: b"",
        lambda whole: b"<html>",
        lambda whole: whole + b"trailing garbage",
        lambda whole: whole + b"\x00",
    ],
    ids=["cut in a block", "cut in the header", "empty", "not a CAR", "trailing garbage", "trailing zero"],
)
async def test_what_is_not_a_whole_car_is_refused(
    owner: Context, project_id: ProjectId, site: Content, change: Callable[[bytes], bytes]
) -> None:
    body = change(site.car())
    with pytest.raises((InvalidCarFile, InvalidCarBlock)) as caught:
        await storage.receive_car(owner, project_id, pieces(body))
    assert 0 <= caught.value.offset <= len(body)


async def test_a_block_over_the_limit_is_refused_before_it_has_come(owner: Context, project_id: ProjectId) -> None:
    sent = 0

    async def huge() -> AsyncIterator[bytes]:
        nonlocal sent
        head = car.frame_head(raw(b"")[0], 1 << 40)
        yield car.header([]) + head
        for _ in range(1000):
            sent += 1
            yield bytes(1 << 20)

    with pytest.raises(InvalidCarFile, match="limit"):
        await storage.receive_car(owner, project_id, huge())
    assert sent < 5


async def test_strangers_and_nobody_cannot_upload(
    platform: Platform, stranger: Context, project_id: ProjectId, site: Content
) -> None:
    with pytest.raises(NotFound):
        await storage.receive_car(stranger, project_id, pieces(site.car()))
    with pytest.raises(NotFound):
        await storage.missing(stranger, project_id, list(site.blocks))
    with pytest.raises(Unauthenticated):
        await storage.missing(platform.context(ANONYMOUS), project_id, list(site.blocks))


async def test_a_token_that_may_write_sites_may_upload_and_a_reading_one_may_not(
    owner: Context, project_id: ProjectId, site: Content
) -> None:
    await storage.receive_car(limited(owner, "sites:write"), project_id, pieces(site.car()))
    await storage.receive_car(limited(owner, "storage:write"), project_id, pieces(site.car()))
    with pytest.raises(Forbidden):
        await storage.receive_car(limited(owner, "storage:read", "sites:read"), project_id, pieces(site.car()))


async def test_a_project_is_named_by_slug_too(owner: Context, project_id: ProjectId, site: Content) -> None:
    project = await projects.get_project(owner, project_id)
    assert project is not None
    await storage.receive_car(owner, project.slug, pieces(site.car()))
    assert await storage.missing(owner, project_id, list(site.blocks)) == []
