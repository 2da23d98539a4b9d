"""Signed links: opaque, short, good for one purpose, and valid for as long as the key is.

A token is key number (1 byte), what it is about (16 bytes), and the first 12 bytes of an HMAC over purpose and both,
as 39 characters of URL-safe base64. It holds no address and no interest, and cannot be used for another purpose.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Literal

from digest.errors import LinkError

Purpose = Literal["unsubscribe", "preferences", "web"]

PATHS: dict[Purpose, str] = {"unsubscribe": "u", "preferences": "p", "web": "w"}
_MAC_BYTES = 12  # 96 bits: a forger who tries a million a second needs 10^15 years on average
_KEY = b"\x01"


def sign(purpose: Purpose, about: str, key: bytes) -> str:
    """The token for ``about``, an id of 32 hexadecimal characters."""
    body = _KEY + bytes.fromhex(about)
    return base64.urlsafe_b64encode(body + _mac(purpose, body, key)).rstrip(b"=").decode()


def verify(purpose: Purpose, token: str, key: bytes) -> str:
    """What the token is about.

    Raises:
        LinkError: mangled, made for another purpose, or not ours; the text does not say which.
    """
    try:
        about = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)[1:17].hex()
        genuine = sign(purpose, about, key)
    except (binascii.Error, ValueError) as error:
        raise LinkError("this link is not one of ours") from error
    if len(about) != 32 or not hmac.compare_digest(token, genuine):
        raise LinkError("this link is not one of ours")
    return about


def link(base: str, purpose: Purpose, about: str, key: bytes) -> str:
    """The whole address, e.g. ``https://digest.example.org/u/…``."""
    return f"{base}/{PATHS[purpose]}/{sign(purpose, about, key)}"


def _mac(purpose: Purpose, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + body, "sha256")[:_MAC_BYTES]
