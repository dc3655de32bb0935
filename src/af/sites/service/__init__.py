"""What can be done with sites, one file per use: `sites` (the names), `deploy` (live from blocks, rollback, promotion),
`archive` (live from a tar or zip), `diff` (what changed), `watch` (follow a deployment), `content` (read a tree)."""

from af.sites.service.archive import (
    UNFINISHED_PER_SITE_MAX,
    Fill,
    Upload,
    cancel,
    clean_uploads,
    fail,
    import_archive,
    submit_archive,
    unfinished_deployments,
)
from af.sites.service.deploy import (
    create_deployment,
    get_deployment,
    list_deployments,
    promote,
    rollback,
)
from af.sites.service.diff import diff
from af.sites.service.lists import (
    deployments_by_id,
    latest_deployments,
    newest_sites,
    routes_by_deployment,
    sites_by_id,
)
from af.sites.service.naming import dnslink, give_name, names_of_sites
from af.sites.service.sites import (
    create,
    delete,
    empty_project,
    get,
    get_by_slug,
    list_sites,
    projects_to_empty,
    rename,
    slug_is_free,
)
from af.sites.service.watch import LogLine, StatusUpdate, read_logs, watch_logs, watch_status

__all__ = [
    "UNFINISHED_PER_SITE_MAX",
    "Fill",
    "LogLine",
    "StatusUpdate",
    "Upload",
    "cancel",
    "clean_uploads",
    "create",
    "create_deployment",
    "delete",
    "deployments_by_id",
    "diff",
    "dnslink",
    "empty_project",
    "fail",
    "get",
    "get_by_slug",
    "get_deployment",
    "give_name",
    "import_archive",
    "latest_deployments",
    "list_deployments",
    "list_sites",
    "names_of_sites",
    "newest_sites",
    "projects_to_empty",
    "promote",
    "read_logs",
    "rename",
    "rollback",
    "routes_by_deployment",
    "sites_by_id",
    "slug_is_free",
    "submit_archive",
    "unfinished_deployments",
    "watch_logs",
    "watch_status",
]
