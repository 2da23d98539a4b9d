"""Opening the database: connections that keep what they commit, one writer, and the schema brought up to date."""

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

from sqlalchemy import Connection, Engine, create_engine, event, func, literal_column, make_url, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from digest.errors import BusyError, StoreError
from digest.store.mark import Guard
from digest.store.schema import Instant, meta
from digest.vault import Vault, open_vault

HEAD = "0003"  # the newest migration; a test holds it equal to what migrations/ says
_BUSY_MS = 10_000


class Store:
    """The database of one workspace and the vault that opens its sealed columns."""

    def __init__(self, engine: Engine, vault: Vault, lock_file: Path) -> None:
        self.engine, self.vault, self._lock_file = engine, vault, lock_file
        self.guard = Guard(lock_file)
        # SQLite has one writer at a time, and who waits for it sleeps and tries again. Threads queue here, processes at a file:
        # so a reader's unsubscription gets its turn while an issue is being sent.
        self._turn = threading.Lock()
        self._queue_file = lock_file.with_suffix(".queue")
        self._queue: TextIOWrapper | None = None
        self._writer = engine.execution_options(digest_write=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only looks."""
        with _explained(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: durable when the block ends, undone when it raises."""
        with self._turn, self._in_line(), _explained(), self._writer.begin() as connection:
            yield connection

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
        """Hold the workspace for a run that acts.

        Raises:
            BusyError: another run holds it.
        """
        with self._lock_file.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError("another run is at work in this workspace; wait until it has finished, nothing was changed") from error
            yield

    def close(self) -> None:
        """Give the connections back."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        self.engine.dispose()


def open_store(workspace: Path, url: str, secret: str | None) -> Store:
    """Open the workspace's database, made or upgraded first where that is needed.

    Raises:
        StoreError: not reachable, newer than this program, or not keeping what it commits.
    """
    store = open_empty(workspace, url, secret)
    try:
        _upgrade(store)
        _check_key(store)
    except BaseException:
        store.close()
        raise
    return store


def open_empty(workspace: Path, url: str, secret: str | None) -> Store:
    """The database as it is, its schema not looked at."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"store.url: {parsed.get_backend_name()} is not built yet; use sqlite:///var/digest.db")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreError("store.url: needs a file, such as sqlite:///var/digest.db")
    file = workspace / parsed.database
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{parsed.database}: its folder cannot be made: {error.strerror}") from error
    engine = create_engine(parsed.set(database=str(file)))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    known = file.exists() and file.stat().st_size > 0
    return Store(engine, open_vault(workspace, secret, may_make=not known), file.with_suffix(".lock"))


def now(tx: Connection) -> datetime:
    """The database's own clock, the only one that leases are measured by."""
    if tx.dialect.name == "sqlite":
        return tx.execute(select(func.strftime("%Y-%m-%d %H:%M:%f", "now", type_=Instant()))).scalar_one()
    return tx.execute(select(literal_column("clock_timestamp()", Instant()))).scalar_one()


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


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreError(_reason(error)) from error


def _reason(error: DBAPIError) -> str:
    said = str(error.orig)
    if "locked" in said or "busy" in said:
        return "the database is busy with another program; try again in a moment, nothing was lost"
    if "full" in said:
        return "the disk that holds the database is full; make room and run the same command again, nothing was lost"
    if "readonly" in said or "unable to open" in said:
        return f"the database cannot be opened or written ({said}); check the rights of its file and folder"
    if "not a database" in said or "malformed" in said:
        return f"the database file is damaged or no database ({said}); restore it from a backup"
    # The statement's values are left out: they may hold what nobody else should read.
    return f"the database refused: {type(error.orig).__name__}: {said.splitlines()[0] if said else ''}"


def version(tx: Connection) -> str | None:
    """The schema's version as the database has it; None where it is empty."""
    try:
        return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return None
        raise


def _upgrade(store: Store) -> None:
    with store.read() as tx:
        found = version(tx)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise StoreError(f"this database has schema {found}, made by a newer digest; this one knows up to {HEAD}: upgrade the program")
    migrate(store, HEAD)


def _check_key(store: Store) -> None:
    """The key must be the one that the database was begun with: with another, everybody on the list would seem to be new."""
    with store.read() as tx:
        known = tx.execute(select(meta.c.value).where(meta.c.key == "key_fingerprint")).scalar()
    if known is None:
        with store.write() as tx:
            tx.execute(insert(meta).values(key="key_fingerprint", value=store.vault.fingerprint).on_conflict_do_nothing())
    elif known != store.vault.fingerprint:
        raise StoreError(
            "this database was written with another key than DIGEST_SECRET_KEY or var/secret.key now holds; "
            "put the right one back, nothing was changed"
        )


def migrate(store: Store, target: str) -> None:
    """Bring the schema to ``target`` in one transaction: all of it or nothing."""
    from alembic import command
    from alembic.config import Config

    with store.write() as tx:
        if version(tx) == target:  # another process was faster
            return
        settings = Config()
        settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        settings.attributes["connection"] = tx
        command.upgrade(settings, target)
