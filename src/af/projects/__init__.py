"""Projects, their members with roles, the one function that decides who may do what (`authorize`), and the audit log.

Everything that users make belongs to a project, but this domain knows nothing of it: higher domains ask `authorize`
first, write `audit` in their transaction, and clean up after `deleted_projects`.
"""

from af.core.audit import AuditEntry
from af.projects.models import Bootstrap, Member, Project, Role
from af.projects.service import (
    add_member,
    audit,
    authorize,
    authorize_operator,
    bootstrap,
    change_role,
    create_project,
    create_token,
    delete_project,
    deleted_projects,
    get_project,
    list_audit,
    list_members,
    list_projects,
    login_with_token,
    membership,
    memberships_read_once,
    owner_token,
    projects_by_id,
    remove_member,
    require_signed_in,
    roles_in,
    selected,
    update_project,
)

__all__ = [
    "AuditEntry",
    "Bootstrap",
    "Member",
    "Project",
    "Role",
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
