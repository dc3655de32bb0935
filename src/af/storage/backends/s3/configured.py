"""The S3 store that the settings name, and whether its bucket answers."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from af.core.clock import Clock
from af.core.db import Database, async_url
from af.core.settings import InvalidSetting, Settings
from af.protocols.sigv4 import Credentials
from af.storage.backends.s3 import S3Store
from af.storage.backends.s3.client import Address, Bucket
from af.storage.errors import BucketRefused

_PROBE_BYTES = 64


@asynccontextmanager
async def open_s3(
    settings: Settings, clock: Clock, touch_slack_seconds: float, database: Database | None
) -> AsyncIterator[S3Store]:
    """:raises InvalidSetting: no bucket or no key. :raises StoreFailed: as `S3Store.open`"""
    address = address_of(settings)
    own = None if database is not None else Database(async_url(settings.database_url, settings.sqlite_path))
    store = S3Store(
        settings.data / "blocks-s3",
        address=address,
        database=database or own,  # type: ignore[arg-type]  # one of them is there
        clock=clock,
        cache_bytes=settings.s3_cache_bytes,
        free_bytes_min=settings.disk_free_bytes_min,
        touch_slack_seconds=touch_slack_seconds,
    )
    try:
        await store.open()
        yield store
    finally:
        await store.close()
        if own is not None:
            await own.close()


def address_of(settings: Settings) -> Address:
    """:raises InvalidSetting: a setting that is needed is empty"""
    for name, env in (
        ("s3_bucket", "AF_S3_BUCKET"),
        ("s3_access_key_id", "AF_S3_ACCESS_KEY_ID"),
        ("s3_secret_access_key", "AF_S3_SECRET_ACCESS_KEY"),
    ):
        if not getattr(settings, name):
            raise InvalidSetting(f"AF_BLOCK_BACKEND is s3, but {env} is empty.", field=env)
    return Address(
        endpoint=settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com",
        region=settings.s3_region,
        bucket=settings.s3_bucket,
        prefix=settings.s3_prefix,
        credentials=Credentials(settings.s3_access_key_id, settings.s3_secret_access_key),
    )


async def describe(settings: Settings) -> str:
    """For `af doctor`: writes, reads, lists and deletes an object in the bucket, and says so.

    :raises InvalidSetting, StoreFailed, StorageFull: what is wrong, and what to do
    """
    address = address_of(settings)
    bucket = Bucket(address, tries=1)  # the operator waits, and wants to see what stumbles
    key = f"doctor/{secrets.token_hex(8)}"
    body = key.encode()
    try:
        await bucket.put(key, body)
        try:
            if await bucket.get(key, limit=_PROBE_BYTES) != body:
                raise BucketRefused("The bucket does not give back what was just written.", detail=key)
            listed, _ = await bucket.list(key)
            if [each.key for each in listed] != [key]:
                raise BucketRefused("The bucket does not list what was just written.", detail=key)
        finally:
            await bucket.delete(key)
    finally:
        await bucket.close()
    return f"bucket {address.bucket} at {address.endpoint} can be written, read, listed and deleted from"
