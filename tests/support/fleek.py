"""What Fleek's npm packages are told of a platform of ours."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.platform import Running
from tests.support import node


def environment(platform: Running, home: Path) -> dict[str, str]:
    profile = platform.profile()
    return {
        **platform.environment,
        "HOME": str(home),
        "PATH": f"{node.node().parent}{os.pathsep}{platform.environment['PATH']}",
        "SDK__GRAPHQL_API_URL": platform.ready["api"],
        "SDK__UPLOAD_PROXY_API_URL": platform.ready["url"],
        "FLEEK_TOKEN": profile["token"],
        "FLEEK_PROJECT_ID": profile["projectId"],
    }
