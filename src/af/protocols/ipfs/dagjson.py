"""dag-json (https://ipld.io/specs/codecs/dag-json/spec/) and plain JSON blocks.

Reading takes any white space and key order, as Kubo does, and refuses what the specification calls invalid: a repeated
key, a map that only nearly is a link or bytes, numbers outside of the data model, text that is not Unicode.
Writing gives the one canonical form, which is what go-ipld-prime writes: no white space, keys in the order of their
UTF-8 bytes. One difference is on purpose: a float without a fraction is written `1.0`, as the specification asks; Kubo
writes `1`, which reads back as an integer.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NoReturn

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagcbor, pbform
from af.protocols.ipfs.datamodel import BLOCK_BYTES_MAX, DEPTH_MAX, INT_MAX, INT_MIN, VALUES_MAX, Link, Value, check
from af.protocols.ipfs.errors import InvalidBlock, InvalidCid, LimitExceeded, UnsupportedCodec

_INTEGER_TEXT_MAX = 21  # -2^64 has 21 characters; Python would take time over millions of them
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)  # one that never ends, too: else quadratic time
_NOT_MARKS = bytes(byte for byte in range(256) if byte not in b"[]{},")
_STEP = [-1 if byte in b"]}" else 1 for byte in range(256)]
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPED = re.compile('["\\\\\x00-\x1f\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

# --- reading -------------------------------------------------------------------------------------------------------


def decode(block: bytes) -> Value:
    """The value of a dag-json block.

    :raises InvalidBlock: not dag-json.
    :raises LimitExceeded: larger than a block may be, too many values, or too deep.
    """
    return _decode(block, _dag_map)


def decode_plain(block: bytes) -> Value:
    """The value of a JSON block (codec 0x0200), in which ``{"/": …}`` means nothing special. Raises as `decode`."""
    return _decode(block, _plain_map)


def _decode(block: bytes, to_map: Any) -> Value:
    if len(block) > BLOCK_BYTES_MAX:
        raise LimitExceeded(f"a block of {len(block):,} bytes is larger than {BLOCK_BYTES_MAX:,}")
    _measure(block)
    try:
        text = block.decode("utf-8")
        value: Value = json.loads(
            text,
            object_pairs_hook=to_map,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError:
        raise LimitExceeded("JSON: too deep for the stack that is left") from None
    except UnicodeDecodeError:
        raise InvalidBlock("JSON: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidBlock(f"JSON: {error}") from None
    if _SURROGATE.search(block):
        check(value)
    return value


def _measure(block: bytes) -> None:
    """Counts values and levels without reading: Python's reader recurses. What is in strings does not count; brackets
    out of order do not matter, because the reader refuses them."""
    if block.count(b"[") + block.count(b"{") <= DEPTH_MAX and block.count(b",") < VALUES_MAX:
        return
    marks = _STRING.sub(b"", block).translate(None, _NOT_MARKS)
    brackets = marks.translate(None, b",")
    if len(marks) - len(brackets) // 2 >= VALUES_MAX:
        raise LimitExceeded(f"JSON: more than {VALUES_MAX:,} values")
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH_MAX:
        raise LimitExceeded(f"JSON: more than {DEPTH_MAX} levels deep")


def _plain_map(pairs: list[tuple[str, Value]]) -> Value:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidBlock("JSON: a key appears twice in one map")
    return found


def _dag_map(pairs: list[tuple[str, Value]]) -> Value:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidBlock("dag-json: a key appears twice in one map")
    if "/" not in found or not _is_reserved(found):
        return found
    inner = found["/"]
    if len(found) > 1 or (isinstance(inner, dict) and len(inner) > 1):
        raise InvalidBlock('dag-json: a map that begins as a link or bytes ({"/": …}) has more entries')
    if isinstance(inner, dict):
        return _bytes(inner["bytes"])
    return _link(inner)


def _is_reserved(found: dict[str, Value]) -> bool:
    """Whether a map with the key ``/`` is in the reserved namespace: ``/`` is its first key in canonical order, and its
    value is a string, or a map whose first key is ``bytes`` with a string."""
    if min(found) != "/":
        return False
    inner = found["/"]
    if isinstance(inner, dict):
        return "bytes" in inner and min(inner) == "bytes" and isinstance(inner["bytes"], str)
    return isinstance(inner, str)


def _link(text: Value) -> Link:
    assert isinstance(text, str)
    try:
        cid = cids.parse(text)
    except InvalidCid as error:
        raise InvalidBlock(f"dag-json: a link is {error}") from None
    if cids.to_text(cid) != text:
        raise InvalidBlock("dag-json: a link is written in another base than base32 or, for version 0, base58")
    return Link(cid)


def _bytes(text: Value) -> bytes:
    """Base64 of RFC 4648 §4, without padding or with; no spare bits."""
    assert isinstance(text, str)
    digits = text.rstrip("=")
    try:
        data = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidBlock("dag-json: bytes are not base64") from None
    if base64.b64encode(data).decode().rstrip("=") != digits or len(text) - len(digits) not in (0, -len(digits) % 4):
        raise InvalidBlock("dag-json: bytes are not in their one base64 form")
    return data


def _integer(text: str) -> int:
    value = int(text) if len(text) <= _INTEGER_TEXT_MAX else INT_MAX + 1
    if not INT_MIN <= value <= INT_MAX:
        raise InvalidBlock("JSON: an integer does not fit 64 bits and a sign")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidBlock("JSON: a number is too large")
    return value


def _constant(text: str) -> NoReturn:
    raise InvalidBlock(f"JSON: {text} is not a value")


# --- writing -------------------------------------------------------------------------------------------------------


def encode(value: Value) -> bytes:
    """The canonical dag-json block of a value.

    :raises InvalidBlock: it cannot be written: not in the data model, or a map that would read back as a link or bytes.
    :raises LimitExceeded: too deep.
    """
    return _encode(value, is_dag=True)


def encode_plain(value: Value) -> bytes:
    """A JSON block (codec 0x0200) of a value, in the same canonical form. Raises as `encode`, and InvalidBlock for
    links and bytes: JSON has neither."""
    return _encode(value, is_dag=False)


def _encode(value: Value, *, is_dag: bool) -> bytes:
    parts: list[str] = []
    levels: list[Iterator[tuple[str, Value]]] = [iter((("", value),))]  # what each open list or map still has
    closers = [""]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            parts.append(closers.pop())
            continue
        before, item = found
        parts.append(before)
        if isinstance(item, dict):
            if is_dag and "/" in item and _is_reserved(item):
                raise InvalidBlock('dag-json: a map {"/": …} would read back as a link or bytes')
            parts.append("{")
            levels.append(_entries(item))
            closers.append("}")
        elif isinstance(item, list):
            parts.append("[")
            levels.append((("," if index else ""), child) for index, child in enumerate(item))
            closers.append("]")
        else:
            parts.append(_scalar(item, is_dag))
        if len(levels) > DEPTH_MAX + 1:
            raise LimitExceeded(f"the value is more than {DEPTH_MAX} levels deep")
    try:
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidBlock("IPLD: a string has a lone surrogate") from None


def _entries(item: dict[str, Value]) -> Iterator[tuple[str, Value]]:
    """In the order of the keys' UTF-8 bytes, which is that of their code points."""
    comma = ""
    for key in sorted(item):
        yield f"{comma}{_quoted(key)}:", item[key]
        comma = ","


def _scalar(item: Value, is_dag: bool) -> str:
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _quoted(item)
    if isinstance(item, int):
        if not INT_MIN <= item <= INT_MAX:
            raise InvalidBlock("IPLD: an integer does not fit 64 bits and a sign")
        return str(item)
    if isinstance(item, float):
        return _float_text(item)
    if not is_dag or not isinstance(item, bytes | Link):
        raise InvalidBlock(f"JSON: {type(item).__name__} cannot be written")
    if isinstance(item, Link):
        return f'{{"/":"{cids.to_text(item.cid)}"}}'
    return f'{{"/":{{"bytes":"{base64.b64encode(item).decode().rstrip("=")}"}}}}'


def _quoted(text: str) -> str:
    """As Go's JSON writer: short forms for five characters only, and the two line separators escaped."""
    return f'"{_ESCAPED.sub(_escape, text)}"' if _ESCAPED.search(text) else f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _float_text(value: float) -> str:
    """The shortest digits that read back the same, as ECMAScript lays them out (an exponent below 1e-6 and from 1e21),
    but always with a decimal point or exponent."""
    if not math.isfinite(value):
        raise InvalidBlock("IPLD: NaN and infinity are not values")
    text = repr(value)
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa}e{'-' if exponent.startswith('-') else '+'}{exponent.lstrip('+-').lstrip('0')}"
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits.ljust(point, '0')}.0"


# --- by codec ------------------------------------------------------------------------------------------------------

JSON, CBOR = 0x0200, 0x51


def _raw(block: bytes) -> Value:
    return block


def _to_raw(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise InvalidBlock("raw: only bytes can be written")
    return value


_CODECS: dict[int, tuple[Callable[[bytes], Value], Callable[[Value], bytes]]] = {
    cids.DAG_JSON: (decode, encode),
    cids.DAG_CBOR: (dagcbor.decode, dagcbor.encode),
    cids.DAG_PB: (pbform.decode, pbform.encode),
    cids.RAW: (_raw, _to_raw),
    JSON: (decode_plain, encode_plain),
    CBOR: (dagcbor.decode_plain, dagcbor.encode_plain),
}


def decode_block(codec: int, block: bytes) -> Value:
    """The value of a block of any codec that has one: dag-json, dag-cbor, dag-pb, raw, and plain JSON and CBOR.

    :raises InvalidBlock, LimitExceeded: as the codec's own `decode`.
    :raises UnsupportedCodec: another codec.
    """
    if codec not in _CODECS:
        raise UnsupportedCodec(f"codec 0x{codec:x} is none of dag-pb, raw, dag-cbor, dag-json, cbor, json")
    return _CODECS[codec][0](block)


def encode_block(codec: int, value: Value) -> bytes:
    """The block of a value, the way back from `decode_block`. Raises the same, InvalidBlock where the codec has no
    way to write the value."""
    if codec not in _CODECS:
        raise UnsupportedCodec(f"codec 0x{codec:x} is none of dag-pb, raw, dag-cbor, dag-json, cbor, json")
    return _CODECS[codec][1](value)


__all__ = [
    "CBOR",
    "JSON",
    "Link",
    "Value",
    "decode",
    "decode_block",
    "decode_plain",
    "encode",
    "encode_block",
    "encode_plain",
]
