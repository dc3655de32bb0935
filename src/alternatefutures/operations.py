"""The GraphQL documents that the SDK sends. A test validates each of them against ``schema/schema.graphql``."""

_DEPLOYMENT = """
  id status cid url siteId production current files bytes message createdAt
  error { code message } rejectedRules { line text reason }
"""
_SITE = f"id slug name url createdAt currentDeployment {{ {_DEPLOYMENT} }}"

LOGIN_LINK = "mutation LoginLink { createLoginLink { url } }"
ME = "query Me { me { id email username } }"
PROJECTS = """query Projects($after: String) {
  projects(first: 100, after: $after) { data { id name slug createdAt } pageInfo { endCursor hasNextPage } }
}"""
CREATE_PROJECT = """mutation CreateProject($name: String!) {
  createProject(data: { name: $name }) { id name slug createdAt }
}"""
DELETE_PROJECT = "mutation DeleteProject($id: ID!) { deleteProject(id: $id) }"

SITES = f"""query Sites($after: String) {{
  sites(first: 100, after: $after) {{ data {{ {_SITE} }} pageInfo {{ endCursor hasNextPage }} }}
}}"""
SITE_BY_SLUG = f"query SiteBySlug($slug: String!) {{ siteBySlug(where: {{ slug: $slug }}) {{ {_SITE} }} }}"
SITE = f"query Site($id: ID!) {{ site(where: {{ id: $id }}) {{ {_SITE} }} }}"
CREATE_SITE = f"""mutation CreateSite($name: String!, $slug: String) {{
  createSite(data: {{ name: $name, slug: $slug }}) {{ {_SITE} }}
}}"""
UPDATE_SITE = f"""mutation UpdateSite($id: ID!, $name: String, $slug: String) {{
  updateSite(where: {{ id: $id }}, data: {{ name: $name, slug: $slug }}) {{ {_SITE} }}
}}"""
DELETE_SITE = "mutation DeleteSite($id: ID!) { deleteSite(where: { id: $id }) { id } }"

DEPLOYMENTS = f"query Deployments($siteId: ID!) {{ deployments(siteId: $siteId) {{ {_DEPLOYMENT} }} }}"
DEPLOYMENT = f"query Deployment($id: ID!) {{ deployment(where: {{ id: $id }}) {{ {_DEPLOYMENT} site {{ {_SITE} }} }} }}"
CREATE_DEPLOYMENT = f"""mutation CreateDeployment($data: CreateDeploymentDataInput!) {{
  createDeployment(data: $data) {{ {_DEPLOYMENT} }}
}}"""
PROMOTE = f"""mutation Promote($id: ID!) {{
  promoteDeployment(where: {{ deploymentId: $id }}) {{ {_DEPLOYMENT} site {{ {_SITE} }} }}
}}"""
ROLLBACK = f"""mutation Rollback($siteId: ID!, $deploymentId: ID) {{
  rollbackSite(where: {{ siteId: $siteId }}, data: {{ deploymentId: $deploymentId }}) {{
    {_DEPLOYMENT} site {{ {_SITE} }}
  }}
}}"""
DIFF = """query Diff($from: ID!, $to: ID!) {
  deploymentDiff(where: { from: $from, to: $to }) {
    from to added { path bytes } removed { path bytes } changed { path bytesBefore bytesAfter }
    headersAdded headersRemoved redirectsAdded redirectsRemoved truncated
  }
}"""

DEPLOYMENT_LOGS = """query Logs($id: ID!) {
  deployment(where: { id: $id }) { logs { id timestamp level message } }
}"""

TOKENS = """query Tokens {
  personalAccessTokens { data { id name maskedToken scopes expiresAt lastUsedAt createdAt } }
}"""
CREATE_TOKEN = """mutation CreateToken($name: String!, $expiresAt: Date, $scopes: [String!], $projectId: ID) {
  createPersonalAccessToken(name: $name, expiresAt: $expiresAt, scopes: $scopes, projectId: $projectId) {
    id name token scopes expiresAt lastUsedAt createdAt
  }
}"""
DELETE_TOKEN = "mutation DeleteToken($id: ID!) { deletePersonalAccessToken(id: $id) }"

PINS = """query Pins($after: String) {
  pins(first: 100, after: $after) { data { cid name size createdAt } pageInfo { endCursor hasNextPage } }
}"""
CREATE_PIN = """mutation CreatePin($cid: String!, $name: String, $public: Boolean) {
  createPin(data: { cid: $cid, name: $name, public: $public }) { cid name size createdAt }
}"""
DELETE_PIN = "mutation DeletePin($cid: String!) { deletePin(where: { cid: $cid }) { cid } }"
STORAGE_STATS = "query StorageStats { blockStoreStats { blocks bytes segments deadBytes } }"
COLLECT = """mutation Collect($dryRun: Boolean!) {
  collectGarbage(dryRun: $dryRun) { dryRun blocks bytes freedBytes }
}"""
SCRUB = "mutation Scrub { scrubBlocks { blocks bytes corrupt } }"
