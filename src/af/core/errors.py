"""The closed set of error kinds.

Every failure that a caller can act on is one of these kinds. A domain subclasses a kind and gives it a stable
``code`` and a ``number`` (shown as ``AF<number>``, explained offline by ``af explain``). Each edge renders it once:
GraphQL ``extensions``, REST ``application/problem+json``, CLI ``error[AF…]``. Anything that is not an `Error` is a bug
and reaches the caller as `Internal`, without its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class Error(Exception):
    """What happened (``message``, public), what to do next (``hint``, public) and why (``detail``, log only)."""

    kind: ClassVar[str] = "internal"
    code: ClassVar[str] = "internal"
    number: ClassVar[int] = 1000
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    retryable: ClassVar[bool] = False
    explain: ClassVar[str] = "The platform failed in a way that it did not foresee. The log has the cause."
    """One paragraph for ``af explain`` and ``docs/reference/errors.md``: what leads here and how to get out."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        field: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.field = field
        self.retry_after_seconds = retry_after_seconds

    @property
    def reference(self) -> str:
        """The name that users quote, ``AF1002``."""
        return f"AF{self.number}"

    def headers(self) -> dict[str, str]:
        """What an HTTP answer with this error says beside its body: when to come back (RFC 9110 §10.2.3)."""
        if self.retry_after_seconds is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after_seconds)))}


class InvalidInput(Error):
    """The caller sent something wrong; ``field`` names it when there is one."""

    kind = code = "invalid_input"
    number = 1001
    http_status = 400
    exit_code = 2
    explain = "A value in the request is malformed or not allowed. The message names the field and the rule."


class Unauthenticated(Error):
    """No credentials, or credentials that are unknown, expired or revoked."""

    kind = code = "unauthenticated"
    number = 1002
    http_status = 401
    exit_code = 4
    explain = "The request carries no valid credentials. Sign in again or set AF_TOKEN to a token that has not expired."


class Forbidden(Error):
    """The caller may see the thing but may not do this to it (otherwise: `NotFound`)."""

    kind = code = "forbidden"
    number = 1003
    http_status = 403
    exit_code = 4
    explain = "You can see this resource but your role or the scopes of your token do not allow the action."


class NotFound(Error):
    """Absent, or hidden from the caller."""

    kind = code = "not_found"
    number = 1004
    http_status = 404
    exit_code = 5
    explain = "Nothing with this name exists, or you are not a member of the project that owns it."


class Conflict(Error):
    """The current state forbids it, or the name is taken."""

    kind = code = "conflict"
    number = 1005
    http_status = 409
    exit_code = 6
    explain = "The request contradicts the present state, for example a name that is already in use."


class TooLarge(Error):
    """Over a size limit; the message states the limit."""

    kind = code = "too_large"
    number = 1006
    http_status = 413
    exit_code = 2
    explain = "A body, file or list exceeds its limit. The message names the limit and the setting that raises it."


class RateLimited(Error):
    """Too many requests; ``retry_after_seconds`` says when to come back."""

    kind = code = "rate_limited"
    number = 1007
    http_status = 429
    exit_code = 7
    retryable = True
    explain = "Too many requests in a short time. Wait for the time in Retry-After and try again."


class QuotaExceeded(Error):
    """A plan limit or a spend cap is reached."""

    kind = code = "quota_exceeded"
    number = 1008
    http_status = 402
    exit_code = 7
    explain = "The plan's limit or your spend cap is reached. Free something, or raise the limit."


class Upstream(Error):
    """Another service failed; the message names it."""

    kind = code = "upstream"
    number = 1009
    http_status = 502
    exit_code = 8
    retryable = True
    explain = "A service that the platform depends on failed or refused. The message names it; a retry may succeed."


class Unavailable(Error):
    """The platform is not ready for this: starting, stopping, out of disk, dependency down, not configured."""

    kind = code = "unavailable"
    number = 1010
    http_status = 503
    exit_code = 8
    retryable = True
    explain = "The platform cannot do this right now. `af doctor` shows which part is missing."


class Timeout(Error):
    """A deadline passed."""

    kind = code = "timeout"
    number = 1011
    http_status = 504
    exit_code = 8
    retryable = True
    explain = "The work did not end within its deadline. It is safe to try again."


class Internal(Error):
    """A bug. Anything raised that is not an `Error` is rendered as this, and only this kind alerts."""

    kind = code = "internal"
    number = 1012


KINDS: tuple[type[Error], ...] = (
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    QuotaExceeded,
    Upstream,
    Unavailable,
    Timeout,
    Internal,
)


def every_error() -> Iterator[type[Error]]:
    """All kinds and their subclasses that have been imported, parents first."""
    pending: list[type[Error]] = list(KINDS)
    while pending:
        cls = pending.pop(0)
        yield cls
        pending.extend(cls.__subclasses__())
