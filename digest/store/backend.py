"""What a database must give the store, whichever it is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError


class Backend(Protocol):
    """One database behind its engine.

    ``reader`` and ``writer`` are the engine with what a transaction of each kind needs; ``together`` is for writers that may
    run beside each other, because every move of theirs is a compare-and-set on rows that they hold. Every other writer has the
    database to itself. ``mark_file`` is where this machine keeps how far the ledger had come; ``shared`` says whether other
    machines write to the same database. ``turn_s`` is how long a writer waits for its turn behind others; None: as long
    as a run would, minutes if need be.
    """

    engine: Engine
    reader: Engine
    writer: Engine
    together: Engine
    mark_file: Path
    shared: bool
    turn_s: float | None

    @property
    def known(self) -> bool:
        """Whether a key was used with this database before."""

    def now(self) -> datetime:
        """The database's clock."""

    def turn(self) -> AbstractContextManager[None]:
        """Wait for one's turn to write, before the transaction begins."""

    def alone(self) -> AbstractContextManager[None]:
        """Hold the workspace for a run that acts.

        Raises:
            BusyError: another run holds it.
        """

    def begin_migration(self, tx: Connection) -> None:
        """A transaction that changes the schema is about to begin its work."""

    def reason(self, error: DBAPIError) -> str:
        """What went wrong and what to do, without any value of a statement."""

    def passes(self, error: DBAPIError) -> bool:
        """Whether it may pass by itself, so that trying the same again is right."""

    def close(self) -> None:
        """Give everything back."""
