"""Which backends names have in this process, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from af.core import setting_kinds
from af.core.bell import Bell
from af.core.settings import Settings
from af.names.backends import DnsLinks, Link, RecordCache
from af.names.backends.dns import DnsTxtLinks
from af.names.errors import DnsOff


class MappedLinks:
    """``AF_DNSLINK_MAP`` first; everything else is asked of ``others``."""

    def __init__(self, mapped: Mapping[str, str], others: DnsLinks | None) -> None:
        self._mapped = mapped
        self._others = others

    async def lookup(self, domain: str) -> Link | None:
        """:raises DnsOff: not in the map, and nobody else to ask."""
        target = self._mapped.get(domain)
        if target is not None:
            return Link(target, None)
        if self._others is None:
            raise DnsOff(f"{domain} is not in AF_DNSLINK_MAP, and AF_DNS_RESOLVERS is off.")
        return await self._others.lookup(domain)


def open_names(settings: Settings, bell: Bell) -> dict[type[Any], Any]:
    """The ports of this package; a gateway that only reads needs no others."""
    servers = [part.strip() for part in settings.dns_resolvers.split(",") if part.strip()]
    others = None if servers == ["off"] else DnsTxtLinks([setting_kinds.dns_server(server) for server in servers])
    return {
        DnsLinks: MappedLinks(setting_kinds.dnslinks(settings.dnslink_map), others),
        RecordCache: RecordCache(bell),
    }
