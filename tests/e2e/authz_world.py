"""The people and things that `test_authz` plays with."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from af import auth, names, projects, sites, storage
from af.core.context import SYSTEM, Actor, ActorKind, Context, Platform
from af.core.ids import OrganizationId
from af.projects import OrganizationMember, OrganizationRole, Role, store
from af.protocols.ipfs import car, ipns, peerkeys, unixfs
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.support import platforms
from tests.support.asgi import AsgiClient

CALLERS = ("anonymous", "stranger", "viewer", "member", "admin", "owner", "billing", "operator")
"""The first of them and the last are no members of the project or the organization; billing is of the latter only."""


@dataclass(frozen=True)
class People:
    """Everyone's context and access token, by caller; made once per test."""

    contexts: Mapping[str, Context]
    tokens: Mapping[str, str]
    guest: Context
    """Somebody to be added to and removed from projects."""

    def client(self, app: AsgiClient, caller: str, world: World) -> AsgiClient:
        """Requests of the caller, who says which project they are about."""
        client = app if caller == "anonymous" else app.as_token(self.tokens[caller])
        return AsgiClient(client.app, client.host, {**client.headers, "x-project-id": world.project}, client.address)


@dataclass(frozen=True)
class World:
    """A project with one of everything; values are ids, and what requests need."""

    project: str
    site: str
    slug: str
    deployment: str
    previous: str
    pending: str
    cid: str
    pinned: str
    pin_request: str
    ipns: str
    ipns_name: str
    """An IPNS name with a record: its id, and itself."""
    ens: str
    """An ENS record that points at it."""
    foreign_name: str
    foreign_key: str
    foreign_record: str
    """Another one, its key and a record, in base64: not brought here yet."""
    guest: str
    account: str
    """A service account, with a token and a trust rule."""
    account_token: str
    rule: str
    own_token: str
    """An access token of the caller's own, to be revoked."""
    own_secret: str
    car: bytes
    organization: str
    """The callers' own roles are their roles in it, too; the guest is a viewer."""
    invitation: str
    gateway: str
    """A private gateway: its id, slug and zone."""
    gateway_slug: str
    zone: str
    moved: str
    """An organization to move projects to, of the owner's."""


async def make_people(platform: Platform) -> People:
    contexts = {name: await platforms.user(platform, name) for name in CALLERS if name not in ("anonymous", "operator")}
    boot = await projects.bootstrap(platform.context(SYSTEM))
    contexts["operator"] = platform.context(Actor(ActorKind.USER, user_id=boot.user.id))
    await projects.create_project(contexts["stranger"], "elsewhere")
    tokens = {name: await platforms.token(ctx) for name, ctx in contexts.items()}
    return People(contexts, tokens, await platforms.user(platform, "guest"))


def folder(files: Mapping[str, bytes]) -> tuple[CID, list[tuple[CID, bytes]]]:
    """A folder's root and blocks, as a client computes them."""
    blocks: list[tuple[CID, bytes]] = []
    entries = [
        (path, unixfs.import_file(io.BytesIO(content).read, lambda *block: blocks.append(block)))
        for path, content in files.items()
    ]
    return unixfs.build_tree(entries, lambda *block: blocks.append(block)).cid, blocks


async def make_organization(people: People) -> tuple[str, str, str]:
    """An organization with everybody in it, an invitation to it, and another one of the owner's."""
    owner = people.contexts["owner"]
    made = await projects.create_organization(owner, "team")
    for name in ("billing", "viewer", "member", "admin"):
        await enter(people.contexts[name], made.id, OrganizationRole[name.upper()])
    await enter(people.guest, made.id, OrganizationRole.VIEWER)
    address = f"friend-{made.id[-16:]}@example.org"
    invitation = await projects.invite(owner, made.id, email=address, role=OrganizationRole.VIEWER)
    return made.id, invitation.id, (await projects.create_organization(owner, "other team")).id


async def enter(ctx: Context, organization_id: str, role: OrganizationRole) -> None:
    """As somebody who accepted an invitation."""
    assert ctx.actor.user_id is not None
    key = OrganizationId(organization_id)
    place = OrganizationMember(key, ctx.actor.user_id, role, True, ctx.now)
    async with ctx.transaction() as tx:
        await store.organizations.insert_member(tx, place)


async def make_world(platform: Platform, people: People, caller: str) -> World:
    owner, system = people.contexts["owner"], platform.context(SYSTEM)
    project = await projects.create_project(owner, "mine")
    for name, role in (("viewer", Role.VIEWER), ("member", Role.MEMBER), ("admin", Role.ADMIN)):
        await projects.add_member(owner, project.id, user=name, role=role)
    await projects.add_member(owner, project.id, user="guest", role=Role.VIEWER)
    site = await sites.create(owner, f"site {project.id[-16:]}", project_id=project.id)
    roots = []
    for content in (b"one", b"two"):
        root, blocks = folder({"index.html": content + project.id.encode()})
        await platform.ports[storage.BlockStore].put(blocks, scope=project.id)
        roots.append(cids.to_text(root))
    deployments = [await sites.create_deployment(owner, site.id, root) for root in roots]
    await storage.create_pin(owner, project.id, roots[0], name="kept.html")
    private = await storage.create_private_gateway(owner, project.id, "theirs", zone_id=None)
    wish = await storage.request_pin(owner, project.id, storage.WantedPin(cid=cids.parse(roots[1])))

    async def fill(upload: Any) -> None:
        upload.write(b"not an archive")

    pending = await sites.submit_archive(owner, site.id, fill)
    assert people.guest.actor.user_id is not None
    whose = people.contexts.get(caller, owner).actor.user_id
    own = await auth.create_token(system, "own", user_id=whose)
    root, blocks = folder({"new.txt": b"new" + project.id.encode()})
    shard = car.header([root]) + b"".join(car.frame(cid, block) for cid, block in blocks)
    organization, invitation, moved = await make_organization(people)
    account = await projects.machines.create_service_account(owner, project.id, "bot", Role.MEMBER)
    account_token = await projects.machines.create_service_token(owner, project.id, account.id, "its")
    rule = await projects.machines.create_trust_rule(
        owner, project.id, service_account=account.id, name="ci", issuer="https://issuer.example", subject="repo:a/b:*"
    )
    named = await names.create(owner, project.id, value=f"/ipfs/{roots[0]}")
    ens = await names.create_ens(owner, "theirs.eth", ipns=named.id)
    key = Ed25519PrivateKey.generate()
    until = owner.now + timedelta(days=1)
    record = ipns.create(key, f"/ipfs/{roots[0]}".encode(), sequence=1, valid_until=until, ttl_seconds=60)
    return World(
        ipns=named.id,
        ipns_name=named.name,
        ens=ens.id,
        foreign_name=ipns.to_text(ipns.name_of(key)),
        foreign_key=base64.b64encode(peerkeys.export_key(key)).decode(),
        foreign_record=base64.b64encode(record).decode(),
        account=account.id,
        account_token=account_token.token.id,
        rule=rule.id,
        organization=organization,
        invitation=invitation,
        moved=moved,
        project=project.id,
        site=site.id,
        slug=site.slug,
        deployment=deployments[1].id,
        previous=deployments[0].id,
        pending=pending.id,
        cid=roots[1],
        pinned=roots[0],
        pin_request=wish.id,
        gateway=private.id,
        gateway_slug=private.slug,
        zone=private.zone_id,
        guest=people.guest.actor.user_id,
        own_token=own.token.id,
        own_secret=own.text,
        car=shard,
    )
