"""The GraphQL documents about copies elsewhere; checked as `operations` are."""

_POLICY = "siteId providers createdAt updatedAt"
_REPLICA = (
    "id cid name provider state ref url detail error bytes cost costUnit blocksProved provedAt unwantedAt nextLookAt"
)

STORAGE_PROVIDERS = "query StorageProviders { storageProviders { data { name usable missing } } }"
POLICIES = f"query ReplicationPolicies {{ replicationPolicies {{ data {{ {_POLICY} }} }} }}"
REPLICAS = f"""query Replicas($cid: String, $after: String) {{
  replicas(where: {{ cid: $cid }}, after: $after) {{
    data {{ {_REPLICA} }} pageInfo {{ endCursor hasNextPage }}
  }}
}}"""
VERIFY = """query VerifyContent($cid: String!) {
  verifyContent(where: { cid: $cid }) { data { source finding blocksAsked blocksRight detail } }
}"""
SET_POLICY = f"""mutation SetReplicationPolicy($providers: [String!]!, $site: ID) {{
  setReplicationPolicy(data: {{ providers: $providers, siteId: $site }}) {{ {_POLICY} }}
}}"""
DELETE_POLICY = """mutation DeleteReplicationPolicy($site: ID) {
  deleteReplicationPolicy(where: { siteId: $site })
}"""
CHECK_REPLICAS = "mutation CheckReplicas($cid: String!) { checkReplicas(where: { cid: $cid }) }"
