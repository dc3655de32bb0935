"""`af ens` against a running platform and a local chain with ENS' own contracts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.hostile import af
from tests.e2e.platform import running
from tests.support import anvil, ens, node
from tests.support.processes import wait_until

pytestmark = [pytest.mark.npm, pytest.mark.timeout(240)]

_FLEEK = """
import { FleekSdk, PersonalAccessTokenService } from '@fleek-platform/sdk/node';

const accessTokenService = new PersonalAccessTokenService({
  personalAccessToken: process.env.FLEEK_TOKEN, projectId: process.env.FLEEK_PROJECT_ID,
});
const sdk = new FleekSdk({ accessTokenService, graphqlServiceApiUrl: process.env.SDK__GRAPHQL_API_URL });
const site = await sdk.sites().create({ name: 'From the SDK' });
const ipns = await sdk.ipns().createRecordForSite({ siteId: site.id });
const made = await sdk.ens().create({ name: 'Fleek.eth', siteId: site.id, ipnsRecordId: ipns.id });
const verified = await sdk.ens().verify({ id: made.id });
const seen = [
  await sdk.ens().get({ id: made.id }), await sdk.ens().getByName({ name: 'fleek.eth' }), ...await sdk.ens().list(),
  ...await sdk.ens().listByIpnsRecordId({ ipnsRecordId: ipns.id }),
];
const gone = await sdk.ens().delete({ id: made.id });
const left = await sdk.ens().list();
console.log(JSON.stringify({ site, ipns, made, verified, seen, gone, left }));
process.exit(0);
"""


def test_a_sites_ens_name_by_the_command_line(tmp_path: Path) -> None:
    """A site gets its IPNS name, a wallet signs what `af ens tx` prints, and `af ens verify` succeeds only then; the
    operator's key changes another name."""
    with anvil.running(tmp_path, chain_id=1) as chain:
        contracts, owner, key = ens.deploy(chain), ens.wallet(chain), ens.wallet(chain)
        contracts.register("mysite.eth", owner.address)
        contracts.register("ours.eth", key.address)
        settings = {
            "AF_ETHEREUM_RPC_URLS": f"1={chain.url}",
            "AF_ENS_REGISTRY": contracts.registry,
            "AF_ENS_PRIVATE_KEY": key.key.hex(),
        }
        with running(tmp_path, **settings) as platform:
            site = platform.graphql('mutation { createSite(data: {name: "blog"}) { id } }')["createSite"]["id"]
            named = platform.graphql(
                "mutation($id: ID!) { createIpnsRecordForSite(where: {siteId: $id}) { id name } }", id=site
            )["createIpnsRecordForSite"]
            made = af(platform, "ens", "add", "MySite.eth", "--site", "blog", "--json")
            assert made.code == 0, made.err
            assert (made.json["name"], made.json["status"]) == ("mysite.eth", "CREATED")
            assert made.json["content"] == f"ipns://{named['name']}"
            assert (made.json["site"]["slug"], made.json["ipnsRecord"]["id"]) == ("blog", named["id"])

            unsigned = af(platform, "ens", "tx", "mysite.eth", "--json").json
            assert (unsigned["from"], unsigned["to"], unsigned["chainId"]) == (owner.address, contracts.resolver, 1)
            safe = json.loads(af(platform, "ens", "tx", "mysite.eth", "--safe").out)
            assert safe["transactions"] == [{"to": contracts.resolver, "value": "0", "data": unsigned["data"]}]
            assert safe["chainId"] == "1"
            early = af(platform, "ens", "verify", "mysite.eth", "--json")
            assert (early.code, "AF9011" in early.err or "AF9011" in early.out) == (1, True), early
            sent = ens.sign_and_send(chain, owner, unsigned["to"], unsigned["data"], int(unsigned["gas"]))
            done = af(platform, "ens", "verify", "mysite.eth", "--tx", sent, "--wait", "--json")
            assert done.code == 0, done.err
            assert (done.json["status"], done.json["seen"]) == ("ACTIVE", f"ipns://{named['name']}")
            resolved = af(platform, "ens", "resolve", "mysite.eth", "--quiet")
            assert resolved.out.strip() == f"ipns://{named['name']}"

            content = "ipfs://bafybeihr4z7hvi5i2uzsvyfzubdlupi76vfvig2bn5gp3rssgbbmmeq4nm"
            assert af(platform, "ens", "add", "ours.eth", "--content", content).code == 0
            sent_by_us = af(platform, "ens", "send", "ours.eth", "--no-wait", "--json")
            assert (sent_by_us.code, sent_by_us.json["status"]) == (0, "PENDING"), sent_by_us.err
            noticed = wait_until(  # by the worker, which asks once a block
                lambda: [r for r in [af(platform, "ens", "get", "ours.eth", "--json").json] if r["status"] == "ACTIVE"],
                seconds=60,
                what="the worker to ask the chain",
            )
            assert noticed[0]["seen"] == content
            assert contracts.contenthash("ours.eth")[:2] == bytes.fromhex("e301")
            assert af(platform, "ens", "add", "mysite2.eth", "--content", content).code == 0
            refused = af(platform, "ens", "send", "mysite2.eth", "--json")
            assert refused.code == 5, refused
            names = {r["name"]: r["status"] for r in af(platform, "ens", "list", "--json").json["data"]}
            assert names == {"mysite.eth": "ACTIVE", "ours.eth": "ACTIVE", "mysite2.eth": "CREATED"}
            assert af(platform, "ens", "delete", "mysite2.eth").code == 0
            assert af(platform, "ens", "get", "mysite2.eth").code == 5
        assert key.key.hex() not in (tmp_path / "up.log").read_text()


def test_the_fleek_sdk_makes_verifies_and_deletes_ens_records(tmp_path: Path) -> None:
    """As published: it knows no transactions, so a name that nobody set is CREATED, not ACTIVE."""
    packages = node.npm_install("@fleek-platform/sdk@3.7.2", "@fleek-platform/cli@3.9.4")  # as test_fleek installs them
    with anvil.running(tmp_path, chain_id=1) as chain:
        contracts = ens.deploy(chain)
        contracts.register("fleek.eth")
        settings = {"AF_ETHEREUM_RPC_URLS": f"1={chain.url}", "AF_ENS_REGISTRY": contracts.registry}
        with running(tmp_path, **settings) as platform:
            profile = platform.profile()
            environment = {
                **platform.environment,
                "SDK__GRAPHQL_API_URL": platform.ready["api"],
                "HOME": str(tmp_path),
                "FLEEK_TOKEN": profile["token"],
                "FLEEK_PROJECT_ID": profile["projectId"],
            }
            command = [str(node.node()), "--input-type=module", "-e", _FLEEK]
            done = subprocess.run(
                command, cwd=packages, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads(done.stdout)
    assert (told["made"]["name"], told["made"]["status"]) == ("fleek.eth", "CREATED")
    assert (told["verified"]["id"], told["verified"]["status"]) == (told["made"]["id"], "CREATED")
    assert [each["id"] for each in told["seen"]] == [told["made"]["id"]] * 4
    assert told["made"]["site"]["id"] == told["site"]["id"]
    assert told["made"]["ipnsRecord"]["id"] == told["ipns"]["id"]
    assert (told["gone"]["id"], told["left"]) == (told["made"]["id"], [])
