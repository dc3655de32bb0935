"""``--with-example``: deploys ``examples/hello`` through the public API, as a user would. Twice changes nothing.

``python -m af.server.example FRONT_PID`` does the work in a process of its own, so that the front stays small and goes
on taking signals; the result is one line of JSON.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path

import af
from af.server import offspring
from af.server.errors import ExampleFailed
from af.server.launch import Ready

SITE = "hello"
_SECONDS = 60.0


def folder() -> Path | None:
    """The example: in a checkout, or beside the installed package."""
    package = Path(af.__file__).parent
    for place in (package.parents[1] / "examples" / SITE, package / "server" / "examples" / SITE):
        if (place / "index.html").is_file():
            return place
    return None


def deploy(ready: Ready) -> str:
    """Deploy the example and return its address.

    :raises ExampleFailed: with the reason.
    """
    environment = {
        **os.environ,
        "AF_API_URL": f"http://{_loopback(ready.host)}:{ready.port}",
        "AF_TOKEN": ready.token,
        "AF_PROJECT_ID": "",
    }
    command = [sys.executable, "-P", "-m", "af.server.example", str(os.getpid())]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ExampleFailed("Deploying the example took too long.", hint="Try `af deploy examples/hello`.") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise ExampleFailed(f"The example was not deployed: {reason[0]}", hint="Try `af deploy examples/hello`.")
    url: str = json.loads(done.stdout)["url"]
    return url


def _loopback(host: str) -> str:
    """Where this machine reaches the platform, whatever its public name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host


def main() -> None:
    offspring.die_with_parent(int(sys.argv[1]))
    from alternatefutures import Client

    place = folder()
    if place is None:
        sys.exit("examples/hello is not part of this installation")
    result = Client().deploy(place, SITE)
    sys.stdout.write(json.dumps({"url": result.site.url}))


if __name__ == "__main__":
    main()
