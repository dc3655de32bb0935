"""The two small pages of the one-time login link. Self-contained; nothing but their own style and script may run."""

from __future__ import annotations

import base64
import hashlib
import html

from starlette.responses import HTMLResponse

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}
main{max-width:26rem;padding:2rem;text-align:center}
button,a.button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#2f5bea;color:#fff;
cursor:pointer;text-decoration:none;display:inline-block}
button:focus-visible,a.button:focus-visible{outline:3px solid #8aa5ff;outline-offset:2px}
"""
_SCRIPT = "document.forms[0].submit()"


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: with it browsers send "Origin: null", and the POST needs its origin checked.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def _page(title: str, inner: str, status: int) -> HTMLResponse:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{inner}</main></body></html>"
    )
    return HTMLResponse(document, status, _HEADERS)


def confirm(token: str) -> HTMLResponse:
    """A page that posts the link's secret by itself, or by its button where scripts do not run. Only the POST uses
    the link up, so a program that fetches links ahead of their reader does no harm."""
    form = (
        "<h1>Sign in</h1>"
        '<form method="post" action="/auth/link">'
        f'<input type="hidden" name="token" value="{html.escape(token, quote=True)}">'
        "<button>Continue to Alternate Futures</button></form>"
        f"<script>{_SCRIPT}</script>"
    )
    return _page("Sign in", form, 200)


def failed(message: str, hint: str) -> HTMLResponse:
    """What a person sees whose link does not work."""
    inner = (
        f"<h1>This link does not work</h1><p>{html.escape(message)}</p><p>{html.escape(hint)}</p>"
        '<p><a class="button" href="/">Go to the start page</a></p>'
    )
    return _page("Sign in", inner, 401)
