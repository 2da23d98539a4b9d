"""Who a subscriber is lies encrypted: AES-GCM for address and name, a keyed hash to find an address by.

All keys are derived from the newest of a few numbered secrets: ``DIGEST_SECRET_KEY``, or the file ``var/secret.key``, made on
first use and readable by its owner alone. Without them a stolen database or backup tells nobody's name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from digest.errors import ConfigError, StoreError

_NONCE_BYTES = 12
_MARK = b"\xd1\x65\x57"
_MOST = 250
FILE = "var/secret.key"


class Vault:
    """Seals and opens texts, and makes look-up keys. ``link_keys`` sign the links in emails, by number.

    Secrets have numbers. The highest seals and signs; all of them open and check, so that a link in an old email works for
    as long as its secret is kept. ``renew`` reads the secrets again, for a number that another process has added since.
    """

    def __init__(self, secrets: bytes | Mapping[int, bytes], renew: Callable[[], Mapping[int, bytes]] | None = None) -> None:
        self._renew = renew
        self._take({1: secrets} if isinstance(secrets, bytes) else secrets)

    def _take(self, secrets: Mapping[int, bytes]) -> None:
        first = secrets[min(secrets)]
        self._ciphers = {number: AESGCM(_derive(secret, b"seal")) for number, secret in secrets.items()}
        self.link_keys: Mapping[int, bytes] = {number: _derive(secret, b"links") for number, secret in secrets.items()}
        # Of the first secret for good: the addresses behind the suppression list are not kept, so their hashes cannot be made anew.
        self._index_key = _derive(first, b"index")
        self._audit_key = _derive(first, b"audit")  # of the first, too: the log is never written anew
        self.fingerprint = _derive(first, b"fingerprint")[:8].hex()

    @property
    def newest(self) -> int:
        """The number of the secret that seals now."""
        return max(self._ciphers)

    def refresh(self) -> None:
        """Read the secrets again, where they lie in a file."""
        if self._renew is not None:
            self._take(self._renew())

    def has(self, number: int) -> bool:
        """Whether the secret of that number is there; looks again before it says no."""
        if number not in self._ciphers:
            self.refresh()
        return number in self._ciphers

    def seal(self, text: str, field: str) -> bytes:
        """Encrypted text; it opens only as the same ``field``. Begins with the number of its secret."""
        nonce, number = os.urandom(_NONCE_BYTES), self.newest
        return _MARK + bytes([number]) + nonce + self._ciphers[number].encrypt(nonce, text.encode(), _bound(field, number))

    def open(self, sealed: bytes, field: str) -> str:
        """The text again.

        Raises:
            StoreError: sealed with another key, or altered.
        """
        try:
            number = self.number_of(sealed)
            if number and self.has(number):
                body = sealed[len(_MARK) + 1 :]
                try:
                    return self._ciphers[number].decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _bound(field, number)).decode()
                except InvalidTag:
                    pass  # one in sixteen million of the oldest form begins like the new one
            oldest = self._ciphers[min(self._ciphers)]
            return oldest.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], field.encode()).decode()
        except (InvalidTag, UnicodeDecodeError, ValueError) as error:
            raise StoreError("a subscriber's record does not open with this DIGEST_SECRET_KEY; use the key it was written with") from error

    def number_of(self, sealed: bytes) -> int:
        """The number of the secret it was sealed with; 0 where it carries none, from before secrets had numbers."""
        return sealed[len(_MARK)] if sealed.startswith(_MARK) and len(sealed) > len(_MARK) else 0

    def index(self, address_key: str) -> bytes:
        """What an address is looked up by: 32 bytes, the same each time, telling nothing without the key."""
        return hmac.new(self._index_key, address_key.encode(), hashlib.sha256).digest()

    def proof(self, purpose: str, text: str) -> str:
        """A keyed hash in hex, of one purpose: whoever lacks the key can neither make nor check it."""
        return hmac.new(self._audit_key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def open_vault(workspace: Path, secret: str | None, *, may_make: bool = True) -> Vault:
    """The vault of a workspace; makes ``var/secret.key`` where no secret is given and none exists.

    ``may_make`` is False where a database is there already: a new key would open nothing in it.

    Raises:
        ConfigError: a secret is too short or lost, or the file cannot be read or made.
    """
    if secret is not None:
        return Vault(_decode_all(secret, "DIGEST_SECRET_KEY"))
    file = workspace / FILE

    def read() -> Mapping[int, bytes]:
        return _decode_all(file.read_text(encoding="ascii"), FILE)

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
            return Vault(read(), read)
        fresh = make_secret()
        _write(handle, fresh + "\n")
        return Vault(_decode_all(fresh, FILE), read)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"var/secret.key: cannot be read or made: {error}") from error


def make_secret() -> str:
    """A fresh secret as it is written down: URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def add_secret(workspace: Path) -> int:
    """Write a further secret into ``var/secret.key``: whole or not at all, durable before this returns. Returns its number.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    file = workspace / FILE
    try:
        lines = file.read_text(encoding="ascii").split()
        number = max(_decode_all(" ".join(lines), FILE)) + 1
        if number > _MOST:
            raise ConfigError(f"var/secret.key: holds {number - 1} secrets already, the most there may be")
        partial = file.with_suffix(".partial")
        _write(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "\n".join([*lines, f"{number}:{make_secret()}"]) + "\n")
        partial.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"var/secret.key: cannot be read or written: {error}") from error
    return number


def _write(handle: int, text: str) -> None:
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def _bound(field: str, number: int) -> bytes:
    return f"{number}:{field}".encode()


def _decode_all(text: str, where: str) -> dict[int, bytes]:
    """Secrets parted by blanks, commas or lines, each ``NUMBER:SECRET``; a bare one is number 1."""
    found: dict[int, bytes] = {}
    for item in re.split(r"[\s,]+", text.strip()):
        number, _, secret = item.rpartition(":")
        if number and not re.fullmatch(r"[1-9]\d{0,2}", number) or int(number or 1) > _MOST or int(number or 1) in found:
            raise ConfigError(f"{where}: each secret needs a number of its own from 1 to {_MOST}, as in 1:SECRET,2:SECRET")
        found[int(number or 1)] = _decode(secret, where)
    return found


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
