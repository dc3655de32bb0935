"""What can go wrong with content."""

from __future__ import annotations

from collections.abc import Sequence

from af.core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    RateLimited,
    TooLarge,
    Unavailable,
    Upstream,
)
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID

MISSING_SHOWN = 100


class BlockMissing(NotFound):
    """The store does not have the block, or the asker may not see it."""

    code = "block_missing"
    number = 3001
    explain = "A block is not in this store, or your project cannot see it. Upload the content again."

    def __init__(self, cid: CID, *, detail: str = "") -> None:
        super().__init__(
            f"The block {cids.to_text(cid)} is not here.",
            hint=f"Have it fetched from elsewhere: af pins add {cids.to_text(cid)}",
            detail=detail,
        )
        self.cid = cid


class BlockCorrupt(Unavailable):
    """The block's bytes on disk do not match its CID."""

    code = "block_corrupt"
    number = 3002
    retryable = False
    explain = (
        "The disk gave back other bytes than were stored, so the block is not served. Uploading the same content again "
        "heals it. Check the disk, then run `af storage scrub`."
    )

    def __init__(self, cid: CID, *, detail: str = "") -> None:
        super().__init__(
            f"The block {cids.to_text(cid)} is damaged on disk.",
            hint="Upload the same content again to heal it; `af storage scrub` lists all damage.",
            detail=detail,
        )
        self.cid = cid


class StorageFull(Unavailable):
    """No room on the disk for more blocks; reading goes on."""

    code = "storage_full"
    number = 3003
    http_status = 507  # and not 503, which clients take for a reason to try again at once
    retryable = False
    explain = (
        "The disk that holds blocks has less free space than AF_DISK_FREE_BYTES_MIN, so uploads are refused. What is "
        "stored keeps being served. Free some space, delete sites or pins and run `af storage gc`."
    )

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(
            "The disk is full: nothing more can be stored.",
            hint="Free disk space, or delete what is no longer needed and run `af storage gc`.",
            detail=detail,
        )


class StoreFailed(Unavailable):
    """The disk or the index refused to write."""

    code = "store_failed"
    number = 3004
    explain = "The block store could not write or read. The log names the file and the system's error; check the disk."


class InvalidCarBlock(InvalidInput):
    """A block in a CAR does not match its CID."""

    code = "invalid_car_block"
    number = 3005
    http_status = 422
    explain = "A block in the CAR file does not hash to its CID, or uses a hash that we cannot compute."

    def __init__(self, cid: CID, offset: int, why: str) -> None:
        super().__init__(f"The block {cids.to_text(cid)} at byte {offset:,} {why}.")
        self.cid = cid
        self.offset = offset


class InvalidCarFile(InvalidInput):
    """The body is not a CAR, or not a whole one; ``offset`` is where the trouble begins."""

    code = "invalid_car"
    number = 3006
    http_status = 422
    explain = (
        "The body is not a well-formed CAR (version 1 or 2): cut short, with trailing bytes, or with a bad header."
    )

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class MissingBlocks(Conflict):
    """A DAG is not whole: ``cids`` are the first missing blocks, ``count`` how many were found to be missing."""

    code = "missing_blocks"
    number = 3007
    explain = "Some blocks below this CID were never uploaded to your project. Upload what is missing and try again."

    def __init__(self, root: CID, missing: Sequence[CID], count: int) -> None:
        shown = ", ".join(cids.to_text(cid) for cid in missing[:3])
        super().__init__(
            f"{count:,} blocks below {cids.to_text(root)} are missing: {shown}{' …' if count > 3 else ''}.",
            hint=f"Upload the missing blocks, then try again; or have them fetched: af pins add {cids.to_text(root)}",
        )
        self.cids = tuple(missing[:MISSING_SHOWN])
        self.count = count


class InvalidDag(InvalidInput):
    """A node below the root cannot be read as what its CID says it is."""

    code = "invalid_dag"
    number = 3008
    http_status = 422
    explain = "A node of the content is malformed, or of a kind that cannot be walked (dag-pb, raw, dag-cbor can)."


class DagTooLarge(TooLarge):
    """More files, blocks or levels than allowed."""

    code = "dag_too_large"
    number = 3009
    explain = "The content has more files than AF_FILES_MAX, or is too deep or too wide to be walked."


class InvalidArchive(InvalidInput):
    """Not an archive we read, or one with entries we refuse."""

    code = "invalid_archive"
    number = 3010
    http_status = 422
    explain = (
        "The archive is not a tar, tar.gz or zip, is damaged, or has an entry that is refused: absolute or '..' paths, "
        "links that leave the archive, hard links, devices, encrypted or duplicate entries."
    )


class ArchiveTooLarge(TooLarge):
    """The archive unpacks to more than allowed."""

    code = "archive_too_large"
    number = 3011
    explain = "The archive unpacks to more than AF_ARCHIVE_BYTES_MAX, has more than AF_FILES_MAX files, or is a bomb."


class PinNotFound(NotFound):
    """The project does not keep this CID."""

    code = "pin_not_found"
    number = 3012
    explain = "Your project has no pin for this CID. `af storage list` shows what it keeps."

    def __init__(self, cid: str) -> None:
        super().__init__(f"Nothing is pinned under {cid}.", hint="`af storage list` shows what is kept.")


class BlockServiceFailed(Upstream):
    """The block store behind the configured RPC address failed."""

    code = "block_service_failed"
    number = 3013
    explain = "The Kubo node at AF_KUBO_RPC_URL did not answer or refused. Start it, or check the address."


class InvalidContentId(InvalidInput):
    """Not a CID."""

    code = "invalid_cid"
    number = 3014
    explain = "A value that should be a CID is none. CIDs look like bafybei… or Qm…."


class NotStoredFile(NotFound):
    """The path does not lead to a file below the CID."""

    code = "path_not_found"
    number = 3015
    explain = "There is no file at this path below the CID."


class StoreBusy(Conflict):
    """Another process does this already."""

    code = "store_busy"
    number = 3016
    retryable = True
    explain = "Another garbage collection or scrub is running on this store. Wait for it to end."


class PinRequestNotFound(NotFound):
    """The project made no such pin request."""

    code = "pin_request_not_found"
    number = 3040
    explain = "No pin request of your project has this id: it was removed or replaced. `af pins list` shows those left."

    def __init__(self, request_id: str) -> None:
        super().__init__(f"There is no pin request {request_id[:80]}.")


class InvalidPinRequest(InvalidInput):
    """A pin, or a question for pins, that does not follow the Pinning Service API."""

    code = "invalid_pin_request"
    number = 3041
    explain = (
        "The pin object or the filter does not follow the IPFS Pinning Service API 1.0.0: a name has at most 255 "
        "characters, there are at most 20 origins, meta holds texts, status is queued, pinning, pinned or failed."
    )


class PinQuotaExceeded(QuotaExceeded):
    """The project keeps as much as it may, or would with this."""

    code = "pin_quota_exceeded"
    number = 3042
    explain = "Your project keeps as much as AF_PIN_BYTES_MAX allows. Remove pins, or have the operator raise it."


class TooManyPinRequests(RateLimited):
    """Too many pin requests of one project wait or are kept."""

    code = "too_many_pin_requests"
    number = 3043
    retryable = False
    explain = "Your project has too many pin requests that wait, or too many in all. Wait, or remove some."


class RetrievalFailed(Upstream):
    """No source gave what was asked for."""

    code = "retrieval_failed"
    number = 3044
    retryable = False  # every source was asked several times
    explain = (
        "A block of the content came from none of the sources: the project's own blocks, the Kubo node at "
        "AF_KUBO_RPC_URL, the pin's origins, the gateways of AF_RETRIEVAL_GATEWAYS. What each said is in the message."
    )


class RetrievalTooSlow(Upstream):
    """The content did not come within its time."""

    code = "retrieval_too_slow"
    number = 3045
    retryable = False
    explain = "The content took longer than AF_RETRIEVAL_SECONDS_MAX. What came stays for a while: ask again to go on."


class PinRequestGone(Conflict):
    """The pin request was removed while it was worked on."""

    code = "pin_request_gone"
    number = 3046
    explain = "The pin request was removed or replaced while its content was being fetched, so the work was ended."


class KuboNotConfigured(Unavailable):
    """There is no Kubo node to ask."""

    code = "kubo_not_configured"
    number = 3070
    retryable = False
    explain = (
        "This needs a Kubo node, and none is configured. Start with `af up --kubo`, which runs one beside the "
        "platform, or name one that runs elsewhere by AF_KUBO_RPC_URL (and AF_KUBO_RPC_TOKEN)."
    )


class KuboUnreachable(BlockServiceFailed):
    """The node does not answer."""

    code = "kubo_unreachable"
    number = 3071
    explain = (
        "The Kubo node at AF_KUBO_RPC_URL does not answer. Start it (`ipfs daemon`), or check the address: it is that "
        "of the RPC API (port 5001), not of the gateway. A node of `af up --kubo` is started again by itself; the log "
        "says why it ended."
    )


class KuboRefused(BlockServiceFailed):
    """The node answered that it cannot do this; the message quotes it."""

    code = "kubo_refused"
    number = 3072
    explain = "The Kubo node answered with an error, which the message quotes. Its own log may say more."


class KuboUnauthorized(BlockServiceFailed):
    """The node wants other credentials."""

    code = "kubo_unauthorized"
    number = 3073
    retryable = False
    explain = (
        "The Kubo node refuses our credentials. Set AF_KUBO_RPC_TOKEN to the secret of a bearer entry in its "
        "configuration (API.Authorizations), with /api/v0 among its AllowedPaths."
    )


class BucketUnreachable(StoreFailed):
    """The S3 server did not answer, also after several tries."""

    code = "bucket_unreachable"
    number = 3060
    explain = (
        "The S3 server at AF_S3_ENDPOINT did not answer. Blocks in this machine's cache are still served. Check the "
        "address and the network; `af doctor` says whether the bucket answers."
    )

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(
            "The S3 server does not answer.",
            hint="Check AF_S3_ENDPOINT and the network; `af doctor` tries the bucket.",
            detail=f"{endpoint}: {why}",
        )


class BucketRefused(StoreFailed):
    """The S3 server answered with a refusal that will not pass by itself."""

    code = "bucket_refused"
    number = 3061
    retryable = False
    explain = (
        "The S3 server refused: a wrong key, secret or region, a bucket that does not exist, or a key that may not do "
        "it. The message says which of the AF_S3_... settings to look at; `af doctor` tries them."
    )


class WrongBucket(StoreFailed):
    """The bucket and the index in the database do not belong together."""

    code = "wrong_bucket"
    number = 3062
    retryable = False
    explain = (
        "The bucket is not the one that the database knows: another platform has taken it over, it was emptied, or "
        "AF_S3_BUCKET or AF_S3_PREFIX changed. Nothing is written, so that no content is lost."
    )
