"""The restore guard: how far the ledger had come, kept outside the database.

A database that has fewer attempts than the mark says, or another epoch, is an older copy: mail may have gone out that it
does not know of. The mark is written before a call and never ahead of what the database has durably kept.

Where several machines write to one database, each keeps a mark of its own, which all its processes write. A machine without
one is new, and takes the database as it is; the first that sees an older copy deals with it and gives the database another
epoch, and the others find the epoch of their marks among the former ones.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, func, select

from digest import wholefile
from digest.model import Frozen
from digest.store import schema as t
from digest.store.dialect import upsert

_EVERY_S = 1.0  # an older copy less than a second behind is not told apart; every claim would cost a file otherwise
_ISSUES = 60


class Mark(Frozen):
    """``attempts`` is the highest attempt number, ``issues`` the names of those that were handed over from."""

    epoch: str
    attempts: int
    issues: tuple[str, ...] = ()


class Guard:
    """Keeps the mark of one database in a file beside it, or in the workspace; ``shared`` if other machines keep marks, too."""

    def __init__(self, database: Path, *, shared: bool = False) -> None:
        self._file = database.with_suffix(".mark")
        self._shared = shared
        self._written_at = 0.0
        self._issues: dict[str, None] = {}

    def read(self) -> Mark | None:
        """The mark; None where there is none. An unreadable one counts as another epoch."""
        try:
            return Mark.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            return Mark(epoch="unreadable", attempts=0)

    def is_older_copy(self, tx: Connection) -> bool:
        """Whether this database may not know of mail that went out. A database without any attempt and mark is new."""
        mark, attempts = self.read(), highest_attempt(tx)
        if mark is None:
            return attempts > 0 and not self._shared
        if mark.epoch == epoch_of(tx):
            return attempts < mark.attempts
        return not (self._shared and mark.epoch in former_epochs(tx))

    def write(self, epoch: str, attempts: int, issue: str | None = None, *, now: bool = False) -> None:
        """Move the mark on; at most once a second unless ``now`` or the issue is new to it."""
        if not self._issues and (mark := self.read()) and mark.epoch == epoch:
            self._issues = dict.fromkeys(mark.issues)
        fresh = issue is not None and issue not in self._issues
        if not (now or fresh) and time.monotonic() - self._written_at < _EVERY_S:
            return
        if issue is not None:
            self._issues[issue] = None
        body = json.dumps({"epoch": epoch, "attempts": attempts, "issues": list(self._issues)[-_ISSUES:]})
        # A mark that cannot be written stays behind, which is safe: it only makes the guard blinder.
        with contextlib.suppress(OSError):
            wholefile.put(self._file, body, 0o600)
            self._written_at = time.monotonic()


def highest_attempt(tx: Connection) -> int:
    """The newest attempt's number; 0 before any."""
    return tx.execute(select(func.max(t.attempt.c.id))).scalar() or 0


def epoch_of(tx: Connection) -> str:
    """The database's own random name; empty before it has one."""
    return tx.execute(select(t.meta.c.value).where(t.meta.c.key == "ledger_epoch")).scalar() or ""


def former_epochs(tx: Connection) -> frozenset[str]:
    """The names that the database had before."""
    text = tx.execute(select(t.meta.c.value).where(t.meta.c.key == "former_epochs")).scalar()
    return frozenset(json.loads(text)) if text else frozenset()


def new_epoch(tx: Connection) -> str:
    """Give the database a name, in place of any it had."""
    if old := epoch_of(tx):
        _put(tx, "former_epochs", json.dumps(sorted(former_epochs(tx) | {old})))
    epoch = secrets.token_hex(16)
    _put(tx, "ledger_epoch", epoch)
    return epoch


def doubtful_issues(tx: Connection) -> frozenset[str]:
    """Issues that were handed over from in a later copy of this database, and that this one had not planned."""
    text = tx.execute(select(t.meta.c.value).where(t.meta.c.key == "doubtful_issues")).scalar()
    return frozenset(json.loads(text)) if text else frozenset()


def put_doubtful_issues(tx: Connection, names: frozenset[str]) -> None:
    """Keep them."""
    _put(tx, "doubtful_issues", json.dumps(sorted(names)))


def _put(tx: Connection, key: str, value: str) -> None:
    statement = upsert(tx, t.meta).values(key=key, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
