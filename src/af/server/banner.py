"""What a person sees once the platform is ready."""

from __future__ import annotations

import af
from af.server.launch import Ready


def text(ready: Ready) -> str:
    """Addresses, the one-time link and the next command, aligned."""
    rows = [("Dashboard", f"{ready.url}/"), ("API", ready.api)]
    if ready.login_url:
        rows.insert(1, ("Sign in", f"{ready.login_url}  (works once)"))
    rows.append(("Data", str(ready.data)))
    if ready.log is not None:
        rows.append(("Log", str(ready.log)))
    rows.append(("Next", "af deploy ./folder"))
    lines = [f"  {name.ljust(11)} {value}" for name, value in rows]
    return "\n".join(["", f"  Alternate Futures {af.__version__} is ready", "", *lines, ""])
