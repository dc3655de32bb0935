"""Request bodies of the REST edge as streams of CAR bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from af.core import web
from af.core.errors import TooLarge
from af.storage.errors import InvalidCarFile


async def body(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body in parts. Refuses a body that announces to be too large before it comes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise TooLarge(f"The body is larger than {limit_bytes} bytes.")
    received = 0
    try:
        async for part in web.stream(request, limit_bytes):
            received += len(part)
            yield part
    except ClientDisconnect as error:
        raise InvalidCarFile("The upload was cut short.", received) from error
