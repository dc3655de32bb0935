"""A real mail server that keeps what it is sent (Mailpit), built once per machine from its public Go module.

See `tests.support.goprograms` for how it comes to be there. The fixtures `mailpit` and `mailbox` are in
``tests/conftest.py``.

    python -m tests.support.mail        build (or find) the program and print its path

Set `AF_MAILPIT_BINARY` to use one you already have.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import ports, processes
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS, GoProgram

MAILPIT = GoProgram(
    title="Mailpit",
    module="github.com/axllent/mailpit",
    version="v1.27.11",
    package="github.com/axllent/mailpit",
    binary="mailpit",
    go="1.24",
    override="AF_MAILPIT_BINARY",
    cache="alternatefutures-tests",
)
TEST_TIMEOUT_SECONDS = BUILD_TIMEOUT_SECONDS + 60
"""For a test that may meet a cold cache."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it arrived. ``headers`` keeps every value of a name; ``source`` is the message as sent."""

    id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    headers: dict[str, list[str]]
    source: bytes


class Mailpit:
    """A running server; its HTTP API reads what came."""

    def __init__(self, smtp_port: int, api_url: str, process: processes.Process) -> None:
        self.smtp_port = smtp_port
        self.api_url = api_url
        self.process = process

    @property
    def smtp_url(self) -> str:
        """For AF_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.smtp_port}"

    def messages(self, to: str = "") -> list[Mail]:
        """What came (for ``to``, if given), the newest first."""
        path = "/api/v1/messages?limit=200"
        if to:
            path = "/api/v1/search?limit=200&query=" + urllib.parse.quote(f'to:"{to}"')
        return [self._message(found["ID"]) for found in json.loads(self._call("GET", path))["messages"]]

    def wait_for(self, to: str, *, count: int = 1, seconds: float = 20) -> list[Mail]:
        """Waits until ``count`` messages to ``to`` have come; the newest first."""

        def look() -> list[Mail] | None:
            found = self.messages(to)
            return found if len(found) >= count else None

        return processes.wait_until(look, seconds=seconds, what=f"{count} messages to {to}")

    def clear(self) -> None:
        self._call("DELETE", "/api/v1/messages", {})

    def misbehave(self, *, sender: int = 0, recipient: int = 0, authentication: int = 0) -> None:
        """Answer with these SMTP codes from now on; 0: behave."""
        triggers = {"Sender": sender, "Recipient": recipient, "Authentication": authentication}
        body = {name: {"ErrorCode": code or 451, "Probability": 100 if code else 0} for name, code in triggers.items()}
        self._call("PUT", "/api/v1/chaos", body)

    def _message(self, message_id: str) -> Mail:
        found = json.loads(self._call("GET", f"/api/v1/message/{message_id}"))
        return Mail(
            id=message_id,
            sender=found["From"]["Address"],
            recipients=tuple(each["Address"] for each in found["To"]),
            subject=found["Subject"],
            text=found["Text"],
            html=found["HTML"],
            headers=json.loads(self._call("GET", f"/api/v1/message/{message_id}/headers")),
            source=self._call("GET", f"/api/v1/message/{message_id}/raw"),
        )

    def _call(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.api_url + path, method=method, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: bytes = response.read()
        return answer


@contextlib.contextmanager
def running(binary: Path, folder: Path, *options: str, attempts: int = 3) -> Iterator[Mailpit]:
    """A server on free loopback ports. ``options``: ``--smtp-require-starttls`` and the like."""
    for attempt in range(attempts):
        web, smtp = ports.free_port(), ports.free_port()
        arguments = [
            *(str(binary), "--listen", f"127.0.0.1:{web}", "--smtp", f"127.0.0.1:{smtp}"),
            *("--disable-version-check", "--enable-chaos", "--database", str(folder / f"mail-{attempt}.db")),
            *(options or ("--smtp-auth-accept-any", "--smtp-auth-allow-insecure")),
        ]
        process = processes.start(arguments, log=folder / "mailpit.log", env=_environment(folder))
        try:
            if not _ready(process, web):
                continue  # somebody took a port in between
            yield Mailpit(smtp, f"http://127.0.0.1:{web}", process)
            return
        finally:
            process.stop()
    raise RuntimeError(f"Mailpit did not start: {(folder / 'mailpit.log').read_text()[-1000:]}")


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder)}


def _ready(process: processes.Process, port: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.popen.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    found, reason = MAILPIT.find_or_build()
    sys.stdout.write(f"{found or reason}\n")
    sys.exit(0 if found else 1)
