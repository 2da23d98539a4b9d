"""Passwords are kept as argon2id hashes. Checking one costs the same whether the person exists or not."""

from __future__ import annotations

import functools
import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_AT_ONCE = 2  # each takes 64 MiB and a tenth of a second of a core
_turns = threading.BoundedSemaphore(_AT_ONCE)


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, 3 passes


@functools.cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe(24))


def hashed(password: str) -> str:
    """What to keep."""
    with _turns:
        return _hasher().hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether it is the password of that hash. Without a hash the same work is done, and the answer is no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobody = _nobody()  # made once, by whichever check comes first
    against = kept or nobody
    with _turns:
        try:
            return _hasher().verify(against, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def made_up() -> str:
    """A password for the first log-in, to be read out: about 60 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


def recovery_codes(count: int = 10) -> list[str]:
    """Codes to write down, each good for one log-in without the authenticator: about 79 bits each."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return ["-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4)) for _ in range(count)]
