"""The contenthash codec and names equal those of ENS' own JavaScript packages."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from af.protocols import ens
from af.protocols.ens import InvalidEnsName
from tests.support import node

pytestmark = pytest.mark.npm

CONTENTS = [
    ("ipfs", "ipfs://bafybeihr4z7hvi5i2uzsvyfzubdlupi76vfvig2bn5gp3rssgbbmmeq4nm"),
    ("ipfs", "ipfs://QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
    ("ipfs", "ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"),
    ("ipns", "ipns://k51qzi5uqu5dkkmf0cbd883r7viu3hfgov9wpf2mlnz0l4pq3gcz5sp8afahhy"),
    ("swarm", "bzz://d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162"),
    ("arweave", "ar://ys32Pt8uC7TrVxHdOLByOspfPEq2LO63wREHQIM9SJQ"),
]
NAMES = [
    "vitalik.eth", "Nick.ETH", "🚀.eth", "👨‍👩‍👧.eth", "1️⃣2️⃣3️⃣.eth", "bücher.eth", "ФУРЛО.eth", "ni‍ck.eth", "a_b.eth",
    "_a.eth", "xn--ls8h.eth", "a--b.eth", "ab--c.eth", "сoinbase.eth", "don't.eth", "0x1234.eth", "a..eth", "-.eth",
    "日本.eth", "σς.eth", "$5.eth", "a b.eth",
]  # fmt: skip


def ask(script: str, argument: object, *packages: str) -> Any:
    """What a module prints as JSON; it finds ``argument`` as ``given``."""
    folder = node.npm_install(*packages)
    module = script.replace("given", "JSON.parse(process.argv[1])")
    command = [str(node.node()), "--input-type=module", "-e", module, json.dumps(argument)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_contenthashes_are_written_and_read_as_content_hash_does() -> None:
    script = """
import { encode, decode, getCodec } from '@ensdomains/content-hash'
const written = given.map(([codec, value]) => encode(codec, value))
console.log(JSON.stringify(written.map((hex) => [hex, getCodec(hex), decode(hex)])))
"""
    asked = [(codec, uri.partition("://")[2]) for codec, uri in CONTENTS]
    theirs = ask(script, asked, "@ensdomains/content-hash@3.1.1")
    for (codec, uri), (encoded, their_codec, value) in zip(CONTENTS, theirs, strict=True):
        content = ens.parse_content(uri)
        assert ens.encode_contenthash(content).hex() == encoded, uri
        assert (content.namespace, content.value) == (their_codec, value) == (codec, value)


def test_names_are_normalised_and_hashed_as_ens_normalize_and_namehash_do() -> None:
    script = """
import { ens_normalize } from '@adraffy/ens-normalize'
const tried = given.map((name) => { try { return ens_normalize(name) } catch { return null } })
console.log(JSON.stringify(tried))
"""
    theirs = ask(script, NAMES, "@adraffy/ens-normalize@1.11.1")
    ours: list[str | None] = []
    for name in NAMES:
        try:
            ours.append(ens.normalize(name))
        except InvalidEnsName:
            ours.append(None)
    assert ours == theirs
    assert any(name is None for name in ours)
