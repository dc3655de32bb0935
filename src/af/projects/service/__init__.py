"""What can be done with teams, one file per use: `access` (who may do what), `organizations`, `places` (who is in
them), `projects`, `members` (of projects), `transfer` (of projects), `invitations`, `record` (the audit log), `tokens`
(limited to a project), `bootstrap` (the first start)."""

from af.projects.service import machines
from af.projects.service.access import (
    audit,
    authorize,
    authorize_operator,
    authorize_organization,
    membership,
    memberships_read_once,
    require_signed_in,
    selected,
)
from af.projects.service.accounts import delete_account
from af.projects.service.bootstrap import (
    bootstrap,
    owner_token,
)
from af.projects.service.invitations import (
    accept_invitation,
    expire_invitations,
    invite,
    invite_to_project,
    list_invitations,
    list_project_invitations,
    read_invitation,
    resend_invitation,
    revoke_invitation,
)
from af.projects.service.members import (
    add_member,
    change_role,
    list_members,
    remove_member,
    roles_in,
)
from af.projects.service.organizations import (
    create_organization,
    delete_organization,
    ensure_home,
    get_organization,
    list_organizations,
    organizations_by_id,
    update_organization,
)
from af.projects.service.places import (
    change_place,
    leave_organization,
    list_places,
    listed_projects,
    places_in,
    remove_place,
    set_access,
    transfer_ownership,
)
from af.projects.service.projects import (
    create_project,
    delete_project,
    deleted_projects,
    deleted_projects_with,
    get_project,
    list_projects,
    projects_by_id,
    update_project,
)
from af.projects.service.record import (
    every_entry,
    list_audit,
    list_organization_audit,
    list_own_audit,
    organization_chain,
    own_chain,
    project_chain,
    verify_audit,
    verify_organization_audit,
)
from af.projects.service.tokens import (
    create_token,
    login_with_token,
)
from af.projects.service.transfer import (
    transfer_project,
)

__all__ = [
    "accept_invitation",
    "add_member",
    "audit",
    "authorize",
    "authorize_operator",
    "authorize_organization",
    "bootstrap",
    "change_place",
    "change_role",
    "create_organization",
    "create_project",
    "create_token",
    "delete_account",
    "delete_organization",
    "delete_project",
    "deleted_projects",
    "deleted_projects_with",
    "ensure_home",
    "every_entry",
    "expire_invitations",
    "get_organization",
    "get_project",
    "invite",
    "invite_to_project",
    "leave_organization",
    "list_audit",
    "list_invitations",
    "list_members",
    "list_organization_audit",
    "list_organizations",
    "list_own_audit",
    "list_places",
    "list_project_invitations",
    "list_projects",
    "listed_projects",
    "places_in",
    "login_with_token",
    "machines",
    "membership",
    "memberships_read_once",
    "organization_chain",
    "organizations_by_id",
    "own_chain",
    "owner_token",
    "project_chain",
    "projects_by_id",
    "read_invitation",
    "remove_member",
    "remove_place",
    "require_signed_in",
    "resend_invitation",
    "revoke_invitation",
    "roles_in",
    "selected",
    "set_access",
    "transfer_ownership",
    "transfer_project",
    "update_organization",
    "update_project",
    "verify_audit",
    "verify_organization_audit",
]
