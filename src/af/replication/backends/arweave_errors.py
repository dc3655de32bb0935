"""What can go wrong with Arweave in particular."""

from __future__ import annotations

from af.replication.errors import ProviderNotConfigured, ProviderRefused


class TooExpensive(ProviderRefused):
    """The price is above AF_ARWEAVE_WINSTON_MAX; nothing was sent."""

    code = "arweave_too_expensive"
    number = 3240
    explain = (
        "Storing this on Arweave would cost more than AF_ARWEAVE_WINSTON_MAX allows for one upload. Nothing was sent "
        "or paid. Raise the setting, or store less."
    )


class NotPaid(ProviderRefused):
    """The wallet, or its credit at the upload service, does not cover the upload."""

    code = "arweave_not_paid"
    number = 3241
    explain = (
        "The Arweave wallet has not enough AR, or no credit at the upload service. Send AR to its address, or buy "
        "credit for it (for Turbo: https://turbo.ardrive.io), and try again."
    )


class KeyUnusable(ProviderNotConfigured):
    """The key file cannot be read, or is none."""

    code = "arweave_key_unusable"
    number = 3242
    explain = (
        "AF_ARWEAVE_KEY_FILE (or AF_ARWEAVE_KEY) must be the key file of an Arweave wallet: the JWK of an RSA key of "
        "4096 bits, as wallets export it."
    )


class ManifestImpossible(ProviderRefused):
    """The files cannot be one site on Arweave."""

    code = "arweave_files_impossible"
    number = 3243
    explain = (
        "A site on Arweave has 1 to 100,000 files, with paths of at most 4,096 bytes and content types of at most 200 "
        "characters. Store the content as one CAR instead, or leave files out."
    )
