"""Signatures by Standard Webhooks: HMAC-SHA256 over id, time and body. Pure but for drawing secrets.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, symmetric signatures (v1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
_BYTES = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """A fresh secret, as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def sign(keys: Sequence[str], id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each secret, the newest first. ``timestamp`` counts seconds."""
    signed = f"{id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.new(_key(one), signed, hashlib.sha256).digest()).decode() for one in keys)


def headers(keys: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of the standard."""
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": sign(keys, id, timestamp, body)}


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
