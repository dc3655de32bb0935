"""Following names: records, DNSLinks, paths, circles; and that a published change shows at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af import names
from af.core.clock import FixedClock
from af.core.context import Context
from af.core.ids import ProjectId
from af.names.errors import DnsOff, NameInvalid, NameNotFound
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import ipns

ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"


async def chain(owner: Context, project: ProjectId, length: int) -> str:
    """A name that leads to ROOT through ``length`` names in all."""
    target = ROOT
    for _ in range(length):
        target = "/ipns/" + (await names.create(owner, project, value=target)).name
    return target


async def test_a_name_resolves_in_every_spelling(owner: Context, project: ProjectId, anybody: Context) -> None:
    made = await names.create(owner, project, value=ROOT)
    name = ipns.parse_name(made.name)

    for text in (made.name, f"/ipns/{made.name}", cids.to_text(name)):
        assert (await names.resolve(anybody, text)).path == ROOT


async def test_paths_are_joined(owner: Context, project: ProjectId, anybody: Context) -> None:
    inner = await names.create(owner, project, value=ROOT + "/docs/")
    outer = await names.create(owner, project, value=f"/ipns/{inner.name}/en")

    assert (await names.resolve(anybody, f"{outer.name}/a/b.html")).path == ROOT + "/docs/en/a/b.html"
    assert (await names.resolve(anybody, outer.name)).path == ROOT + "/docs/en"


async def test_the_time_to_live_is_the_shortest_on_the_way_and_ends_with_the_record(
    owner: Context, project: ProjectId, anybody: Context, clock: FixedClock
) -> None:
    inner = await names.create(owner, project, value=ROOT)
    await names.publish(owner, project, inner.name, ROOT, ttl_seconds=60, lifetime_seconds=600)
    outer = await names.create(owner, project, value=f"/ipns/{inner.name}")

    assert (await names.resolve(anybody, outer.name)).ttl_seconds == 60
    clock.advance(timedelta(seconds=590))
    assert (await names.resolve(anybody, outer.name)).ttl_seconds == 10


async def test_a_domain_resolves_by_the_map(anybody: Context) -> None:
    found = await names.resolve(anybody, "Mapped.example./x")

    assert (found.path, found.ttl_seconds) == (ROOT + "/docs/x", None)


async def test_other_domains_are_not_asked_for_when_dns_is_off(anybody: Context) -> None:
    with pytest.raises(DnsOff):
        await names.resolve(anybody, "example.org")


BAD = [
    "",
    "x",
    "localhost",
    "/ipns/",
    "/ipfs/x",
    ROOT,
    "a..b",
    "a b.org",
    "-x.org",
    "ex\u00e4mple.org",
    "example.org\n",
]
BAD += ["a" * 64 + ".org", "x." * 121 + "x", "\ud800.org"]


@pytest.mark.parametrize("text", BAD)
async def test_what_is_no_name_is_refused(anybody: Context, text: str) -> None:
    with pytest.raises(NameInvalid):
        await names.resolve(anybody, text)


async def test_an_unknown_name_leads_nowhere(anybody: Context) -> None:
    name = ipns.name_of(Ed25519PrivateKey.generate())

    with pytest.raises(NameNotFound):
        await names.resolve(anybody, ipns.to_text(name))
    assert await names.record(anybody, name) is None


async def test_an_expired_name_leads_nowhere(
    owner: Context, project: ProjectId, anybody: Context, clock: FixedClock
) -> None:
    made = await names.create(owner, project, value=ROOT)
    await names.resolve(anybody, made.name)
    clock.advance(timedelta(hours=48, seconds=1))

    with pytest.raises(NameNotFound):
        await names.resolve(anybody, made.name)


async def test_thirty_two_names_are_followed_and_no_more(owner: Context, project: ProjectId, anybody: Context) -> None:
    last = await chain(owner, project, 32)
    assert (await names.resolve(anybody, last)).path == ROOT

    one_more = await names.create(owner, project, value=last)

    with pytest.raises(NameInvalid, match="32"):
        await names.resolve(anybody, one_more.name)


async def test_circles_end(owner: Context, project: ProjectId, anybody: Context) -> None:
    first = await names.create(owner, project)
    second = await names.create(owner, project, value=f"/ipns/{first.name}/a")
    await names.publish(owner, project, first.name, f"/ipns/{second.name}/b")

    for text in (first.name, second.name, "circle.example"):
        with pytest.raises(NameInvalid):
            await names.resolve(anybody, text)


async def test_a_publication_shows_in_the_very_next_answer(
    owner: Context, project: ProjectId, anybody: Context
) -> None:
    made = await names.create(owner, project)
    with pytest.raises(NameNotFound):
        await names.resolve(anybody, made.name)

    for number in range(5):
        await names.publish(owner, project, made.name, f"{ROOT}/{number}")
        assert (await names.resolve(anybody, made.name)).path == f"{ROOT}/{number}"


async def test_the_text_for_dns() -> None:
    link = names.dnslink("Blog.Example.org", ROOT)

    assert (link.name, link.value) == ("_dnslink.blog.example.org", f"dnslink={ROOT}")
    for host, path in (("nodomain", ROOT), ("example.org", "nothing")):
        with pytest.raises(NameInvalid):
            names.dnslink(host, path)
