"""The S3 client: what it says when a real server refuses, and how it tries again when one stumbles."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from af.core.clock import monotonic
from af.core.errors import Error
from af.core.settings import InvalidSetting, load
from af.protocols.sigv4 import Credentials
from af.storage.backends.s3 import refusals
from af.storage.backends.s3.client import Address, Bucket
from af.storage.backends.s3.configured import address_of, describe
from af.storage.errors import BucketRefused, BucketUnreachable, StorageFull, StoreFailed
from tests.support import answering, ports, s3

NOWHERE = Address("http://127.0.0.1:1", "us-east-1", "some-bucket", "", Credentials("AK", "secret"))


@pytest.fixture
async def bucket(s3_server: s3.S3Server, s3_bucket: str) -> AsyncIterator[Bucket]:
    made = Bucket(s3_server.address(s3_bucket, prefix="ours (1)/"))
    yield made
    await made.close()


def failing(status: int, code: str = "") -> answering.Answer:
    return answering.reply(status, f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode())


@contextmanager
def serving(*answers: answering.Answer) -> Iterator[answering.Server]:
    with answering.running() as server:
        server.answers = list(answers)
        yield server


# --- a real server ---------------------------------------------------------------------------------------------------


@pytest.mark.s3
async def test_objects_are_put_read_in_part_listed_and_deleted(bucket: Bucket) -> None:
    await bucket.put("a/one+two é.car", b"0123456789")
    assert await bucket.get("a/one+two é.car", limit=10) == b"0123456789"
    assert await bucket.get("a/one+two é.car", start=3, end=5, limit=10) == b"34"
    assert await bucket.get("a/one+two é.car", start=8, end=50, limit=10) == b"89"
    assert await bucket.get("a/one+two é.car", start=10, end=50, limit=10) == b""
    assert await bucket.get("a/none", limit=10) is None
    listed, token = await bucket.list("a/")
    assert [(each.key, each.size, token) for each in listed] == [("a/one+two é.car", 10, "")]
    await bucket.delete("a/one+two é.car")
    await bucket.delete("a/one+two é.car")
    assert await bucket.list("a/") == ([], "")


@pytest.mark.s3
async def test_a_long_listing_comes_in_pages(bucket: Bucket, s3_server: s3.S3Server) -> None:
    folder = s3_server.data / bucket.address.bucket / "ours (1)" / "many"
    folder.mkdir(parents=True)
    for number in range(1100):
        (folder / f"{number:05}").touch()
    first, token = await bucket.list("many/")
    assert token
    rest, end = await bucket.list("many/", token)
    assert [each.key for each in (*first, *rest)] == [f"many/{number:05}" for number in range(1100)]
    assert not end


@pytest.mark.s3
async def test_more_than_was_asked_for_is_refused(bucket: Bucket) -> None:
    await bucket.put("large", bytes(1000))
    with pytest.raises(StoreFailed, match="more than was asked for"):
        await bucket.get("large", limit=999)


@pytest.mark.s3
@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            {"credentials": Credentials("AKTESTROOT", "not-the-secret")},
            "does not accept our signature",
            "AF_S3_SECRET_ACCESS_KEY",
        ),
        (
            {"credentials": Credentials("AKNOBODY", "any")},
            "does not know our access key",
            "AF_S3_ACCESS_KEY_ID",
        ),
        ({"bucket": "never-made"}, "bucket does not exist", "AF_S3_BUCKET"),
        ({"region": "other-region-9"}, "is in another region", "AF_S3_REGION"),
    ],
)
async def test_what_is_wrong_with_the_settings_is_said(
    bucket: Bucket, change: dict[str, object], message: str, hint: str
) -> None:
    wrong = Bucket(replace(bucket.address, **change))  # type: ignore[arg-type]
    for call in (wrong.put("key", b"x"), wrong.get("key", limit=9), wrong.list("")):
        with pytest.raises(BucketRefused, match=message) as caught:
            await call
        assert hint in caught.value.hint
        assert "not-the-secret" not in str(vars(caught.value)), "the secret is not told"
        assert wrong.address.bucket not in caught.value.message + caught.value.hint, "anybody may read these"
        assert wrong.address.bucket in caught.value.detail
    await wrong.close()


@pytest.mark.s3
async def test_a_key_that_may_not_is_named_with_what_it_needs(bucket: Bucket, s3_server: s3.S3Server) -> None:
    s3_server.create_user("AKREADER", "reader-secret")
    reader = Bucket(replace(bucket.address, credentials=Credentials("AKREADER", "reader-secret")))
    with pytest.raises(BucketRefused, match="Our access key may not write in the S3 bucket") as caught:
        await reader.put("key", b"x")
    assert "s3:PutObject" in caught.value.hint
    assert "AKREADER" in caught.value.detail
    with pytest.raises(BucketRefused, match="may not list"):
        await reader.list("")
    await reader.close()


@pytest.mark.s3
async def test_the_doctor_tries_everything(s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path) -> None:
    settings = load({}, data=tmp_path, **s3_server.settings(s3_bucket, prefix="p/"))
    assert await describe(settings) == (
        f"bucket {s3_bucket} at {s3_server.endpoint} can be written, read, listed and deleted from"
    )
    assert not any(path.is_file() for path in (s3_server.data / s3_bucket).rglob("*")), "nothing is left"
    with pytest.raises(BucketRefused):
        await describe(replace(settings, s3_secret_access_key="wrong"))


# --- one that stumbles -----------------------------------------------------------------------------------------------


async def test_what_may_pass_is_tried_again() -> None:
    with serving(
        failing(503, "SlowDown"), answering.drop, failing(500, "InternalError"), answering.reply(200, b"there")
    ) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        assert await bucket.get("key", limit=10) == b"there"
        assert len(server.requests) == 4
        await bucket.close()


async def test_trouble_that_stays_ends_in_an_error() -> None:
    with serving(failing(503, "SlowDown")) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        with pytest.raises(BucketRefused, match="503 SlowDown"):
            await bucket.put("key", b"x")
        assert len(server.requests) == 4
        await bucket.close()


async def test_a_refusal_is_not_tried_again() -> None:
    with serving(failing(403, "AccessDenied")) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        with pytest.raises(BucketRefused, match="may not delete"):
            await bucket.delete("key")
        assert len(server.requests) == 1
        await bucket.close()


async def test_a_body_is_sent_whole_at_every_try() -> None:
    with serving(failing(500), answering.reply(200, b"")) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        body = io.BytesIO(bytes(range(256)) * 10_000).getvalue()
        await bucket.put("key", body)
        assert [asked.body for asked in server.requests] == [body, body]
        assert server.requests[0].headers["Content-Length"] == str(len(body))
        await bucket.close()


async def test_callers_of_a_server_that_is_away_do_not_pile_up() -> None:
    bucket = Bucket(replace(NOWHERE, endpoint=f"http://127.0.0.1:{ports.free_port()}"))
    with pytest.raises(BucketUnreachable):
        await bucket.get("key", limit=10)
    began = monotonic()
    for _ in range(20):
        with pytest.raises(BucketUnreachable):
            await bucket.get("key", limit=10)
    assert monotonic() - began < 1.5, "the second and later calls try once"
    await bucket.close()


async def test_a_service_without_ranges_is_understood() -> None:
    with serving(answering.reply(200, b"0123456789")) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        assert await bucket.get("key", start=2, end=5, limit=10) == b"234"
        await bucket.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"<ListBucketResult><Contents><Key>a</Key></Contents>", b"\xff\xfe"])
async def test_a_listing_that_is_none_is_an_error(body: bytes) -> None:
    with serving(answering.reply(200, body)) as server:
        bucket = Bucket(replace(NOWHERE, endpoint=server.url))
        with pytest.raises(StoreFailed, match="listing cannot be read"):
            await bucket.list("")
        await bucket.close()


@pytest.mark.parametrize(("status", "code"), [(507, ""), (403, "QuotaExceeded"), (409, "XMinioStorageFull")])
def test_a_full_service_is_a_full_disk(status: int, code: str) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    assert isinstance(refusals.refusal(NOWHERE, "PUT", "key", status, body), StorageFull)


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"<Error><Code>" + b"x" * 10_000])
def test_an_answer_without_sense_is_still_an_error(body: bytes) -> None:
    error = refusals.refusal(NOWHERE, "GET", None, 418, body)
    assert isinstance(error, Error)
    assert "418" in error.message


@pytest.mark.parametrize("left_out", ["s3_bucket", "s3_access_key_id", "s3_secret_access_key"])
def test_settings_that_are_needed_are_asked_for(tmp_path: Path, left_out: str) -> None:
    given = {"s3_bucket": "bucket", "s3_access_key_id": "AK", "s3_secret_access_key": "secret", left_out: ""}
    with pytest.raises(InvalidSetting, match=f"AF_{left_out.upper()} is empty"):
        address_of(load({}, data=tmp_path, **given))


def test_amazon_is_the_default(tmp_path: Path) -> None:
    given = {"AF_S3_BUCKET": "b-1", "AF_S3_ACCESS_KEY_ID": "AK", "AF_S3_SECRET_ACCESS_KEY": "s", "AF_S3_PREFIX": "/a/b"}
    address = address_of(load({**given, "AF_S3_REGION": "eu-central-1"}, data=tmp_path))
    assert (address.endpoint, address.prefix) == ("https://s3.eu-central-1.amazonaws.com", "a/b/")
    for name, value in (("AF_S3_BUCKET", "Big"), ("AF_S3_PREFIX", "a//b"), ("AF_S3_PREFIX", "../x")):
        with pytest.raises(InvalidSetting, match=name):
            load({name: value})
