"""IPNS through `af ipns`, judged by a real Kubo: keys and records go both ways; a site keeps its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from af.protocols.ipfs import ipns
from tests.e2e.hostile import Done, af
from tests.e2e.platform import Running, running
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS
from tests.support.kubo import KuboDaemon, KuboRepository, kubo_or_skip, temporary_repository
from tests.support.processes import wait_until

ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    dnslinks = f"mapped.example:{ROOT}/docs"
    with running(tmp_path_factory.mktemp("ipns"), AF_DNSLINK_MAP=dnslinks, AF_DNS_RESOLVERS="off") as started:
        yield started


@pytest.fixture(scope="module")
def kubo() -> Iterator[KuboRepository]:
    with temporary_repository(kubo_or_skip()) as repository:
        yield repository


def ok(platform: Running, *arguments: str | Path) -> Any:
    done = af(platform, "ipns", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def refused(platform: Running, *arguments: str | Path) -> str:
    """The code of the error."""
    done: Done = af(platform, "ipns", *arguments, "--json")
    assert done.code != 0, done.out
    return str(json.loads(done.out)["error"]["code"]).lower()


def verdict(kubo: KuboRepository, name: str, file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubo.run("name", "inspect", "--enc=json", f"--verify={name}", str(file)))
    return found


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
def test_what_is_published_here_is_valid_to_kubo(platform: Running, kubo: KuboRepository, tmp_path: Path) -> None:
    made = ok(platform, "create", "blog")
    published = ok(platform, "publish", "blog", ROOT, "--ttl", "10m", "--lifetime", "7d")

    ok(platform, "get", "blog", "--output", tmp_path / "blog.ipns-record")

    asked = f"/ipns/{made['name']}?format=ipns-record"
    assert platform.request(asked, host="127.0.0.1").body == (tmp_path / "blog.ipns-record").read_bytes()
    found = verdict(kubo, made["name"], tmp_path / "blog.ipns-record")
    assert found["Validation"]["Valid"] is True, found
    assert found["Entry"]["Value"] == ROOT
    assert found["Entry"]["TTL"] == 600 * 10**9
    assert published["sequence"] == found["Entry"]["Sequence"] == 0
    assert ok(platform, "resolve", made["name"])["path"] == ROOT
    assert ok(platform, "publish", "blog", ROOT + "/next")["sequence"] == 1
    assert ok(platform, "resolve", f"{made['name']}/a")["path"] == ROOT + "/next/a"


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
def test_a_node_elsewhere_finds_names_here_by_http(platform: Running) -> None:
    name = ok(platform, "create")["name"]
    ok(platform, "publish", name, ROOT)
    routers = [f"http://localhost:{platform.port}/routing/v1/ipns"]

    with KuboDaemon(kubo_or_skip(), swarm=True, routing="delegated", routers=routers) as node:
        assert node.repository.run("name", "resolve", name).decode().strip() == ROOT


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@pytest.mark.parametrize("key_format", ["libp2p-protobuf-cleartext", "pem-pkcs8-cleartext"])
def test_keys_go_to_kubo_and_come_from_it(
    platform: Running, kubo: KuboRepository, tmp_path: Path, key_format: str
) -> None:
    ours, theirs, back = tmp_path / "ours.key", tmp_path / "theirs.key", tmp_path / "back.key"
    made = ok(platform, "create")

    ok(platform, "export", made["name"], "--format", key_format, "--output", ours)
    assert ours.stat().st_mode & 0o777 == 0o600
    imported = kubo.run("key", "import", f"--format={key_format}", f"ours-{key_format}", str(ours)).decode().strip()
    assert imported == made["name"]

    name = kubo.run("key", "gen", f"theirs-{key_format}").decode().strip()
    kubo.run("key", "export", f"--format={key_format}", "-o", str(theirs), f"theirs-{key_format}")
    assert ok(platform, "import", theirs, "--label", key_format)["name"] == name
    ok(platform, "export", key_format, "--format", key_format, "-o", back)
    assert back.read_bytes() == theirs.read_bytes()


def test_a_record_that_is_put_is_kept_and_given_back(platform: Running, tmp_path: Path) -> None:
    name, new, old = signed(tmp_path, sequence=8), tmp_path / "8.ipns-record", tmp_path / "7.ipns-record"
    signed(tmp_path, sequence=7)

    assert ok(platform, "put", name, new)["sequence"] == 8
    assert refused(platform, "put", name, old) == "ipns_record_outdated"
    assert refused(platform, "put", ok(platform, "create")["name"], new) == "invalid_ipns_record"
    assert refused(platform, "publish", name, ROOT) == "no_ipns_key"

    ok(platform, "get", name, "-o", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == new.read_bytes()
    assert name in [each["name"] for each in ok(platform, "list")["data"]]
    assert name not in [each["name"] for each in ok(platform, "keys")["data"]]


def signed(folder: Path, *, sequence: int) -> str:
    """Writes ``<sequence>.ipns-record``; returns its name."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(b"a key for a test that is public.")
    data = ipns.create(key, ROOT.encode(), sequence=sequence, valid_until="2126-01-01T00:00:00Z", ttl_seconds=60)
    (folder / f"{sequence}.ipns-record").write_bytes(data)
    return ipns.to_text(ipns.name_of(key))


def test_a_rotated_key_hands_over(platform: Running) -> None:
    old = ok(platform, "create", "rotated")
    ok(platform, "publish", "rotated", ROOT)

    new = ok(platform, "rotate", "rotated")

    assert new["name"] != old["name"]
    assert ok(platform, "resolve", old["name"])["path"] == ROOT
    assert refused(platform, "rotate", old["name"]) == "ipns_already_rotated"


def test_a_name_is_deleted_only_on_purpose(platform: Running) -> None:
    made = ok(platform, "create", "gone")

    assert refused(platform, "delete", "gone") == "usage"
    assert ok(platform, "delete", "gone", "--yes")["deleted"] is True
    assert refused(platform, "publish", made["name"], ROOT) == "ipns_record_not_found"


def test_a_domain_resolves_by_the_map_and_others_are_not_asked_for(platform: Running) -> None:
    assert ok(platform, "resolve", "mapped.example/en")["path"] == ROOT + "/docs/en"
    assert refused(platform, "resolve", "example.org") == "dns_off"
    assert refused(platform, "resolve", "nonsense") == "name_invalid"


def test_the_name_of_a_site_follows_its_deployments(platform: Running, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()

    def deployed(text: str) -> str:
        (folder / "index.html").write_text(text)
        done = af(platform, "deploy", folder, "--site", "named", "--json")
        assert done.code == 0, done.err
        return str(json.loads(done.out)["deployment"]["cid"])

    def leads_to(cid: str) -> bool:
        return bool(ok(platform, "resolve", name)["path"] == f"/ipfs/{cid}")

    first = deployed("one")
    before = ok(platform, "dnslink", "named", "--host", "www.example.org")
    assert before == {"type": "TXT", "name": "_dnslink.www.example.org", "value": f"dnslink=/ipfs/{first}"}
    name = ok(platform, "create", "--site", "named")["name"]
    assert leads_to(first)
    assert ok(platform, "create", "--site", "named")["name"] == name

    second = deployed("two")

    wait_until(lambda: leads_to(second), seconds=20, what="the name at the second deployment")
    assert af(platform, "rollback", "--site", "named", "--json").code == 0
    wait_until(lambda: leads_to(first), seconds=20, what="the name at the first deployment again")
    found = next(each for each in ok(platform, "list")["data"] if each["name"] == name)
    assert (found["sequence"], found["site"]["slug"]) == (2, "named")
    assert ok(platform, "dnslink", "named")["value"] == f"dnslink=/ipns/{name}"
