"""Deals on Filecoin, as providers told of them when a copy was last looked at."""

from __future__ import annotations

from af.core.context import Context
from af.protocols.ipfs.cid import CID
from af.replication.backends.lighthouse import Lighthouse, deal_ids
from af.replication.service.copies import PAGE_MAX, list_copies


async def filecoin_deals(ctx: Context, project_id: str, root: CID) -> list[str]:
    """The numbers of the deals that hold the project's copy of ``root``."""
    copies = await list_copies(ctx, project_id, root=root, first=PAGE_MAX)
    told = [copy.receipt.detail for copy in copies if copy.provider == Lighthouse.name and copy.receipt is not None]
    return list(dict.fromkeys(deal for detail in told for deal in deal_ids(detail)))
