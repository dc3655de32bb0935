"""The GraphQL documents about IPNS names; checked as `operations` are."""

_NAME = (
    "id name label keyType hash value sequence validUntil lifetime ttl renewsAt replacedBy "
    "site { id slug } createdAt updatedAt"
)

IPNS_NAMES = f"""query IpnsNames($after: String) {{
  ipnsRecords(first: 100, after: $after) {{ data {{ {_NAME} }} pageInfo {{ endCursor hasNextPage }} }}
}}"""
IPNS_NAME = f"query IpnsName($name: String!) {{ ipnsRecord(name: $name) {{ {_NAME} }} }}"
RESOLVE_IPNS = "query ResolveIpns($name: String!) { resolveIpnsName(where: { name: $name }) }"
CREATE_IPNS = f"""mutation CreateIpns($label: String) {{
  createIpnsRecord(data: {{ label: $label }}) {{ {_NAME} }}
}}"""
CREATE_IPNS_FOR_SITE = f"""mutation CreateIpnsForSite($site: ID!) {{
  createIpnsRecordForSite(where: {{ siteId: $site }}) {{ {_NAME} }}
}}"""
PUBLISH_IPNS = f"""mutation PublishIpns($id: ID!, $data: PublishIpnsRecordDataInput!) {{
  publishIpnsRecord(where: {{ id: $id }}, data: $data) {{ {_NAME} }}
}}"""
ROTATE_IPNS = f"mutation RotateIpns($id: ID!) {{ rotateIpnsRecord(where: {{ id: $id }}) {{ {_NAME} }} }}"
DELETE_IPNS = "mutation DeleteIpns($id: ID!) { deleteIpnsRecord(where: { id: $id }) { id name } }"
IMPORT_IPNS_KEY = f"""mutation ImportIpnsKey($data: ImportIpnsKeyDataInput!) {{
  importIpnsKey(data: $data) {{ {_NAME} }}
}}"""
EXPORT_IPNS_KEY = """mutation ExportIpnsKey($id: ID!, $format: String) {
  exportIpnsKey(where: { id: $id }, data: { format: $format }) { name format key }
}"""
SITE_DNSLINK = """query SiteDnslink($id: ID!, $host: String) {
  site(where: { id: $id }) { dnslink(host: $host) { type name value } }
}"""
