"""What a deployment tells those who watch: states and log lines, as events in the transaction that makes them true.

``deployment.status`` and ``deployment.log``, on the deployment's topic. Who shows a list follows the project's stream,
which has the events of all topics; each of them names its site.
"""

from __future__ import annotations

from typing import Any, Literal

from af.core import events
from af.core.context import Context
from af.core.ids import DeploymentId
from af.sites.models import Deployment

STATUS = "deployment.status"
LOG = "deployment.log"

Level = Literal["info", "warn", "error"]


def topic(deployment_id: DeploymentId) -> str:
    return f"deployment:{deployment_id}"


async def announce(ctx: Context, deployment: Deployment) -> None:
    """Tell the deployment's state."""
    data: dict[str, Any] = {
        "deploymentId": deployment.id,
        "siteId": deployment.site_id,
        "status": deployment.status.value,
        "production": deployment.production,
        "cid": deployment.cid,
    }
    if deployment.error_code:
        data["error"] = {"code": deployment.error_code, "message": deployment.error_message}
    await events.publish(ctx, project_id=deployment.project_id, topic=topic(deployment.id), kind=STATUS, data=data)


async def log(ctx: Context, deployment: Deployment, message: str, *, level: Level = "info") -> None:
    """Add a line to the deployment's log."""
    data = {"deploymentId": deployment.id, "message": message, "level": level}
    await events.publish(ctx, project_id=deployment.project_id, topic=topic(deployment.id), kind=LOG, data=data)
