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
    from af.replication.backends import pinning

    found: dict[str, Provider] = {}
    absent: dict[str, str] = {}

    def add(name: str, opened: Callable[[], Provider]) -> None:
        try:
            found[name] = opened()
        except ProviderNotConfigured as error:
            absent[name] = error.hint

    for service in json.loads(settings.pinning_services or "[]"):
        found[service["name"]] = pinning.PinningService(client, **service)
    add("pinata", lambda: pinning.open_pinata(settings, client))
    add("filebase", lambda: pinning.open_filebase(settings, client))
    for name, opened in _others(settings, client).items():
        add(name, opened)
    return Providers(found, absent)


def _others(settings: Settings, client: Client) -> dict[str, Callable[[], Provider]]:
    from af.replication.backends.arweave import open_arweave
    from af.replication.backends.filecoin_pin import FilecoinPin, open_filecoin_pin
    from af.replication.backends.lighthouse import Lighthouse, open_lighthouse

    return {
        "arweave": lambda: open_arweave(settings, client),
        Lighthouse.name: lambda: open_lighthouse(settings, client),
        FilecoinPin.name: lambda: open_filecoin_pin(settings, client),
    }
