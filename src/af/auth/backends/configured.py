"""Which login methods this platform has, from its settings."""

from __future__ import annotations

from af.auth.backends import Backend, Methods, oauth
from af.auth.backends.email import Email
from af.auth.backends.ethereum import Ethereum
from af.auth.backends.passkey import Passkeys
from af.auth.backends.sms import Sms
from af.auth.backends.solana import Solana
from af.core.http import Client
from af.core.setting_kinds import chain_addresses
from af.core.settings import Settings


def open_methods(settings: Settings, client: Client) -> Methods:
    """All methods whose settings are there; the others with what they miss."""
    ethereum = Ethereum(client, chain_addresses(settings.ethereum_rpc_urls))
    backends: list[Backend] = [Email(), Passkeys(settings.domain), ethereum, Solana(), Sms()]
    providers, absent = oauth.configured(settings, client)
    backends += providers
    return Methods({backend.name: backend for backend in backends}, absent)
