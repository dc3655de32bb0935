"""Which device a ``User-Agent`` is, in a few words for its owner: ``Firefox on Linux``. A guess, never a decision."""

from __future__ import annotations

import ipaddress

from af.core.context import Actor

_BROWSERS = (  # in this order: most claim to be those after them, too
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("alternatefutures", "af"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """The browser or program and its system as far as they are known; ``""`` for nothing known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if browser and system else browser or system


def place_of(actor: Actor) -> str:
    """Which device asks, and from which network address, for messages: ``Firefox on Linux, 203.0.113.7``."""
    return ", ".join(part for part in (device_of(actor.user_agent) or "a program", actor.address) if part)


def where_is(address: str) -> str | None:
    """What an address says about where it is, without any database of places."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if parsed.is_loopback:
        return "this machine"
    return "private network" if parsed.is_private else None
