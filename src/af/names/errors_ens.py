"""What can go wrong with names of ENS. Numbers 3150-3179."""

from __future__ import annotations

from af.core.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unavailable, Upstream


class EnsNotConfigured(Unavailable):
    """No node of the chain is configured, so nothing can be read or sent."""

    code = "ens_not_configured"
    number = 3150
    retryable = False
    explain = (
        "ENS lives on Ethereum, and the platform knows no node of that chain. The operator sets AF_ETHEREUM_RPC_URLS, "
        "for example 1=https://eth.example.org (AF_ENS_CHAIN_ID names another chain than 1). Without a node nothing "
        "is ever reported as done."
    )


class EnsNameInvalid(InvalidInput):
    """Not a name, or one that ENSIP-15 refuses."""

    code = "ens_name_invalid"
    number = 3151
    explain = (
        "The name is not a valid ENS name such as example.eth: characters that are not allowed or look like others, "
        "an empty label, or no dot. It is normalised as ENSIP-15 says."
    )


class EnsContentInvalid(InvalidInput):
    """Nothing that a contenthash can hold."""

    code = "ens_content_invalid"
    number = 3152
    explain = (
        "An ENS name can point at ipfs://CID, ipns://NAME, bzz://HASH or ar://ID, without a path behind it; at "
        "content of a site through the site's IPNS name (`af ipns create --site`)."
    )


class EnsRecordNotFound(NotFound):
    """The project has no such record."""

    code = "ens_record_not_found"
    number = 3153
    explain = "Your project has no such ENS record. `af ens list` shows what it has."


class EnsRecordTaken(Conflict):
    """The project has a record of that name already."""

    code = "ens_record_taken"
    number = 3154
    explain = "Your project has a record of this ENS name already. Delete it first (`af ens delete`)."


class TooManyEnsRecords(QuotaExceeded):
    """A project has so many records and no more."""

    code = "too_many_ens_records"
    number = 3155
    explain = "A project may have 500 ENS records. Delete those that are no longer needed."


class EnsNameAbsent(NotFound):
    """The chain has no such name, or it leads nowhere."""

    code = "ens_name_absent"
    number = 3156
    explain = (
        "On the chain the ENS name is not registered, or it has no resolver, or its resolver has no contenthash for it."
    )


class EnsRefused(Conflict):
    """A contract of ENS would refuse, or refused, the change."""

    code = "ens_refused"
    number = 3157
    explain = (
        "The contracts of ENS refuse the change, most often because the sender does not own the name; the message has "
        "their reason and the owner. Send it from the owner's wallet, or name the right sender."
    )


class ChainFailed(Upstream):
    """The node did not answer, or not sensibly."""

    code = "chain_failed"
    number = 3158
    explain = (
        "The Ethereum node of AF_ETHEREUM_RPC_URLS did not answer, failed, or belongs to another chain than "
        "AF_ENS_CHAIN_ID. Nothing was reported as done."
    )


class EnsKeyMissing(Unavailable):
    """There is no key to send with."""

    code = "ens_key_missing"
    number = 3159
    retryable = False
    explain = (
        "The platform sends transactions only with a key of its own, AF_ENS_PRIVATE_KEY, which is not set. Sign with "
        "your own wallet or multisig instead: `af ens tx NAME` prints what to sign."
    )


class EnsBusy(Conflict):
    """Two transactions of ours wanted the same number."""

    code = "ens_busy"
    number = 3162
    retryable = True
    explain = "Another transaction of the platform's account was sent at the same moment. Nothing was sent; try again."


class EnsFeeTooHigh(Unavailable):
    """Gas costs more than the operator allows."""

    code = "ens_fee_too_high"
    number = 3160
    explain = "Gas costs more at the moment than AF_ENS_FEE_GWEI_MAX allows. Try again later, or raise the limit."


class EnsOffchain(Unavailable):
    """The name's resolver answers through a web server (EIP-3668)."""

    code = "ens_offchain"
    number = 3161
    retryable = False
    explain = (
        "The name's resolver keeps its records outside of the chain (EIP-3668, as names of exchanges and layer-2 "
        "networks do). Such answers are not read here, and such names are changed where they were issued."
    )
