"""The GraphQL edge of sites, with the real schema's types around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from graphql import GraphQLSchema, OperationDefinitionNode, graphql, parse, subscribe

from af import sites
from af.api import cost
from af.api.loaders import Loaders
from af.api.schema import executable
from af.core.context import Context, Platform
from af.core.ids import ProjectId
from af.core.settings import load
from af.sites import jobs
from tests.unit.sites.conftest import Upload
from tests.unit.sites.test_archives import SITE_TAR, fill_with

# What @fleek-platform/sdk 3.7.2 selects (its SITE_MAPPED_PROPERTIES and DEPLOYMENT_MAPPED_PROPERTIES).
FLEEK_DEPLOYMENT = "id status storageType siteId cid updatedAt createdAt __typename"
FLEEK_SITE = f"""id name slug domains {{ id hostname __typename }} zones {{ id status __typename }}
  primaryDomain {{ id hostname __typename }} ipnsRecords {{ id __typename }}
  deployments {{ {FLEEK_DEPLOYMENT} }} __typename"""


@dataclass
class Request:
    headers: dict[str, str]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return executable()


@pytest.fixture
def ask(schema: GraphQLSchema, owner: Context) -> Any:
    """Runs a document as the owner and returns its data; errors fail the test unless ``fails``."""

    async def run(document: str, *, client: str = "", fails: bool = False, **variables: Any) -> Any:
        request = Request({"x-client-type": client} if client else {})
        context = {"ctx": owner, "loaders": Loaders(), "request": request}
        result = await graphql(schema, document, context_value=context, variable_values=variables)
        if fails:
            assert result.errors
            return result.errors[0].original_error
        assert result.errors is None, result.errors
        return result.data

    return run


async def test_a_site_is_made_deployed_shown_rolled_back_and_deleted(ask: Any, upload: Upload) -> None:
    site = await ask('mutation { createSite(data: {name: "My Site"}) { id slug url currentDeployment { id } } }')
    site = site["createSite"]
    assert (site["slug"], site["url"]) == ("my-site", "http://my-site.localhost:8787")
    assert site["currentDeployment"] is None
    roots = [await upload({"index.html": b"%d" % n, "_redirects": b"/a /b\nbad\n"}) for n in range(2)]
    fields = """id status cid url siteId production current files bytes message source createdAt readyAt
      error { code message } rejectedRules { file line text reason } site { slug } restores rolledBackFrom"""
    made = []
    for root in roots:
        document = f"mutation($data: CreateDeploymentDataInput!) {{ createDeployment(data: $data) {{ {fields} }} }}"
        answer = await ask(document, data={"siteId": site["id"], "cid": root, "message": "by test"})
        made.append(answer["createDeployment"])
    assert [row["cid"] for row in made] == roots
    assert made[1]["status"] == "SUCCESS"
    assert made[1]["current"]
    assert made[1]["rejectedRules"][0]["line"] == 2
    label = made[1]["id"][-16:]
    assert made[1]["url"] == f"http://{label}--my-site.localhost:8787"
    rolled = await ask(
        "mutation($id: ID!) { rollbackSite(where: {siteId: $id}) { cid source restores rolledBackFrom } }",
        id=site["id"],
    )
    expected = {"cid": roots[0], "source": "rollback", "restores": made[0]["id"], "rolledBackFrom": made[1]["id"]}
    assert rolled["rollbackSite"] == expected
    diff = await ask(
        """query($a: ID!, $b: ID!) { deploymentDiff(where: {from: $a, to: $b}) { from to added { path bytes }
        removed { path bytes } changed { path bytesBefore bytesAfter } headersAdded headersRemoved redirectsAdded
        redirectsRemoved truncated } }""",
        a=made[0]["id"],
        b=made[1]["id"],
    )
    assert diff["deploymentDiff"]["changed"] == [{"path": "index.html", "bytesBefore": 1, "bytesAfter": 1}]
    renamed = await ask(
        'mutation($id: ID!) { updateSite(where: {id: $id}, data: {slug: "other", name: null}) { slug name } }',
        id=site["id"],
    )
    assert renamed["updateSite"] == {"slug": "other", "name": "My Site"}
    assert (await ask("mutation($id: ID!) { deleteSite(where: {id: $id}) { id } }", id=site["id"]))["deleteSite"]
    assert isinstance(await ask('{ siteBySlug(where: {slug: "other"}) { id } }', fails=True), sites.SiteNotFound)


async def test_sites_are_paged(ask: Any, owner: Context, project_id: ProjectId) -> None:
    for n in range(5):
        await sites.create(owner, f"s{n}", project_id=project_id)
    document = (
        "query($after: String) { sites(first: 2, after: $after) { data { slug } pageInfo { endCursor hasNextPage } } }"
    )
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await ask(document, after=after))["sites"]
        seen += [row["slug"] for row in page["data"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == ["s4", "s3", "s2", "s1", "s0"]


async def test_the_fleek_sdk_gets_its_shapes_and_its_words_for_the_end(
    ask: Any, site: sites.Site, upload: Upload
) -> None:
    root = await upload({"index.html": b"1"})
    made = await ask(
        f"""mutation CreateCustomIpfsDeployment($v1: CreateCustomIpfsDeploymentDataInput!) {{
        createCustomIpfsDeployment(data: $v1) {{ {FLEEK_DEPLOYMENT} }} }}""",
        client="sdk",
        v1={"siteId": site.id, "cid": root},
    )
    deployment = made["createCustomIpfsDeployment"]
    assert deployment["__typename"] == "Deployment"
    assert deployment["storageType"] == "IPFS"
    document = f"query($v1: DeploymentWhereInput!) {{ deployment(where: $v1) {{ {FLEEK_DEPLOYMENT} }} }}"
    variables = {"v1": {"id": deployment["id"]}}
    assert (await ask(document, client="sdk", **variables))["deployment"]["status"] == "RELEASE_COMPLETED"
    assert (await ask(document, **variables))["deployment"]["status"] == "SUCCESS"
    listed = await ask(
        f"query GetSites($v1: SitesWhereInput!) {{ sites(where: $v1) {{ data {{ {FLEEK_SITE} }} __typename }} }}",
        client="sdk",
        v1={},
    )
    row = listed["sites"]["data"][0]
    assert (row["__typename"], row["slug"], row["domains"], row["primaryDomain"]) == ("Site", "blog", [], None)
    assert row["deployments"][0]["status"] == "RELEASE_COMPLETED"


def test_what_the_fleek_sdk_asks_for_is_not_too_costly(schema: GraphQLSchema) -> None:
    """It cannot ask for smaller pages: its list has no arguments."""
    document = parse(f"query GetSites {{ sites(where: {{}}) {{ data {{ {FLEEK_SITE} }} __typename }} }}")
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert cost.check(schema, document, operation, {}, load({}).graphql_cost_max)


async def test_the_site_of_a_custom_deployment_is_named_once(ask: Any, site: sites.Site, upload: Upload) -> None:
    root = await upload({"index.html": b"1"})
    document = """mutation($where: CreateCustomIpfsDeploymentWhereInput, $data: CreateCustomIpfsDeploymentDataInput!) {
      createCustomIpfsDeployment(where: $where, data: $data) { siteId } }"""
    named = await ask(document, where={"siteId": site.id}, data={"cid": root})
    assert named["createCustomIpfsDeployment"]["siteId"] == site.id
    for where, data in ((None, {"cid": root}), ({"siteId": site.id}, {"cid": root, "siteId": site.id})):
        error = await ask(document, where=where, data=data, fails=True)
        assert error.code == "invalid_input"


async def test_each_of_several_mutations_answers_with_what_it_made(ask: Any, site: sites.Site, upload: Upload) -> None:
    roots = [await upload({"index.html": b"%d" % n}) for n in range(2)]
    document = """mutation($a: CreateDeploymentDataInput!, $b: CreateDeploymentDataInput!) {
      first: createDeployment(data: $a) { id current site { currentDeployment { id } } }
      second: createDeployment(data: $b) { id current site { currentDeployment { id } } } }"""
    answer = await ask(
        document, **{name: {"siteId": site.id, "cid": root} for name, root in zip(("a", "b"), roots, strict=True)}
    )
    for made in (answer["first"], answer["second"]):
        assert made["current"]
        assert made["site"]["currentDeployment"]["id"] == made["id"]


async def test_lists_in_lists_cost_a_fixed_number_of_queries(
    ask: Any, owner: Context, platform: Platform, project_id: ProjectId, upload: Upload
) -> None:
    roots = [await upload({"index.html": b"%d" % n}) for n in range(3)]
    document = """{ sites(first: 100) { data { slug project { slug user { id } } currentDeployment { url current }
      deployments(first: 3) { cid url current rejectedRules { line } } } } }"""
    counts = []
    for step in range(2):
        for n in range(5):
            site = await sites.create(owner, f"site {step} {n}", project_id=project_id)
            for root in roots:
                await sites.create_deployment(owner, site.id, root)
        with counting(platform) as queries:
            data = (await ask(document))["sites"]["data"]
        assert len(data) == 5 * (step + 1)
        assert all(len(row["deployments"]) == 3 for row in data)
        counts.append(queries.count)
    assert counts[0] == counts[1] <= 14


async def test_subscriptions_replay_and_complete(
    schema: GraphQLSchema, owner: Context, system: Context, site: sites.Site
) -> None:
    pending = await sites.submit_archive(owner, site.id, fill_with(SITE_TAR))
    await jobs.WORKFLOWS[0].run(system, pending.id)
    context = {"ctx": owner, "loaders": Loaders(), "request": Request({})}

    async def follow(document: str) -> list[Any]:
        stream = subscribe(schema, parse(document), context_value=context, variable_values={"id": pending.id})
        stream = await stream if isinstance(stream, Awaitable) else stream
        assert isinstance(stream, AsyncIterator)
        found = []
        async for result in stream:
            assert result.errors is None, result.errors
            found.append(result.data)
        return found

    states = await follow(
        "subscription($id: ID!) { deploymentStatus(deploymentId: $id) { deploymentId status timestamp } }"
    )
    assert [state["deploymentStatus"]["status"] for state in states] == ["SUCCESS"]
    lines = await follow("subscription($id: ID!) { deploymentLogs(deploymentId: $id) { id timestamp message level } }")
    assert lines[0]["deploymentLogs"]["message"].startswith("Received")
    assert len(lines) >= 3


@dataclass
class counting:
    """Counts the statements that a platform's database is sent inside the ``with`` block."""

    platform: Platform
    count: int = 0

    def __enter__(self) -> counting:
        sa.event.listen(sa.engine.Engine, "before_cursor_execute", self._add)
        return self

    def __exit__(self, *_: object) -> None:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", self._add)

    def _add(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self.count += not statement.startswith("BEGIN")
