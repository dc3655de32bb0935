"""What all pages have: headers, safe ways back, files that never change, nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from af.pages import is_page, static
from af.pages.paths import safe_return
from tests.support.visitor import Visitor

_PAGES = Path(static.__file__).parent


async def test_a_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(visitor: Visitor) -> None:
    reply = await visitor.open("/login")
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for part in ("script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "same-origin"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"


async def test_files_of_the_pages_are_kept_for_good_and_only_this_version_exists(visitor: Visitor) -> None:
    reply = await visitor.client.get(static.address("pages.css"))
    assert (reply.status, reply.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in reply.headers["cache-control"]
    assert (await visitor.client.get("/assets/pages/0123456789abcdef/pages.css")).status == 404
    assert (await visitor.client.get(static.address("pages.css").replace("pages.css", "__init__.py"))).status == 404


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.test", "http://blog.localhost:8787", "https://localhost:8787"]
)
async def test_a_form_of_another_origin_is_refused(visitor: Visitor, origin: str | None) -> None:
    reply = await visitor.post("/login", origin=origin, method="email", email="ada@example.org")
    assert reply.status == 403
    assert "__Host-af_flow" not in visitor.cookies


async def test_a_form_that_cannot_be_read_is_a_page_not_a_crash(visitor: Visitor) -> None:
    for body in ("email=%ff", "a=1&" * 200, "email=%00", "x" * 20_000):
        headers = {"origin": "http://localhost:8787", "content-type": "application/x-www-form-urlencoded"}
        reply = await visitor.client.request("POST", "/login", body=body, headers=headers)
        assert reply.status in (400, 413)
        assert reply.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "target", ["/", "/settings/tokens", "/login/dev_abc?x=1", "/invitations/abc", "/settings?done=1"]
)
def test_the_way_back_leads_to_pages_of_ours(target: str) -> None:
    assert safe_return(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test", "https://evil.test/", "/\\evil.test", "/settings\\..\\x", "\t//evil.test", "/settings/\nx",
        "javascript:alert(1)", "settings", "", "/graphql", "/auth/logout", "/settings/" + "x" * 3000, "/settings/é",
    ],
)  # fmt: skip
def test_the_way_back_never_leads_anywhere_else(target: str) -> None:
    assert safe_return(target) == ""


def test_pages_are_known_by_their_paths() -> None:
    assert all(
        map(is_page, ["/login", "/login/code", "/settings", "/settings/tokens", "/auth/email/link", "/invitations/x"])
    )
    assert not any(map(is_page, ["/loginx", "/auth/email/verify", "/settingsx", "/graphql", "/assets/x.css"]))


def test_templates_and_scripts_have_nothing_inline_and_load_nothing_from_elsewhere() -> None:
    for file in [*_PAGES.glob("templates/*.html"), *_PAGES.glob("assets/*.*")]:
        if file.suffix not in (".html", ".css", ".js"):
            continue
        text = file.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=\"|<script(?![^>]*\ssrc=)|innerHTML|\|\s*safe", text), file.name
        assert not re.search(r"(src|href)=\"(https?:)?//|@import|url\(|eval\(", text), file.name


def test_every_file_of_the_pages_is_used() -> None:
    users = "".join(file.read_text() for file in [*_PAGES.glob("templates/*.html"), *_PAGES.glob("assets/*.js")])
    files = [file.name for file in _PAGES.glob("assets/*.*") if file.suffix != ".py"]
    assert len(files) > 4
    assert [name for name in files if f"'{name}'" not in users and f'"./{name}"' not in users] == []
