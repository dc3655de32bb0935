"""What this browser was asked for, between the page that asks for an address and the one that asks for the code: a
cookie of the sign-in's own life. It is for showing only; the secret that binds the two is the flow cookie of `auth`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from starlette.responses import Response

from af.auth.models import Purpose
from af.pages.frame import Visit
from af.pages.paths import safe_return

COOKIE = "__Host-af_asked"
_LENGTH_MAX = 3000


@dataclass(frozen=True, slots=True)
class AskedOf:
    """A code was sent to ``address`` (as shown) by ``method``, to sign in or to add a way in."""

    method: str
    address: str
    return_to: str
    purpose: Purpose


def remember(response: Response, asked: AskedOf, seconds: int) -> None:
    value = urlencode({"m": asked.method, "a": asked.address, "r": asked.return_to, "p": asked.purpose.value})
    response.set_cookie(COOKIE, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def recall(visit: Visit) -> AskedOf | None:
    """What `remember` wrote, if it is still there and whole."""
    text = visit.request.cookies.get(COOKIE, "")
    if not text or len(text) > _LENGTH_MAX:
        return None
    try:
        fields = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=4).items()}
        return AskedOf(fields["m"], fields["a"], safe_return(fields["r"]), Purpose(fields["p"]))
    except (KeyError, ValueError):
        return None


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
