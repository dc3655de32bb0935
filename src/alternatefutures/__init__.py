"""Python SDK of Alternate Futures.

    from alternatefutures import Client

    client = Client(url="http://localhost:8787", token="af_live_…")
    result = client.deploy("./dist", site="blog")
    print(result.site.url, result.deployment.cid)

The CID of a folder is computed here, before anything is sent, so a deployment is verified by its client. Everything
the ``af`` command does goes through this package. It depends on `af.protocols` (published standards) only.
"""

from alternatefutures.client import Client
from alternatefutures.deploy import DeployResult, Progress
from alternatefutures.errors import ApiError, FolderError, NetworkError, SdkError, UsageError
from alternatefutures.models import Deployment, Pin, Project, Site, Token, User

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
