"""What storage does, by use: blocks in and out, whole DAGs, archives, pins, export, upkeep."""

from __future__ import annotations

from af.storage.service.access import may_upload
from af.storage.service.archive import import_archive, import_file
from af.storage.service.blocks import missing, reader, receive_car
from af.storage.service.dag import hold, publish, release, verify_dag
from af.storage.service.export import StoredFile, export_car, open_file
from af.storage.service.pins import (
    create_pin,
    delete_pin,
    find_pin,
    find_pin_in_folder,
    forget_project,
    import_car,
    list_pins,
    project_stats,
    projects_to_forget,
)
from af.storage.service.upkeep import block_stats, collect, ping, restore_visibility, rights_to_restore, scrub

__all__ = [
    "StoredFile",
    "block_stats",
    "collect",
    "create_pin",
    "delete_pin",
    "export_car",
    "find_pin",
    "find_pin_in_folder",
    "forget_project",
    "hold",
    "import_archive",
    "import_car",
    "import_file",
    "list_pins",
    "may_upload",
    "missing",
    "open_file",
    "ping",
    "project_stats",
    "projects_to_forget",
    "publish",
    "reader",
    "receive_car",
    "release",
    "restore_visibility",
    "rights_to_restore",
    "scrub",
    "verify_dag",
]
