"""The GraphQL edge of identity: who am I, my access tokens."""

from __future__ import annotations

from typing import Any

from ariadne import MutationType, ObjectType, QueryType
from graphql import GraphQLResolveInfo

from af.auth import service as auth
from af.auth.devices import device_of, where_is
from af.auth.errors import TokenNotFound
from af.auth.models import AccessToken, Session, TokenAllowance, User
from af.core.errors import InvalidInput
from af.core.resolving import ctx_of, page_size

PAGE_DEFAULT = 50
PAGE_MAX = 100
Info = GraphQLResolveInfo

type_defs = '''
extend type Query {
  "The signed-in user; null for nobody."
  me: User
  "Your access tokens that are not revoked, newest first."
  personalAccessTokens(first: Int = 50, after: String): PersonalAccessTokenList! @cost(multipliers: ["first"])
  "How many more tokens you may make."
  apiKeyRateLimit: ApiKeyRateLimit!
  "Where you are signed in, newest first. Not with an access token."
  sessions: [Session!]!
}

extend type Mutation {
  """
  Revoke a token: at once in this process, within five seconds everywhere. Give `id`, or `where` as the Fleek SDK does
  (exactly one). A request that selects fields of the token, as that SDK does, is answered by
  `revokedPersonalAccessToken` under this name.
  """
  deletePersonalAccessToken(id: ID, where: DeletePersonalAccessTokenWhereInput): Boolean!
  "Revoke a token and return what it was."
  revokedPersonalAccessToken(where: DeletePersonalAccessTokenWhereInput!): PersonalAccessToken!
  "A link that signs you in once, for a browser. Not with a limited token: a session can do everything that you can."
  createLoginLink: LoginLink!
  "Sign out somewhere: at once in this process, within five seconds everywhere."
  revokeSession(where: SessionWhereInput!): Boolean!
  "Sign out everywhere else, with `all: true` everywhere; how many sessions that were."
  revokeAllSessions(all: Boolean = false): Int!
  """
  Replace the key that signs access tokens; the id of the new one. It is published ten minutes before it signs, and the
  old one as long as its tokens last. `atOnce` is for a key that leaked: the tokens it signed end now. Operator only.
  """
  rotateSigningKeys(atOnce: Boolean = false): ID!
}

"Somewhere a person is signed in."
type Session {
  id: ID!
  "The session of this request."
  current: Boolean!
  "`browser`, or `tokens` for the command line and apps."
  kind: String!
  "How they proved who they are: `email`, `github`, `passkey`, …"
  method: String!
  "A guess from the user agent, such as `Firefox on Linux`."
  device: String
  address: String!
  "`this machine` or `private network`; null for any other address."
  place: String
  createdAt: Date!
  "Exact to the minute."
  lastSeenAt: Date
  expiresAt: Date!
}

input SessionWhereInput {
  id: ID!
}

type User {
  id: ID!
  email: String
  username: String
  "Always null: this version of the platform has no wallet login."
  walletAddress: String
  "Runs the platform: may do what concerns all projects at once."
  operator: Boolean!
  createdAt: Date!
  updatedAt: Date!
}

type PersonalAccessToken {
  id: ID!
  name: String!
  "The beginning and the last four characters. (The original always answered null.)"
  maskedToken: String
  "`all`, or what the token may do, such as `sites:write`. (The original had no scopes.)"
  scopes: [String!]!
  "The project that the token is limited to."
  projectId: ID
  expiresAt: Date
  "Exact to the minute."
  lastUsedAt: Date
  createdAt: Date!
  updatedAt: Date!
}

type PersonalAccessTokenList {
  data: [PersonalAccessToken!]!
  pageInfo: PageInfo!
}

type ApiKeyRateLimit {
  remaining: Int!
  limit: Int!
  resetAt: Date!
  activeTokens: Int!
  maxActiveTokens: Int!
}

type LoginLink {
  url: String!
}

input DeletePersonalAccessTokenWhereInput {
  id: ID!
}
'''

query = QueryType()
mutation = MutationType()
user_type = ObjectType("User")
token_type = ObjectType("PersonalAccessToken")
allowance_type = ObjectType("ApiKeyRateLimit")
session_type = ObjectType("Session")


@query.field("me")
async def resolve_me(_: None, info: Info) -> User | None:
    return await auth.me(ctx_of(info))


@query.field("personalAccessTokens")
async def resolve_tokens(
    _: None, info: Info, first: int | None = PAGE_DEFAULT, after: str | None = None
) -> dict[str, Any]:
    first = page_size(first, default=PAGE_DEFAULT, most=PAGE_MAX)
    found = await auth.list_tokens(ctx_of(info), first=first + 1, after=after)
    page = found[:first]
    return {
        "data": page,
        "pageInfo": {"endCursor": page[-1].id if page else None, "hasNextPage": len(found) > first},
    }


@query.field("apiKeyRateLimit")
async def resolve_allowance(_: None, info: Info) -> TokenAllowance:
    return await auth.token_allowance(ctx_of(info))


@mutation.field("deletePersonalAccessToken")
async def resolve_delete_token(_: None, info: Info, id: str | None = None, where: dict[str, str] | None = None) -> bool:
    given = [name for name in (id, (where or {}).get("id")) if name]
    if len(given) != 1:
        raise InvalidInput("Give exactly one of id and where.id.", field="id")
    await auth.revoke_token(ctx_of(info), given[0])
    return True


@mutation.field("revokedPersonalAccessToken")
async def resolve_revoke_token(_: None, info: Info, where: dict[str, str]) -> AccessToken:
    return await auth.revoke_token(ctx_of(info), where["id"])


@mutation.field("createLoginLink")
async def resolve_create_login_link(_: None, info: Info) -> dict[str, str]:
    ctx = ctx_of(info)
    user = await auth.me(ctx)
    if user is None:
        await auth.require_signed_in(ctx)
        raise TokenNotFound("The platform itself needs no link.")
    return {"url": auth.login_url(ctx, await auth.create_login_link(ctx, user.id))}


@query.field("sessions")
async def resolve_sessions(_: None, info: Info) -> list[Session]:
    return await auth.sessions.list_sessions(ctx_of(info))


@mutation.field("revokeSession")
async def resolve_revoke_session(_: None, info: Info, where: dict[str, str]) -> bool:
    await auth.sessions.revoke_session(ctx_of(info), where["id"])
    return True


@mutation.field("revokeAllSessions")
async def resolve_revoke_sessions(_: None, info: Info, all: bool | None = False) -> int:
    return await auth.sessions.revoke_all_sessions(ctx_of(info), own_too=bool(all))


@mutation.field("rotateSigningKeys")
async def resolve_rotate_keys(_: None, info: Info, atOnce: bool | None = False) -> str:  # noqa: N803 - the schema's
    return await auth.keys.rotate_signing_keys(ctx_of(info), at_once=bool(atOnce))


@session_type.field("current")
def resolve_current(session: Session, info: Info) -> bool:
    return session.id == ctx_of(info).actor.session_id


@session_type.field("kind")
def resolve_kind(session: Session, _: Info) -> str:
    return session.kind.value


@session_type.field("device")
def resolve_device(session: Session, _: Info) -> str | None:
    return device_of(session.user_agent) or None


@session_type.field("place")
def resolve_place(session: Session, _: Info) -> str | None:
    return where_is(session.address)


@user_type.field("walletAddress")
def resolve_wallet(_: User, __: Info) -> None:
    return None


@token_type.field("scopes")
def resolve_scopes(token: AccessToken, _: Info) -> list[str]:
    return ["all"] if token.scopes is None else sorted(token.scopes)


@token_type.field("updatedAt")
def resolve_token_updated(token: AccessToken, _: Info) -> Any:
    return token.revoked_at or token.created_at


for _type, _aliases in {
    user_type: {"createdAt": "created_at", "updatedAt": "updated_at"},
    token_type: {
        "maskedToken": "masked",
        "projectId": "project_id",
        "expiresAt": "expires_at",
        "lastUsedAt": "last_used_at",
        "createdAt": "created_at",
    },
    session_type: {"createdAt": "created_at", "lastSeenAt": "last_seen_at", "expiresAt": "expires_at"},
    allowance_type: {"resetAt": "resets_at", "activeTokens": "active", "maxActiveTokens": "active_max"},
}.items():
    for _field, _attribute in _aliases.items():
        _type.set_alias(_field, _attribute)

bindables = [query, mutation, user_type, token_type, allowance_type, session_type]
