"""One bucket of an S3-compatible service: put, get, delete, list. Signed, retried, with connections that are kept.

The address is the operator's own setting, so this does not go through `af.core.http.Client`, which is for addresses
that users name and keeps no connections. Path-style addresses (``endpoint/bucket/key``) are what every service takes.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

import structlog

from af.core import metrics
from af.core.clock import SystemClock, monotonic
from af.core.context import in_transaction
from af.protocols import sigv4
from af.storage.backends.s3.refusals import is_passing, refusal
from af.storage.errors import BucketUnreachable, StoreFailed

if TYPE_CHECKING:
    import aiohttp

CONNECTIONS = 32
_TRIES = 4
_BACKOFF_SECONDS = 0.2  # before the second try; three times as long before each next
_AWAY_SECONDS = 2.0  # how long a server that did not answer gets single tries, so that callers do not pile up
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 15.0
_CALL_SECONDS = 120.0
_SLOW_TRIES = 2  # of calls that ran into a timeout: who waits has waited long
_PIECE_BYTES = 1 << 18
_LIST_BYTES = 4 << 20
_ERROR_BYTES = 64 << 10
_THREAD_BYTES = 256 << 10  # bodies from here on are hashed in a thread
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Address:
    """Where the bucket is. ``prefix`` is empty or ends with a slash."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    credentials: sigv4.Credentials


class Listed(NamedTuple):
    """An object in a listing; ``key`` without the prefix."""

    key: str
    size: int
    modified: datetime


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Bucket:
    """Every method may be called by many tasks at once. ``tries``: how often a call is made while the trouble may pass.

    :raises BucketUnreachable, BucketRefused, StorageFull: from every method
    """

    def __init__(self, address: Address, *, tries: int = _TRIES) -> None:
        self.address = address
        self._tries = tries
        parts = urlsplit(address.endpoint)
        default = {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        self._host = host if parts.port in (None, default) else f"{host}:{parts.port}"
        self._base = f"{parts.scheme}://{self._host}"
        self._root = f"{parts.path.rstrip('/')}/{address.bucket}"
        self._clock = SystemClock()  # signatures need the true time, whatever the platform's clock says
        self._session: aiohttp.ClientSession | None = None
        self._away_until = 0.0

    async def put(self, key: str, body: bytes) -> None:
        """Store an object; it is durable on return. The server checks the body against its SHA-256."""
        await self._call("PUT", key, body=body, takes=(200, 201, 204))

    async def get(self, key: str, *, limit: int, start: int = 0, end: int | None = None) -> bytes | None:
        """An object, or its bytes from ``start`` until before ``end`` (fewer where it ends); `None`: there is none.

        :raises StoreFailed: it is longer than ``limit``
        """
        headers = {} if end is None and not start else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        answer = await self._call("GET", key, headers=headers, limit=limit, takes=(200, 206, 404, 416))
        if answer.status == 404:
            return None
        if answer.status == 416:
            return b""
        if headers and answer.status == 200:  # the service does not know ranges
            return answer.body[start:end]
        return answer.body

    async def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        await self._call("DELETE", key, takes=(200, 204, 404))

    async def list(self, folder: str, token: str = "") -> tuple[list[Listed], str]:
        """A page (up to 1,000) of the objects whose key starts with ``folder``, and the next page's token or empty."""
        query = [("list-type", "2"), ("prefix", self.address.prefix + folder), ("max-keys", "1000")]
        if token:
            query.append(("continuation-token", token))
        answer = await self._call("GET", None, query=query, limit=_LIST_BYTES, takes=(200,))
        return _listing(answer.body, len(self.address.prefix))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # Calls

    async def _call(
        self,
        method: str,
        key: str | None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = _ERROR_BYTES,
        takes: tuple[int, ...],
    ) -> Answer:
        """One exchange, tried again while the trouble may pass."""
        assert not in_transaction(), "no network call inside a database transaction (STYLE.md)"
        path = sigv4.encode_path(self._root if key is None else f"{self._root}/{self.address.prefix}{key}")
        digest = await _sha256(body)
        tries = 1 if monotonic() < self._away_until else self._tries
        for attempt in range(1, tries + 1):
            try:
                answer = await self._once(method, path, query, headers or {}, body, digest, limit)
            except BucketUnreachable as error:
                slow = isinstance(error.__cause__, TimeoutError)
                if attempt == (min(tries, _SLOW_TRIES) if slow else tries):
                    self._away_until = monotonic() + _AWAY_SECONDS
                    _count(method, "failed")
                    raise
                reason = error.detail
            else:
                self._away_until = 0.0
                if answer.status in takes and not (answer.status == 404 and b"NoSuchBucket" in answer.body):
                    _count(method, "ok")
                    return answer
                if attempt == tries or not is_passing(answer.status, answer.body):
                    _count(method, "failed")
                    raise refusal(self.address, method, key, answer.status, answer.body)
                reason = str(answer.status)
            _count(method, "retried")
            _log.info("S3 call is tried again", method=method, key=key, attempt=attempt, reason=reason)
            await asyncio.sleep(_BACKOFF_SECONDS * 3 ** (attempt - 1) * (0.5 + secrets.randbelow(1000) / 1000))
        raise AssertionError("the last try returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
        digest: str,
        limit: int,
    ) -> Answer:
        import aiohttp
        from yarl import URL

        signed = sigv4.sign(
            self.address.credentials,
            method=method,
            host=self._host,
            path=path,
            query=query,
            headers=headers,
            body_sha256=digest,
            region=self.address.region,
            now=self._clock.now(),
        )
        sent = {**headers, **signed, "Accept-Encoding": "identity"}
        url = URL(f"{self._base}{path}" + (f"?{sigv4.encode_query(query)}" if query else ""), encoded=True)
        data = io.BytesIO(body) if method == "PUT" else None  # sent in pieces; shares the bytes
        try:
            async with (
                asyncio.timeout(_CALL_SECONDS),
                self._opened().request(method, url, headers=sent, data=data, allow_redirects=False) as response,
            ):
                lowered = {name.lower(): value for name, value in response.headers.items()}
                allowed = limit if response.status < 300 else _ERROR_BYTES
                return Answer(response.status, lowered, await _read(response, allowed))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise BucketUnreachable(self.address.endpoint, f"{type(error).__name__}: {error}") from error

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made by the first call: it belongs to the event loop that runs then."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_IDLE_SECONDS),
                auto_decompress=False,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _count(method: str, outcome: str) -> None:
    metrics.counter("af_storage_s3_calls_total").labels(method, outcome).inc()


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise StoreFailed("The S3 server sent more than was asked for.", detail=f"over {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


async def _sha256(body: bytes) -> str:
    if len(body) < _THREAD_BYTES:
        return hashlib.sha256(body).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())


def _listing(body: bytes, prefix_length: int) -> tuple[list[Listed], str]:
    """ListBucketResult, https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 -- the operator's server; bounded, and expat stops bombs
        found = [
            Listed(
                _text(entry, "Key")[prefix_length:],
                int(_text(entry, "Size")),
                datetime.fromisoformat(_text(entry, "LastModified").replace("Z", "+00:00")).astimezone(UTC),
            )
            for entry in root.iterfind("{*}Contents")
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise StoreFailed("The S3 server's listing cannot be read.", detail=str(error)) from error
    more = root.findtext("{*}IsTruncated") == "true"
    return found, (root.findtext("{*}NextContinuationToken") or "") if more else ""


def _text(entry: ElementTree.Element, name: str) -> str:
    found = entry.findtext("{*}" + name)
    if found is None:
        raise ValueError(f"no {name}")
    return found
