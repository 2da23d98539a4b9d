"""Keys for programs: made, shown once, listed, taken back; and whose key came with a call, and how many calls it has left."""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
from collections.abc import Sequence
from datetime import date

from digest import audit
from digest.accounts import clean_name
from digest.calendar import end_of_day
from digest.errors import AccountError, DigestError
from digest.scopes import Key, looks_like_one, read_scopes
from digest.store import api_keys, budgets, now
from digest.workspace import Workspace

_BLOCK = 10  # calls taken from a budget together


class Spent(DigestError):
    """A key's budget is spent; the next call is let in after so many seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("this key has used up its calls; api.calls_per_hour sets how many there are in an hour")
        self.retry_after_s = retry_after_s


def add(workspace: Workspace, name: str, scopes: Sequence[str], expires: date | None = None) -> tuple[Key, str]:
    """A new key, and the text of it, which is kept nowhere. ``expires`` is the last day on which it works.

    Raises:
        AccountError: the name is taken or none, there is no such scope, or the day is past.
    """
    try:
        name, allowed = clean_name(name), read_scopes(scopes)
    except ValueError as error:
        raise AccountError(str(error)) from error
    if expires is not None and expires < workspace.today:
        raise AccountError("the last day of a key cannot be past")
    until = end_of_day(expires, workspace.zone) if expires is not None else None
    id = secrets.token_hex(4)
    token = f"dk_{id}_{secrets.token_urlsafe(32)}"
    with workspace.store.write() as tx:
        if api_keys.named(tx, name) is not None:
            raise AccountError(f"there is or was a key {name}; names stay taken, so that the audit log means one key by each")
        api_keys.add(tx, id=id, name=name, token_hash=token_hash(token), scopes=allowed, made_by=workspace.who, expires_at=until)
        audit.record(tx, workspace, "keys.add", f"key:{name}", scopes=" ".join(allowed), expires=f"{expires}" if expires else "")
        made = api_keys.named(tx, name)
    assert made is not None
    return made, token


def every(workspace: Workspace) -> list[Key]:
    """All of them by name, revoked ones among them."""
    with workspace.store.read() as tx:
        return api_keys.every(tx)


def revoke(workspace: Workspace, name: str) -> bool:
    """It opens nothing from now on; its name stays taken. Returns whether it worked until then.

    Raises:
        AccountError: no key has that name.
    """
    with workspace.store.write() as tx:
        key = api_keys.named(tx, name.strip().lower())
        if key is None:
            raise AccountError("no key has that name; `digest api-keys list` shows which there are")
        if key.revoked_at is not None:
            return False
        api_keys.revoke(tx, key.id)
        audit.record(tx, workspace, "keys.revoke", key.actor)
    return True


def token_hash(token: str) -> str:
    """What a key is looked up by. It has 256 random bits: there is nothing to guess, so that a slow hash would slow down only us."""
    return hashlib.sha256(token.encode()).hexdigest()


def check(workspace: Workspace, token: str) -> Key | None:
    """The key that somebody shows; None if it is none of ours, is revoked or has expired."""
    if not looks_like_one(token):
        return None
    with workspace.store.read() as tx:
        key, at = api_keys.of_hash(tx, token_hash(token)), now(tx)
    return key if key is not None and key.works(at) else None


class Allowance:
    """Counts the calls of each key against its budget, which all processes share.

    Calls are taken from the database some at a time, so that most calls that only look write nothing. What a process has taken and
    not used when it ends is lost: ten calls at most. With the first of a block goes the day on which the key was last used, which says
    which keys nobody needs.
    """

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, workspace: Workspace, key: Key) -> None:
        """Count one call.

        Raises:
            Spent: the key has none left.
            StoreError: the database is held up.
        """
        with self._lock:
            if self._left.get(key.id, 0) > 0:
                self._left[key.id] -= 1
                return
        an_hour = workspace.config.api.calls_per_hour
        block = max(1, min(_BLOCK, an_hour // (2 * _BLOCK)))
        with workspace.store.write() as tx:
            wait_s = budgets.take(tx, {f"key {key.id}": max(1, an_hour // block)})
            if not wait_s:
                api_keys.used(tx, key.id, workspace.today)
        if wait_s:
            raise Spent(math.ceil(wait_s))
        with self._lock:
            self._left[key.id] = self._left.get(key.id, 0) + block - 1
