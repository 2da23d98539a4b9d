"""Events as providers post them: checked, stored, answered; everything else happens later.

Who can reach the address can post anything, so nothing is believed before the signature fits, and a refused request costs
little: at most 256 KB of memory, no row, no line that repeats what it said. Without a key everything is refused.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from digest import feedback
from digest.errors import ConfigError, StoreError
from digest.store import Store

log = logging.getLogger(__name__)

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
MOST_BYTES = 5 * 1024 * 1024  # SendGrid posts at about 768 KB (SENDGRID section 9)
_MEMORY_BYTES = 256 * 1024
_READ_S = 30
_AT_ONCE = 32  # bodies read at the same time
# It tries again for up to 24 hours, and nobody says whether it signs anew; repeats do no harm, so the window may be wide.
_OLDEST_S = 25 * 3600
_AHEAD_S = 600


def load_keys(texts: Sequence[str]) -> tuple[EllipticCurvePublicKey, ...]:
    """The public keys of ``delivery.sendgrid.webhook_keys``: base64 of DER, as SendGrid's page shows them.

    Raises:
        ConfigError: one of them is no P-256 public key.
    """
    return tuple(load_key(text, place) for place, text in enumerate(texts, 1))


def load_key(text: str, place: int = 1) -> EllipticCurvePublicKey:
    """One of them.

    Raises:
        ConfigError: it is no P-256 public key.
    """
    try:
        key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(_no_key(place)) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(_no_key(place))
    return key


def _no_key(place: int) -> str:
    return (
        f"config.yaml: delivery.sendgrid.webhook_keys: number {place} is not a verification key; copy it from SendGrid, "
        "Settings, Mail Settings, Signed Event Webhook Requests: it begins with MFkwEwYHKoZIzj0"
    )


def fits(keys: Sequence[EllipticCurvePublicKey], signature: bytes, sha256: bytes) -> bool:
    """Whether one of the keys made this signature (DER) over a text of this SHA-256."""
    for key in keys:
        try:
            key.verify(signature, sha256, ECDSA(Prehashed(SHA256())))
        except InvalidSignature:
            continue
        return True
    return False


class _Refused(Exception):
    """The request is answered with ``status`` and forgotten."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class SendGridWebhook:
    """``POST /webhooks/sendgrid``. 204 means: it is in the database. ``stored`` is called after each new body."""

    def __init__(
        self, store: Store, keys: Sequence[EllipticCurvePublicKey], stored: Callable[[], None], clock: Callable[[], float] = time.time
    ) -> None:
        self.store, self.keys, self.stored, self.clock = store, keys, stored, clock
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def receive(self, request: Request) -> Response:
        """Answer one request."""
        try:
            if not self.keys:
                raise _Refused(503, "no webhook key is configured")
            signature, timestamp = _signed(request, self.clock())
            async with self._slots:
                raw = await _read(request, lambda sha256: fits(self.keys, signature, sha256), timestamp)
                new = await run_in_threadpool(feedback.take_webhook, self.store, "sendgrid", raw)
        except _Refused as refused:
            log.warning("webhook refused", extra={"action": "webhook", "status": refused.status, "why": str(refused)})
            return Response(status_code=refused.status, headers={"Connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        except StoreError:  # its text is about the database, but nobody outside needs it
            log.error("a webhook could not be stored", extra={"action": "webhook", "status": 503})
            return Response(status_code=503, headers={"Retry-After": "30"})
        if new:
            self.stored()
        return Response(status_code=204)


def _signed(request: Request, now_s: float) -> tuple[bytes, bytes]:
    """The signature and timestamp of a request, as far as they can be judged before the body is read."""
    signatures, timestamps = request.headers.getlist(SIGNATURE), request.headers.getlist(TIMESTAMP)
    if len(signatures) != 1 or len(timestamps) != 1:
        raise _Refused(403, "not signed")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Refused(415, "compressed")
    stated = request.headers.get("content-length", "0")
    if not stated.isascii() or not stated.isdigit() or len(stated) > 12:
        raise _Refused(400, "nonsense length")
    if int(stated) > MOST_BYTES:
        raise _Refused(413, "too large")
    timestamp = timestamps[0]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise _Refused(403, "nonsense timestamp")
    if not now_s - _OLDEST_S <= int(timestamp) <= now_s + _AHEAD_S:
        raise _Refused(403, "old or future timestamp")
    try:
        signature = base64.b64decode(signatures[0].encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Refused(403, "nonsense signature") from error
    if base64.b64encode(signature).decode() != signatures[0]:  # the same signature in another spelling is nothing SendGrid sends
        raise _Refused(403, "nonsense signature")
    if not 8 <= len(signature) <= 72:  # two numbers of at most 33 bytes in DER
        raise _Refused(403, "nonsense signature")
    return signature, timestamp.encode()


async def _read(request: Request, good: Callable[[bytes], bool], timestamp: bytes) -> bytes:
    """The body, once its signature fits. Until then no more than a little of it is in memory."""
    hashed, size = hashlib.sha256(timestamp), 0
    with _Spool() as spool:
        try:
            async with asyncio.timeout(_READ_S):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise _Refused(413, "too large")
                    hashed.update(chunk)
                    spool.write(chunk)
        except TimeoutError as error:
            raise _Refused(408, "too slow") from error
        if not good(hashed.digest()):
            raise _Refused(403, "wrong signature")
        return spool.read()


class _Spool:
    """Bytes kept aside: a little in memory, more in a nameless file, encrypted with a key that is never written down."""

    def __init__(self) -> None:
        cipher = Cipher(AES(os.urandom(32)), CTR(os.urandom(16)))
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)
        self._seal, self._open = cipher.encryptor(), cipher.decryptor()

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        self._file.write(self._seal.update(chunk))

    def read(self) -> bytes:
        self._file.seek(0)
        return self._open.update(self._file.read())


def of_workspace(path: Path, store: Store, texts: Sequence[str], stored: Callable[[], None]) -> SendGridWebhook:
    """The webhook with a workspace's keys; says in the log when it has none."""
    keys = load_keys(texts)
    if not keys:
        log.warning("no webhook key is configured: every event will be refused", extra={"action": "webhook", "workspace": path.name})
    return SendGridWebhook(store, keys, stored)


async def endpoint(request: Request) -> Response:
    """The route of the application that serves a workspace."""
    webhook: SendGridWebhook = request.app.state.sendgrid
    return await webhook.receive(request)
