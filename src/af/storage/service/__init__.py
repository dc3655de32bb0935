"""What storage does, by use: blocks in and out, whole DAGs, archives, pins, export, upkeep."""

from __future__ import annotations

from af.storage.service.access import may_upload
from af.storage.service.archive import import_archive, import_file
from af.storage.service.blocks import missing, reader, receive_car
from af.storage.service.dag import hold, publish, release, verify_dag
from af.storage.service.export import StoredFile, export_car, open_file, public_car, public_reader
from af.storage.service.gateways import create_private_gateway, open_private_gateway
from af.storage.service.network import (
    check_kubo,
    compare_copies,
    copies_due,
    copy_failed,
    kubo_node,
    publish_ipns_record,
    tend_copy,
    tend_kubo,
)
from af.storage.service.pinning import fail_pin_request, fulfil_pin_request, other_sources, unfinished_pin_requests
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
    public_pins,
)
from af.storage.service.requests import (
    delete_pin_request,
    list_pin_requests,
    pin_request,
    replace_pin_request,
    request_pin,
)
from af.storage.service.upkeep import block_stats, collect, figures, ping, restore_visibility, rights_to_restore, scrub

__all__ = [
    "StoredFile",
    "block_stats",
    "check_kubo",
    "collect",
    "compare_copies",
    "copies_due",
    "copy_failed",
    "create_pin",
    "create_private_gateway",
    "delete_pin",
    "delete_pin_request",
    "export_car",
    "fail_pin_request",
    "figures",
    "find_pin",
    "find_pin_in_folder",
    "forget_project",
    "fulfil_pin_request",
    "hold",
    "import_archive",
    "import_car",
    "import_file",
    "list_pin_requests",
    "kubo_node",
    "list_pins",
    "may_upload",
    "missing",
    "open_file",
    "open_private_gateway",
    "pin_request",
    "other_sources",
    "ping",
    "project_stats",
    "projects_to_forget",
    "public_car",
    "public_pins",
    "public_reader",
    "publish",
    "publish_ipns_record",
    "reader",
    "receive_car",
    "release",
    "replace_pin_request",
    "request_pin",
    "restore_visibility",
    "rights_to_restore",
    "scrub",
    "tend_copy",
    "tend_kubo",
    "unfinished_pin_requests",
    "verify_dag",
]
