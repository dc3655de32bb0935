"""What can be done with projects, one file per use: `access` (who may do what), `projects`, `members`, `tokens`
(limited to a project), `bootstrap` (the first start)."""

from af.projects.service.access import (
    audit,
    authorize,
    authorize_operator,
    membership,
    memberships_read_once,
    require_signed_in,
    selected,
)
from af.projects.service.bootstrap import bootstrap, owner_token
from af.projects.service.members import (
    add_member,
    change_role,
    list_audit,
    list_members,
    remove_member,
    roles_in,
)
from af.projects.service.projects import (
    create_project,
    delete_project,
    deleted_projects,
    get_project,
    list_projects,
    projects_by_id,
    update_project,
)
from af.projects.service.tokens import create_token, login_with_token

__all__ = [
    "add_member",
    "audit",
    "authorize",
    "bootstrap",
    "change_role",
    "create_project",
    "create_token",
    "delete_project",
    "deleted_projects",
    "get_project",
    "list_audit",
    "list_members",
    "list_projects",
    "login_with_token",
    "membership",
    "memberships_read_once",
    "owner_token",
    "projects_by_id",
    "remove_member",
    "authorize_operator",
    "require_signed_in",
    "roles_in",
    "selected",
    "update_project",
]
