"""Accept-Encoding, and compressing on the fly: text of 1 KiB to 4 MiB, once per content and encoding."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import brotli  # type: ignore[import-untyped]

IDENTITY = ""
COMPRESS_BYTES_MIN = 1 << 10
COMPRESS_BYTES_MAX = 4 << 20
INLINE_BYTES_MAX = 64 << 10
_WAITING_MAX = 32
_BROTLI_QUALITY = 5  # about gzip -6 in time, 15 % smaller in result
_GZIP_LEVEL = 6
_OFFERED = ("br", "gzip")
_HEADER_BYTES_MAX = 512


@lru_cache(1024)
def accepted(header: bytes) -> tuple[str, ...]:
    """Of ``br`` and ``gzip`` those that the client takes, its favourite first (RFC 9110 §12.5.3). The result also
    serves as the class of the request in the response cache: there are five."""
    if not header or len(header) > _HEADER_BYTES_MAX:
        return ()
    weights: dict[str, float] = {}
    for item in header.decode("latin-1").lower().split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip()] = _weight(parameters)
    anything = weights.get("*", 0.0)
    given = [(weights.get(name, weights.get("x-" + name, anything)), name) for name in _OFFERED]
    return tuple(name for weight, name in sorted(given, key=lambda pair: -pair[0]) if weight > 0)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def compress(data: bytes, encoding: str) -> bytes:
    """``data`` in ``br`` or ``gzip``, always the same bytes for the same input (no time stamp)."""
    if encoding == "br":
        return bytes(brotli.compress(data, quality=_BROTLI_QUALITY))
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


class Compressor:
    """Compresses small data at once and larger data in one thread; two requests for one thing share the work."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._running: dict[Hashable, asyncio.Future[bytes]] = {}

    async def compress(self, key: Hashable, data: bytes, encoding: str) -> bytes | None:
        """The compressed data, or `None` when it is not smaller or too much work is waiting: send it as it is."""
        if len(data) <= INLINE_BYTES_MAX:
            packed = compress(data, encoding)
        else:
            running = self._running.get(key)
            if running is None:
                if len(self._running) >= _WAITING_MAX:
                    return None
                if self._thread is None:
                    self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-compress")
                running = asyncio.get_running_loop().run_in_executor(self._thread, compress, data, encoding)
                self._running[key] = running
                running.add_done_callback(lambda _: self._running.pop(key, None))
            packed = await asyncio.shield(running)
        return packed if len(packed) < len(data) else None

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
