"""Opening the database: SQLite or PostgreSQL behind one seam, the schema brought up to date, the key checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from digest.errors import StoreAway, StoreError
from digest.store import anchor
from digest.store.backend import Backend
from digest.store.dialect import now as now
from digest.store.dialect import upsert
from digest.store.mark import Guard
from digest.store.schema import meta
from digest.vault import Vault, open_vault

HEAD = "0011"  # the newest migration; a test holds it equal to what migrations/ says


class Store:
    """The database of one workspace and the vault that opens its sealed columns."""

    def __init__(self, backend: Backend, vault: Vault) -> None:
        self.backend, self.vault = backend, vault
        self.engine = backend.engine
        self.guard = Guard(backend.mark_file, shared=backend.shared)
        self.anchor = anchor.AnchorFile(backend.mark_file)

    @property
    def shared(self) -> bool:
        """Whether other machines may be at work on the same database, so that a lease of theirs may be alive."""
        return self.backend.shared

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only looks, at one moment of the database."""
        with self._explained(), self.backend.reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, together: bool = False) -> Iterator[Connection]:
        """A transaction that writes: durable when the block ends, undone when it raises.

        Nobody else writes meanwhile, unless both do so ``together``: then every move must be a compare-and-set.
        """
        engine = self.backend.together if together else self.backend.writer
        with self.backend.turn(), self._explained():
            with engine.begin() as connection:
                anchor.forget(connection)  # of a transaction before on the same connection that was undone
                yield connection
                ends = anchor.noted(connection)
            if ends is not None:
                self.anchor.write(ends)

    def now(self) -> datetime:
        """The database's clock, asked for nothing else."""
        with self._explained():
            return self.backend.now()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the workspace for a run that acts.

        Raises:
            BusyError: another run holds it.
        """
        with self.backend.alone():
            yield

    def close(self) -> None:
        """Give the connections back."""
        self.backend.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            kind = StoreAway if self.backend.passes(error) else StoreError
            raise kind(self.backend.reason(error)) from error


def open_store(workspace: Path, url: str, secret: str | None) -> Store:
    """Open the workspace's database, made or upgraded first where that is needed.

    Raises:
        ConfigError: the key is lost, or PostgreSQL's packages are missing.
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
    try:
        parsed = make_url(url)
    except ArgumentError as error:  # its text would repeat a password
        raise StoreError("store.url: is no database address; use sqlite:///var/digest.db or postgresql://USER@HOST/NAME") from error
    backend: Backend
    match parsed.get_backend_name():
        case "sqlite":
            from digest.store.sqlite import SqliteFile

            backend = SqliteFile(workspace, parsed)
        case "postgresql":
            from digest.store.postgres import PostgresServer

            backend = PostgresServer(workspace, parsed)
        case other:
            raise StoreError(f"store.url: {other} is not known; use sqlite:///var/digest.db or postgresql://USER@HOST/NAME")
    try:
        return Store(backend, open_vault(workspace, secret, may_make=not backend.known))
    except DBAPIError as error:
        backend.close()
        raise StoreError(backend.reason(error)) from error
    except BaseException:
        backend.close()
        raise


def version(tx: Connection) -> str | None:
    """The schema's version as the database has it; None where it is empty."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


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
            tx.execute(upsert(tx, meta).values(key="key_fingerprint", value=store.vault.fingerprint).on_conflict_do_nothing())
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
        store.backend.begin_migration(tx)
        settings = Config()
        settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        settings.attributes["connection"] = tx
        command.upgrade(settings, target)
