"""Typed, sortable identifiers: ``dep_01jd8w3k2c`` + 16 random characters.

The ten characters after the prefix are the creation time in milliseconds (base32hex keeps the order of the numbers),
so ids sort by age. The sixteen after it are 80 random bits in lower-case RFC 4648 base32; on their own they are the
*label* of a deployment's address, ``<label>--<slug>``.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime
from typing import NewType

from af.core.errors import InvalidInput

UserId = NewType("UserId", str)
ProjectId = NewType("ProjectId", str)
TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)
SiteId = NewType("SiteId", str)
DeploymentId = NewType("DeploymentId", str)
PinId = NewType("PinId", str)
PinRequestId = NewType("PinRequestId", str)
IpnsRecordId = NewType("IpnsRecordId", str)
EnsRecordId = NewType("EnsRecordId", str)
CopyId = NewType("CopyId", str)
ZoneId = NewType("ZoneId", str)
PrivateGatewayId = NewType("PrivateGatewayId", str)
MethodId = NewType("MethodId", str)
ChallengeId = NewType("ChallengeId", str)
OrganizationId = NewType("OrganizationId", str)
InvitationId = NewType("InvitationId", str)
TrustRuleId = NewType("TrustRuleId", str)
MessageId = NewType("MessageId", str)

USER = "usr"
PROJECT = "prj"
TOKEN = "tok"
SESSION = "ses"
SITE = "sit"
DEPLOYMENT = "dep"
PIN = "pin"
PIN_REQUEST = "pnr"
IPNS_RECORD = "ipn"
ENS_RECORD = "ens"
COPY = "cpy"
ZONE = "zon"
PRIVATE_GATEWAY = "pgw"
METHOD = "mth"
CHALLENGE = "chl"
ORGANIZATION = "org"
INVITATION = "inv"
TRUST_RULE = "rul"
MESSAGE = "msg"

_TIME_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TIME_LENGTH = 10
_RANDOM_BYTES = 10
_PATTERN = re.compile(r"[a-z]{3}_[0-9a-v]{10}[a-z2-7]{16}")


def new(prefix: str, now: datetime) -> str:
    """A fresh id of the kind that ``prefix`` names."""
    millis = int(now.timestamp() * 1000)
    digits = []
    for _ in range(_TIME_LENGTH):
        millis, digit = divmod(millis, 32)
        digits.append(_TIME_DIGITS[digit])
    random = base64.b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode().lower()
    return f"{prefix}_{''.join(reversed(digits))}{random}"


def label(identifier: str) -> str:
    """The 16 random characters of an id."""
    return identifier[-16:]


def is_id(prefix: str, text: str) -> bool:
    """Whether ``text`` has the shape of an id of this kind."""
    return text.startswith(prefix + "_") and _PATTERN.fullmatch(text) is not None


def check_cursor(prefix: str, after: str | None) -> None:
    """The cursor of a list is the id of its last row. :raises InvalidInput: it is none of this kind."""
    if after is not None and not is_id(prefix, after):
        raise InvalidInput("after must be the endCursor of a page.", field="after")
