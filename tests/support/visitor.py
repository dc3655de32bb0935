"""A browser without scripts: it keeps cookies, sends forms as pages have them, and follows redirects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tests.support.asgi import AsgiClient, Reply

REDIRECTS_MAX = 5
ORIGIN = "http://localhost:8787"


@dataclass
class Form:
    """A form of a page with the values that it has before anybody types."""

    action: str
    method: str
    values: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Visitor:
    client: AsgiClient
    cookies: dict[str, str] = field(default_factory=dict)
    path: str = "/"
    last: Reply | None = None

    @property
    def text(self) -> str:
        """What is to be read on the page, in one line."""
        assert self.last is not None, "open a page first"
        parser = _Text()
        parser.feed(self.last.text)
        return re.sub(r"\s+", " ", " ".join(parser.found)).strip()

    async def open(self, path: str) -> Reply:
        return await self._go("GET", path)

    async def post(self, path: str, origin: str | None = ORIGIN, **fields: str | list[str]) -> Reply:
        """Send a form that need not be on any page."""
        return await self._go("POST", path, urlencode(fields, doseq=True), origin)

    async def send(self, action: str, **fields: str | list[str]) -> Reply:
        """Fill in and send the page's form with this action; its hidden fields go along. Of several forms, the first
        whose hidden field ``act`` or ``id`` is as given."""
        hidden = {(name, value) for name, value in _pairs(fields) if name in ("act", "id", "again", "decision")}
        form = next((one for one in self.forms() if one.action == action and hidden <= set(one.values)), None)
        assert form is not None, f"no form to {action} on {self.path}: {[one.action for one in self.forms()]}"
        kept = [(name, value) for name, value in form.values if name not in fields]
        return await self._go("POST", action, urlencode([*kept, *_pairs(fields)]), ORIGIN)

    def forms(self) -> list[Form]:
        assert self.last is not None, "open a page first"
        parser = _Forms()
        parser.feed(self.last.text)
        return parser.found

    async def _go(self, method: str, path: str, body: str = "", origin: str | None = None) -> Reply:
        for _ in range(REDIRECTS_MAX):
            reply = await self._request(method, path, body, origin)
            if reply.status not in (302, 303):
                self.path, self.last = path, reply
                return reply
            path = reply.headers["location"]
            if not path.startswith("/"):
                self.path, self.last = path, reply
                return reply
            method, body, origin = "GET", "", None
        raise AssertionError(f"redirected in circles at {path}")

    async def _request(self, method: str, path: str, body: str, origin: str | None) -> Reply:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
        if origin is not None:
            headers["origin"] = origin
        reply = await self.client.request(method, path, body=body, headers=headers)
        for line in reply.headers.get("set-cookie", "").splitlines():
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.coded_value
        return reply


def _pairs(fields: dict[str, str | list[str]]) -> list[tuple[str, str]]:
    return [(name, one) for name, value in fields.items() for one in ([value] if isinstance(value, str) else value)]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get")))
        is_sent = given.get("type") not in ("checkbox", "radio") or "checked" in given
        if tag == "input" and self.found and given.get("name") and is_sent:
            self.found[-1].values.append((given["name"], given.get("value", "")))


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden = tag in ("script", "style", "noscript")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)
