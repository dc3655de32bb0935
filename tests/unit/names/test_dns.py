"""DNSLinks from a real name server on loopback, which this test runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import dns.message
import dns.rcode
import dns.rrset
import pytest

from af.core import setting_kinds
from af.names.backends import Link
from af.names.backends.dns import DnsTxtLinks
from af.names.errors import DnsFailed

ROOT = "/ipfs/bafkqaddwgevxmmraojswg33smq"


class NameServer(asyncio.DatagramProtocol):
    """Answers TXT questions out of ``texts``; counts them; says SERVFAIL for ``broken.example``."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.ttl = 60
        self.questions = 0
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.questions += 1
        question = dns.message.from_wire(data)
        name = question.question[0].name
        reply = dns.message.make_response(question)
        if name.to_text() == "_dnslink.broken.example.":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif texts := self.texts.get(name.to_text()):
            reply.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "TXT", *texts))
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(reply.to_wire(), address)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    yield protocol
    transport.close()


@pytest.fixture
def links(server: NameServer) -> DnsTxtLinks:
    return DnsTxtLinks([server.transport.get_extra_info("sockname")[:2]])


async def test_a_dnslink_is_found_among_other_texts(server: NameServer, links: DnsTxtLinks) -> None:
    server.texts["_dnslink.example.org."] = ['"v=spf1 -all"', f'"dnslink={ROOT}"', '"dnslink"']

    assert await links.lookup("example.org") == Link(ROOT, 60.0)


async def test_the_first_of_several_in_order_counts(server: NameServer, links: DnsTxtLinks) -> None:
    server.texts["_dnslink.example.org."] = ['"dnslink=/ipns/b.example"', '"dnslink=/ipfs/b"', '"dnslink=/ipfs/a"']

    assert await links.lookup("example.org") == Link("/ipfs/a", 60.0)


async def test_a_text_in_parts_is_put_together(server: NameServer, links: DnsTxtLinks) -> None:
    server.texts["_dnslink.example.org."] = [f'"dnslink={ROOT}" "/{"a" * 200}"']

    assert await links.lookup("example.org") == Link(f"{ROOT}/{'a' * 200}", 60.0)


@pytest.mark.parametrize("texts", [[], ['"v=spf1 -all"'], [f'"dnslink={"x" * 240}"' + f' "{"x" * 250}"' * 9]])
async def test_no_dnslink_is_none(server: NameServer, links: DnsTxtLinks, texts: list[str]) -> None:
    server.texts["_dnslink.example.org."] = texts

    assert await links.lookup("example.org") is None


async def test_answers_are_kept_and_questions_shared(server: NameServer, links: DnsTxtLinks) -> None:
    server.texts["_dnslink.example.org."] = [f'"dnslink={ROOT}"']

    found = await asyncio.gather(*(links.lookup("example.org") for _ in range(20)))
    found += [await links.lookup("example.org")]

    assert set(found) == {Link(ROOT, 60.0)}
    assert server.questions == 1


async def test_that_there_is_none_is_kept_too(server: NameServer, links: DnsTxtLinks) -> None:
    for _ in range(3):
        assert await links.lookup("absent.example") is None

    assert server.questions == 1


async def test_a_failing_server_is_said_to_fail_and_asked_again(server: NameServer, links: DnsTxtLinks) -> None:
    for _ in range(2):
        with pytest.raises(DnsFailed):
            await links.lookup("broken.example")

    assert server.questions >= 2


@pytest.mark.parametrize("text", ["ns.example.org", "9.9.9.9/x", "9.9.9.9:70000", "user@9.9.9.9", "off,9.9.9.9"])
def test_name_servers_are_ip_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        setting_kinds.dns_resolvers(text)


@pytest.mark.parametrize(
    "text", ["example.org", "example.org:", "example.org:/ipfs/", "example.org:/x/y", "a b:/ipfs/x"]
)
def test_a_map_leads_hosts_to_paths(text: str) -> None:
    with pytest.raises(ValueError):
        setting_kinds.dnslink_map(text)


def test_the_map_is_read_host_by_host() -> None:
    text = "a.example:/ipfs/x, B.example:/ipns/c.example/d,"

    assert setting_kinds.dnslinks(text) == {"a.example": "/ipfs/x", "b.example": "/ipns/c.example/d"}
