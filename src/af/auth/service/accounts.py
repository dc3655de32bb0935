"""Which account a proof belongs to, and the ways in that an account has."""

from __future__ import annotations

from af.auth import rules, store
from af.auth.backends import Backend, Identity
from af.auth.errors import AccountExists, InvalidClaim, MethodTaken, WrongProof
from af.auth.models import LoginMethod, User
from af.auth.service import notices
from af.auth.service.users import insert_with_free_name
from af.core import audit, ids
from af.core.context import Context
from af.core.ids import MethodId, UserId

EMAIL = "email"
PASSKEY = "passkey"


async def identified(ctx: Context, backend: Backend, identity: Identity) -> tuple[User, bool]:
    """The account of a proven identity, made now if there is none, and whether it was. In the caller's transaction.

    :raises AccountExists: nobody has this way in, but the provider vouches for an address that belongs to an account.
        It is not handed over: that a provider says so is no proof to us, and whoever registers first with a lax
        provider would wait in the owner's account.
    """
    async with ctx.transaction() as tx:
        method = await store.methods.by_subject(tx, backend.name, identity.subject)
        if method is not None:
            await store.methods.note_use(tx, method.id, identity.data, ctx.now)
            return (await store.users.users_by_id(tx, [method.user_id]))[method.user_id], False
        if backend.name != EMAIL and identity.email is not None:
            address = _normal_or_none(identity.email)
            if address is not None and await store.users.user_by_email(tx, address) is not None:
                raise AccountExists(
                    f"There is an account with {address} already.",
                    hint=f"Sign in by e-mail, then add {backend.title} in the settings.",
                )
        if backend.name == PASSKEY:  # removed since it was looked up
            raise WrongProof("This passkey is not known here.", hint="Sign in another way.")
        known = await store.users.user_by_email(tx, identity.subject) if backend.name == EMAIL else None
        if known is not None:  # an account of an early release: its address is proven now, and is its first way in
            await _insert_method(ctx, known, backend, identity, primary=True)
            return known, False
        user = await _new_user(ctx, backend, identity)
        await _insert_method(ctx, user, backend, identity, primary=True)
        await audit.record(ctx, f"user:{user.id}", "account.create", user.id, after={"method": backend.name})
    return user, True


async def add_method(ctx: Context, user: User, backend: Backend, identity: Identity) -> LoginMethod:
    """One more way in for ``user``, who proved both. :raises MethodTaken: it is an account's already."""
    async with ctx.transaction() as tx:
        has_some = bool(await store.methods.of_user(tx, user.id))
        owner = await store.users.user_by_email(tx, identity.subject) if backend.name == EMAIL else None
        if owner is not None and owner.id != user.id:
            raise MethodTaken("The address belongs to another account.", hint="Sign in to that one.")
        added = await _insert_method(ctx, user, backend, identity, primary=not has_some)
        if backend.name == EMAIL and user.email is None:
            await store.users.set_email(tx, user.id, identity.subject, ctx.now)
        await audit.record(
            ctx, f"user:{user.id}", "method.add", added.id, after={"method": backend.name, "label": identity.label}
        )
        await notices.tell_of_method(ctx, user, "method_added", added)
    return added


async def _new_user(ctx: Context, backend: Backend, identity: Identity) -> User:
    user = User(
        id=UserId(ids.new(ids.USER, ctx.now)),
        username=rules.username_from(identity.display_name or identity.label.partition("@")[0]),
        email=identity.subject if backend.name == EMAIL else None,
        operator=False,
        created_at=ctx.now,
        updated_at=ctx.now,
        display_name=identity.display_name,
        avatar_url=identity.avatar_url,
    )
    made = await insert_with_free_name(ctx, user)
    if made is None:
        raise MethodTaken("The address belongs to another account.", hint="Sign in to that one.")
    return made


async def _insert_method(
    ctx: Context, user: User, backend: Backend, identity: Identity, *, primary: bool
) -> LoginMethod:
    method = LoginMethod(
        id=MethodId(ids.new(ids.METHOD, ctx.now)),
        user_id=user.id,
        method=backend.name,
        subject=identity.subject,
        label=identity.label[:200],
        primary=primary,
        data=identity.data,
        created_at=ctx.now,
        last_used_at=None,
    )
    async with ctx.transaction() as tx:
        if not await store.methods.insert(tx, method):
            raise MethodTaken(
                f"{identity.label[:80]} is a way in to an account already.",
                hint="Sign in with it, and remove it there first.",
            )
    return method


def _normal_or_none(address: str) -> str | None:
    try:
        return rules.normal_email(address)
    except InvalidClaim:
        return None
