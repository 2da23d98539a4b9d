"""A little work for a browser to prove: find the number behind a hash. In the first format of ALTCHA, with SHA-256.

The puzzle is signed and carries its own end, so nothing is kept of it until it is solved; the caller keeps which were used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

MOST = 300_000  # numbers to try at most: about a second on a slow phone, a third of one on average at a desk
KEPT = timedelta(hours=2)  # somebody may take their time over a form
_LONGEST = 1000  # characters of a solution


class Solved(NamedTuple):
    """A puzzle that was solved: what it is known by, and until when it counts."""

    mark: str
    until: datetime


def puzzle(keys: Mapping[int, bytes], at: datetime) -> dict[str, Any]:
    """A new puzzle: ``algorithm``, ``challenge``, ``maxnumber``, ``salt``, ``signature``."""
    until = int((at + KEPT).timestamp())
    # The & ends the salt: without it digits could move from the number into the date (CVE-2025-68113).
    salt = f"{secrets.token_hex(12)}?expires={until}&"
    challenge = _hash(salt, secrets.randbelow(MOST + 1))
    signature = _sign(keys[max(keys)], challenge)
    return {"algorithm": "SHA-256", "challenge": challenge, "maxnumber": MOST, "salt": salt, "signature": signature}


def check(solution: str, keys: Mapping[int, bytes], at: datetime) -> Solved | None:
    """What a solution (base64 of JSON) solves; None where it is none, not ours, or too old."""
    try:
        said = json.loads(base64.b64decode(solution[:_LONGEST], validate=True))
        salt, challenge, number, signature = (said[key] for key in ("salt", "challenge", "number", "signature"))
        texts = all(isinstance(one, str) for one in (salt, challenge, signature))
        if not texts or type(number) is not int or not 0 <= number <= MOST or not salt.endswith("&"):
            return None
        until = datetime.fromtimestamp(int(salt.rpartition("?expires=")[2][:-1]), UTC)
        signed = [_sign(key, challenge) for key in keys.values()]
        genuine = any(hmac.compare_digest(one.encode(), signature.encode()) for one in signed)
        if not genuine or until < at or _hash(salt, number) != challenge:
            return None
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None
    return Solved(challenge, until)


def _hash(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _sign(key: bytes, challenge: str) -> str:
    return hmac.digest(hmac.digest(key, b"proof", "sha256"), challenge.encode(), "sha256").hex()
