"""The passkey backend against an authenticator that was written independently, and against its attackers."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from af.auth.backends import Asked, Backend, Identity, Opening, Proof
from af.auth.backends.passkey import KEYS_MAX, Passkeys
from af.auth.errors import InvalidClaim, WrongProof
from af.auth.models import LoginMethod, Purpose, User
from af.core.ids import MethodId, UserId
from tests.support.authenticator import BACKED_UP, BACKUP_ELIGIBLE, USER_PRESENT, Authenticator, cbor, decode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = "https://app.example.org"
ADA = User(UserId("usr_0000000000aaaaaaaaaaaaaaaa"), "ada", "ada@example.org", False, NOW, NOW)
BOB = replace(ADA, id=UserId("usr_0000000000bbbbbbbbbbbbbbbb"), username="bob", email=None)


class Server:
    """The backend with the part of sign-in that it needs: who has which key."""

    def __init__(self) -> None:
        self.backend = Passkeys("example.org")
        self.methods: dict[str, LoginMethod] = {}

    async def begin(self, user: User | None = None) -> Opening:
        methods = tuple(method for method in self.methods.values() if user and method.user_id == user.id)
        purpose = Purpose.LINK if user else Purpose.SIGN_IN
        return await self.backend.begin(Asked({}, purpose, NOW, ORIGIN, user=user, methods=methods))

    async def finish(self, opening: Opening, credential: Any, **values: Any) -> Identity:
        proof = Proof({"credential": credential, **values}, NOW, ORIGIN, self.known)
        return await self.backend.finish(opening.secret, proof)

    async def known(self, subject: str) -> LoginMethod | None:
        return self.methods.get(subject)

    def keep(self, user: User, identity: Identity) -> None:
        key = (user.id, "passkey", identity.subject, identity.label)
        self.methods[identity.subject] = LoginMethod(MethodId("mth_1"), *key, False, identity.data, NOW, None)

    async def add(self, user: User, authenticator: Authenticator, **values: Any) -> Identity:
        opening = await self.begin(user)
        identity = await self.finish(opening, authenticator.create(options(opening), ORIGIN), **values)
        self.keep(user, identity)
        return identity


def options(opening: Opening) -> dict[str, Any]:
    found: dict[str, Any] = opening.shown["publicKey"]
    return found


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def phone() -> Authenticator:
    return Authenticator()


def test_it_is_a_login_method_whose_answer_counts_once(server: Server) -> None:
    backend: Backend = server.backend
    assert (backend.name, backend.attempts_max, backend.bound, backend.life.total_seconds()) == (
        "passkey",
        1,
        True,
        300,
    )


async def test_a_key_that_was_added_signs_its_owner_in_with_two_factors(server: Server, phone: Authenticator) -> None:
    added = await server.add(ADA, phone, label="  My\x00 phone\u202e  ")
    assert added.label == "My phone"
    opening = await server.begin()
    assert options(opening)["allowCredentials"] == [], "asking must not say who has keys"
    found = await server.finish(opening, phone.get(options(opening), ORIGIN))
    assert (found.subject, found.label, found.strong) == (added.subject, "My phone", True)
    assert found.data["signCount"] == 2
    assert found.data["publicKey"] == added.data["publicKey"]


async def test_the_challenge_is_new_each_time_and_never_among_what_is_kept_for_later(server: Server) -> None:
    first, second = await server.begin(), await server.begin()
    assert options(first)["challenge"] != options(second)["challenge"]
    assert len(options(first)["challenge"]) == 43


async def test_a_key_that_did_not_verify_its_person_is_one_factor(server: Server, phone: Authenticator) -> None:
    phone.flags = USER_PRESENT
    assert not (await server.add(ADA, phone)).strong
    opening = await server.begin()
    assert not (await server.finish(opening, phone.get(options(opening), ORIGIN))).strong


async def test_a_key_without_a_counter_works_again_and_again(server: Server, phone: Authenticator) -> None:
    phone.counts = False
    await server.add(ADA, phone)
    for _ in range(3):
        opening = await server.begin()
        identity = await server.finish(opening, phone.get(options(opening), ORIGIN))
        server.keep(ADA, identity)


async def test_what_is_asked_of_a_new_key(server: Server, phone: Authenticator) -> None:
    first = await server.add(ADA, phone)
    asked = options(await server.begin(ADA))
    assert asked["rp"] == {"id": "example.org", "name": "Alternate Futures"}
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert [entry["id"] for entry in asked["excludeCredentials"]] == [first.subject]
    assert asked["excludeCredentials"][0]["transports"] == ["internal", "hybrid"]
    assert options(await server.begin(BOB))["user"]["id"] != asked["user"]["id"]
    assert "ada" not in asked["user"]["id"]


@pytest.mark.parametrize("origin", ["https://example.org", "https://app.example.org", "https://auth.example.org"])
async def test_a_key_works_on_all_of_our_own_pages(server: Server, phone: Authenticator, origin: str) -> None:
    await server.add(ADA, phone)
    opening = await server.begin()
    assert (await server.finish(opening, phone.get(options(opening), origin))).strong


async def test_adding_needs_somebody_and_ends_at_a_number_of_keys(server: Server) -> None:
    with pytest.raises(InvalidClaim):
        await server.backend.begin(Asked({}, Purpose.LINK, NOW, ORIGIN))
    for _ in range(KEYS_MAX):
        await server.add(ADA, Authenticator())
    with pytest.raises(InvalidClaim, match="25 passkeys"):
        await server.begin(ADA)


# --- attackers ------


@pytest.mark.parametrize(
    ("origin", "changes"),
    [
        ("https://evil.example.org", {}),  # a user's site below our domain
        ("https://app.example.org.evil.example", {}),
        ("http://app.example.org", {}),
        ("https://app.example.org:8443", {}),
        ("https://app.example.org/", {}),
        ("null", {}),
        (ORIGIN, {"relying_party": "evil.example.org"}),
        (ORIGIN, {"challenge": "AAAA"}),
        (ORIGIN, {"challenge": 7}),
        (ORIGIN, {"cross_origin": True}),
        (ORIGIN, {"type": "webauthn.create"}),
        (ORIGIN, {"user_handle": None}),
        (ORIGIN, {"user_handle": BOB.id.encode()}),
    ],
)
async def test_an_assertion_that_was_made_for_something_else_is_refused(
    server: Server, phone: Authenticator, origin: str, changes: dict[str, Any]
) -> None:
    await server.add(ADA, phone)
    opening = await server.begin()
    with pytest.raises(WrongProof):
        await server.finish(opening, phone.get(options(opening), origin, **changes))


@pytest.mark.parametrize(
    ("origin", "changes"),
    [
        ("https://evil.example.org", {}),
        (ORIGIN, {"relying_party": "evil.example.org"}),
        (ORIGIN, {"challenge": "AAAA"}),
        (ORIGIN, {"cross_origin": True}),
        (ORIGIN, {"type": "webauthn.get"}),
        (ORIGIN, {"format": "fido-u2f", "statement": {"x5c": {}}}),
        (ORIGIN, {"format": "android-safetynet"}),
        (ORIGIN, {"format": "none", "statement": {"sig": b"1"}}),
        (ORIGIN, {"public_key": cbor({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})}),  # no point of the curve
        (ORIGIN, {"public_key": cbor({1: 2, 3: -7})}),
        (ORIGIN, {"public_key": cbor({})}),
        (ORIGIN, {"public_key": cbor({1: 2, 3: -65535, -1: 1, -2: bytes(32), -3: bytes(32)})}),  # SHA-1
        (ORIGIN, {"public_key": b"\x04" + bytes(64)}),
    ],
)
async def test_a_registration_that_was_made_for_something_else_is_refused(
    server: Server, phone: Authenticator, origin: str, changes: dict[str, Any]
) -> None:
    opening = await server.begin(ADA)
    with pytest.raises(WrongProof):
        await server.finish(opening, phone.create(options(opening), origin, **changes))


async def test_a_registration_cannot_claim_the_id_of_another_key(server: Server, phone: Authenticator) -> None:
    opening = await server.begin(ADA)
    credential = phone.create(options(opening), ORIGIN)
    for name in ("id", "rawId"):
        with pytest.raises(WrongProof):
            await server.finish(opening, {**credential, name: "AAAA"})
    with pytest.raises(WrongProof):
        await server.finish(opening, {**credential, "id": "AAAA", "rawId": "AAAA"})


async def test_an_assertion_does_not_answer_another_question(server: Server, phone: Authenticator) -> None:
    await server.add(ADA, phone)
    first, second = await server.begin(), await server.begin()
    answer = phone.get(options(first), ORIGIN)
    with pytest.raises(WrongProof):
        await server.finish(second, answer)


async def test_the_key_of_one_person_does_not_speak_for_another(server: Server, phone: Authenticator) -> None:
    bobs = Authenticator()
    of_ada, _ = await server.add(ADA, phone), await server.add(BOB, bobs)
    opening = await server.begin()
    answer = bobs.get(options(opening), ORIGIN, user_handle=ADA.id.encode())
    with pytest.raises(WrongProof):
        await server.finish(opening, answer)
    with pytest.raises(WrongProof):  # his signature under the id of her key
        await server.finish(opening, {**answer, "id": of_ada.subject, "rawId": of_ada.subject})


async def test_adding_and_signing_in_do_not_answer_each_other(server: Server, phone: Authenticator) -> None:
    await server.add(ADA, phone)
    adding, signing_in = await server.begin(ADA), await server.begin()
    with pytest.raises(WrongProof):
        await server.finish(
            adding, phone.get({**options(signing_in), "challenge": options(adding)["challenge"]}, ORIGIN)
        )
    creation = {**options(adding), "excludeCredentials": [], "challenge": options(signing_in)["challenge"]}
    with pytest.raises(WrongProof):
        await server.finish(signing_in, phone.create(creation, ORIGIN))


async def test_a_counter_that_goes_back_shows_a_copied_key(server: Server, phone: Authenticator) -> None:
    await server.add(ADA, phone)
    opening = await server.begin()
    server.keep(ADA, await server.finish(opening, phone.get(options(opening), ORIGIN)))
    phone.keys[0].count = 0  # the copy
    opening = await server.begin()
    with pytest.raises(WrongProof) as refused:
        await server.finish(opening, phone.get(options(opening), ORIGIN))
    assert "sign count of 1 was not greater" in refused.value.detail


async def test_a_key_that_turns_into_one_that_can_be_copied_is_refused(server: Server, phone: Authenticator) -> None:
    await server.add(ADA, phone)
    phone.flags |= BACKUP_ELIGIBLE | BACKED_UP
    opening = await server.begin()
    with pytest.raises(WrongProof):
        await server.finish(opening, phone.get(options(opening), ORIGIN))


async def test_nobody_present_is_refused(server: Server, phone: Authenticator) -> None:
    await server.add(ADA, phone)
    phone.flags = 0
    opening = await server.begin()
    with pytest.raises(WrongProof):
        await server.finish(opening, phone.get(options(opening), ORIGIN))


@pytest.mark.parametrize(
    "credential",
    [
        None,
        7,
        "",
        "{",
        "[" * 9000,
        "null",
        [],
        {},
        {"response": []},
        {"id": 7, "response": {}},
        {"response": {"clientDataJSON": 7}},
    ],
)
async def test_what_is_no_credential_is_refused(server: Server, credential: Any) -> None:
    for opening in (await server.begin(), await server.begin(ADA)):
        with pytest.raises(WrongProof):
            await server.finish(opening, credential)


DAMAGE = st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["A", "z", "9", "_", "=", "é", "", "AAAA"]))
"""Where in the text, as a fraction (keys and signatures differ in length from run to run), and what goes there."""


def damaged(text: str, damage: tuple[float, str]) -> str:
    at = int(len(text) * damage[0])
    return text[:at] + damage[1] + text[at + 1 :]


@settings(max_examples=150, deadline=None)
@given(part=st.sampled_from(["clientDataJSON", "attestationObject"]), damage=DAMAGE)
async def test_a_damaged_registration_is_refused_and_never_breaks(part: str, damage: tuple[float, str]) -> None:
    server, phone = Server(), Authenticator()
    opening = await server.begin(ADA)
    credential = phone.create(options(opening), ORIGIN)
    whole = decode(credential["response"][part])
    credential["response"][part] = damaged(credential["response"][part], damage)
    try:
        added = await server.finish(opening, credential)
    except WrongProof:
        return
    # Nothing signs a registration without attestation: the counter, the model and white space may differ. What was
    # asked (challenge, origin, relying party) and what was attested (id, a key on the curve) must not.
    assert added.subject == credential["id"]
    if part == "clientDataJSON":
        kept = json.loads(decode(credential["response"][part]))
        assert all(kept[name] == value for name, value in json.loads(whole).items() if name != "crossOrigin")


@settings(max_examples=150, deadline=None)
@given(part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle"]), damage=DAMAGE)
async def test_a_damaged_assertion_is_refused_and_never_breaks(part: str, damage: tuple[float, str]) -> None:
    server, phone = Server(), Authenticator()
    await server.add(ADA, phone)
    opening = await server.begin()
    credential = phone.get(options(opening), ORIGIN)
    text = credential["response"][part]
    credential["response"][part] = damaged(text, damage)
    try:
        await server.finish(opening, credential)
    except WrongProof:
        return
    assert lenient(credential["response"][part]) == decode(text), "changed bytes were accepted"


def lenient(text: str) -> bytes:
    """As decoders do that skip what is no base64url and the bits beyond the last byte."""
    return base64.urlsafe_b64decode(text + "===")
