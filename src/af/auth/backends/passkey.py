"""Passkeys: Web Authentication Level 3 (https://www.w3.org/TR/webauthn-3/) with discoverable credentials.

Signing in names nobody (usernameless): the authenticator says whose key it is. The relying party is AF_DOMAIN, so one
key works on all of the platform's own pages; sites of users may live below the same domain, and a proof that was made
there is refused by its origin. A key that verified its person (PIN, finger, face) is two factors in one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm

from af.auth.backends import Asked, Identity, Opening, Proof
from af.auth.errors import InvalidClaim, WrongProof
from af.auth.models import LoginMethod, Purpose, User

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor
    from webauthn.registration.verify_registration_response import VerifiedRegistration

KEYS_MAX = 25
"""Passkeys of one person."""
CREDENTIAL_CHARACTERS_MAX = 16_384
CREDENTIAL_ID_BYTES_MAX = 1023  # WebAuthn §5.8.3, §6.5.1
LABEL_DEFAULT = "Passkey"
LABEL_LENGTH_MAX = 60
_CHALLENGE_BYTES = 32
_OWN_PREFIXES = ("", "app.", "auth.")
_FORMATS = frozenset({"none", "packed"})  # packed: a self attestation stays when "none" was asked for (§5.1.3)
_REFUSALS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, UnsupportedAlgorithm)
"""What a parser of a stranger's CBOR meets."""


@dataclass(frozen=True, slots=True)
class Passkeys:
    """The backend ``passkey``. ``relying_party`` is AF_DOMAIN; it is part of every key and cannot change later."""

    relying_party: str
    name: str = "passkey"
    title: str = "Passkey"
    life: timedelta = timedelta(minutes=5)
    attempts_max: int = 1
    bound: bool = True

    async def begin(self, asked: Asked) -> Opening:
        """``shown = {"publicKey": …}``: what `PublicKeyCredential.parseRequestOptionsFromJSON` takes (signing in), or
        ``parseCreationOptionsFromJSON`` (adding a key to ``asked.user``).

        :raises InvalidClaim: a key is to be added, but nobody is signed in or has too many.
        """
        challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        if asked.purpose is Purpose.LINK:
            user = asked.user
            if user is None:
                raise InvalidClaim("Sign in before you add a passkey.")
            shown = self._creation(challenge, user, [m for m in asked.methods if m.method == self.name])
            return Opening("", {"challenge": challenge.hex(), "adds_to": user.id}, {"publicKey": shown})
        return Opening("", {"challenge": challenge.hex(), "adds_to": None}, {"publicKey": self._request(challenge)})

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        """``values = {"credential": the browser's PublicKeyCredential.toJSON(), "label"?}``.

        :raises WrongProof: of another key, challenge, origin or relying party, or the signature or counter is wrong.
        """
        credential = _credential(proof.values.get("credential"))
        challenge = bytes.fromhex(secret["challenge"])
        if secret["adds_to"] is not None:
            return self._added(credential, challenge, proof)
        return await self._recognised(credential, challenge, proof)

    # --- signing in ------

    def _request(self, challenge: bytes) -> dict[str, Any]:
        from webauthn import generate_authentication_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=self.relying_party,
            challenge=challenge,
            timeout=int(self.life.total_seconds() * 1000),
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return options_to_json_dict(options)

    async def _recognised(self, credential: dict[str, Any], challenge: bytes, proof: Proof) -> Identity:
        subject = credential.get("id")
        method = await proof.known(subject) if isinstance(subject, str) else None
        if method is None:
            raise WrongProof("This passkey is not known here.", hint="It may have been removed. Sign in another way.")
        verified = self._verify_assertion(credential, challenge, proof, method)
        data = {**method.data, "signCount": verified.new_sign_count, "backedUp": verified.credential_backed_up}
        return Identity(method.subject, method.label, strong=verified.user_verified, data=data)

    def _verify_assertion(
        self, credential: dict[str, Any], challenge: bytes, proof: Proof, method: LoginMethod
    ) -> VerifiedAuthentication:
        from webauthn import verify_authentication_response
        from webauthn.helpers import base64url_to_bytes
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            _refuse_frames(credential)
            # Without names, the handle is what says whose key it is (§7.2, step 6): it must be there.
            if base64url_to_bytes(credential["response"]["userHandle"]) != user_handle(method.user_id):
                raise _refused("the user handle is not that of the key's owner")
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.relying_party,
                expected_origin=self._origins(proof.origin),
                credential_public_key=base64url_to_bytes(method.data["publicKey"]),
                credential_current_sign_count=method.data["signCount"],
            )
        except (WebAuthnException, *_REFUSALS) as error:
            raise _refused(f"{type(error).__name__}: {error}") from error
        synced = str(verified.credential_device_type.value)
        if synced != method.data["deviceType"]:  # §7.2, step 18: whether a key can be copied never changes
            raise _refused(f"the key was {method.data['deviceType']} and says that it is {synced}")
        return verified

    # --- adding a key ------

    def _creation(self, challenge: bytes, user: User, keys: Sequence[LoginMethod]) -> dict[str, Any]:
        from webauthn import generate_registration_options
        from webauthn.helpers import options_to_json_dict
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        if len(keys) >= KEYS_MAX:
            raise InvalidClaim(f"You have {KEYS_MAX} passkeys already.", hint="Remove one that you do not use.")
        options = generate_registration_options(
            rp_id=self.relying_party,
            rp_name="Alternate Futures",
            user_id=user_handle(user.id),
            user_name=user.email or user.username,
            user_display_name=user.display_name or user.username,
            challenge=challenge,
            timeout=int(self.life.total_seconds() * 1000),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=[_descriptor(key) for key in keys],
        )
        return options_to_json_dict(options)

    def _added(self, credential: dict[str, Any], challenge: bytes, proof: Proof) -> Identity:
        from webauthn.helpers import bytes_to_base64url
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            _refuse_frames(credential)
            verified = self._verify_attestation(credential, challenge, proof)
        except (WebAuthnException, *_REFUSALS) as error:
            raise _refused(f"{type(error).__name__}: {error}") from error
        data = {
            "publicKey": bytes_to_base64url(verified.credential_public_key),
            "signCount": verified.sign_count,
            "transports": _transports(credential),
            "aaguid": verified.aaguid,
            "deviceType": str(verified.credential_device_type.value),
            "backedUp": verified.credential_backed_up,
        }
        subject = bytes_to_base64url(verified.credential_id)
        return Identity(subject, _label(proof.values.get("label")), strong=verified.user_verified, data=data)

    def _verify_attestation(self, credential: dict[str, Any], challenge: bytes, proof: Proof) -> VerifiedRegistration:
        from webauthn import verify_registration_response
        from webauthn.helpers import (
            base64url_to_bytes,
            decode_credential_public_key,
            decoded_public_key_to_cryptography,
            parse_attestation_object,
        )

        # We ask for no attestation; the vendors' formats and their certificates are not even parsed.
        format = parse_attestation_object(base64url_to_bytes(credential["response"]["attestationObject"])).fmt
        if format not in _FORMATS:
            raise _refused(f"attestation format {format!r}")
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=self.relying_party,
            expected_origin=self._origins(proof.origin),
        )
        # Nothing was signed yet: a key that no signature could ever fit would lock its owner out.
        decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
        if len(verified.credential_id) > CREDENTIAL_ID_BYTES_MAX:
            raise _refused("the credential id is too long")
        if base64url_to_bytes(credential["rawId"]) != verified.credential_id:
            raise _refused("the id is not that of the attested key")
        return verified

    def _origins(self, origin: str) -> list[str]:
        """The origins of our own pages, with the scheme and port of ``origin``."""
        at = urlsplit(origin)
        port = f":{at.port}" if at.port else ""
        return [f"{at.scheme}://{prefix}{self.relying_party}{port}" for prefix in _OWN_PREFIXES]


def user_handle(user_id: str) -> bytes:
    """What authenticators keep as the owner of a key (WebAuthn §5.4.3): stable, and says nothing about the person."""
    return user_id.encode("ascii")


def _credential(value: object) -> dict[str, Any]:
    """A credential in JSON, or that JSON in a form field."""
    if isinstance(value, str) and len(value) <= CREDENTIAL_CHARACTERS_MAX:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    response = value.get("response") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(response, dict):
        raise WrongProof("That is no passkey's answer.", field="credential")
    texts = [text for text in (*value.values(), *response.values()) if isinstance(text, str)]
    if sum(map(len, texts)) > CREDENTIAL_CHARACTERS_MAX:
        raise WrongProof("That is too long for a passkey's answer.", field="credential")
    return value


def _refuse_frames(credential: dict[str, Any]) -> None:
    """Our pages ask in no other site's frame (§7.1 step 11, §7.2 step 13)."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json

    if parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).cross_origin:
        raise _refused("asked from another site's frame")


def _descriptor(key: LoginMethod) -> PublicKeyCredentialDescriptor:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    known = {transport.value: transport for transport in AuthenticatorTransport}
    transports = [known[name] for name in key.data.get("transports", []) if name in known]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(key.subject), transports=transports or None)


def _transports(credential: dict[str, Any]) -> list[str]:
    from webauthn.helpers.structs import AuthenticatorTransport

    given = credential["response"].get("transports")
    known = [transport.value for transport in AuthenticatorTransport]
    return [name for name in known if isinstance(given, list) and name in given]


def _label(value: object) -> str:
    """The name that its owner gives a key, fit to be shown anywhere."""
    if not isinstance(value, str):
        return LABEL_DEFAULT
    text = " ".join("".join(c for c in value[:1000] if c.isprintable()).split())
    return text[:LABEL_LENGTH_MAX].strip() or LABEL_DEFAULT


def _refused(reason: str) -> WrongProof:
    """One text for all reasons: whoever made the answer knows, the log tells us."""
    return WrongProof("The passkey's answer does not fit.", hint="Try again.", detail=f"passkey refused: {reason}")
