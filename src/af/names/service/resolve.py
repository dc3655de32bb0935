"""Where names lead. Public: anybody may ask, and nothing is written, so that a gateway on its own can answer."""

from __future__ import annotations

from af.core.context import Context
from af.names import rules
from af.names.backends import DnsLinks, RecordCache
from af.names.errors import NameInvalid, NameNotFound
from af.names.models import DnsLink, Resolution
from af.names.rules import Target
from af.names.service import signing
from af.protocols.ipfs import ipns


async def record(ctx: Context, name: ipns.Name) -> bytes | None:
    """The newest record of the name that is kept here and has not expired."""
    found = await _record(ctx, name)
    return None if found is None else found.data


async def resolve(ctx: Context, text: str) -> Resolution:
    """Follow an IPNS name or a domain with DNSLink, with or without ``/ipns/`` before and a path behind it, to the
    ``/ipfs/`` path that it stands for, through at most 32 names. The time to live is the shortest on the way.

    :raises NameNotFound: one of them leads nowhere.
    :raises NameInvalid: one of them is no name, or they go in a circle.
    :raises DnsFailed, DnsOff: DNS could not be asked.
    """
    target = _start(text)
    ttl_seconds: float | None = None
    for _ in range(rules.HOPS_MAX):
        if target.kind == "ipfs":
            return Resolution(path=target.path, ttl_seconds=ttl_seconds)
        following, ttl = await _next(ctx, target.name)
        target = rules.joined(following, target.rest)
        if ttl is not None:
            ttl_seconds = ttl if ttl_seconds is None else min(ttl, ttl_seconds)
    if target.kind == "ipfs":
        return Resolution(path=target.path, ttl_seconds=ttl_seconds)
    raise NameInvalid(f"{text[:80]} leads through more than {rules.HOPS_MAX} names, or in a circle.")


def dnslink(host: str, path: str) -> DnsLink:
    """The TXT record that makes ``host`` lead to ``path``. :raises NameInvalid: not a domain, or no path."""
    return DnsLink(name=f"_dnslink.{rules.domain_of(host)}", value=f"dnslink={rules.read_target(path).path}")


def _start(text: str) -> Target:
    target = rules.read_target(text if text.startswith("/") else f"/ipns/{text}")
    if target.kind != "ipns":
        raise NameInvalid(f"{text[:80]!r} is no name.")
    return target


async def _next(ctx: Context, name: str) -> tuple[Target, float | None]:
    """One step: what the name's record or DNSLink says, and how long that holds."""
    ipns_name = rules.as_ipns_name(name)
    if ipns_name is None:
        return await _follow_domain(ctx, name)
    found = await _record(ctx, ipns_name)
    if found is None:
        raise NameNotFound(f"Nothing is published under {name}.")
    left = (found.valid_until - ctx.now).total_seconds()
    try:
        return rules.read_target(found.value.decode("utf-8")), max(0.0, min(found.ttl_seconds, left))
    except UnicodeDecodeError as error:
        raise NameInvalid(f"The record of {name} leads to no path.") from error


async def _follow_domain(ctx: Context, domain: str) -> tuple[Target, float | None]:
    link = await ctx.get(DnsLinks).lookup(domain)  # type: ignore[type-abstract]  # a protocol is the key of its implementation
    if link is None:
        raise NameNotFound(f"{domain} has no DNSLink.", hint=f"It is a TXT record at _dnslink.{domain}.")
    return rules.read_target(link.target), link.ttl_seconds


async def _record(ctx: Context, name: ipns.Name) -> ipns.Record | None:
    cache = ctx.get(RecordCache)
    kept = cache.get(name)
    if kept is None:
        mark = cache.mark()
        kept = (await signing.newest(ctx, name, valid_at=ctx.now),)
        cache.put(name, kept[0], mark)
    found = kept[0]
    return None if found is None or found.is_expired(ctx.now) else found
