"""A second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when the app is gone."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

import pyotp

from af.auth import rules, store
from af.auth.errors import SecondFactorAbsent, SecondFactorExists, WrongProof
from af.auth.models import SessionKind, SignedIn, User
from af.auth.service import challenges, notices, sign_in
from af.auth.service.users import person, require_person, require_recent
from af.core import audit, limits, seal
from af.core.context import Context
from af.core.ids import UserId
from af.core.limits import Limit

ISSUER = "Alternate Futures"
STEP_SECONDS = 30
RECOVERY_CODES = 10
_SEAL_PURPOSE = "auth.totp"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_GROUPS, _GROUP_LENGTH = 3, 4  # 59 bits
TRIES = Limit("second factors of this account", 10, timedelta(minutes=15))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is fed with: the secret in base32, or as the address that a QR code holds."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class Status:
    """Whether sign-ins need a second factor, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


async def status(ctx: Context) -> Status:
    """The caller's."""
    user_id = await require_person(ctx)
    async with ctx.reading() as connection:
        enabled = await store.factors.is_enabled(connection, user_id)
        return Status(enabled, await store.factors.count_recovery_codes(connection, user_id))


async def begin(ctx: Context) -> Enrolment:
    """A new secret, which counts once a code of it was given to `confirm`. :raises SecondFactorExists: one counts."""
    await require_recent(ctx)
    user = await person(ctx)
    secret = pyotp.random_base32()
    sealed = ctx.get(seal.Sealer).seal(secret.encode(), purpose=f"{_SEAL_PURPOSE}:{user.id}")
    async with ctx.transaction() as tx:
        if not await store.factors.put_secret(tx, user.id, sealed, ctx.now):
            raise SecondFactorExists("You have a second factor already.", hint="Remove it first.")
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email or user.username, issuer_name=ISSUER)
    return Enrolment(secret, uri)


async def confirm(ctx: Context, code: str) -> list[str]:
    """The secret counts from now on. Returns the recovery codes, shown only this once.

    :raises WrongProof: not a code of the secret that `begin` made. :raises SecondFactorAbsent: it made none.
    """
    user_id = await require_recent(ctx)
    await limits.take(ctx, TRIES, user_id)
    user = await person(ctx)
    async with ctx.transaction() as tx:
        await _use_code(ctx, user_id, code, confirmed=False)
        if not await store.factors.confirm(tx, user_id, ctx.now):
            raise SecondFactorAbsent("There is no second factor to confirm.")
        codes = await _new_recovery_codes(ctx, user_id)
        await audit.record(ctx, f"user:{user_id}", "second_factor.enable", user_id)
        await _tell(ctx, user, "method_added")
    return codes


async def disable(ctx: Context, code: str) -> None:
    """Sign-ins need no second factor any more. ``code`` of the app, or a recovery code. :raises WrongProof: neither."""
    user_id = await require_recent(ctx)
    await limits.take(ctx, TRIES, user_id)
    user = await person(ctx)
    async with ctx.transaction() as tx:
        await _use(ctx, user, code)
        await store.factors.remove(tx, user_id)
        await audit.record(ctx, f"user:{user_id}", "second_factor.disable", user_id)
        await _tell(ctx, user, "method_removed")


async def renew_recovery_codes(ctx: Context) -> list[str]:
    """New recovery codes; the earlier ones work no more. :raises SecondFactorAbsent: there is no second factor."""
    user_id = await require_recent(ctx)
    async with ctx.transaction() as tx:
        if not await store.factors.is_enabled(tx, user_id):
            raise SecondFactorAbsent("Recovery codes belong to a second factor, and you have none.")
        codes = await _new_recovery_codes(ctx, user_id)
        await audit.record(ctx, f"user:{user_id}", "second_factor.recovery_codes", user_id)
    return codes


async def finish(ctx: Context, code: str, *, flow: str | None, kind: SessionKind = SessionKind.BROWSER) -> SignedIn:
    """The second half of a sign-in that asked for it: a code of the app, or a recovery code.

    :raises ChallengeOver: no sign-in waits for it in this browser. :raises WrongProof: a wrong code.
    """
    challenge, secret = await challenges.take(ctx, sign_in.SECOND_FACTOR, flow=flow)
    assert challenge.user_id is not None, "the first factor told whose it is"
    await limits.take(ctx, TRIES, challenge.user_id)
    async with ctx.transaction() as tx:
        user = (await store.users.users_by_id(tx, [challenge.user_id]))[challenge.user_id]
        await _use(ctx, user, code)
        await challenges.close(ctx, challenge)
        return await sign_in.signed_in(ctx, user, secret["method"], kind, return_to=challenge.return_to)


async def _use(ctx: Context, user: User, code: str) -> None:
    """Take either kind of code. :raises WrongProof: neither, or used before."""
    typed = "".join(c for c in code[:64] if c not in " -\u00a0").lower()
    if typed.isascii() and typed.isdigit():
        await _use_code(ctx, user.id, typed, confirmed=True)
        return
    async with ctx.transaction() as tx:
        if not await store.factors.use_recovery_code(tx, user.id, rules.digest(f"{user.id}:{typed}")):
            raise _wrong()
        left = await store.factors.count_recovery_codes(tx, user.id)
        await audit.record(ctx, f"user:{user.id}", "second_factor.recovery_code_used", user.id, after={"left": left})
        await notices.tell(
            ctx,
            user,
            "recovery_code_used",
            page="/settings/security",
            when=notices.when(ctx),
            remaining=str(left),
            place=notices.place(ctx),
        )


async def _use_code(ctx: Context, user_id: UserId, code: str, *, confirmed: bool) -> None:
    async with ctx.transaction() as tx:
        sealed = await store.factors.secret_of(tx, user_id, confirmed=confirmed)
        if sealed is None:
            raise SecondFactorAbsent("There is no second factor to check a code of.")
        secret = ctx.get(seal.Sealer).open(sealed, purpose=f"{_SEAL_PURPOSE}:{user_id}").decode()
        step = _step_of(secret, "".join(code.split())[:16], int(ctx.now.timestamp()) // STEP_SECONDS)
        if step is None or not await store.factors.use_step(tx, user_id, step):
            raise _wrong()


def _step_of(secret: str, code: str, now: int) -> int | None:
    """The time step that ``code`` belongs to: this one or its neighbours, as clocks differ (RFC 6238 §5.2)."""
    totp = pyotp.TOTP(secret)
    fitting = [step for step in (now, now - 1, now + 1) if hmac.compare_digest(_code(totp, step), code.encode())]
    return fitting[0] if fitting else None


def _code(totp: pyotp.TOTP, step: int) -> bytes:
    return totp.generate_otp(step).encode()


async def _new_recovery_codes(ctx: Context, user_id: UserId) -> list[str]:
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]
    async with ctx.transaction() as tx:
        hashes = [rules.digest(f"{user_id}:{code.replace('-', '')}") for code in codes]
        await store.factors.replace_recovery_codes(tx, user_id, hashes)
    return codes


async def _tell(ctx: Context, user: User, template: str) -> None:
    await notices.tell(
        ctx,
        user,
        template,
        page="/settings/security",
        method="A second factor",
        label="authenticator app",
        when=notices.when(ctx),
        place=notices.place(ctx),
    )


def _wrong() -> WrongProof:
    return WrongProof("The code is wrong, or was used already.", hint="Wait for the next code.", field="code")
