"""dag-pb in the data model: the logical form, its strictness, and blocks that come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagjson, dagpb, pbform
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import Link, Value
from af.protocols.ipfs.errors import InvalidBlock

TARGET = cids.of(cids.DAG_CBOR, b"\xa0")
TARGET_TEXT = cids.to_text(TARGET)
OLD_TARGET = CID(cids.multihash(TARGET))


def test_dag_pb_has_its_logical_form() -> None:
    block = dagpb.encode_node([dagpb.Link(TARGET, "é".encode(), 7)], b"\x08\x01")
    form = pbform.decode(block)
    assert form == {"Data": b"\x08\x01", "Links": [{"Hash": Link(TARGET), "Name": "é", "Tsize": 7}]}
    assert (
        dagjson.encode(form)
        == (
            f'{{"Data":{{"/":{{"bytes":"CAE"}}}},"Links":[{{"Hash":{{"/":"{TARGET_TEXT}"}},"Name":"é","Tsize":7}}]}}'
        ).encode()
    )
    assert pbform.encode(form) == block


@pytest.mark.parametrize(
    "form",
    [
        {"Links": []},
        {"Data": b"", "Links": []},
        {"Links": [{"Hash": Link(TARGET)}]},
        {"Links": [{"Hash": Link(OLD_TARGET), "Name": ""}, {"Hash": Link(TARGET), "Tsize": 0}]},
        {"Links": [{"Hash": Link(TARGET), "Name": "a", "Tsize": (1 << 63) - 1}]},
    ],
    ids=repr,
)
def test_absent_and_empty_stay_apart(form: Value) -> None:
    assert pbform.decode(pbform.encode(form)) == form


def test_links_are_sorted_by_name_and_keep_their_order_otherwise() -> None:
    named = [{"Hash": Link(cids.of(cids.RAW, bytes([n]))), "Name": name} for n, name in enumerate(("b", "a", "a", ""))]
    read = pbform.decode(pbform.encode({"Links": named}))  # type: ignore[dict-item]
    assert read == {"Links": [named[3], named[1], named[2], named[0]]}


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {"Data": b""},
        {"Data": None, "Links": []},
        {"Links": None},
        {"Links": [], "More": 1},
        {"Links": [None]},
        {"Links": [{}]},
        {"Links": [{"Hash": TARGET_TEXT}]},
        {"Links": [{"Hash": Link(TARGET), "Name": b"a"}]},
        {"Links": [{"Hash": Link(TARGET), "Name": "\ud800"}]},
        {"Links": [{"Hash": Link(TARGET), "Tsize": -1}]},
        {"Links": [{"Hash": Link(TARGET), "Tsize": 1 << 63}]},
        {"Links": [{"Hash": Link(TARGET), "Tsize": True}]},
        {"Links": [{"Hash": Link(TARGET), "Extra": 1}]},
    ],
    ids=repr,
)
def test_other_forms_are_not_dag_pb(form: Value) -> None:
    with pytest.raises(InvalidBlock):
        pbform.encode(form)


def test_a_dag_pb_name_that_is_not_text_has_no_logical_form() -> None:
    with pytest.raises(InvalidBlock):
        pbform.decode(dagpb.encode_node([dagpb.Link(TARGET, b"\xff", 1)], None))


@given(st.lists(st.tuples(st.text(), st.integers(0, (1 << 63) - 1))), st.none() | st.binary())
def test_a_block_of_dag_pb_comes_back(names: list[tuple[str, int]], data: bytes | None) -> None:
    block = dagpb.encode_node([dagpb.Link(TARGET, name.encode(), size) for name, size in sorted(names)], data)
    if sorted(names) == sorted(names, key=lambda pair: pair[0].encode()):
        assert pbform.encode(pbform.decode(block)) == block
