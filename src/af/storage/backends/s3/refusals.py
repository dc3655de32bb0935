"""What an S3 service says when it refuses, in words that tell the operator what to do.

Error documents: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from af.core.errors import Error
from af.storage.errors import BucketRefused, StorageFull

if TYPE_CHECKING:
    from af.storage.backends.s3.client import Address

_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"})
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_DOES = {"GET": "read", "PUT": "write", "DELETE": "delete"}
_SHOWN = 300


def is_passing(status: int, body: bytes) -> bool:
    """Whether the same request may well succeed in a moment."""
    return status in _PASSING_STATUSES or _field(body, "Code") in _PASSING_CODES


def refusal(address: Address, method: str, key: str | None, status: int, body: bytes) -> Error:
    """The error for an answer that was not hoped for. Visitors of sites may see its message and hint: names and
    addresses are in the detail, for the log and for `af doctor`."""
    code = _field(body, "Code")
    said = " ".join((code, _field(body, "Message"))).strip() or body[:_SHOWN].decode("utf-8", "replace")
    where = f"{method} {key or '(listing)'} in bucket {address.bucket} at {address.endpoint}, region {address.region}"
    detail = f"{where}, as {address.credentials.access_key_id}: {status} {said}"
    if status == 507 or code in _FULL:
        return StorageFull(detail=detail)
    message, hint = _explained("list" if key is None else _DOES.get(method, method), code)
    if message:
        return BucketRefused(message, hint=hint, detail=detail)
    return BucketRefused(
        f"The S3 server answered {status} {code or 'without a reason'}.",
        hint="Run `af doctor`; the log has the server's words.",
        detail=detail,
    )


def _explained(verb: str, code: str) -> tuple[str, str]:
    """(message, hint) for the refusals that come from settings."""
    match code:
        case "SignatureDoesNotMatch":
            return (
                "The S3 server does not accept our signature.",
                "Check AF_S3_SECRET_ACCESS_KEY, the secret of AF_S3_ACCESS_KEY_ID, without spaces or quotes.",
            )
        case "InvalidAccessKeyId":
            return "The S3 server does not know our access key.", "Check AF_S3_ACCESS_KEY_ID."
        case "AccessDenied" | "AllAccessDisabled" | "AccountProblem":
            return (
                f"Our access key may not {verb} in the S3 bucket.",
                "Allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects.",
            )
        case "NoSuchBucket" | "InvalidBucketName":
            return "The S3 bucket does not exist.", "Create it, or check AF_S3_BUCKET and AF_S3_ENDPOINT."
        case "RequestTimeTooSkewed":
            return "This machine's clock differs too much from the S3 server's.", "Set the clock (NTP)."
        case "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException":
            return "The S3 bucket is in another region.", "Check AF_S3_REGION; the log has the server's words."
    return "", ""


def _field(body: bytes, name: str) -> str:
    found = re.search(rb"<%s>([^<]{0,300})</%s>" % (name.encode(), name.encode()), body[:4096])
    return found[1].decode("utf-8", "replace") if found else ""
