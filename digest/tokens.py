"""Signed links: opaque, short, good for one purpose, and valid for as long as their key is kept.

A token is key number (1 byte), for dated purposes the second it was made in, or ends in, (4 bytes), what it is about (16 bytes), and the
first 12 bytes of an HMAC over purpose and all of these, as 39 or 44 characters of URL-safe base64. It holds no address and
no interest, and cannot be used for another purpose.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from digest.errors import LinkError

Purpose = Literal["unsubscribe", "preferences", "web", "confirm", "never", "undo", "form", "draft"]
Keys = bytes | Mapping[int, bytes]  # by number; one alone is number 1

PATHS: dict[Purpose, str] = {
    "unsubscribe": "u",
    "preferences": "p",
    "web": "w",
    "confirm": "c",
    "never": "n",
    "undo": "undo",
    "form": "form",
    "draft": "draft",
}
DATED: frozenset[Purpose] = frozenset({"preferences", "confirm", "undo", "form", "draft"})
# Their date is the instant from which they are worth nothing: who reads one compares it with the clock.
ENDING: frozenset[Purpose] = frozenset({"draft"})
_MAC_BYTES = 12  # 96 bits: a forger who tries a million a second needs 10^15 years on average
_ABOUT_BYTES, _DATE_BYTES = 16, 4


class Token(NamedTuple):
    """What a genuine token says: whom or what it is about, and, for dated purposes, when it was made (or ends: `ENDING`)."""

    about: str
    made_at: datetime | None


def sign(purpose: Purpose, about: str, keys: Keys, made_at: datetime | None = None) -> str:
    """The token for ``about``, an id of 32 hexadecimal characters. Dated purposes need ``made_at`` (those of `ENDING` the instant
    they end at), others ignore it.

    Raises:
        ValueError: a dated purpose without a date.
    """
    known = _by_number(keys)
    number = max(known)
    date = b""
    if purpose in DATED:
        if made_at is None:
            raise ValueError(f"a {purpose} token needs the instant it is made at")
        date = int(made_at.timestamp()).to_bytes(_DATE_BYTES, "big")
    body = bytes([number]) + date + bytes.fromhex(about)
    return base64.urlsafe_b64encode(body + _mac(purpose, body, known[number])).rstrip(b"=").decode()


def read(purpose: Purpose, token: str, keys: Keys) -> Token:
    """What the token says.

    Raises:
        LinkError: mangled, made for another purpose, or not ours; the text does not say which.
    """
    known = _by_number(keys)
    dated = _DATE_BYTES if purpose in DATED else 0
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise LinkError("this link is not one of ours") from error
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    # A key of that number may be missing; the work is done all the same, so that nobody learns which numbers there are.
    key = known.get(raw[0] if raw else 0)
    genuine = hmac.compare_digest(mac, _mac(purpose, body, key or b"none"))
    spelt = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    if key is None or not genuine or not spelt or len(body) != 1 + dated + _ABOUT_BYTES:
        raise LinkError("this link is not one of ours")
    made_at = datetime.fromtimestamp(int.from_bytes(body[1 : 1 + dated], "big"), UTC) if dated else None
    return Token(body[1 + dated :].hex(), made_at)


def verify(purpose: Purpose, token: str, keys: Keys) -> str:
    """What the token is about, however old it is.

    Raises:
        LinkError: as `read`.
    """
    return read(purpose, token, keys).about


def key_number(token: str) -> int:
    """The number of the key a token says it was made with; 0 for nonsense."""
    try:
        return base64.b64decode(token[:4].encode("ascii"), altchars=b"-_", validate=True)[0]
    except (binascii.Error, ValueError, IndexError):
        return 0


def link(base: str, purpose: Purpose, about: str, keys: Keys, made_at: datetime | None = None) -> str:
    """The whole address, e.g. ``https://digest.example.org/u/…``."""
    return f"{base}/{PATHS[purpose]}/{sign(purpose, about, keys, made_at)}"


def _by_number(keys: Keys) -> Mapping[int, bytes]:
    return {1: keys} if isinstance(keys, bytes) else keys


def _mac(purpose: Purpose, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + body, "sha256")[:_MAC_BYTES]
