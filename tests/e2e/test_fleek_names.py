"""`ipns()` of the published Fleek SDK and `fleek ipns`, pointed at us, unchanged."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af.protocols.ipfs import ipns
from tests.e2e.platform import Running, running
from tests.e2e.test_fleek import CLI, SDK
from tests.support import node
from tests.support.fleek import environment

pytestmark = [pytest.mark.npm, pytest.mark.timeout(240)]
CID = "bafkqaddwgevxmmraojswg33smq"

_SDK_SCRIPT = """
import { FleekSdk, PersonalAccessTokenService } from '@fleek-platform/sdk/node';

const accessTokenService = new PersonalAccessTokenService({
  personalAccessToken: process.env.FLEEK_TOKEN,
  projectId: process.env.FLEEK_PROJECT_ID,
});
const sdk = new FleekSdk({ accessTokenService, graphqlServiceApiUrl: process.env.SDK__GRAPHQL_API_URL });
const [siteId, hash, key, input] = process.argv.slice(2);
const ipns = sdk.ipns();
const made = await ipns.createRecord();
const ofSite = await ipns.createRecordForSite({ siteId });
const published = await ipns.publishRecord({ id: made.id, hash });
const resolved = await ipns.resolveName({ name: made.name });
const signed = await ipns.publishSignedName({ key, input });
const found = await ipns.getRecord({ name: made.name });
const listed = await ipns.listRecords();
await ipns.deleteRecord({ id: made.id });
const left = await ipns.listRecords();
console.log(JSON.stringify({
  made: made.name, ofSite: ofSite.name, published: published.hash, resolved, signed, found: found.hash,
  listed: listed.map((r) => r.name), left: left.map((r) => r.name),
}));
process.exit(0);
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("fleek-names")) as started:
        yield started


@pytest.fixture(scope="module")
def packages() -> Path:
    return node.npm_install(SDK, CLI)


def test_the_sdk_creates_publishes_resolves_and_deletes(platform: Running, packages: Path, tmp_path: Path) -> None:
    site = platform.graphql('mutation { createSite(data: { name: "Named" }) { id } }')["createSite"]["id"]
    key = Ed25519PrivateKey.generate()
    name = ipns.to_text(ipns.name_of(key))
    record = ipns.create(key, f"/ipfs/{CID}".encode(), sequence=1, valid_until="2126-01-01T00:00:00Z", ttl_seconds=60)
    script = packages / "names.mjs"  # beside node_modules, where its imports are looked up
    script.write_text(_SDK_SCRIPT)

    done = subprocess.run(
        [node.node(), "-C", "import", script, site, CID, name, base64.b64encode(record).decode()],
        env=environment(platform, tmp_path),
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert (told["resolved"], told["found"], told["published"]) == (f"/ipfs/{CID}", CID, CID)
    assert told["signed"] == name
    assert set(told["listed"]) == {told["made"], told["ofSite"], name}
    assert set(told["left"]) == {told["ofSite"], name}


def test_the_command_line_publishes_and_resolves(platform: Running, packages: Path, tmp_path: Path) -> None:
    made = platform.graphql("mutation { createIpnsRecord { name } }")["createIpnsRecord"]["name"]
    fleek = packages / "node_modules" / "@fleek-platform" / "cli" / "bin" / "index.js"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [node.node(), "-C", "import", fleek, *arguments],
            env=environment(platform, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("ipns", "publish", "--name", made, "--hash", CID)

    assert CID in run("ipns", "resolve", made)
    assert made in run("ipns", "list")
