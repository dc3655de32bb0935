"""Python SDK of Alternate Futures.

    from alternatefutures import Client

    client = Client(url="http://localhost:8787", token="af_live_…")
    result = client.deploy("./dist", site="blog")
    print(result.site.url, result.deployment.cid)

The CID of a folder is computed here, before anything is sent, so a deployment is verified by its client. Everything
the ``af`` command does goes through this package. It depends on `af.protocols` (published standards) only.
"""

from typing import TYPE_CHECKING, Any

from alternatefutures.client import Client
from alternatefutures.errors import ApiError, FolderError, NetworkError, SdkError, UsageError
from alternatefutures.models import Deployment, Pin, Project, Site, Token, User

if TYPE_CHECKING:
    from alternatefutures.deploy import DeployResult, Progress

__all__ = [
    "ApiError",
    "Client",
    "DeployResult",
    "Deployment",
    "FolderError",
    "NetworkError",
    "Pin",
    "Progress",
    "Project",
    "SdkError",
    "Site",
    "Token",
    "UsageError",
    "User",
]


def __getattr__(name: str) -> Any:
    """What computes CIDs is imported on first use: most calls need none of it."""
    if name in ("DeployResult", "Progress"):
        from alternatefutures import deploy

        return getattr(deploy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
