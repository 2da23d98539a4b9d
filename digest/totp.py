"""Codes that change every half minute (RFC 6238), as authenticator apps show them. Pure.

Twenty lines on the standard library instead of a dependency: the RFC's own vectors test them. Apps agree on SHA-1, six digits
and thirty seconds only; SHA-1's collisions do not touch HMAC.
"""

from __future__ import annotations

import base64
import hmac
import struct
from datetime import datetime
from hashlib import sha1
from urllib.parse import quote

STEP_S, DIGITS = 30, 6
SECRET_BYTES = 20  # RFC 4226, section 4: 160 bits recommended


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one step.

    Source:
        RFC 4226, section 5.3.
    """
    mac = hmac.new(secret, struct.pack(">Q", step), sha1).digest()
    at = mac[-1] & 0xF
    number = struct.unpack(">I", mac[at : at + 4])[0] & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def step_at(moment: datetime) -> int:
    """The number of the half minute that ``moment`` lies in."""
    return int(moment.timestamp()) // STEP_S


def matching_step(secret: bytes, typed: str, moment: datetime, after: int | None) -> int | None:
    """The step whose code was typed: this one, or one beside it for clocks that differ; never ``after`` or earlier. Else None."""
    here = step_at(moment)
    found = None
    for step in (here - 1, here, here + 1):  # all of them every time
        if hmac.compare_digest(code(secret, step).encode(), typed.encode("utf-8", "replace")) and (after is None or step > after):
            found = step
    return found


def written(secret: bytes) -> str:
    """The secret as people type it: base32."""
    return base64.b32encode(secret).decode().rstrip("=")


def read(text: str) -> bytes:
    """The secret again."""
    plain = text.replace(" ", "").upper()
    return base64.b32decode(plain + "=" * (-len(plain) % 8))


def address(secret: bytes, issuer: str, name: str) -> str:
    """What the picture for an authenticator app says.

    Source:
        Google Authenticator's key URI format.
    """
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?secret={written(secret)}&issuer={quote(issuer)}"
