"""AWS Signature Version 4 in request headers, as S3 wants it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. S3 signs the path as it is sent (encoded
once), and every request names the SHA-256 of its body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key that the server knows."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def encode_path(path: str) -> str:
    """A path as it stands in the request line and in what is signed: all but ``A-Z a-z 0-9 - _ . ~ /`` encoded."""
    return quote(path, safe="/-_.~")


def encode_query(query: Sequence[tuple[str, str]]) -> str:
    """The query in its canonical order and form; send it as it is."""
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in encoded)


def sign(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body_sha256: str,
    region: str,
    now: datetime,
    service: str = "s3",
) -> dict[str, str]:
    """The headers to add to the request: Authorization, x-amz-date and x-amz-content-sha256.

    ``path`` is encoded already (`encode_path`); ``host`` as the Host header says it; ``headers`` (all are signed) must
    not have Host. ``body_sha256`` is in hex.
    """
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    added = {"x-amz-content-sha256": body_sha256, "x-amz-date": moment}
    signed = {name.lower(): " ".join(value.split()) for name, value in {**headers, **added, "host": host}.items()}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = "\n".join((method, path, encode_query(query), lines, names, body_sha256))
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.new(_key(credentials, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope},SignedHeaders={names},Signature={signature}"
    )
    return {**added, "Authorization": authorization}


def _key(credentials: Credentials, scope: str) -> bytes:
    key = b"AWS4" + credentials.secret_access_key.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
