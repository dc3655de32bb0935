"""The published Fleek SDK and command line, pointed at us, unchanged: what their users have is what must work."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Running, running
from tests.support import node
from tests.support.fleek import environment

pytestmark = [pytest.mark.npm, pytest.mark.timeout(240)]

SDK = "@fleek-platform/sdk@3.7.2"
CLI = "@fleek-platform/cli@3.9.4"

_SDK_SCRIPT = """
import { FleekSdk, PersonalAccessTokenService } from '@fleek-platform/sdk/node';

const accessTokenService = new PersonalAccessTokenService({
  personalAccessToken: process.env.FLEEK_TOKEN,
  projectId: process.env.FLEEK_PROJECT_ID,
});
const sdk = new FleekSdk({
  accessTokenService,
  graphqlServiceApiUrl: process.env.SDK__GRAPHQL_API_URL,
  uploadProxyApiUrl: process.env.SDK__UPLOAD_PROXY_API_URL,
});
const site = await sdk.sites().create({ name: 'From the SDK' });
const upload = await sdk.storage().uploadDirectory({ path: process.argv[2] });
const again = await sdk.storage().uploadDirectory({ path: process.argv[2] });
const deployment = await sdk.sites().createCustomIpfsDeployment({ siteId: site.id, cid: upload.pin.cid });
const sites = await sdk.sites().list();
const pins = await sdk.storage().list();
const projects = await sdk.projects().list();
const found = await sdk.sites().getBySlug({ slug: site.slug });
console.log(JSON.stringify({
  site: { id: site.id, slug: site.slug }, cid: upload.pin.cid, duplicate: [upload.duplicate, again.duplicate],
  deployment: { id: deployment.id, status: deployment.status, cid: deployment.cid },
  sites: sites.map((s) => s.slug), pins: pins.map((p) => p.cid), projects: projects.map((p) => p.id), found: found.id,
}));
process.exit(0);
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("fleek")) as started:
        yield started


@pytest.fixture(scope="module")
def packages() -> Path:
    return node.npm_install(SDK, CLI)


def _built_site(folder: Path) -> Path:
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<h1>made for Fleek</h1>")
    (folder / "assets" / "big.bin").write_bytes(bytes(range(256)) * 50_000)  # 12.8 MB: two upload shards
    return folder


def test_the_sdk_creates_uploads_deploys_and_lists(platform: Running, packages: Path, tmp_path: Path) -> None:
    folder = _built_site(tmp_path / "site")
    script = packages / "deploy.mjs"  # beside node_modules, where its imports are looked up
    script.write_text(_SDK_SCRIPT)
    # files-from-path, which the SDK uses, exports nothing to `require` but under the condition `import`.
    command = [node.node(), "-C", "import", script, folder]
    done = subprocess.run(
        command, env=environment(platform, tmp_path), cwd=packages, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["duplicate"] == [False, True]
    assert told["deployment"]["cid"] == told["cid"]
    assert told["site"]["slug"] in told["sites"]
    assert told["found"] == told["site"]["id"]
    assert told["cid"] in told["pins"]
    assert told["projects"] == [platform.profile()["projectId"]]
    reply = platform.request("/index.html", host=f"{told['site']['slug']}.localhost")
    assert (reply.status, reply.body) == (200, b"<h1>made for Fleek</h1>")


def test_the_command_line_deploys_and_lists(platform: Running, packages: Path, tmp_path: Path) -> None:
    site = platform.graphql('mutation { createSite(data: { name: "From the CLI" }) { id slug } }')["createSite"]
    project = tmp_path / "project"
    _built_site(project / "dist")
    config = {"sites": [{"slug": site["slug"], "distDir": "dist"}]}
    (project / "fleek.config.json").write_text(json.dumps(config))
    fleek = packages / "node_modules" / "@fleek-platform" / "cli" / "bin" / "index.js"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [node.node(), "-C", "import", fleek, *arguments],
            env=environment(platform, tmp_path),
            cwd=project,
            capture_output=True,
            text=True,
            timeout=110,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "Deployed" in run("sites", "deploy")
    assert platform.request("/", host=f"{site['slug']}.localhost").body == b"<h1>made for Fleek</h1>"
    assert site["slug"] in run("sites", "list")
    assert "default" in run("projects", "list")
