"""Sign-In with Ethereum (EIP-4361): MetaMask, WalletConnect and every other wallet with ``personal_sign``.

A key proves its address on all chains. A contract wallet (EIP-1271) proves it on its own chain only, by asking a node
of that chain, and is therefore another identity than a key: whoever made a contract at one address on one chain need
not be who holds that address on another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from af.auth.backends import Asked, Identity, Opening, Proof, wallets
from af.auth.errors import InvalidClaim, WrongProof
from af.core.errors import TooLarge, Upstream
from af.core.http import Client
from af.protocols import ethereum, siwe
from af.protocols.ethereum import Address, InvalidAddress, InvalidSignature

CHAIN_ID_MAX = 2**63 - 1 - 36  # EIP-2294
SIGNATURE_BYTES_MAX = 8192  # a contract wallet's may hold passkey data or several signatures
ANSWER_BYTES_MAX = 64 << 10
CALL_SECONDS = 10.0
_REVERTED = 3  # the code of geth and most others for a contract that refuses


class Ethereum:
    """The claim is ``{"address", "chainId"?}``; the answer ``{"signature", "message"?, "address"?}``. ``rpc_urls``:
    chain id -> a node's JSON-RPC address, from our settings."""

    name = "ethereum"
    title = "Ethereum wallet"
    life = wallets.LIFE
    attempts_max = wallets.ATTEMPTS_MAX
    bound = False

    def __init__(self, client: Client, rpc_urls: Mapping[str, str]) -> None:
        self._client = client
        self._rpc_urls = rpc_urls

    async def begin(self, asked: Asked) -> Opening:
        chain_id = str(asked.claim.get("chainId", "1"))
        if not (chain_id.isascii() and chain_id.isdigit() and chain_id[0] != "0" and len(chain_id) < 20):
            raise InvalidClaim("The chain id is a number such as 1.", field="chainId")
        if int(chain_id) > CHAIN_ID_MAX:
            raise InvalidClaim("No chain has such a large id.", field="chainId")
        try:
            address = ethereum.parse_address(str(asked.claim.get("address", "")))
        except InvalidAddress as error:
            raise InvalidClaim(str(error), field="address") from None
        shown = ethereum.to_text(address)
        return wallets.open_question(asked, siwe.write, subject=shown.lower(), address=shown, chain_id=chain_id)

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        text, message = wallets.signed_message(secret, proof, siwe.parse)
        address = ethereum.parse_address(message.address)
        _check_address(proof.values.get("address"), address)
        signature = _signature(proof.values.get("signature"))
        digest = ethereum.hash_of_text(text)
        chain_id: str = secret["chain_id"]
        try:
            matches = ethereum.recover(digest, signature) == address
            why = "" if matches else "another key signed"
        except InvalidSignature as invalid:
            matches, why = False, str(invalid)
        if matches:
            return Identity(message.address.lower(), message.address, data={"chainId": chain_id})
        if chain_id not in self._rpc_urls:
            raise WrongProof(
                f"The signature is not this account's for this message: {why}.",
                hint="Choose the account that you began with. A smart contract wallet needs a node of its chain: the "
                f"operator sets AF_ETHEREUM_RPC_URLS for chain {chain_id}.",
                field="signature",
            )
        if not await self._contract_agrees(chain_id, address, digest, signature):
            raise WrongProof(
                f"The signature is not this account's for this message: {why}, and no contract on chain {chain_id} "
                "agrees.",
                hint="Choose the account, and the network of a smart contract wallet, that you began with.",
                field="signature",
            )
        label = f"{message.address} (chain {chain_id})"
        return Identity(f"eip155:{chain_id}:{message.address.lower()}", label, data={"chainId": chain_id})

    async def _contract_agrees(self, chain_id: str, wallet: Address, digest: bytes, signature: bytes) -> bool:
        """EIP-1271, and ERC-6492 for a wallet that is not on the chain yet. :raises Upstream: the node fails."""
        if not ethereum.is_deployless(signature):
            call = {"to": _hex(wallet), "data": _hex(ethereum.validity_call(digest, signature))}
            return ethereum.is_valid_answer(await self._call(chain_id, call))
        try:
            factory, preparation, inner = ethereum.open_deployless(signature)
        except InvalidSignature:
            return False
        check = ethereum.validity_call(digest, inner)
        if ethereum.is_valid_answer(await self._call(chain_id, {"to": _hex(wallet), "data": _hex(check)})):
            return True
        program = ethereum.deploy_and_check(factory, preparation, wallet, check)
        return ethereum.is_valid_answer(await self._call(chain_id, {"data": _hex(program)}))

    async def _call(self, chain_id: str, call: Mapping[str, str]) -> bytes:
        """``eth_call``: nothing on the chain changes. Empty when the contract refuses."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
        try:
            reply = await self._client.request(
                "POST",
                self._rpc_urls[chain_id],
                headers={"Content-Type": "application/json"},
                body=json.dumps(body).encode(),
                limit_bytes=ANSWER_BYTES_MAX,
                timeout_seconds=CALL_SECONDS,
                allow_private=True,
            )
        except TooLarge:
            return b""  # a wallet answers one word
        return _result(chain_id, reply.status, reply.body)


def _result(chain_id: str, status: int, body: bytes) -> bytes:
    """The bytes that a JSON-RPC answer carries."""
    what = f"The node of chain {chain_id} could not check the contract wallet."
    try:
        answer = json.loads(body)
        error = answer.get("error")
        if error is not None:
            if error.get("code") == _REVERTED or "revert" in str(error.get("message")).lower():
                return b""
            raise Upstream(what, hint="Try again later.", detail=f"{status}: {str(error)[:300]}")
        return bytes.fromhex(answer["result"].removeprefix("0x"))
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise Upstream(what, hint="Try again later.", detail=f"{status}: {body[:300]!r}") from error


def _check_address(given: object, address: Address) -> None:
    try:
        same = given is None or ethereum.parse_address(str(given)) == address
    except InvalidAddress:
        same = False
    if not same:
        raise WrongProof("Another account was asked to sign.", hint="Begin again with this one.", field="address")


def _signature(text: object) -> bytes:
    try:
        if not isinstance(text, str) or not text.startswith("0x") or len(text) > 2 + 2 * SIGNATURE_BYTES_MAX:
            raise ValueError
        if not text.isascii() or any(character.isspace() for character in text):
            raise ValueError  # bytes.fromhex skips blanks
        return bytes.fromhex(text[2:])
    except ValueError:
        raise WrongProof(
            f"The signature is not 0x and hexadecimal digits of at most {SIGNATURE_BYTES_MAX} bytes.",
            hint="Send what personal_sign gave.",
            field="signature",
        ) from None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
