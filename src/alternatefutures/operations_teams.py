"""The GraphQL documents about organizations, members, invitations and the audit log; checked as `operations` are."""

_ORGANIZATION = "id slug name personal role createdAt"
_INVITATION = "id organizationId projectId email role state expiresAt createdAt"
_USER = "user { id username email }"
_ENTRIES = """data {
  id sequence action target user { id username } tokenId sessionId address userAgent requestId before after
  createdAt hash
} pageInfo { endCursor hasNextPage }"""
_VERIFICATION = "entries last head brokenAt complete"

ORGANIZATIONS = f"""query Organizations($after: String) {{
  organizations(first: 100, after: $after) {{ data {{ {_ORGANIZATION} }} pageInfo {{ endCursor hasNextPage }} }}
}}"""
CREATE_ORGANIZATION = f"""mutation CreateOrganization($name: String!) {{
  createOrganization(data: {{ name: $name }}) {{ {_ORGANIZATION} }}
}}"""
RENAME_ORGANIZATION = f"""mutation RenameOrganization($id: ID!, $name: String!) {{
  updateOrganization(where: {{ id: $id }}, data: {{ name: $name }}) {{ {_ORGANIZATION} }}
}}"""
DELETE_ORGANIZATION = "mutation DeleteOrganization($id: ID!) { deleteOrganization(where: { id: $id }) }"
LEAVE_ORGANIZATION = "mutation LeaveOrganization($id: ID!) { leaveOrganization(where: { id: $id }) }"
TRANSFER_OWNERSHIP = """mutation TransferOwnership($id: ID!, $userId: ID!) {
  transferOwnership(where: { organizationId: $id, userId: $userId }) { role }
}"""
TRANSFER_PROJECT = """mutation TransferProject($id: ID!, $organizationId: ID!) {
  transferProject(where: { id: $id }, data: { organizationId: $organizationId }) { id name slug createdAt }
}"""

PROJECT_MEMBERS = f"""query ProjectMembers($id: ID!) {{
  project(id: $id) {{ members(first: 100) {{ data {{ {_USER} role createdAt }} }} }}
}}"""
ORGANIZATION_MEMBERS = f"""query OrganizationMembers($id: ID!) {{
  organization(where: {{ id: $id }}) {{ members(first: 100) {{ data {{ {_USER} role accessAllProjects createdAt }} }} }}
}}"""
SET_PROJECT_ROLE = """mutation SetProjectRole($id: ID!, $userId: ID!, $role: Role!) {
  updateMember(where: { projectId: $id, userId: $userId }, data: { role: $role }) { role }
}"""
SET_ORGANIZATION_ROLE = """mutation SetOrganizationRole($id: ID!, $userId: ID!, $role: OrganizationRole!) {
  updateOrganizationMember(where: { organizationId: $id, userId: $userId }, data: { role: $role }) { role }
}"""
REMOVE_PROJECT_MEMBER = """mutation RemoveProjectMember($id: ID!, $userId: ID!) {
  removeMember(where: { projectId: $id, userId: $userId }) { role }
}"""
REMOVE_ORGANIZATION_MEMBER = """mutation RemoveOrganizationMember($id: ID!, $userId: ID!) {
  removeOrganizationMember(where: { organizationId: $id, userId: $userId }) { role }
}"""

PROJECT_INVITATIONS = f"""query ProjectInvitations($id: ID!) {{
  project(id: $id) {{ invitations(first: 100) {{ data {{ {_INVITATION} }} }} }}
}}"""
ORGANIZATION_INVITATIONS = f"""query OrganizationInvitations($id: ID!) {{
  organization(where: {{ id: $id }}) {{ invitations(first: 100) {{ data {{ {_INVITATION} }} }} }}
}}"""
INVITE_TO_PROJECT = f"""mutation InviteToProject($id: ID!, $email: String!, $role: Role!) {{
  inviteToProject(where: {{ id: $id }}, data: {{ email: $email, role: $role }}) {{ {_INVITATION} }}
}}"""
INVITE_TO_ORGANIZATION = f"""mutation InviteToOrganization($id: ID!, $email: String!, $role: OrganizationRole!) {{
  inviteToOrganization(where: {{ id: $id }}, data: {{ email: $email, role: $role }}) {{ {_INVITATION} }}
}}"""
REVOKE_INVITATION = f"""mutation RevokeInvitation($id: ID!) {{
  revokeInvitation(where: {{ id: $id }}) {{ {_INVITATION} }}
}}"""
RESEND_INVITATION = f"""mutation ResendInvitation($id: ID!) {{
  resendInvitation(where: {{ id: $id }}) {{ {_INVITATION} }}
}}"""

PROJECT_AUDIT = f"""query ProjectAudit($id: ID!, $first: Int!, $where: AuditLogWhereInput) {{
  project(id: $id) {{ auditLog(first: $first, where: $where) {{ {_ENTRIES} }} }}
}}"""
ORGANIZATION_AUDIT = f"""query OrganizationAudit($id: ID!, $first: Int!, $where: AuditLogWhereInput) {{
  organization(where: {{ id: $id }}) {{ auditLog(first: $first, where: $where) {{ {_ENTRIES} }} }}
}}"""
PROJECT_VERIFICATION = f"""query ProjectVerification($id: ID!, $after: Int!) {{
  project(id: $id) {{ auditVerification(after: $after) {{ {_VERIFICATION} }} }}
}}"""
ORGANIZATION_VERIFICATION = f"""query OrganizationVerification($id: ID!, $after: Int!) {{
  organization(where: {{ id: $id }}) {{ auditVerification(after: $after) {{ {_VERIFICATION} }} }}
}}"""
