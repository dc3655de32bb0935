"""Names and contenthashes of ENS against the values that the specifications print."""

from __future__ import annotations

import pytest
from ens_normalize import is_ens_normalized  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from af.protocols import ens, ethereum_abi
from af.protocols.ens import Content, InvalidContenthash, InvalidEnsName, Namespace

CID_V1 = "bafybeihr4z7hvi5i2uzsvyfzubdlupi76vfvig2bn5gp3rssgbbmmeq4nm"
IPNS = "k51qzi5uqu5dkkmf0cbd883r7viu3hfgov9wpf2mlnz0l4pq3gcz5sp8afahhy"
ARWEAVE = "ys32Pt8uC7TrVxHdOLByOspfPEq2LO63wREHQIM9SJQ"


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "node"),
    [  # ENSIP-1
        ("", "00" * 32),
        ("eth", "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"),
        ("foo.eth", "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"),
    ],
)
def test_namehash_is_that_of_ensip_1(name: str, node: str) -> None:
    assert ens.namehash(name).hex() == node


@pytest.mark.parametrize(
    ("given_name", "normal"),
    [
        ("Nick.ETH", "nick.eth"),
        ("_dnslink.a-b.eth", "_dnslink.a-b.eth"),
        ("🚀.eth", "🚀.eth"),
        ("1\u20e3.eth", "1\u20e3.eth"),
        ("BÜCHER.eth", "bücher.eth"),
        ("faß.eth", "faß.eth"),
        ("don't.eth", "don\u2019t.eth"),
    ],
)
def test_names_are_normalised_as_ensip_15_says(given_name: str, normal: str) -> None:
    assert ens.normalize(given_name) == normal


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "a..eth", ".eth", "eth.", "a b.eth", "a_b.eth", "xn--abc.eth", "ab--c.eth", "a\0.eth", "a/b.eth",
        "vitalik\u200b\u200b..eth", "\u0441oinbase.eth", "x" * 250 + ".eth", "ni\u200dck.eth", "a%b.eth",
        "\u202eabc.eth",
    ],
)  # fmt: skip
def test_names_that_ensip_15_forbids_are_refused(name: str) -> None:
    with pytest.raises(InvalidEnsName):
        ens.normalize(name)


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12))
def test_the_quick_way_for_plain_names_agrees_with_the_library(name: str) -> None:
    try:
        normal = ens.normalize(name)
    except InvalidEnsName:
        return
    assert is_ens_normalized(normal)
    assert ens.normalize(normal) == normal


def test_a_name_has_a_dns_form_and_parents() -> None:
    assert ens.dns_form("a.bc.eth") == b"\x01a\x02bc\x03eth\0"
    assert ens.parents("a.bc.eth") == ["a.bc.eth", "bc.eth", "eth"]
    with pytest.raises(InvalidEnsName):
        ens.dns_form("ü" * 128 + ".eth")


# --- contenthash ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "encoded"),
    [  # ENSIP-7, and records that are on the chain
        (
            Content(Namespace.IPFS, "QmRAQB6YaCyidP37UdDnjFY5vQuiBrcqdyoW1CuDgwxkD4"),
            "e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f",
        ),
        (
            Content(Namespace.SWARM, "d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162"),
            "e40101fa011b20d1de9994b4d039f6548d191eb26786769f580809256b4685ef316805265ea162",
        ),
    ],
)
def test_contenthashes_are_those_of_the_specification(content: Content, encoded: str) -> None:
    assert ens.encode_contenthash(content).hex() == encoded
    assert ens.encode_contenthash(ens.decode_contenthash(bytes.fromhex(encoded))).hex() == encoded


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (f"ipfs://{CID_V1}", f"ipfs://{CID_V1}"),
        (f"/ipfs/{CID_V1}/", f"ipfs://{CID_V1}"),
        (
            "ipfs://QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
            "ipfs://bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        ),
        (f"ipns://{IPNS}", f"ipns://{IPNS}"),
        (f"/ipns/{IPNS}", f"ipns://{IPNS}"),
        (f"ar://{ARWEAVE}", f"ar://{ARWEAVE}"),
        ("bzz://" + "ab" * 32, "bzz://" + "ab" * 32),
    ],
)
def test_content_is_read_from_its_addresses_and_survives_the_chain(text: str, uri: str) -> None:
    content = ens.parse_content(text)
    assert content.uri == uri
    assert ens.decode_contenthash(ens.encode_contenthash(content)) == content


def test_a_dnslink_host_of_old_records_is_read() -> None:
    """As app.uniswap.org had it: a host as the identity hash of a dag-pb CID under ipns."""
    host = b"app.uniswap.org"
    data = bytes.fromhex("e501") + b"\x01\x70\x00" + bytes([len(host)]) + host
    assert ens.decode_contenthash(data).uri == "ipns://app.uniswap.org"


@pytest.mark.parametrize(
    "text",
    [
        "", CID_V1, f"ipfs://{CID_V1}/index.html", f"ipfs://{IPNS}", f"ipns://{CID_V1}", "ipns://example.org",
        "bzz://" + "ab" * 31, "bzz://" + "AB" * 32, "ar://" + "a" * 42, "ar://" + "A" * 42 + "B", "http://example.org",
        "ipfs://", f"ipfs:// {CID_V1}", f"IPFS://{CID_V1}", f"/ipns/{CID_V1}", f"bzz://{CID_V1}",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidContenthash):
        ens.parse_content(text)


@pytest.mark.parametrize(
    "encoded",
    [
        "", "00", "e3", "e301", "e3010170", "e300", "e38100" + "01701220" + "00" * 32,
        "e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f00",  # a byte too many
        "e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f",  # a byte too few
        "e40101fa011220" + "00" * 32,  # Swarm under another hash function
        "e40101fa011b20" + "00" * 31,
        "e501017012200000000000000000000000000000000000000000000000000000000000000000",  # no key
        "e5010170000461622f63",  # an identity hash that is no host
        "90b2ca05" + "00" * 31, "90b2ca05" + "00" * 33,
        "90b2c605" + "00" * 46,  # Skynet
        "bc03" + "00" * 16,  # onion
        "e301" + "00" * 300,
    ],
)  # fmt: skip
def test_malformed_or_unknown_contenthashes_are_refused(encoded: str) -> None:
    with pytest.raises(InvalidContenthash):
        ens.decode_contenthash(bytes.fromhex(encoded))


@given(st.binary(max_size=80))
def test_what_is_read_is_written_back_the_same_or_refused(data: bytes) -> None:
    for prefix in (b"", b"\xe3\x01\x01\x70\x12\x20", b"\xe5\x01\x01\x72\x00", b"\x90\xb2\xca\x05"):
        try:
            content = ens.decode_contenthash(prefix + data)
        except InvalidContenthash:
            continue
        assert ens.encode_contenthash(content) == prefix + data


# --- calls ------------------------------------------------------------------------------------------------------------


def test_calls_have_the_selectors_of_the_specifications() -> None:
    node = ens.namehash("foo.eth")
    assert ens.ask_resolver(node)[:4].hex() == "0178b8bf"
    assert ens.ask_owner(node)[:4].hex() == "02571be3"
    assert ens.ask_contenthash(node)[:4].hex() == "bc1c58d1"
    assert ens.ask_text(node, "url")[:4].hex() == "59d1d43c"
    assert ens.set_contenthash(node, Content(Namespace.IPFS, CID_V1))[:4].hex() == "304e6ade"
    assert ens.ask_extended("foo.eth", b"")[:4].hex() == "9061b923"
    assert ens.ask_interface(ens.EXTENDED_RESOLVER)[:8].hex() == "01ffc9a79061b923"


def test_why_a_contract_refused_is_read() -> None:
    said = bytes.fromhex("08c379a0") + ethereum_abi.encode(ethereum_abi.Dynamic(b"not \x1b yours"))
    assert ethereum_abi.refusal(said) == "not ? yours"
    assert ethereum_abi.refusal(bytes.fromhex("4e487b71") + (17).to_bytes(32, "big")) == "panic 0x11"
    wrapper = ethereum_abi.selector("Unauthorised(bytes32,address)") + bytes(64)
    assert ethereum_abi.refusal(wrapper, ens.REFUSALS) == "Unauthorised(bytes32,address)"
    assert ethereum_abi.refusal(wrapper) == "error 0x" + wrapper[:4].hex()
    assert ethereum_abi.refusal(b"") == ""
    assert ethereum_abi.refusal(bytes.fromhex("08c379a0") + b"\xff" * 40) == "an error that cannot be read"


@pytest.mark.parametrize(
    "answer", [b"", b"\0" * 31, b"\0" * 31 + b"\x40", b"\xff" * 64, b"\0" * 31 + b" " + b"\xff" * 32]
)
def test_answers_that_end_outside_of_themselves_are_refused(answer: bytes) -> None:
    with pytest.raises(ethereum_abi.InvalidAnswer):
        ethereum_abi.read_bytes(answer)
