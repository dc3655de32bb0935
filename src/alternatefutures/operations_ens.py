"""The GraphQL documents about names of ENS; checked as `operations` are."""

_RECORD = (
    "id name status reason content seen owner transaction checkedAt verifiedAt createdAt "
    "site { id slug } ipnsRecord { id name }"
)

ENS_RECORDS = f"""query EnsRecords($after: String) {{
  ensRecords(after: $after) {{ data {{ {_RECORD} }} pageInfo {{ endCursor hasNextPage }} }}
}}"""
ENS_RECORD = f"""query EnsRecord($id: ID!) {{ ensRecord(where: {{ id: $id }}) {{ {_RECORD} }} }}"""
CREATE_ENS_RECORD = f"""mutation CreateEnsRecord($where: CreateEnsRecordWhereInput, $data: CreateEnsRecordDataInput!) {{
  createEnsRecord(where: $where, data: $data) {{ {_RECORD} }}
}}"""
VERIFY_ENS_RECORD = f"""mutation VerifyEnsRecord($id: ID!, $transaction: String) {{
  verifyEnsRecord(where: {{ id: $id }}, data: {{ transaction: $transaction }}) {{ {_RECORD} }}
}}"""
SEND_ENS_TRANSACTION = f"""mutation SendEnsTransaction($id: ID!) {{
  sendEnsTransaction(where: {{ id: $id }}) {{ {_RECORD} }}
}}"""
DELETE_ENS_RECORD = (
    f"""mutation DeleteEnsRecord($id: ID!) {{ deleteEnsRecord(where: {{ id: $id }}) {{ {_RECORD} }} }}"""
)
ENS_TRANSACTION = """query EnsTransaction($id: ID!, $from: String) {
  ensTransaction(where: { id: $id }, from: $from) { chainId from to data value gas content }
}"""
RESOLVE_ENS_NAME = """query ResolveEnsName($name: String!) {
  resolveEnsName(where: { name: $name }) { name chainId owner resolver content }
}"""
