"""Proof Key for Code Exchange (RFC 7636) with S256, as a client of providers, and for apps and devices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # §4.1


def challenge_of(verifier: str) -> str:
    """§4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def fits(challenge: str, verifier: str) -> bool:
    """§4.6: whether ``verifier`` is one, and that of ``challenge``."""
    is_verifier = _VERIFIER.fullmatch(verifier) is not None
    return is_verifier and hmac.compare_digest(challenge.encode(), challenge_of(verifier).encode())
