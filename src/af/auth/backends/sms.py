"""Sign-in by a code sent to a telephone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from af.auth.backends import Asked, Identity, Opening, Proof
from af.auth.backends.codes import check_code, new_code
from af.auth.errors import InvalidClaim
from af.core.messages import Channel, Message

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most 15 digits


class Sms:
    """The answer is ``{"code": …}``."""

    name = "sms"
    title = "Text message"
    life = timedelta(minutes=10)
    attempts_max = 5
    bound = True

    async def begin(self, asked: Asked) -> Opening:
        """``claim["phone"]`` in the international form; spaces, hyphens and brackets are left out."""
        phone = re.sub(r"[ ()\-.\u00a0]", "", asked.claim.get("phone", "")[:40])
        if _E164.fullmatch(phone) is None:
            raise InvalidClaim("A phone number is written as +4915112345678.", field="phone")
        code = new_code()
        values = {"code": code, "minutes": str(int(self.life.total_seconds() // 60))}
        message = Message(Channel.SMS, phone, "sms_code", values, asked.locale, self.life)
        return Opening(phone, {"phone": phone, "code": code}, {"phone": phone}, message=message)

    async def finish(self, secret: Mapping[str, Any], proof: Proof) -> Identity:
        check_code(secret["code"], proof.values)
        phone: str = secret["phone"]
        return Identity(phone, phone)
