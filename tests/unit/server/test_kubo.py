"""What the node beside the platform is told to be; `tests/e2e/test_kubo.py` runs it."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from af.core.settings import InvalidSetting, Settings, load
from af.server import kubo
from af.server.errors import KuboAbsent, KuboUnusable, PortTaken
from af.server.parts import plan
from tests.support import kubo as real

_FRESH: dict[str, Any] = {
    "Identity": {"PeerID": "12D3KooWSelf"},
    "Addresses": {"API": "/ip4/127.0.0.1/tcp/5001", "Gateway": "/ip4/127.0.0.1/tcp/8080", "Announce": ["/dns/here"]},
    "Datastore": {"Spec": {"mounts": [{"type": "flatfs", "sync": False}, {"type": "levelds"}]}},
    "Swarm": {"ConnMgr": {"HighWater": 50}},
    "Bootstrap": ["/dns/somebody"],
    "Peering": None,
}


def _configured(**settings: Any) -> dict[str, Any]:
    return kubo.configured(json.loads(json.dumps(_FRESH)), load({}, **settings), port=4242, token="secret")


def test_its_rpc_is_on_loopback_behind_a_secret_and_it_has_no_gateway() -> None:
    config = _configured()
    assert config["Addresses"]["API"] == "/ip4/127.0.0.1/tcp/4242"
    assert config["Addresses"]["Gateway"] == []
    [entry] = config["API"]["Authorizations"].values()
    assert entry == {"AuthSecret": "bearer:secret", "AllowedPaths": ["/api/v0"]}


def test_it_announces_only_what_was_given_to_it() -> None:
    assert _configured()["Provide"]["Strategy"] == "pinned"


def test_it_neither_looks_around_in_the_local_network_nor_phones_home() -> None:
    config = _configured()
    assert config["Discovery"] == {"MDNS": {"Enabled": False}}
    assert "/ip4/192.168.0.0/ipcidr/16" in config["Swarm"]["AddrFilters"]
    assert config["Plugins"]["Plugins"]["telemetry"] == {"Disabled": True}


def test_in_public_it_uses_what_the_network_recommends() -> None:
    config = _configured()
    assert config["AutoConf"]["Enabled"] is True
    assert config["Bootstrap"] == ["auto"]
    assert (config["Routing"]["Type"], config["Routing"]["DelegatedRouters"]) == ("auto", ["auto"])
    assert config["Addresses"]["Swarm"][0] == "/ip4/0.0.0.0/tcp/4001"


def test_among_peers_it_asks_nobody_else() -> None:
    config = _configured(kubo_network="peers", kubo_swarm_host="10.0.0.5", kubo_swarm_port=4002)
    assert config["AutoConf"]["Enabled"] is False
    assert config["Bootstrap"] == config["Routing"]["DelegatedRouters"] == config["Ipns"]["DelegatedPublishers"] == []
    assert config["Routing"]["Type"] == "none"
    assert config["DNS"]["Resolvers"] == {}
    assert config["Swarm"]["AddrFilters"] == [], "peers are commonly in the same private network"
    assert all(address.startswith("/ip4/10.0.0.5/") and "/4002" in address for address in config["Addresses"]["Swarm"])


def test_peers_are_kept_connected() -> None:
    named = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWOne,/dns/two.example/udp/4001/quic-v1/p2p/12D3KooWTwo"
    assert _configured(kubo_peers=named)["Peering"]["Peers"] == [
        {"ID": "12D3KooWOne", "Addrs": ["/ip4/192.0.2.7/tcp/4001"]},
        {"ID": "12D3KooWTwo", "Addrs": ["/dns/two.example/udp/4001/quic-v1"]},
    ]


@pytest.mark.parametrize("text", ["12D3KooWOne", "/ip4/192.0.2.7/tcp/4001", "/p2p/", "http://x/p2p/12D3", "/a/p2p/ü"])
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting):
        load({"AF_KUBO_PEERS": text})


def test_what_is_not_ours_to_say_stays() -> None:
    config = _configured()
    assert config["Identity"] == _FRESH["Identity"]
    assert config["Swarm"]["ConnMgr"] == {"HighWater": 50}
    assert config["Addresses"]["Announce"] == ["/dns/here"]
    assert [mount.get("sync") for mount in config["Datastore"]["Spec"]["mounts"]] == [True, None]


@pytest.mark.parametrize("version", ["0.37.0", "0.4.22", "", "kubo"])
def test_a_program_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(KuboUnusable):
        kubo.check_version(version)


@pytest.mark.parametrize("version", ["0.38.0", "0.40.1-dev", "1.0.0"])
def test_a_newer_one_is_good(version: str) -> None:
    kubo.check_version(version)


def test_the_node_is_a_part_that_nobody_waits_for() -> None:
    *ours, node = plan(frozenset({"gateway", "api", "worker"}), workers=1, port=1, kubo=True)
    assert (node.name, node.is_foreign, node.prepares, node.listens) == ("kubo", True, False, False)
    assert not any(part.is_foreign for part in ours)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KuboAbsent) as caught:
        kubo.program(load({}, data=tmp_path, kubo_binary=str(tmp_path / "ipfs")))
    assert str(tmp_path / "ipfs") in caught.value.message


# With the real program


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({}, data=tmp_path, kubo=True, kubo_binary=str(real.kubo_or_skip()), kubo_swarm_port=0)


@pytest.mark.kubo
def test_the_real_program_takes_the_configuration(settings: Settings) -> None:
    node = kubo.prepare(settings)
    with node.reserved:
        config = settings.data / "kubo" / "config"
        assert config.stat().st_mode & 0o077 == 0
        shown = subprocess.run(
            [node.settings.kubo_binary, "config", "show"],
            env={"IPFS_PATH": str(config.parent), "HOME": str(config.parent)},
            capture_output=True,
        )
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["Provide"]["Strategy"] == "pinned"
        assert node.settings.kubo_rpc_url.startswith("http://127.0.0.1:")


@pytest.mark.kubo
def test_each_start_has_a_secret_of_its_own_and_the_same_identity(settings: Settings) -> None:
    found = []
    for _ in range(2):
        node = kubo.prepare(settings)
        node.reserved.close()
        config = json.loads((settings.data / "kubo" / "config").read_text())
        found.append((node.settings.kubo_rpc_token, config["Identity"]["PeerID"]))
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


@pytest.mark.kubo
def test_a_repository_half_made_is_made_anew(settings: Settings) -> None:
    half = settings.data / "kubo.new"
    half.mkdir()
    (half / "version").write_text("x")
    kubo.prepare(settings).reserved.close()
    assert (settings.data / "kubo" / "config").exists()
    assert not half.exists()


@pytest.mark.kubo
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Datastore": null}'])
def test_a_configuration_that_cannot_be_read_says_what_to_do(settings: Settings, text: str) -> None:
    kubo.prepare(settings).reserved.close()
    (settings.data / "kubo" / "config").write_text(text)
    with pytest.raises(KuboUnusable) as caught:
        kubo.prepare(settings)
    assert "move" in caught.value.hint


@pytest.mark.kubo
def test_a_swarm_port_that_another_node_has_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken) as caught:
        kubo.prepare(replace(settings, kubo_swarm_port=taken.getsockname()[1]))
    assert "AF_KUBO_SWARM_PORT" in caught.value.hint
