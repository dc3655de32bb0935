"""Which providers this platform has, from its settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from af.core.http import Client
from af.core.settings import Settings
from af.replication.backends import Provider
from af.replication.errors import ProviderClosed, ProviderNotConfigured, ProviderUnknown

_CLOSED = ("storacha", "web3.storage")


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers that can be used, and for those that cannot what they miss."""

    by_name: Mapping[str, Provider]
    absent: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Provider:
        """:raises ProviderUnknown, ProviderNotConfigured, ProviderClosed:"""
        if name in _CLOSED:
            raise ProviderClosed(
                "Storacha (web3.storage) has shut down.",
                hint="Use filecoin-pin, pinata, filebase, lighthouse or another pinning service.",
            )
        if name in self.absent:
            raise ProviderNotConfigured(f"The provider {name} is not configured here.", hint=self.absent[name])
        if name not in self.by_name:
            raise ProviderUnknown(
                f"There is no provider called {name[:40]!r}.", hint="`af replication providers` lists them."
            )
        return self.by_name[name]


def open_providers(settings: Settings, client: Client) -> Providers:
    """All providers whose settings are there; the others with what they miss."""
    from af.replication.backends import arweave, filecoin_pin, lighthouse, pinning

    found: dict[str, Provider] = {}
    for service in json.loads(settings.pinning_services or "[]"):
        found[service["name"]] = pinning.PinningService(client, **service)
    absent: dict[str, str] = {}
    openers: dict[str, Callable[[Settings, Client], Provider]] = {
        "pinata": pinning.open_pinata,
        "filebase": pinning.open_filebase,
        "lighthouse": lighthouse.open_lighthouse,
        "filecoin-pin": filecoin_pin.open_filecoin_pin,
        "arweave": arweave.open_arweave,
    }
    for name, opened in openers.items():
        try:
            found.setdefault(name, opened(settings, client))
        except ProviderNotConfigured as error:
            absent[name] = error.hint
    return Providers(found, absent)
