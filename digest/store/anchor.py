"""How far the audit log had come, kept outside the database: records taken off its end are missed.

Each machine keeps a file beside its mark. It is written after the transaction that appended, and so never ahead of the log.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection

from digest import wholefile
from digest.model import Frozen

_KEY = "digest_anchor"


class Anchor(Frozen):
    """A record of the log by its number and hash."""

    seq: int
    hash: str


class AnchorFile:
    """The file of one machine."""

    def __init__(self, beside: Path) -> None:
        self.file = beside.with_suffix(".anchor")

    def read(self) -> Anchor | None:
        """What it says; None where there is none. One that cannot be read names no record."""
        try:
            return Anchor.model_validate_json(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            return Anchor(seq=0, hash="unreadable")

    def write(self, anchor: Anchor) -> None:
        """Move it on. What cannot be written stays behind, which only makes it blinder."""
        with contextlib.suppress(OSError):
            wholefile.put(self.file, anchor.model_dump_json(), 0o600)


def note(tx: Connection, anchor: Anchor) -> None:
    """Once this transaction is done, the log ends there."""
    tx.info[_KEY] = anchor


def noted(tx: Connection) -> Anchor | None:
    """What was noted."""
    found: Anchor | None = tx.info.pop(_KEY, None)
    return found


def forget(tx: Connection) -> None:
    """Nothing was noted."""
    tx.info.pop(_KEY, None)
