"""dag-pb as the IPLD data model sees it (https://ipld.io/specs/codecs/dag-pb/spec/#logical-format):
``{"Data": bytes, "Links": [{"Hash": link, "Name": string, "Tsize": integer}, …]}``, where all but Links and Hash may be
absent. Unlike `dagpb` this keeps apart what is absent and what is empty, so that block -> value -> block is the same
block again."""

from __future__ import annotations

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, varint
from af.protocols.ipfs.datamodel import Link, Value
from af.protocols.ipfs.errors import InvalidBlock, InvalidVarint


def decode(block: bytes) -> Value:
    """The value of a dag-pb block.

    :raises InvalidBlock: not dag-pb, or a name is not UTF-8 (the data model has no other strings).
    """
    node = dagpb.decode_node(block)
    form: dict[str, Value] = {}
    if node.data is not None:
        form["Data"] = node.data
    written = _written_fields(block)
    form["Links"] = [
        _link(link, has_name=has_name, has_tsize=has_tsize)
        for link, (has_name, has_tsize) in zip(node.links, written, strict=True)
    ]
    return form


def _link(link: dagpb.Link, *, has_name: bool, has_tsize: bool) -> Value:
    form: dict[str, Value] = {"Hash": Link(link.cid)}
    if has_name:
        try:
            form["Name"] = link.name.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidBlock("dag-pb: a name is not UTF-8") from None
    if has_tsize:
        form["Tsize"] = link.tsize
    return form


def _written_fields(block: bytes) -> list[tuple[bool, bool]]:
    """Whether each link of a block that `dagpb.decode_node` took has a Name and a Tsize."""
    found = []
    position = 0
    while position < len(block):
        is_link = block[position] == 0x12
        length, start = varint.decode(block, position + 1)
        position = start + length
        if is_link:
            length, behind = varint.decode(block, start + 1)  # Hash, which every link begins with
            behind += length
            has_name = behind < position and block[behind] == 0x12
            if has_name:
                length, behind = varint.decode(block, behind + 1)
                behind += length
            found.append((has_name, behind < position))
    return found


def encode(value: Value) -> bytes:
    """The dag-pb block of a value in the logical form; links are sorted by name, those of one name keep their order.

    :raises InvalidBlock: the value has another form.
    """
    form = _map(value, required={"Links"}, allowed={"Data", "Links"})
    data, listed = form.get("Data"), form["Links"]
    if ("Data" in form and not isinstance(data, bytes)) or not isinstance(listed, list):
        raise InvalidBlock("dag-pb: Data is bytes, Links is a list")
    links = sorted(map(_encode_link, listed), key=lambda pair: pair[0])
    parts = [b"\x12%b%b" % (varint.encode(len(body)), body) for _, body in links]
    if isinstance(data, bytes):
        parts.append(b"\x0a%b%b" % (varint.encode(len(data)), data))
    return b"".join(parts)


def _encode_link(value: Value) -> tuple[bytes, bytes]:
    """The name to sort by, and the message."""
    form = _map(value, required={"Hash"}, allowed={"Hash", "Name", "Tsize"})
    target, name, tsize = form["Hash"], form.get("Name", ""), form.get("Tsize", 0)
    if not (isinstance(target, Link) and isinstance(name, str) and isinstance(tsize, int)) or isinstance(tsize, bool):
        raise InvalidBlock("dag-pb: Hash is a link, Name a string, Tsize an integer")
    try:
        named, size = name.encode("utf-8"), varint.encode(tsize)
    except (UnicodeEncodeError, InvalidVarint):
        raise InvalidBlock("dag-pb: a Name is not Unicode, or a Tsize does not fit 63 bits") from None
    address = cids.from_bytes(target.cid)
    parts = [b"\x0a", varint.encode(len(address)), address]
    if "Name" in form:
        parts += (b"\x12", varint.encode(len(named)), named)
    if "Tsize" in form:
        parts += (b"\x18", size)
    return named, b"".join(parts)


def _map(value: Value, *, required: set[str], allowed: set[str]) -> dict[str, Value]:
    if not isinstance(value, dict) or not required <= value.keys() <= allowed:
        raise InvalidBlock(f"dag-pb: expected a map of {', '.join(sorted(allowed))}")
    return value
