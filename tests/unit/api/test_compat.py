"""Documents of other dialects are understood: era B's input names, the npm SDK's selections."""

from __future__ import annotations

import pytest
from graphql import OperationDefinitionNode, parse, print_ast, validate

from af import api, projects
from af.api import compat
from af.core.context import Context
from tests.support.asgi import AsgiClient

# Documents of @fleek-platform/sdk 3.7.2, as it sends them.
SITE = (
    "id,name,slug,domains{id,hostname,__typename},zones{id,status,__typename},primaryDomain{id,hostname,__typename},"
    "ipnsRecords{id,__typename},deployments{id,status,storageType,siteId,cid,updatedAt,createdAt,__typename},__typename"
)
PROJECT = "id,name,avatar,backupStorageOnArweave,backupStorageOnFilecoin,createdAt"
PIN = "cid,filename,extension,arweavePin{bundlrId,__typename},__typename"
DEPLOYMENT = "id,status,storageType,siteId,cid,updatedAt,createdAt,__typename"
NPM_SDK = [
    "mutation ($v1:LoginWithPersonalAccessTokenDataInput!){loginWithPersonalAccessToken(data:$v1)}",
    "query GetVersion{version{...f1}},fragment f1 on Version{commitHash,__typename}",
    "query GetPersonalAccessTokens{personalAccessTokens{data{id,createdAt,name,maskedToken}}}",
    "mutation DeletePersonalAccessToken($v1:DeletePersonalAccessTokenWhereInput!){deletePersonalAccessToken(where:$v1)"
    "{...f1}},fragment f1 on PersonalAccessToken{createdAt,id,maskedToken,name,updatedAt,__typename}",
    f"mutation CreateProject($v1:CreateProjectDataInput!){{createProject(data:$v1){{{PROJECT}}}}}",
    "mutation ($v1:UpdateProjectWhereInput!,$v2:UpdateProjectDataInput!){updateProject(where:$v1,data:$v2)"
    f"{{{PROJECT}}}}}",
    f"query GetProject($v1:ProjectWhereInput!){{project(where:$v1){{{PROJECT}}}}}",
    f"query GetProjects{{projects{{data{{{PROJECT}}}}}}}",
    f"query GetSiteById($v1:SiteWhereInput!){{site(where:$v1){{{SITE}}}}}",
    f"query GetSiteBySlug($v1:SiteBySlugWhereInput!){{siteBySlug(where:$v1){{{SITE}}}}}",
    f"query GetSites($v1:SitesWhereInput!){{sites(where:$v1){{data{{{SITE}}},__typename}}}}",
    f"mutation CreateSite($v1:CreateSiteDataInput!){{createSite(data:$v1){{{SITE}}}}}",
    f"mutation DeleteSite($v1:DeleteSiteWhereInput!){{deleteSite(where:$v1){{{SITE}}}}}",
    "mutation CreateCustomIpfsDeployment($v1:CreateCustomIpfsDeploymentDataInput!)"
    f"{{createCustomIpfsDeployment(data:$v1){{{DEPLOYMENT}}}}}",
    f"query GetDeploymentById($v1:DeploymentWhereInput!){{deployment(where:$v1){{{DEPLOYMENT}}}}}",
    f"query {{pins{{data{{{PIN}}},__typename}}}}",
    f"query ($v1:PinWhereInput!){{pin(where:$v1){{{PIN}}}}}",
    f"query ($v1:PinsByFilenameWhereInput!){{pinsByFilename(where:$v1){{data{{{PIN}}},__typename}}}}",
]
# The same in era B of the original platform (originals.md §1.1).
ERA_B = [
    "mutation($data: SiteDataInput!) { createSite(data: $data) { id } }",
    "mutation($where: SiteWhereInput!) { deleteSite(where: $where) { id } }",
    "mutation($data: DeploymentDataInput!) { createCustomIpfsDeployment(data: $data) { id } }",
    "query($id: ID!) { project(id: $id) { id } }",
    "mutation($id: ID!) { deletePersonalAccessToken(id: $id) }",
    "mutation($id: ID!) { deleteProject(id: $id) }",
    "query($where: SiteWhereInput!) { site(where: $where) { id } }",
    "query($where: PinWhereInput!) { pin(where: $where) { cid } }",
    "query($where: IPNSRecordWhereInput!) { ensRecordsByIpnsId(where: $where) { data { id } } }",
    "mutation($name: String!, $end: Date) { createPersonalAccessToken(name: $name, expiresAt: $end) { token } }",
]


@pytest.mark.parametrize("text", NPM_SDK + ERA_B)
def test_every_document_is_valid_after_rewriting(text: str) -> None:
    document = parse(text)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    rewritten, _ = compat.rewrite(document, operation, api.executable())
    assert validate(api.executable(), rewritten) == []


def test_our_own_documents_are_left_alone() -> None:
    text = "mutation($where: DeleteSiteWhereInput!) { deleteSite(where: $where) { id } }"
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert compat.rewrite(document, operation, api.executable()) == (document, operation)


def test_only_the_type_and_the_field_are_renamed() -> None:
    text = "mutation M($w: DeletePersonalAccessTokenWhereInput!) { deletePersonalAccessToken(where: $w) { id } }"
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    rewritten, _ = compat.rewrite(document, operation, api.executable())
    assert "deletePersonalAccessToken: revokedPersonalAccessToken(where: $w)" in print_ast(rewritten)


async def test_a_token_is_revoked_in_both_dialects(ada: Context, client: AsgiClient) -> None:
    first, second = [(await projects.create_token(ada, name)).token.id for name in ("first", "second")]
    found = await client.graphql(NPM_SDK[3], {"v1": {"id": first}})
    assert found["data"]["deletePersonalAccessToken"]["name"] == "first"
    found = await client.graphql("mutation($id: ID!) { deletePersonalAccessToken(id: $id) }", {"id": second})
    assert found == {"data": {"deletePersonalAccessToken": True}}
    for arguments in ("", f'(id: "{first}", where: {{id: "{first}"}})'):
        found = await client.graphql(f"mutation {{ deletePersonalAccessToken{arguments} }}")
        assert found["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
