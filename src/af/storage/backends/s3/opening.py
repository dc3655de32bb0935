"""Which bucket belongs to which index, and making the index anew from the bucket.

The bucket has a marker object with an id, the database has the same id. A database without it, and a bucket with one:
the index was lost (or this is another platform, pointed at a bucket that is in use: it takes the bucket over, and the
other one, finding a new id in the marker, stops collecting instead of deleting what it does not know).
"""

from __future__ import annotations

import asyncio
import secrets

import msgspec
import structlog

from af.protocols.ipfs import cid as cids
from af.storage.backends.s3 import objects
from af.storage.backends.s3.claims import holding
from af.storage.backends.s3.client import Bucket, Listed
from af.storage.backends.s3.store import Placement, SharedIndex, Stored
from af.storage.backends.s3.timekeeping import SharedTime
from af.storage.errors import BucketUnreachable, StoreBusy, WrongBucket

IDENTITY = "store"
REBUILT = "rebuilt"
_REBUILD_CLAIM = "claim:rebuild"
_MARKER_BYTES = 4096
_WAIT_SECONDS = 1.0
_log = structlog.get_logger()


class _Marker(msgspec.Struct):
    store: str


async def open_store(index: SharedIndex, bucket: Bucket, time: SharedTime) -> None:
    """Make sure that index and bucket belong together; makes the index anew when it is lost, which reads the bucket.

    :raises WrongBucket, StoreFailed:
    """
    known = await index.facts.get(IDENTITY)
    try:
        marked = await read_marker(bucket)
    except BucketUnreachable as error:
        if not known:
            raise
        _log.warning("the S3 server does not answer; what is cached is served", reason=error.detail)
        return
    if known and known == marked:
        return
    if known and marked:
        raise WrongBucket(
            f"The bucket {bucket.address.bucket} has been taken over by another platform.",
            hint="Give each platform a bucket or an AF_S3_PREFIX of its own.",
            detail=f"marker {marked}, index {known}",
        )
    if known:
        await _mark(index, bucket, known)
    elif marked:
        await _rebuild(index, bucket, time)
    else:
        await write_marker(bucket, await index.facts.set_first(IDENTITY, secrets.token_hex(16)))


async def read_marker(bucket: Bucket) -> str:
    """The id in the bucket; empty for none."""
    body = await bucket.get(objects.MARKER, limit=_MARKER_BYTES)
    if body is None:
        return ""
    try:
        return msgspec.json.decode(body, type=_Marker).store
    except msgspec.DecodeError as error:
        raise WrongBucket(
            f"{bucket.address.prefix}{objects.MARKER} in the bucket is not ours.",
            hint="Use another AF_S3_PREFIX.",
            detail=str(error),
        ) from error


async def write_marker(bucket: Bucket, identity: str) -> None:
    await bucket.put(objects.MARKER, msgspec.json.encode(_Marker(identity)))


async def check_owner(index: SharedIndex, bucket: Bucket) -> None:
    """Before anything is deleted. :raises WrongBucket: the bucket is not, or no longer, this index's"""
    if await read_marker(bucket) != await index.facts.get(IDENTITY):
        raise WrongBucket(
            f"The bucket {bucket.address.bucket} does not belong to this database, so nothing is deleted from it.",
            hint="Check AF_S3_BUCKET and AF_S3_PREFIX, and that no other platform uses them.",
        )


async def _mark(index: SharedIndex, bucket: Bucket, identity: str) -> None:
    """The index has an id, the bucket has none: a first start that was interrupted, or another bucket."""
    if await index.blocks.page(b"", 1):
        raise WrongBucket(
            f"The bucket {bucket.address.bucket} is empty, but the database knows of blocks in it.",
            hint=f"Check AF_S3_BUCKET and AF_S3_PREFIX. If the bucket is really lost: put the object {objects.MARKER} "
            f'with the text {{"store":"{identity}"}} below the prefix, start, and run `af storage scrub`.',
        )
    await write_marker(bucket, identity)


async def _rebuild(index: SharedIndex, bucket: Bucket, time: SharedTime) -> None:
    """One process makes the index anew, the others wait for it."""
    while not await index.facts.get(IDENTITY):
        try:
            async with holding(index.facts, _REBUILD_CLAIM, time, work="rebuilding of the index"):
                if not await index.facts.get(IDENTITY):
                    await _adopt_all(index, bucket, time)
        except StoreBusy:
            await asyncio.sleep(_WAIT_SECONDS)


async def _adopt_all(index: SharedIndex, bucket: Bucket, time: SharedTime) -> None:
    _log.warning("the index of the S3 block store is made anew from the bucket", bucket=bucket.address.bucket)
    token, done = "", 0
    while True:
        found, token = await bucket.list(objects.FOLDER, token)
        known = await index.objects.known([n for each in found if (n := objects.number_of(each.key)) is not None])
        for each in found:
            number = objects.number_of(each.key)
            if number is not None and number not in known:
                await _adopt(index, bucket, time, number, each)
            done += 1
        _log.info("objects indexed", objects=done)
        if not token:
            break
    now = await time.now()
    await index.facts.set(REBUILT, str(now))
    identity = secrets.token_hex(16)
    await write_marker(bucket, identity)  # from here on the bucket is ours
    await index.facts.set(IDENTITY, identity)


async def _adopt(index: SharedIndex, bucket: Bucket, time: SharedTime, number: int, listed: Listed) -> None:
    """Index an object's blocks: those that match their CID."""
    if listed.size > objects.OBJECT_BYTES_MAX:
        _log.warning("an object is too large to be ours", key=listed.key, size=listed.size)
        return
    body = await bucket.get(listed.key, limit=objects.OBJECT_BYTES_MAX)
    if body is None:
        return
    placements = await asyncio.to_thread(_verified, number, body)
    await index.blocks.adopt(Stored(number, len(body)), placements, await time.now())


def _verified(number: int, body: bytes) -> list[Placement]:
    start = objects.after_header(body)
    if start is None:
        _log.warning("an object is no archive of ours", key=objects.key_of(number))
        return []
    found: list[Placement] = []
    end = start
    for placed in objects.frames(body, start):
        end = placed.offset + placed.length
        if cids.matches(placed.cid, body[placed.offset : end]):
            found.append(Placement(placed.cid, number, placed.offset, placed.length))
    if end != len(body) or len(found) == 0:
        _log.warning("an object is damaged", key=objects.key_of(number), blocks=len(found), read=end, size=len(body))
    return found
