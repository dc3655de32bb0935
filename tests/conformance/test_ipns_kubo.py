"""Our IPNS keys and records are Kubo's: against recorded vectors always, against a real Kubo where it can be built.

`AF_RECORD_VECTORS=1 pytest tests/conformance/test_ipns_kubo.py` writes what Kubo says to `vectors/ipns.json`.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from af.protocols.ipfs import ipns, peerkeys
from af.protocols.ipfs.peerkeys import KeyFormat, KeyType, PrivateKey
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS
from tests.support.kubo import KuboDaemon, kubo_or_skip

VECTORS = Path(__file__).parent / "vectors" / "ipns.json"
VALUE = "/ipfs/bafkqaddwgevxmmraojswg33smq"
KINDS = ("ed25519", "rsa", "secp256k1", "ecdsa")
by_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def vectors() -> dict[str, dict[str, Any]]:
    recorded: dict[str, dict[str, Any]] = json.loads(VECTORS.read_text())
    return recorded


def recorded_bytes(kind: str, what: str) -> bytes:
    return base64.b64decode(vectors()[kind][what])


@by_kind
def test_a_recorded_key_has_the_recorded_name(kind: str) -> None:
    key = peerkeys.import_key(recorded_bytes(kind, "libp2p"))

    assert peerkeys.type_of(key).name.lower() == kind
    assert ipns.to_text(ipns.name_of(key)) == vectors()[kind]["name"]
    assert ipns.parse_name(vectors()[kind]["peer_id"]) == ipns.name_of(key)


@by_kind
def test_a_recorded_key_is_exported_as_it_came(kind: str) -> None:
    key = peerkeys.import_key(recorded_bytes(kind, "libp2p"))

    assert peerkeys.export_key(key, KeyFormat.LIBP2P) == recorded_bytes(kind, "libp2p")
    if kind != "secp256k1":  # Kubo has no PEM for it
        assert peerkeys.export_key(key, KeyFormat.PEM) == recorded_bytes(kind, "pem")
        assert peerkeys.export_key(peerkeys.import_key(recorded_bytes(kind, "pem"))) == recorded_bytes(kind, "libp2p")


@by_kind
def test_a_recorded_record_reads(kind: str) -> None:
    record = ipns.read(ipns.parse_name(vectors()[kind]["name"]), recorded_bytes(kind, "record"))

    assert (record.value, record.sequence, record.ttl_seconds) == (VALUE.encode(), 7, 3600)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])  # the others' signatures are not the same twice in Kubo
def test_signing_the_recorded_values_gives_the_recorded_bytes(kind: str) -> None:
    theirs = ipns.read(ipns.parse_name(vectors()[kind]["name"]), recorded_bytes(kind, "record"))

    assert signed_again(peerkeys.import_key(recorded_bytes(kind, "libp2p")), theirs) == theirs.data


def signed_again(key: PrivateKey, record: ipns.Record) -> bytes:
    return ipns.create(
        key,
        record.value,
        sequence=record.sequence,
        valid_until=record.validity.decode(),
        ttl_seconds=record.ttl_seconds,
    )


# --- with a real Kubo ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kubo() -> Iterator[KuboDaemon]:
    with KuboDaemon(kubo_or_skip()) as daemon:
        yield daemon


def new_key(kind: str) -> PrivateKey:
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "secp256k1":
            return ec.generate_private_key(ec.SECP256K1())
    return ec.generate_private_key(ec.SECP256R1())


def kubo_record(kubo: KuboDaemon, name: str) -> bytes:
    url = f"{kubo.gateway_url}/ipns/{name}?format=ipns-record"
    with urllib.request.urlopen(url, timeout=30) as response:
        data: bytes = response.read()
    return data


def imported_by_kubo(kubo: KuboDaemon, kind: str, folder: Path, data: bytes, key_format: KeyFormat) -> str:
    """Gives Kubo the key; returns the name it has there."""
    alias = f"{kind}-{key_format}-{len(kubo.repository.run('key', 'list'))}"
    (folder / "key").write_bytes(data)
    return (
        kubo.repository.run(
            "key", "import", "--allow-any-key-type", f"--format={key_format}", alias, str(folder / "key")
        )
        .decode()
        .strip()
    )


def exported_by_kubo(kubo: KuboDaemon, name: str, folder: Path, key_format: KeyFormat) -> bytes:
    listed = dict(reversed(line.split()) for line in kubo.repository.run("key", "list", "-l").decode().splitlines())
    alias = next(alias for alias, listed_name in listed.items() if listed_name == name)
    kubo.repository.run("key", "export", f"--format={key_format}", "-o", str(folder / "out"), alias)
    return (folder / "out").read_bytes()


def published_by_kubo(kubo: KuboDaemon, name: str, *flags: str) -> bytes:
    kubo.repository.run("name", "publish", "--allow-offline", f"--key={name}", "--ttl=1h", *flags, VALUE)
    return kubo_record(kubo, name)


def kubo_verdict(kubo: KuboDaemon, name: str, data: bytes, folder: Path) -> dict[str, Any]:
    (folder / "record").write_bytes(data)
    output = kubo.repository.run("name", "inspect", "--enc=json", f"--verify={name}", str(folder / "record"))
    verdict: dict[str, Any] = json.loads(output)
    return verdict


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_kind
def test_kubo_takes_our_key_and_gives_it_back_in_the_same_bytes(kubo: KuboDaemon, kind: str, tmp_path: Path) -> None:
    key = new_key(kind)

    name = imported_by_kubo(kubo, kind, tmp_path, peerkeys.export_key(key), KeyFormat.LIBP2P)

    assert name == ipns.to_text(ipns.name_of(key))
    assert exported_by_kubo(kubo, name, tmp_path, KeyFormat.LIBP2P) == peerkeys.export_key(key)


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_pem_keys_go_both_ways(kubo: KuboDaemon, kind: str, tmp_path: Path) -> None:
    key = new_key(kind)

    name = imported_by_kubo(kubo, kind, tmp_path, peerkeys.export_key(key, KeyFormat.PEM), KeyFormat.PEM)

    assert name == ipns.to_text(ipns.name_of(key))
    assert exported_by_kubo(kubo, name, tmp_path, KeyFormat.PEM) == peerkeys.export_key(key, KeyFormat.PEM)


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_kind
def test_kubo_finds_our_record_valid(kubo: KuboDaemon, kind: str, tmp_path: Path) -> None:
    key = new_key(kind)
    data = ipns.create(
        key, VALUE.encode(), sequence=3, valid_until=datetime(2126, 1, 2, 3, 4, 5, 120, UTC), ttl_seconds=300
    )

    verdict = kubo_verdict(kubo, ipns.to_text(ipns.name_of(key)), data, tmp_path)

    assert verdict["Validation"]["Valid"] is True, verdict
    assert verdict["Entry"]["Value"] == VALUE
    assert verdict["Entry"]["Sequence"] == 3
    assert verdict["Entry"]["Validity"] == "2126-01-02T03:04:05.00012Z"


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_record_of_kubo_signed_again_is_the_same_bytes(kubo: KuboDaemon, kind: str, tmp_path: Path) -> None:
    key = new_key(kind)
    name = imported_by_kubo(kubo, kind, tmp_path, peerkeys.export_key(key), KeyFormat.LIBP2P)

    theirs = ipns.read(ipns.name_of(key), published_by_kubo(kubo, name, "--sequence=7"))

    assert signed_again(key, theirs) == theirs.data
    assert (theirs.sequence, theirs.ttl_seconds) == (7, 3600)


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
def test_a_record_without_version_1_reads(kubo: KuboDaemon, tmp_path: Path) -> None:
    key = new_key("ed25519")
    name = imported_by_kubo(kubo, "ed25519", tmp_path, peerkeys.export_key(key), KeyFormat.LIBP2P)

    record = ipns.read(ipns.name_of(key), published_by_kubo(kubo, name, "--v1compat=false"))

    assert record.value == VALUE.encode()


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@pytest.mark.skipif("AF_RECORD_VECTORS" not in os.environ, reason="AF_RECORD_VECTORS is not set")
def test_record_vectors(kubo: KuboDaemon, tmp_path: Path) -> None:
    recorded: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        name = imported_by_kubo(kubo, kind, tmp_path, peerkeys.export_key(new_key(kind)), KeyFormat.LIBP2P)
        found = {
            "libp2p": exported_by_kubo(kubo, name, tmp_path, KeyFormat.LIBP2P),
            "record": published_by_kubo(kubo, name, "--sequence=7", "--lifetime=876000h"),
        }
        if kind != KeyType.SECP256K1.name.lower():
            found["pem"] = exported_by_kubo(kubo, name, tmp_path, KeyFormat.PEM)
        peer_id = kubo.repository.run("cid", "format", "-f", "%M", "-b", "base58btc", name).decode().strip()
        recorded[kind] = {
            "name": name,
            "peer_id": peer_id.removeprefix("z"),
            **{what: base64.b64encode(data).decode() for what, data in found.items()},
        }
    VECTORS.write_text(json.dumps(recorded, indent=2) + "\n")
