"""An Ethereum node over JSON-RPC (https://ethereum.github.io/execution-apis/): what ENS needs of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from af.core.errors import Error
from af.core.http import Client
from af.names.errors_ens import ChainFailed
from af.protocols.ethereum import Address

CALL_SECONDS = 15.0
ANSWER_BYTES_MAX = 2 << 20  # a block's head has a list of its transactions' hashes
_REVERTED = 3  # geth and most others, for a contract that refuses
_QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]{0,63})")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")
_HASH = re.compile(r"0x[0-9a-f]{64}")
GWEI = 10**9


class Refused(Exception):
    """A contract refused a call; ``data`` is what it said, encoded."""

    def __init__(self, data: bytes) -> None:
        super().__init__("a contract refused")
        self.data = data


class SendRefused(Exception):
    """The node does not take a transaction; the message is its own."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction."""

    succeeded: bool
    block: str


class Chain:
    """The node at ``url``, which must be of chain ``chain_id``.

    Every method: :raises ChainFailed: it gives no sensible answer.
    """

    def __init__(self, client: Client, url: str, chain_id: int) -> None:
        self._client = client
        self._url = url
        self.chain_id = chain_id

    async def check(self) -> None:
        """:raises ChainFailed: also when the node is of another chain."""
        found = _quantity(await self._ask("eth_chainId"))
        if found != self.chain_id:
            raise ChainFailed(
                f"The node of AF_ETHEREUM_RPC_URLS for chain {self.chain_id} is of chain {found}.",
                hint="The operator corrects the setting.",
            )

    async def call(self, to: Address, data: bytes, *, sender: Address | None = None, block: str = "latest") -> bytes:
        """What a contract answers; nothing changes. :raises Refused:"""
        call = {"to": _hex(to), "data": _hex(data)} | ({"from": _hex(sender)} if sender else {})
        return _data(await self._ask("eth_call", call, block))

    async def estimate_gas(self, sender: Address, to: Address, data: bytes) -> int:
        """:raises Refused: the transaction would fail."""
        call = {"from": _hex(sender), "to": _hex(to), "data": _hex(data)}
        return _quantity(await self._ask("eth_estimateGas", call, "latest"))

    async def fees(self) -> tuple[int, int]:
        """(base fee of the latest block, tip that gets a transaction mined), in wei for a unit of gas."""
        head = await self._ask("eth_getBlockByNumber", "latest", False)
        base = head.get("baseFeePerGas") if isinstance(head, Mapping) else None
        tip = _quantity(await self._ask("eth_maxPriorityFeePerGas"))
        return _quantity(base), tip

    async def nonce(self, account: Address) -> int:
        """The next number of a transaction of ``account``, those that wait included."""
        return _quantity(await self._ask("eth_getTransactionCount", _hex(account), "pending"))

    async def send(self, signed: bytes) -> None:
        """Hand over a transaction; again is harmless. :raises SendRefused:"""
        body = await self._exchange("eth_sendRawTransaction", [_hex(signed)])
        error = body.get("error")
        if error is None:
            if not isinstance(body.get("result"), str) or not is_transaction_hash(body["result"].lower()):
                raise ChainFailed("The node does not say that it has the transaction.", detail=f"{body!r:.300}")
            return
        said = str(error.get("message", "") if isinstance(error, Mapping) else error)[:300]
        if "already known" in said.lower() or "already imported" in said.lower():
            return
        raise SendRefused(said)

    async def receipt(self, transaction: str) -> Receipt | None:
        """`None`: not mined, or unknown."""
        found = await self._ask("eth_getTransactionReceipt", transaction)
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise ChainFailed("The node's receipt is none.", detail=str(found)[:300])
        return Receipt(_quantity(found.get("status")) == 1, _hex_quantity(found.get("blockNumber")))

    async def why_failed(self, transaction: str, block: str) -> bytes:
        """What the contract said to a mined transaction that failed: the same call, once more at that block."""
        found = await self._ask("eth_getTransactionByHash", transaction)
        if not isinstance(found, Mapping) or not found.get("to"):
            return b""
        sender, to = _data(found.get("from")), _data(found.get("to"))
        try:
            await self.call(Address(to), _data(found.get("input")), sender=Address(sender), block=block)
        except Refused as refused:
            return refused.data
        return b""

    async def _ask(self, method: str, *parameters: Any) -> Any:
        answer = await self._exchange(method, parameters)
        error = answer.get("error")
        if error is None:
            if "result" not in answer:
                raise ChainFailed("The Ethereum node's answer has no result.", detail=f"{method}: {answer!r:.300}")
            return answer["result"]
        if isinstance(error, Mapping) and method in ("eth_call", "eth_estimateGas"):
            message = str(error.get("message", "")).lower()
            if error.get("code") == _REVERTED or "revert" in message:
                raise Refused(_said(error.get("data")))
        raise ChainFailed("The Ethereum node failed.", hint="Try again later.", detail=f"{method}: {error!r:.300}")

    async def _exchange(self, method: str, parameters: Any) -> Mapping[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            reply = await self._client.request(
                "POST",
                self._url,
                headers={"Content-Type": "application/json"},
                body=json.dumps(body).encode(),
                limit_bytes=ANSWER_BYTES_MAX,
                timeout_seconds=CALL_SECONDS,
                allow_private=True,  # the address is from our settings
                follow_redirects=False,
            )
            answer = json.loads(reply.body)
        except Error as error:
            raise ChainFailed(
                "The Ethereum node does not answer.", hint="Try again later.", detail=str(error)
            ) from error
        except (ValueError, RecursionError) as error:
            raise ChainFailed("The Ethereum node's answer is not JSON.", detail=f"{reply.status}") from error
        if not isinstance(answer, Mapping):
            raise ChainFailed("The Ethereum node's answer is no JSON-RPC.", detail=f"{reply.status}: {answer!r:.300}")
        return answer


def is_transaction_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def _said(data: Any) -> bytes:
    """The refusal's bytes; some nodes put them into an object."""
    if isinstance(data, Mapping):
        data = data.get("data")
    if isinstance(data, str) and _DATA.fullmatch(data):
        return bytes.fromhex(data[2:])
    return b""


def _quantity(value: Any) -> int:
    return int(_hex_quantity(value), 16)


def _hex_quantity(value: Any) -> str:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise ChainFailed("The Ethereum node's answer is not a number.", detail=f"{value!r:.100}")
    return value


def _data(value: Any) -> bytes:
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise ChainFailed("The Ethereum node's answer is not data.", detail=f"{value!r:.100}")
    return bytes.fromhex(value[2:])


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
