"""DNSLinks from DNS: TXT records at ``_dnslink.<domain>`` that say ``dnslink=/ipfs/…``, kept as long as DNS allows.

dnspython is imported at the first question, so that processes which never ask do not pay for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from af.core.clock import monotonic
from af.names.backends import Link
from af.names.errors import DnsFailed

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

ANSWERS_MAX = 10_000
ANSWER_SECONDS_MAX = 5.0
KEEP_SECONDS_MIN = 1.0
KEEP_SECONDS_MAX = 600.0
KEEP_ABSENT_SECONDS = 30.0
QUESTIONS_AT_ONCE_MAX = 32
_RECORDS_READ = 64
_TARGET_MAX = 2_048
_PREFIX = "dnslink="


class DnsTxtLinks:
    """Asks ``servers`` (address, port), or those of the system if there are none."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._servers = servers
        self._resolver: Resolver | None = None
        self._known: OrderedDict[str, tuple[float, Link | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Future[Link | None]] = {}
        self._places = asyncio.Semaphore(QUESTIONS_AT_ONCE_MAX)

    async def lookup(self, domain: str) -> Link | None:
        """:raises DnsFailed:"""
        kept = self._known.get(domain)
        if kept is not None and monotonic() < kept[0]:
            self._known.move_to_end(domain)
            return kept[1]
        asking = self._asking.get(domain)
        if asking is None:  # those who ask the same meanwhile wait for this answer
            asking = asyncio.ensure_future(self._ask(domain))
            self._asking[domain] = asking
            asking.add_done_callback(lambda done: self._answered(domain, done))
        return await asyncio.shield(asking)

    def _answered(self, domain: str, done: asyncio.Future[Link | None]) -> None:
        self._asking.pop(domain, None)
        if not done.cancelled():
            done.exception()  # whoever asked may have left; then nobody else looks at it

    async def _ask(self, domain: str) -> Link | None:
        async with self._places:
            link = await self._question(domain)
        seconds = KEEP_ABSENT_SECONDS
        if link is not None and link.ttl_seconds is not None:
            seconds = min(max(link.ttl_seconds, KEEP_SECONDS_MIN), KEEP_SECONDS_MAX)
        self._known[domain] = (monotonic() + seconds, link)
        self._known.move_to_end(domain)
        if len(self._known) > ANSWERS_MAX:
            self._known.popitem(last=False)
        return link

    async def _question(self, domain: str) -> Link | None:
        import dns.exception
        import dns.resolver

        try:
            if self._resolver is None:
                self._resolver = _resolver(self._servers)
            answer = await self._resolver.resolve(f"_dnslink.{domain}.", "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise DnsFailed(f"DNS did not answer for {domain}.", detail=repr(error)) from error
        texts = [b"".join(record.strings).decode("utf-8", "replace") for record in list(answer)[:_RECORDS_READ]]
        links = (text.removeprefix(_PREFIX).strip() for text in texts if text.startswith(_PREFIX))
        targets = sorted(
            target for target in links if len(target) <= _TARGET_MAX
        )  # the first of them, says dnslink.dev
        ttl = float(answer.rrset.ttl) if answer.rrset is not None else 0.0
        return Link(targets[0], ttl) if targets else None


def _resolver(servers: Sequence[tuple[str, int]]) -> Resolver:
    from dns.asyncresolver import Resolver
    from dns.nameserver import Do53Nameserver

    resolver = Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [Do53Nameserver(address, port) for address, port in servers]
    resolver.lifetime = ANSWER_SECONDS_MAX
    resolver.cache = None
    return resolver
