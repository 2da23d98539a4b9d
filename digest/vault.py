"""Who a subscriber is lies encrypted: AES-GCM for address and name, a keyed hash to find an address by.

All keys are derived from one secret: ``DIGEST_SECRET_KEY``, or the file ``var/secret.key``, made on first use and readable
by its owner alone. Without it a stolen database or backup tells nobody's name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from digest.errors import ConfigError, StoreError

_NONCE_BYTES = 12


class Vault:
    """Seals and opens texts, and makes look-up keys. ``link_key`` signs the links in emails."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(_derive(secret, b"seal"))
        self._index_key = _derive(secret, b"index")
        self.link_key = _derive(secret, b"links")
        self.fingerprint = _derive(secret, b"fingerprint")[:8].hex()

    def seal(self, text: str, field: str) -> bytes:
        """Encrypted text; it opens only as the same ``field``."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), field.encode())

    def open(self, sealed: bytes, field: str) -> str:
        """The text again.

        Raises:
            StoreError: sealed with another key, or altered.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], field.encode()).decode()
        except (InvalidTag, UnicodeDecodeError, ValueError) as error:
            raise StoreError("a subscriber's record does not open with this DIGEST_SECRET_KEY; use the key it was written with") from error

    def index(self, address_key: str) -> bytes:
        """What an address is looked up by: 32 bytes, the same each time, telling nothing without the key."""
        return hmac.new(self._index_key, address_key.encode(), hashlib.sha256).digest()


def open_vault(workspace: Path, secret: str | None, *, may_make: bool = True) -> Vault:
    """The vault of a workspace; makes ``var/secret.key`` where no secret is given and none exists.

    ``may_make`` is False where a database is there already: a new key would open nothing in it.

    Raises:
        ConfigError: the secret is too short or lost, or the file cannot be read or made.
    """
    if secret is not None:
        return Vault(_decode(secret, "DIGEST_SECRET_KEY"))
    file = workspace / "var" / "secret.key"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not may_make and not file.exists():
            raise ConfigError(
                "var/secret.key is gone, but the database that it opens is there; put the key back from where you keep its copy, "
                "or set DIGEST_SECRET_KEY. A new key would not open what was written with the old one, so none was made"
            )
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return Vault(_decode(file.read_text(encoding="ascii"), "var/secret.key"))
        with os.fdopen(handle, "w", encoding="ascii") as out:
            fresh = base64.urlsafe_b64encode(os.urandom(32)).decode()
            out.write(fresh + "\n")
            out.flush()
            os.fsync(out.fileno())
        return Vault(_decode(fresh, "var/secret.key"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"var/secret.key: cannot be read or made: {error}") from error


def _decode(text: str, where: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(text.strip().encode("ascii"))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < 32:
        advice = 'python3 -c "import secrets, base64; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
        raise ConfigError(f"{where}: needs at least 32 random bytes in URL-safe base64; make one with: {advice}")
    return raw


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"digestpress " + purpose).derive(secret)
