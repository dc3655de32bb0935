"""The GraphQL documents about service accounts and trust rules; checked as `operations` are."""

_ACCOUNT = "id name username role createdAt tokens { id name scopes expiresAt lastUsedAt createdAt }"
_RULE = "id name issuer audience subject claims scopes lifeSeconds serviceAccountId lastUsedAt createdAt"

SERVICE_ACCOUNTS = f"""query ServiceAccounts($project: ID!) {{
  serviceAccounts(where: {{ projectId: $project }}) {{ data {{ {_ACCOUNT} }} }}
}}"""
CREATE_SERVICE_ACCOUNT = f"""mutation CreateServiceAccount($project: ID!, $name: String!, $role: Role!) {{
  createServiceAccount(where: {{ projectId: $project }}, data: {{ name: $name, role: $role }}) {{ {_ACCOUNT} }}
}}"""
DELETE_SERVICE_ACCOUNT = """mutation DeleteServiceAccount($project: ID!, $id: ID!) {
  deleteServiceAccount(where: { projectId: $project, id: $id }) { id }
}"""
CREATE_SERVICE_TOKEN = """mutation CreateServiceToken(
  $project: ID!, $id: ID!, $data: CreateServiceAccountTokenDataInput!
) {
  createServiceAccountToken(where: { projectId: $project, id: $id }, data: $data) { id name token scopes expiresAt }
}"""
REVOKE_SERVICE_TOKEN = """mutation RevokeServiceToken($project: ID!, $id: ID!, $token: ID!) {
  revokeServiceAccountToken(where: { projectId: $project, id: $id, tokenId: $token }) { id }
}"""
TRUST_RULES = f"""query TrustRules($project: ID!) {{
  trustRules(where: {{ projectId: $project }}) {{ data {{ {_RULE} }} }}
}}"""
CREATE_TRUST_RULE = f"""mutation CreateTrustRule($project: ID!, $data: CreateTrustRuleDataInput!) {{
  createTrustRule(where: {{ projectId: $project }}, data: $data) {{ {_RULE} }}
}}"""
DELETE_TRUST_RULE = """mutation DeleteTrustRule($project: ID!, $id: ID!) {
  deleteTrustRule(where: { projectId: $project, id: $id }) { id }
}"""
