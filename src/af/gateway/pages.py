"""The gateway's own pages: what went wrong, as a small page for browsers and one line for programs."""

from __future__ import annotations

from html import escape

from af.core.errors import Error
from af.gateway.replies import Header, Reply

STYLE = """
:root{color-scheme:light dark;--ink:#1a1d21;--soft:#667085;--line:#e4e7ec;--paper:#fff;--link:#1d5fd1}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#98a2b3;--line:#2b313a;--paper:#14171b;--link:#7db0ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:clamp(1rem,4vw,3rem)}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .5rem;overflow-wrap:anywhere}
p{margin:.4rem 0}a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
.soft{color:var(--soft)}.code{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin-top:1rem}
td,th{padding:.45rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-weight:600;font-size:.85rem;color:var(--soft)}
td.size,th.size{text-align:right}td.size,td.cid{white-space:nowrap}td.name{overflow-wrap:anywhere}
nav{margin-top:1rem;display:flex;gap:1rem}
@media(max-width:40rem){.cid{display:none}}
"""
HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"),
    (b"referrer-policy", b"no-referrer"),
)


def page(title: str, content: str) -> bytes:
    """A whole page; ``title`` is text, ``content`` is HTML that is already escaped."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{content}</main></body></html>"
    ).encode("utf-8", "replace")


def wants_html(accept: bytes | None) -> bool:
    return accept is not None and b"text/html" in accept[:1024]


def error_reply(error: Error, accept: bytes | None) -> Reply:
    """An error as a page or a line, by Accept; never cached by others for long."""
    status = error.http_status
    extra: list[Header] = [(b"cache-control", b"no-store" if status >= 500 else b"public, max-age=0, must-revalidate")]
    if status == 405:
        extra.append((b"allow", b"GET, HEAD, OPTIONS"))
    if error.retry_after_seconds is not None:
        extra.append((b"retry-after", b"%d" % max(1, round(error.retry_after_seconds))))
    if not wants_html(accept):
        text = f"{error.message} ({error.reference})\n" + (f"{error.hint}\n" if error.hint else "")
        headers: list[Header] = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
        ]
        return Reply(status, headers + extra, text.encode("utf-8", "replace"))
    hint = f"<p>{escape(error.hint)}</p>" if error.hint else ""
    content = f'<h1>{escape(error.message)}</h1>{hint}<p class="soft code">{status} · {error.reference}</p>'
    return Reply(status, [*HEADERS, *extra], page(f"{status} {error.message}", content))
