"""Signing in by a browser: a page to open, a code to compare, and a loopback address to which the browser brings the
answer. Asking the platform goes on beside it, for browsers on other machines; whichever comes first wins."""

from __future__ import annotations

import html
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from af.cli import output
from alternatefutures.credentials import SessionTokens
from alternatefutures.errors import ApiError, NotSignedIn
from alternatefutures.signin import DeviceLogin, SignIn, SlowDown, pkce

_REQUEST_SECONDS = 10.0
_COURTESY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Brought:
    """What the browser brought: a code, or that the person refused."""

    code: str


class _Listener(HTTPServer):
    """Takes one answer at ``/done`` with our ``state``; everything else is not for us."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = secrets.token_urlsafe(16)
        self.brought: queue.SimpleQueue[_Brought] = queue.SimpleQueue()

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/done?state={self.state}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        listener = self.server
        assert isinstance(listener, _Listener)
        parts = urlsplit(self.path)
        fields = parse_qs(parts.query, max_num_fields=10)
        if parts.path != "/done" or not secrets.compare_digest(fields.get("state", [""])[0], listener.state):
            self._answer(404, "Not found", "This address waits for a sign-in only.")
            return
        listener.brought.put(_Brought(fields.get("code", [""])[0]))
        if "code" in fields:
            self._answer(200, "You are signed in", "Go back to your terminal; this window can be closed.")
        else:
            self._answer(200, "Refused", "Nothing was signed in. This window can be closed.")

    def _answer(self, status: int, title: str, text: str) -> None:
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></html>"
        ).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """The address holds a code: nothing is logged."""


@contextmanager
def _listening() -> Iterator[_Listener]:
    with _Listener() as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()


def sign_in(platform: SignIn, *, open_browser: bool, steps: output.Steps) -> SessionTokens:
    """A session of whoever approves in the browser.

    :raises NotSignedIn: refused, or nobody answered in ten minutes.
    """
    name = _device_name()
    if not open_browser or not _has_browser():
        login = platform.start_device(name)
        _show(login, opened=False)
        return _wait(platform, login, None, "", steps)
    verifier, challenge = pkce()
    with _listening() as listener:
        login = platform.start_device(name, redirect_uri=listener.redirect_uri, code_challenge=challenge)
        _show(login, opened=True)
        _open(login.url)
        return _wait(platform, login, listener, verifier, steps)


def _wait(
    platform: SignIn, login: DeviceLogin, listener: _Listener | None, verifier: str, steps: output.Steps
) -> SessionTokens:
    started = time.monotonic()
    interval = login.interval_seconds
    while (waited := time.monotonic() - started) < login.expires_in_seconds:
        minutes, seconds = divmod(int(login.expires_in_seconds - waited), 60)
        steps.going("Waiting", f"for your answer in the browser · {minutes}:{seconds:02d} left")
        try:
            if brought := _brought(listener, interval):
                return _exchanged(platform, brought, verifier)
            if tokens := platform.poll_device(login):
                if listener is not None:
                    _brought(listener, _COURTESY_SECONDS)  # the browser that is on its way here finds somebody
                return tokens
        except SlowDown:
            interval += 2.0  # RFC 8628 §3.5 says 5; ours is a local count
        except ApiError as error:
            raise _ended(error) from error
        finally:
            steps.clear()
    raise NotSignedIn("Nobody answered in time.", hint="Run `af login` again and open the address that it prints.")


def _brought(listener: _Listener | None, seconds: float) -> _Brought | None:
    """What the browser brings within ``seconds``."""
    if listener is None:
        time.sleep(seconds)
        return None
    try:
        return listener.brought.get(timeout=seconds)
    except queue.Empty:
        return None


def _exchanged(platform: SignIn, brought: _Brought, verifier: str) -> SessionTokens:
    if not brought.code:
        raise NotSignedIn("The sign-in was refused in the browser.", hint="If that was a mistake: `af login`.")
    return platform.exchange_code(brought.code, verifier)


def _ended(error: ApiError) -> Exception:
    if error.code == "device_denied":
        return NotSignedIn("The sign-in was refused in the browser.", hint="If that was a mistake: `af login`.")
    if error.code == "device_request_over":
        return NotSignedIn("Nobody answered in time, or the sign-in was used already.", hint="Run `af login` again.")
    return error


def _show(login: DeviceLogin, *, opened: bool) -> None:
    output.note(f"Your browser opens {login.url}" if opened else f"Open in a browser: {login.url}")
    if opened:
        output.note("(If it does not, open the address yourself, on any machine.)")
    output.note(f"Compare the code:  {output.colored('1', login.user_code)}")


def _device_name() -> str:
    """What the person reads: ``af on laptop``."""
    import socket

    return f"af on {socket.gethostname()}"[:100]


def _has_browser() -> bool:
    """Whether a browser of this person can be opened here and reaches this machine's loopback addresses."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    if sys.platform == "darwin" or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    """Open ``url`` by a process of its own, which a thread waits for: browsers print to stdout and take their time."""
    command = [sys.executable, "-m", "webbrowser", url]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    threading.Thread(
        target=subprocess.run, args=(command,), kwargs={**quiet, "start_new_session": True}, daemon=True
    ).start()
