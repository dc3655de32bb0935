"""ENS as the chain has it: who owns a name, which contract answers for it, what it points at."""

from __future__ import annotations

from dataclasses import dataclass

from af.names.backends.chain import Chain, Refused
from af.names.errors_ens import ChainFailed, EnsOffchain
from af.protocols import ens
from af.protocols import ethereum_abi as abi
from af.protocols.ens import Content, InvalidContenthash
from af.protocols.ethereum import Address, to_text
from af.protocols.ethereum_abi import InvalidAnswer

_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameState:
    """A name at the latest block. ``owner`` looks through a name wrapper; ``resolver`` is the contract that answers, of
    the name itself unless ``is_inherited`` (ENSIP-10). ``problem``: why what is there cannot be read."""

    owner: Address | None
    resolver: Address | None
    is_inherited: bool
    content: Content | None
    problem: str


class Ens:
    """The contracts below ``registry``. Every method: :raises ChainFailed: the node gives no sensible answer."""

    def __init__(self, chain: Chain, registry: Address) -> None:
        self.chain = chain
        self._registry = registry

    async def look(self, normal: str) -> NameState:
        """``normal``: the name, normalised. :raises EnsOffchain: its resolver refers to a web server."""
        node = ens.namehash(normal)
        owner = await self._owner(node)
        resolver, inherited = await self._resolver(normal)
        content, problem = None, ""
        if resolver is not None:
            try:
                data = await self._contenthash(resolver, normal, node)
                content = ens.decode_contenthash(data) if data else None
            except InvalidContenthash as error:
                problem = f"its contenthash cannot be read ({error})"
            except (Refused, InvalidAnswer):
                problem = "its resolver does not answer for contenthashes"
        return NameState(owner=owner, resolver=resolver, is_inherited=inherited, content=content, problem=problem)

    async def _owner(self, node: ens.Node) -> Address | None:
        try:
            owner = abi.read_address(await self.chain.call(self._registry, ens.ask_owner(node)))
        except (Refused, InvalidAnswer):
            raise ChainFailed(
                f"There is no ENS registry at {to_text(self._registry)} on chain {self.chain.chain_id}.",
                hint="The operator corrects AF_ENS_REGISTRY or AF_ENS_CHAIN_ID.",
            ) from None
        if owner == _NOBODY:
            return None
        return await self._address(owner, ens.ask_wrapped_owner(node)) or owner

    async def _resolver(self, normal: str) -> tuple[Address | None, bool]:
        """The nearest name's that has one; one of a name above counts only if it answers for those below."""
        for name in ens.parents(normal):
            resolver = await self._address(self._registry, ens.ask_resolver(ens.namehash(name)))
            if resolver is not None:
                if name == normal:
                    return resolver, False
                return (resolver, True) if await self._is_extended(resolver) else (None, False)
        return None, False

    async def _contenthash(self, resolver: Address, normal: str, node: ens.Node) -> bytes:
        question = ens.ask_contenthash(node)
        if not await self._is_extended(resolver):
            return abi.read_bytes(await self.chain.call(resolver, question))
        try:
            answer = await self.chain.call(resolver, ens.ask_extended(normal, question))
        except Refused as refused:
            if refused.data[:4] == ens.OFFCHAIN_LOOKUP:
                raise EnsOffchain(f"The records of {normal} are not on the chain.") from None
            raise
        return abi.read_bytes(abi.read_bytes(answer))

    async def _is_extended(self, resolver: Address) -> bool:
        try:
            return abi.read_number(await self.chain.call(resolver, ens.ask_interface(ens.EXTENDED_RESOLVER))) == 1
        except (Refused, InvalidAnswer):
            return False

    async def _address(self, to: Address, question: bytes) -> Address | None:
        """The address that a contract answers; `None` for none, or when it is no contract that answers this."""
        try:
            found = abi.read_address(await self.chain.call(to, question))
        except (Refused, InvalidAnswer):
            return None
        return None if found == _NOBODY else found
