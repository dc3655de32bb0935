"""Content: blocks by CID, uploads, pins, and what keeps content from being collected.

Not here: names and addresses of content (`af.sites`, `af.domains`), serving it to visitors (`af.gateway`), the formats
themselves (`af.protocols.ipfs`). A block is visible to everybody once public, before that to the projects that put it.

A deployment or pin is made in this order: `receive_car` (blocks verified, durable), `verify_dag` (all there; leased
against collection), `publish` (everybody may see it), then one transaction with `hold` and the caller's own rows.
"""

from __future__ import annotations

from af.storage.backends import BlockStore
from af.storage.errors import (
    ArchiveTooLarge,
    BlockCorrupt,
    BlockMissing,
    DagTooLarge,
    InvalidArchive,
    InvalidDag,
    MissingBlocks,
    PinNotFound,
    StorageFull,
)
from af.storage.models import (
    BlockStats,
    CarReceipt,
    Collection,
    DagSummary,
    ImportReceipt,
    Pin,
    ProjectStats,
    RootKind,
    ScrubReport,
)
from af.storage.service import (
    StoredFile,
    block_stats,
    collect,
    create_pin,
    delete_pin,
    export_car,
    find_pin,
    find_pin_in_folder,
    hold,
    import_archive,
    import_car,
    import_file,
    list_pins,
    missing,
    open_file,
    ping,
    project_stats,
    publish,
    reader,
    receive_car,
    release,
    restore_visibility,
    rights_to_restore,
    scrub,
    verify_dag,
)

__all__ = [
    "ArchiveTooLarge",
    "BlockCorrupt",
    "BlockMissing",
    "BlockStats",
    "BlockStore",
    "CarReceipt",
    "Collection",
    "DagSummary",
    "DagTooLarge",
    "ImportReceipt",
    "InvalidArchive",
    "InvalidDag",
    "MissingBlocks",
    "Pin",
    "PinNotFound",
    "ProjectStats",
    "RootKind",
    "ScrubReport",
    "StorageFull",
    "StoredFile",
    "block_stats",
    "collect",
    "create_pin",
    "delete_pin",
    "export_car",
    "find_pin",
    "find_pin_in_folder",
    "hold",
    "import_archive",
    "import_car",
    "import_file",
    "list_pins",
    "missing",
    "open_file",
    "ping",
    "project_stats",
    "publish",
    "reader",
    "receive_car",
    "release",
    "restore_visibility",
    "rights_to_restore",
    "scrub",
    "verify_dag",
]
