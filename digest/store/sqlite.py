"""SQLite: a file in the workspace, one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from digest.errors import BusyError, StoreError
from digest.store.dialect import now

_BUSY_MS = 10_000
_BUSY = "the database is busy with another program; try again in a moment, nothing was lost"


class SqliteFile:
    """A database file with what lies beside it: a lock for the run, a queue for writers, the mark."""

    shared = False

    def __init__(self, workspace: Path, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise StoreError("store.url: needs a file, such as sqlite:///var/digest.db")
        file = workspace / url.database
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{url.database}: its folder cannot be made: {error.strerror}") from error
        self._known = file.exists() and file.stat().st_size > 0
        self.engine: Engine = create_engine(url.set(database=str(file)))
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        self.reader: Engine = self.engine
        self.writer: Engine = self.engine.execution_options(digest_write=True)
        self.together: Engine = self.writer
        self.mark_file = file.with_suffix(".mark")
        self._lock_file = file.with_suffix(".lock")
        # SQLite has one writer at a time, and who waits for it sleeps and tries again. Threads queue here, processes at a file:
        # so a reader's unsubscription gets its turn while an issue is being sent.
        self._turn = threading.Lock()
        self.turn_s: float | None = None
        self._queue_file = file.with_suffix(".queue")
        self._queue: TextIOWrapper | None = None

    @property
    def known(self) -> bool:
        """Whether the file had been there."""
        return self._known

    def now(self) -> datetime:
        """The clock of this machine, by SQLite."""
        with self.reader.begin() as tx:
            return now(tx)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Queue behind the other writers of this machine.

        Raises:
            StoreError: it took longer than ``turn_s``.
        """
        if not self._turn.acquire(timeout=-1 if self.turn_s is None else self.turn_s):
            raise StoreError(_BUSY)
        try:
            with self._in_line():
                yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def _in_line(self) -> Iterator[None]:
        try:
            if self._queue is None:
                self._queue = self._queue_file.open("a", encoding="ascii")
            fcntl.flock(self._queue, fcntl.LOCK_EX)
        except OSError as error:
            raise StoreError(f"the database's folder cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            fcntl.flock(self._queue, fcntl.LOCK_UN)
            os.sched_yield()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the workspace: by a lock that ends with the process, however it ends."""
        with self._lock_file.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError("another run is at work in this workspace; wait until it has finished, nothing was changed") from error
            yield

    def begin_migration(self, tx: Connection) -> None:
        """Nothing to set."""

    def reason(self, error: DBAPIError) -> str:
        """What SQLite means."""
        said = str(error.orig)
        if "locked" in said or "busy" in said:
            return _BUSY
        if "full" in said:
            return "the disk that holds the database is full; make room and run the same command again, nothing was lost"
        if "readonly" in said or "unable to open" in said:
            return f"the database cannot be opened or written ({said}); check the rights of its file and folder"
        if "not a database" in said or "malformed" in said:
            return f"the database file is damaged or no database ({said}); restore it from a backup"
        # The statement's values are left out: they may hold what nobody else should read.
        return f"the database refused: {type(error.orig).__name__}: {said.splitlines()[0] if said else ''}"

    def passes(self, error: DBAPIError) -> bool:
        """Never: who is busy here was waited for already."""
        return False

    def close(self) -> None:
        """Close the file and the queue."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        self.engine.dispose()


def _prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Settings without which a power cut could lose a commit, and so send a message twice (RELIABILITY F2)."""
    connection.isolation_level = None  # BEGIN is ours: see _begin
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    found = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    cursor.close()
    if found != {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}:
        raise StoreError(f"this database does not keep what it commits ({found}); put it on a local disk, not on a network share")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail at once when another has written between (ECOSYSTEM 3.2).
    writes = connection.get_execution_options().get("digest_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
