"""Who may do what with a project's content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from af import projects
from af.core.context import Context
from af.core.errors import Forbidden
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.storage.backends import BlockStore
from af.storage.errors import InvalidContentId

if TYPE_CHECKING:
    from af.projects import Project

_CID_HINT = "CIDs look like bafybei… or Qm…; `af storage list` shows what is kept."
READ = "storage:read"
WRITE = "storage:write"


async def may_upload(ctx: Context, project_id: str) -> Project:
    """Uploading is part of deploying too, so a token that may only write sites is enough."""
    try:
        return await projects.authorize(ctx, WRITE, project_id=project_id)
    except Forbidden:
        return await projects.authorize(ctx, "sites:write", project_id=project_id)


def copies_are_kept(ctx: Context) -> bool:
    """Whether public content is given to a Kubo node. One that is the block store itself holds private blocks, so it
    should not talk to others."""
    return bool(ctx.settings.kubo_rpc_url) and ctx.settings.block_backend != "kubo"


def block_store(ctx: Context) -> BlockStore:
    """This process's block store."""
    return ctx.get(BlockStore)  # type: ignore[type-abstract]  # a protocol is the key of its implementation


def parse_cid(text: str, *, field: str = "cid") -> CID:
    """:raises InvalidContentId:"""
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise InvalidContentId(
            f"{text[:80]!r} is not a CID.", field=field, hint=_CID_HINT, detail=str(error)
        ) from error
