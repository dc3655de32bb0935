"""The shared index of the S3 block store, in the platform's database: every SQL statement that touches it.

    tables    the tables, and how a write is repeated when two of them met in a deadlock
    blocks    where blocks are, who may see them, when they were last wanted
    objects   which objects there are, and what of them is in use
    facts     the store's identity, the time that all machines share, and one-at-a-time claims

An object's row is committed before the object is written, and its blocks' rows after: so a row of a block implies
durable bytes, and an object without a row belongs to nobody.
"""

from __future__ import annotations

from af.core.db import Database
from af.storage.backends.s3.store.blocks import Blocks
from af.storage.backends.s3.store.facts import Facts
from af.storage.backends.s3.store.objects import Objects
from af.storage.backends.s3.store.tables import (
    Forgotten,
    Location,
    Move,
    Placement,
    Removed,
    Stored,
    Usage,
    s3_blocks,
    s3_facts,
    s3_objects,
    s3_owners,
)

__all__ = [
    "Forgotten",
    "Location",
    "Move",
    "Placement",
    "Removed",
    "SharedIndex",
    "Stored",
    "Usage",
    "s3_blocks",
    "s3_facts",
    "s3_objects",
    "s3_owners",
]


class SharedIndex:
    """The index, in three parts. Every method may be called by many tasks at once.

    :raises DatabaseUnavailable: from every method
    """

    def __init__(self, database: Database) -> None:
        self.blocks = Blocks(database)
        self.objects = Objects(database)
        self.facts = Facts(database)
