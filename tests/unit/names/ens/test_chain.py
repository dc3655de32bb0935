"""A node that fails, lies or answers nonsense: nothing is taken for a fact, and no bytes of it are a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from af.core.http import Client
from af.names import ChainFailed
from af.names.backends.chain import Chain, Refused, SendRefused
from af.protocols.ethereum import Address
from tests.support import answering
from tests.support.answering import Server

SOMEBODY = Address(b"\x01" * 20)
HASH = "0x" + "ab" * 32


@pytest.fixture
def server() -> Iterator[Server]:
    with answering.running() as started:
        yield started


@pytest.fixture
def chain(server: Server) -> Chain:
    return Chain(Client(), server.url, 1)


def result(value: Any) -> answering.Answer:
    return answering.json_reply({"jsonrpc": "2.0", "id": 1, "result": value})


def error(value: Any, status: int = 200) -> answering.Answer:
    return answering.json_reply({"jsonrpc": "2.0", "id": 1, "error": value}, status)


NONSENSE = [
    answering.reply(200, b""), answering.reply(200, b"<html>"), answering.reply(502, b"bad gateway", "text/plain"),
    answering.reply(200, b"[]"), answering.reply(200, b"null"), answering.reply(200, b"[" * 100_000), answering.drop,
    answering.json_reply({}), result(None), result(5), result("0x"), result("0xzz"), result("12"),
    result("0x" + "f" * 65), result([]), result({"number": "0x1"}),
    error("no"), error({"code": -32005, "message": "rate limited"}, 429), error(5),
    answering.reply(307, b"", location="http://127.0.0.1:1/"), answering.reply(200, b" " * (3 << 20)),
]  # fmt: skip


@pytest.mark.parametrize("answer", NONSENSE)
async def test_nonsense_is_no_number(server: Server, chain: Chain, answer: answering.Answer) -> None:
    server.answers = [answer]
    with pytest.raises(ChainFailed):
        await chain.check()
    with pytest.raises(ChainFailed):
        await chain.nonce(SOMEBODY)
    with pytest.raises(ChainFailed):
        await chain.fees()


@pytest.mark.parametrize("value", ["0x0", "0x2", "0xaa36a7"])
async def test_a_node_of_another_chain_is_none_of_ours(server: Server, chain: Chain, value: str) -> None:
    server.answers = [result(value)]
    with pytest.raises(ChainFailed, match="of chain"):
        await chain.check()


async def test_a_receipt_is_whole_or_none(server: Server, chain: Chain) -> None:
    server.answers = [result(None)]
    assert await chain.receipt(HASH) is None
    for value in ("0x1", [], {}, {"status": "0x1"}, {"status": 1, "blockNumber": "0x5"}, {"blockNumber": "0x5"}):
        server.answers = [result(value)]
        with pytest.raises(ChainFailed):
            await chain.receipt(HASH)
    server.answers = [result({"status": "0x0", "blockNumber": "0x5"})]
    receipt = await chain.receipt(HASH)
    assert receipt is not None
    assert (receipt.succeeded, receipt.block) == (False, "0x5")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x08c379a0"}, b"\x08\xc3\x79\xa0"),
        ({"code": 3, "message": "execution reverted: no"}, b""),
        ({"code": -32000, "message": "execution reverted"}, b""),
        ({"code": -32603, "message": "VM Exception: revert", "data": {"data": "0x01"}}, b"\x01"),
        ({"code": 3, "message": "", "data": "not hex"}, b""),
        ({"code": 3, "message": "", "data": 7}, b""),
    ],
)
async def test_what_a_contract_says_in_refusing_is_kept(
    server: Server, chain: Chain, value: dict[str, Any], said: bytes
) -> None:
    server.answers = [error(value)]
    with pytest.raises(Refused) as refused:
        await chain.call(SOMEBODY, b"")
    assert refused.value.data == said
    with pytest.raises(Refused):
        await chain.estimate_gas(SOMEBODY, SOMEBODY, b"")


async def test_a_transaction_that_the_node_has_is_sent_all_the_same(server: Server, chain: Chain) -> None:
    for said in ("already known", "ALREADY_EXISTS: already known", "transaction already imported"):
        server.answers = [error({"code": -32000, "message": said})]
        await chain.send(b"\x02")
    server.answers = [error({"code": -32000, "message": "nonce too low" + "!" * 5_000})]
    with pytest.raises(SendRefused, match="nonce too low") as refused:
        await chain.send(b"\x02")
    assert len(str(refused.value)) <= 300
    for answer in (answering.drop, answering.json_reply({}), result(None), result("0x12")):
        server.answers = [answer]
        with pytest.raises(ChainFailed):
            await chain.send(b"\x02")


async def test_the_nodes_address_which_may_hold_a_key_is_in_no_message(server: Server) -> None:
    server.answers = [answering.drop]
    chain = Chain(Client(), f"{server.url}/v3/secret-key?token=secret-key", 1)
    with pytest.raises(ChainFailed) as failed:
        await chain.check()
    assert "secret-key" not in f"{failed.value.message} {failed.value.hint} {failed.value.detail}"
    assert json.loads(server.requests[0].body)["method"] == "eth_chainId"
