"""Sites and their deployments.

A site is a name on the platform; a deployment is one immutable version of its content (a CID), its redirect and header
rules included. To deploy is to check that every block is here, read the rules, and, in one transaction, write a row,
hold the root, and lead the site's host names to it. Rollback and promotion are the same with an older root: nothing is
uploaded or rebuilt. Only archives (a tar or zip through the API) need the worker; a reconciler sees to it that each of
them ends in a final state. What visitors get is the gateway's business; where blocks are kept is `af.storage`'s.
"""

from af.sites.errors import (
    ArchiveTooLarge,
    DeploymentNotFound,
    InvalidName,
    InvalidSlug,
    InvalidUpload,
    NotDeployable,
    NothingToRollBackTo,
    SiteNotFound,
    SlugTaken,
)
from af.sites.models import (
    Deployment,
    DeploymentDiff,
    DeploymentSource,
    DeploymentStatus,
    DiffChange,
    DiffFile,
    RejectedRule,
    Routes,
    Site,
)
from af.sites.service import (
    cancel,
    create,
    create_deployment,
    delete,
    diff,
    get,
    get_by_slug,
    get_deployment,
    list_deployments,
    list_sites,
    promote,
    rename,
    rollback,
    slug_is_free,
    submit_archive,
)

__all__ = [
    "ArchiveTooLarge",
    "Deployment",
    "DeploymentDiff",
    "DeploymentNotFound",
    "DeploymentSource",
    "DeploymentStatus",
    "DiffChange",
    "DiffFile",
    "InvalidName",
    "InvalidSlug",
    "InvalidUpload",
    "NotDeployable",
    "NothingToRollBackTo",
    "RejectedRule",
    "Routes",
    "Site",
    "SiteNotFound",
    "SlugTaken",
    "cancel",
    "create",
    "create_deployment",
    "delete",
    "diff",
    "get",
    "get_by_slug",
    "get_deployment",
    "list_deployments",
    "list_sites",
    "promote",
    "rename",
    "rollback",
    "slug_is_free",
    "submit_archive",
]
