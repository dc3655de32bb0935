"""How long a whole sign-in by e-mail takes: ask for a code, read it, answer with it, see who one is.

Against a real ``af up`` on SQLite, through HTTP; the code comes from the platform's own outbox, as it does on a local
platform. Prints one JSON line: the median and 95th percentile of the request, the answer, the delivery by the worker
and of a refresh, in milliseconds.
"""

# ruff: noqa: E402
from __future__ import annotations

import http.client
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._platform import platform

SIGN_INS = 40
DELIVERY_SECONDS = 10.0


def main() -> None:
    times: dict[str, list[float]] = {"request": [], "delivery": [], "answer": [], "refresh": []}
    with tempfile.TemporaryDirectory(prefix="af-bench-") as name:
        folder = Path(name)
        with platform(folder) as running:
            for number in range(SIGN_INS):
                for step, milliseconds in sign_in(running["port"], folder / "log", number):
                    times[step].append(milliseconds)
    row: dict[str, Any] = {"bench": "sign_in", "sign_ins": SIGN_INS}
    for name, found in times.items():
        row[f"{name}_p50_ms"] = round(statistics.median(found), 1)
        row[f"{name}_p95_ms"] = round(statistics.quantiles(found, n=20)[-1], 1)
    print(json.dumps(row))


def sign_in(port: int, log: Path, number: int) -> Iterator[tuple[str, float]]:
    """One person's; each has an address of their own and comes from one of its own, so that no limit is met."""
    email = f"person{number}@example.org"
    connection = http.client.HTTPConnection("127.0.0.1", port, source_address=(f"127.0.1.{number + 1}", 0))
    began = time.perf_counter()
    asked = post(connection, "/auth/email/request", {"email": email})
    yield "request", since(began)
    code = delivered(log, email, began)
    yield "delivery", since(began)
    began = time.perf_counter()
    tokens = post(connection, "/auth/email/verify", {"email": email, "code": code, "flow": asked["flow"]})
    yield "answer", since(began)
    began = time.perf_counter()
    post(connection, "/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    yield "refresh", since(began)


def post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Host": "localhost"}
    connection.request("POST", path, json.dumps(body), headers)
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


def delivered(log: Path, email: str, began: float) -> str:
    """The code of the newest message to ``email``, once the worker has shown it in the log."""
    wanted = re.compile(rf'"to": "{re.escape(email)}".*?Type this code[^0-9]*(\d{{6}})')
    while time.perf_counter() < began + DELIVERY_SECONDS:
        found = wanted.findall(log.read_text(errors="replace"))
        if found:
            return str(found[-1])
        time.sleep(0.002)
    raise AssertionError(f"no message to {email} in {DELIVERY_SECONDS} s")


def since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
