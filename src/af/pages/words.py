"""Values as people read them: the filters of the templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from af.auth.devices import device_of

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_METHODS = {
    "email": "E-mail",
    "sms": "SMS",
    "ethereum": "Ethereum wallet",
    "solana": "Solana wallet",
    "passkey": "Passkey",
    "link": "Login link",
    "google": "Google",
    "github": "GitHub",
    "twitter": "X (Twitter)",
    "discord": "Discord",
    "totp": "Authenticator app",
}


def day(time: datetime) -> str:
    """``24 Nov 2026``; the same in every place, as servers do not know where their reader is."""
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}"


def moment(time: datetime) -> str:
    """``24 Nov 2026, 15:04 UTC``"""
    return f"{day(time)}, {time:%H:%M} UTC"


def ago(time: datetime | None, now: datetime) -> str:
    """``3 hours ago``; "never" for nothing. Old times as a day."""
    if time is None:
        return "never"
    passed = (now - time).total_seconds()
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= 30 * 86_400:
            return f"on {day(time)}"
        if passed >= size:
            return f"{_counted(int(passed // size), unit)} ago"
    return "just now"


def remaining(seconds: float) -> str:
    """``9 minutes``, ``3 days``: a time to come, rounded up."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _counted(-int(-seconds // size), unit)
    return _counted(max(1, round(seconds)), "second")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"


def iso(time: datetime) -> str:
    """For the ``datetime`` attribute."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def device(user_agent: str) -> str:
    """``Firefox on Linux``, for people to recognise their own."""
    return device_of(user_agent) or "Unknown device"


def method_title(name: str) -> str:
    """A way to sign in, as people call it."""
    return _METHODS.get(name, name.replace("-", " ").capitalize())


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "day": day,
    "device": device,
    "iso": iso,
    "method_title": method_title,
    "moment": moment,
    "remaining": remaining,
}
