"""What can go wrong with copies elsewhere."""

from __future__ import annotations

from af.core.errors import Forbidden, InvalidInput, NotFound, Unavailable, Upstream


class ProviderFailed(Upstream):
    """A provider did not answer, or not sensibly."""

    code = "provider_failed"
    number = 3200
    explain = "A storage provider did not answer or answered with an error of its own. We try again by ourselves."


class ProviderRefused(Forbidden):
    """A provider said no."""

    code = "provider_refused"
    number = 3201
    explain = (
        "A storage provider refused the request: wrong credentials, a plan that does not cover it, or content that it "
        "does not take. The message names the provider; correct its settings and the copy is tried again."
    )


class ProviderNotConfigured(Unavailable):
    """The provider has no credentials here."""

    code = "provider_not_configured"
    number = 3202
    explain = "The storage provider is known, but its settings are missing. The message names them."
    retryable = False


class ProviderUnknown(NotFound):
    """No provider has this name."""

    code = "provider_unknown"
    number = 3203
    explain = "A policy names a storage provider that does not exist. `af storage providers` lists them."


class ProviderClosed(Unavailable):
    """The service has shut down."""

    code = "provider_closed"
    number = 3204
    explain = (
        "Storacha (formerly web3.storage) has shut down: writes ended in April 2026 and its gateway in May 2026. "
        "Use Filecoin Pin, Pinata, Filebase, Lighthouse or any pinning service instead."
    )
    retryable = False


class PolicyInvalid(InvalidInput):
    """A policy names no provider, one twice, or too many."""

    code = "policy_invalid"
    number = 3205
    explain = "A replication policy names one to eight different providers. `af replication providers` lists them."


class PolicyNotFound(NotFound):
    """There is no such policy."""

    code = "policy_not_found"
    number = 3206
    explain = "The project, or the site, has no replication policy. `af replication set PROVIDER…` makes one."


class NotReadable(ProviderRefused):
    """The provider keeps content but does not give it out, so copies there cannot be proved."""

    code = "provider_not_readable"
    number = 3207
    explain = (
        "The pinning service has no gateway that we know of, so its copy cannot be read back and checked. "
        "Name its gateway in AF_PINNING_SERVICES."
    )
