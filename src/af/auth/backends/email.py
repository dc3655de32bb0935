"""Sign-in by e-mail: one message with a link and a code; whoever reads the mailbox answers with either."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from af.auth.backends import Asked, Identity, Opening, Proof
from af.auth.backends.codes import check_code, new_code
from af.auth.errors import WrongProof
from af.auth.rules import normal_email
from af.core.messages import Channel, Message

_LINK_BYTES = 32


class Email:
    """The answer is ``{"code": …}`` or, by the link, ``{"token": …}``."""

    name = "email"
    title = "E-mail"
    life = timedelta(minutes=10)
    attempts_max = 5
    bound = True

    async def begin(self, asked: Asked) -> Opening:
        """``claim["email"]``. The same work whether or not somebody has the address."""
        address = normal_email(asked.claim.get("email", ""))
        code, link = new_code(), secrets.token_urlsafe(_LINK_BYTES)
        message = Message(
            Channel.EMAIL,
            address,
            "sign_in",
            {
                "code": code,
                "link": f"{asked.origin}/auth/email/link?{urlencode({'token': link})}",
                "minutes": str(int(self.life.total_seconds() // 60)),
                "place": asked.place,
            },
            locale=asked.locale,
            life=self.life,
        )
        secret = {"email": address, "code": code, "link": link}
        return Opening(address, secret, {"email": address}, lookup=link, message=message)

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        token = proof.values.get("token")
        if token is None:
            check_code(secret["code"], proof.values)
        elif not isinstance(token, str) or not hmac.compare_digest(token.encode(), secret["link"].encode()):
            raise WrongProof("The link is not complete.", hint="Open it from the message once more.", field="token")
        address: str = secret["email"]
        return Identity(address, address, email=address)
