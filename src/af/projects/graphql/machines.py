"""Service accounts with their tokens, and the trust rules by which pipelines act as one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ariadne import MutationType, ObjectType, QueryType

from af import auth
from af.core.errors import InvalidInput
from af.projects import service as projects
from af.projects.graphql.shared import Given, Info, ctx_of
from af.projects.service.machines import ServiceAccount

query = QueryType()
mutation = MutationType()
account_type = ObjectType("ServiceAccount")
rule_type = ObjectType("TrustRule")


@query.field("serviceAccounts")
async def resolve_accounts(_: None, info: Info, where: Given) -> Given:
    return {"data": await projects.machines.service_accounts(ctx_of(info), where["projectId"])}


@query.field("trustRules")
async def resolve_rules(_: None, info: Info, where: Given) -> Given:
    return {"data": await projects.machines.trust_rules(ctx_of(info), where["projectId"])}


@mutation.field("createServiceAccount")
async def resolve_create(_: None, info: Info, where: Given, data: Given) -> ServiceAccount:
    return await projects.machines.create_service_account(ctx_of(info), where["projectId"], data["name"], data["role"])


@mutation.field("deleteServiceAccount")
async def resolve_delete(_: None, info: Info, where: Given) -> ServiceAccount:
    return await projects.machines.delete_service_account(ctx_of(info), where["projectId"], where["id"])


@mutation.field("createServiceAccountToken")
async def resolve_create_token(_: None, info: Info, where: Given, data: Given) -> auth.CreatedToken:
    return await projects.machines.create_service_token(
        ctx_of(info),
        where["projectId"],
        where["id"],
        data["name"],
        scopes=data.get("scopes"),
        expires_at=data.get("expiresAt"),
    )


@mutation.field("revokeServiceAccountToken")
async def resolve_revoke_token(_: None, info: Info, where: Given) -> auth.AccessToken:
    return await projects.machines.revoke_service_token(ctx_of(info), where["projectId"], where["id"], where["tokenId"])


@mutation.field("createTrustRule")
async def resolve_create_rule(_: None, info: Info, where: Given, data: Given) -> auth.TrustRule:
    return await projects.machines.create_trust_rule(
        ctx_of(info),
        where["projectId"],
        service_account=data["serviceAccountId"],
        name=data["name"],
        issuer=data["issuer"],
        subject=data["subject"],
        audience=data.get("audience"),
        claims=_texts(data.get("claims")),
        scopes=data.get("scopes"),
        life=timedelta(seconds=data["lifeSeconds"]),
    )


@mutation.field("deleteTrustRule")
async def resolve_delete_rule(_: None, info: Info, where: Given) -> auth.TrustRule:
    return await projects.machines.delete_trust_rule(ctx_of(info), where["projectId"], where["id"])


def _texts(claims: Any) -> dict[str, str]:
    """The claims of a rule. :raises InvalidInput: not an object of texts."""
    given = {} if claims is None else claims
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidInput('claims is an object of texts, such as {"repository_owner_id": "42"}.', field="claims")
    return given


@account_type.field("name")
def resolve_name(account: ServiceAccount, _: Info) -> str:
    return account.user.display_name or account.user.username


@account_type.field("username")
def resolve_username(account: ServiceAccount, _: Info) -> str:
    return account.user.username


@account_type.field("tokens")
async def resolve_tokens(account: ServiceAccount, info: Info) -> list[auth.AccessToken]:
    return await projects.machines.service_tokens(ctx_of(info), account)


@rule_type.field("scopes")
def resolve_scopes(rule: auth.TrustRule, _: Info) -> list[str]:
    return ["all"] if rule.scopes is None else sorted(rule.scopes)


@rule_type.field("lifeSeconds")
def resolve_life(rule: auth.TrustRule, _: Info) -> int:
    return int(rule.life.total_seconds())


@rule_type.field("claims")
def resolve_claims(rule: auth.TrustRule, _: Info) -> dict[str, str]:
    return dict(rule.claims)


account_type.set_alias("createdAt", "created_at")
for _name, _attribute in {
    "serviceAccountId": "user_id",
    "lastUsedAt": "last_used_at",
    "createdAt": "created_at",
}.items():
    rule_type.set_alias(_name, _attribute)

bindables = [query, mutation, account_type, rule_type]
