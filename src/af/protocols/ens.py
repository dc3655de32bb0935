"""Names of ENS and what they point at: namehash, contenthash, and the calls of registry and resolver. No network.

Specs: ENSIP-1 (namehash, registry), ENSIP-7 (contenthash, formerly EIP-1577), ENSIP-10 (wildcards), ENSIP-15
(normalisation), all at https://docs.ens.domains/ensip.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from af.protocols import ethereum_abi as abi
from af.protocols.ethereum import keccak_256
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns, varint
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError

Node = NewType("Node", bytes)
"""The 32 bytes by which contracts know a name."""

ROOT = Node(bytes(32))
REGISTRY = "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"
"""The registry of Ethereum mainnet and its public test networks."""

NAME_LENGTH_MAX = 253
LABEL_BYTES_MAX = 255  # the DNS form of ENSIP-10 has one byte for the length
CONTENTHASH_BYTES_MAX = 192
_PLAIN = re.compile(r"_*[a-z0-9-]+(\._*[a-z0-9-]+)*")
"""ASCII names that are their own normal form: ENSIP-15 allows _ at the start of a label only, and no -- after two
characters (checked apart)."""


class InvalidEnsName(ValueError):
    """Not a name, or one that ENSIP-15 refuses."""


class InvalidContenthash(ValueError):
    """Not a contenthash, or none of a kind that we read."""


# --- names ----------------------------------------------------------------------------------------------------------


def normalize(name: str) -> str:
    """The one form of a name that is hashed (ENSIP-15): ``Nick.ETH`` is ``nick.eth``.

    :raises InvalidEnsName: characters that are not allowed or could be taken for others; empty labels; too long.
    """
    if not name or len(name) > NAME_LENGTH_MAX:
        raise InvalidEnsName(f"a name has 1 to {NAME_LENGTH_MAX} characters")
    lowered = name.lower() if name.isascii() else name
    if _PLAIN.fullmatch(lowered) and not any(label[2:4] == "--" for label in lowered.split(".")):
        return lowered
    # 5 MB of tables: read only for names that need them.
    from ens_normalize import DisallowedSequence, ens_normalize  # type: ignore[import-untyped]

    try:
        normal = str(ens_normalize(name))
    except DisallowedSequence as error:
        raise InvalidEnsName(f"ENS does not allow this name (ENSIP-15): {error}") from None
    if not all(normal.split(".")):
        raise InvalidEnsName("a label of the name is empty")
    return normal


def namehash(normal: str) -> Node:
    """The node of a normalised name (ENSIP-1); the empty name is the root."""
    node = ROOT
    for label in reversed(normal.split(".")) if normal else ():
        node = Node(keccak_256(node + keccak_256(label.encode())))
    return node


def dns_form(normal: str) -> bytes:
    """The name as DNS writes it: each label behind its length (ENSIP-10).

    :raises InvalidEnsName: a label is too long.
    """
    labels = [label.encode() for label in normal.split(".")]
    if not all(0 < len(label) <= LABEL_BYTES_MAX for label in labels):
        raise InvalidEnsName(f"a label has 1 to {LABEL_BYTES_MAX} bytes")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def parents(normal: str) -> list[str]:
    """The name itself, then each name above it, down to the top level."""
    labels = normal.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


# --- contenthash ----------------------------------------------------------------------------------------------------


class Namespace(StrEnum):
    """The networks whose content a name can point at."""

    IPFS = "ipfs"
    IPNS = "ipns"
    SWARM = "swarm"
    ARWEAVE = "arweave"


_CODES = {Namespace.IPFS: 0xE3, Namespace.SWARM: 0xE4, Namespace.IPNS: 0xE5, Namespace.ARWEAVE: 0xB29910}
_NAMESPACES = {code: namespace for namespace, code in _CODES.items()}
_SCHEMES = {
    "ipfs": Namespace.IPFS,
    "ipns": Namespace.IPNS,
    "bzz": Namespace.SWARM,
    "ar": Namespace.ARWEAVE,
}
_SCHEME_OF = {namespace: scheme for scheme, namespace in _SCHEMES.items()}
_SWARM_PREFIX = b"\x01" + varint.encode(0xFA) + b"\x1b\x20"  # CIDv1, swarm-manifest, keccak-256
_ARWEAVE_BYTES = 32
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_BASE64URL_43 = re.compile(r"[A-Za-z0-9_-]{43}")
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Content:
    """What a name points at. ``value`` is in its network's usual form: a CIDv1 in base32, an IPNS name in base36 (in
    old records a DNSLink host), 64 hex digits, 43 letters of base64url."""

    namespace: Namespace
    value: str

    @property
    def uri(self) -> str:
        """As browsers show it: ``ipfs://bafy…``, ``ipns://k51…``, ``bzz://…``, ``ar://…``."""
        return f"{_SCHEME_OF[self.namespace]}://{self.value}"


def parse_content(text: str) -> Content:
    """Reads ``ipfs://CID``, ``/ipfs/CID``, ``ipns://NAME``, ``/ipns/NAME``, ``bzz://HEX`` or ``ar://ID`` into the form
    that a contenthash keeps; a CIDv0 becomes version 1, a peer ID an IPNS name.

    :raises InvalidContenthash: anything else; also a path below the content, which a contenthash cannot hold.
    """
    matched = re.fullmatch(r"(?:([a-z]+)://|/(ipfs|ipns)/)([^/?#\s]{1,300})/?", text)
    namespace = _SCHEMES.get(matched[1] or matched[2]) if matched else None
    if matched is None or namespace is None:
        raise InvalidContenthash("expected ipfs://CID, ipns://NAME, bzz://HASH or ar://ID, without a path behind it")
    content = Content(namespace, matched[3])
    return decode_contenthash(encode_contenthash(content))


def encode_contenthash(content: Content) -> bytes:
    """The bytes for ``setContenthash``. :raises InvalidContenthash: the value is not of its network."""
    value = content.value
    try:
        match content.namespace:
            case Namespace.IPFS:
                body = bytes(cids.as_v1(cids.parse(value)))
                if cids.codec(CID(body)) == cids.LIBP2P_KEY:
                    raise InvalidContenthash("that is an IPNS name: write ipns://")
            case Namespace.IPNS:
                body = bytes(ipns.parse_name(value))
            case Namespace.SWARM:
                if not _HEX_64.fullmatch(value):
                    raise InvalidContenthash("a Swarm hash has 64 hexadecimal digits")
                body = _SWARM_PREFIX + bytes.fromhex(value)
            case Namespace.ARWEAVE:
                body = base64.urlsafe_b64decode(value + "=") if _BASE64URL_43.fullmatch(value) else b""
                if len(body) != _ARWEAVE_BYTES or _base64url(body) != value:
                    raise InvalidContenthash("an Arweave id has 43 letters of base64url")
    except IpfsError as error:
        raise InvalidContenthash(str(error)) from None
    return varint.encode(_CODES[content.namespace]) + body


def decode_contenthash(data: bytes) -> Content:
    """Reads what a resolver holds. Strict: known network, minimal numbers, nothing left over.

    :raises InvalidContenthash: also for networks that we do not serve (Skynet, onion, …).
    """
    if not data:
        raise InvalidContenthash("empty")
    if len(data) > CONTENTHASH_BYTES_MAX:
        raise InvalidContenthash(f"{len(data)} bytes are more than {CONTENTHASH_BYTES_MAX}")
    try:
        code, start = varint.decode(data)
        body = data[start:]
        match _NAMESPACES.get(code):
            case Namespace.IPFS:
                return Content(Namespace.IPFS, _ipfs_text(body))
            case Namespace.IPNS:
                return Content(Namespace.IPNS, _ipns_text(body))
            case Namespace.SWARM:
                if not body.startswith(_SWARM_PREFIX) or len(body) != len(_SWARM_PREFIX) + 32:
                    raise InvalidContenthash("not a Swarm manifest's keccak-256 hash")
                return Content(Namespace.SWARM, body[len(_SWARM_PREFIX) :].hex())
            case Namespace.ARWEAVE:
                if len(body) != _ARWEAVE_BYTES:
                    raise InvalidContenthash(f"an Arweave id has {_ARWEAVE_BYTES} bytes, this one {len(body)}")
                return Content(Namespace.ARWEAVE, _base64url(body))
    except IpfsError as error:
        raise InvalidContenthash(str(error)) from None
    raise InvalidContenthash(f"namespace 0x{code:x} is not ipfs, ipns, swarm or arweave")


def _ipfs_text(body: bytes) -> str:
    """CIDs of version 0 are read, too: some old records hold them."""
    return cids.to_text(cids.as_v1(cids.from_bytes(body)))


def _ipns_text(body: bytes) -> str:
    """An IPNS name; or the DNSLink host that old records hold as dag-pb over an identity hash."""
    cid = cids.from_bytes(body)
    if cids.version(cid) == 1 and cids.codec(cid) == cids.DAG_PB and cids.is_identity(cid):
        host = cids.digest(cid).decode("ascii", "replace").lower()
        if not _HOST.fullmatch(host):
            raise InvalidContenthash("neither an IPNS name nor a host name")
        return host
    if cids.version(cid) == 0:  # a peer ID
        return ipns.to_text(ipns.of_multihash(body))
    return ipns.to_text(ipns.parse_name(cids.to_text(cid)))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


# --- calls ----------------------------------------------------------------------------------------------------------

EXTENDED_RESOLVER = bytes.fromhex("9061b923")
"""Interface id of ENSIP-10: the resolver answers for names below its own, through ``resolve``."""
OFFCHAIN_LOOKUP = bytes.fromhex("556f1830")
"""Selector of EIP-3668's "ask that web server"."""
REFUSALS = (
    "Unauthorised(bytes32,address)",  # the name wrapper
    "OperationProhibited(bytes32)",
    "ResolverNotFound(bytes)",
    "ResolverError(bytes)",
    "UnsupportedResolverProfile(bytes4)",
)
"""Errors that ENS' contracts declare, for `ethereum_abi.refusal`."""


def ask_owner(node: Node) -> bytes:
    """To the registry."""
    return abi.call("owner(bytes32)", node)


def ask_resolver(node: Node) -> bytes:
    """To the registry."""
    return abi.call("resolver(bytes32)", node)


def ask_wrapped_owner(node: Node) -> bytes:
    """To the contract that owns the name in the registry: a name wrapper (ERC-1155) knows the name's real owner."""
    return abi.call("ownerOf(uint256)", node)


def ask_interface(interface: bytes) -> bytes:
    """To a resolver (ERC-165)."""
    return abi.call("supportsInterface(bytes4)", interface.ljust(abi.WORD, b"\0"))


def ask_contenthash(node: Node) -> bytes:
    """To a resolver."""
    return abi.call("contenthash(bytes32)", node)


def ask_text(node: Node, key: str) -> bytes:
    """To a resolver: a text record (ENSIP-5)."""
    return abi.call("text(bytes32,string)", node, abi.Dynamic(key.encode()))


def ask_extended(normal: str, call: bytes) -> bytes:
    """To an extended resolver: ``call`` about a name below its own (ENSIP-10). The answer wraps the call's answer."""
    return abi.call("resolve(bytes,bytes)", abi.Dynamic(dns_form(normal)), abi.Dynamic(call))


def set_contenthash(node: Node, content: Content) -> bytes:
    """What the name's owner sends to its resolver. :raises InvalidContenthash:"""
    return abi.call("setContenthash(bytes32,bytes)", node, abi.Dynamic(encode_contenthash(content)))
