"""What e-mail and SMS have in common: six digits that are sent to an address and must come back."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from af.auth.errors import WrongProof

DIGITS = 6


def new_code() -> str:
    """Six decimal digits, each number as likely as any other."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def check_code(expected: str, values: Mapping[str, Any]) -> None:
    """Spaces and a hyphen are how people write codes down. :raises WrongProof: another code, or none."""
    given = values.get("code")
    typed = "".join(c for c in given[:32] if c not in " -\u00a0") if isinstance(given, str) else ""
    if not hmac.compare_digest(typed.encode(), expected.encode()):
        raise WrongProof("The code is wrong.", hint="Look at the newest message, or ask for a new code.", field="code")
