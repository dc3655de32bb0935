"""Every SQL statement of teams, one module per thing: `organizations` (with their members and which projects those may
see), `projects`, `members` (of projects), `access` (who may do what where), `invitations`."""

from af.projects.store import access, invitations, members, organizations, projects

__all__ = ["access", "invitations", "members", "organizations", "projects"]
