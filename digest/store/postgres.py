"""PostgreSQL: one server for many machines.

Nothing here is kept in a session, so a pooler that hands out connections by transaction (PgBouncer) may stand between: no
prepared statements, no session locks, every setting for one transaction only.

A writer has the database to itself, as with SQLite, unless it asks to write ``together``: it takes one advisory lock
exclusively, those who write together take it shared. So each step that reads and then writes is as true here as there without
being thought through anew, and only claims, outcomes and planned pages, which are compare-and-set on rows they hold, run side
by side. The lock's queue is first come, first served. That also decides the isolation level of writers: READ COMMITTED, whose
statements see what was committed before they began, and so all that was committed before the lock was had; a snapshot taken
while waiting for the lock would be stale. Readers get REPEATABLE READ, because a report adds up several statements.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from digest.errors import BusyError, ConfigError, StoreError
from digest.store.dialect import TURN_AT, now

_LOCK_SPACE = 0x64696765  # "dige": our advisory locks among those of other programs in the same database
_WRITERS, _RUN = 1, 2
_LOCK_MS = 60_000  # how long to wait for others
_STATEMENT_MS = 600_000
_IDLE_MS = 15_000  # a process frozen inside a transaction loses it, and its locks, before others have waited too long
# Who writes together takes the first few of what waits, in the order of an index. By what it last saw of a table the server
# thinks at times that few wait, and reads and sorts all of them for each claim; a sort has to look dear to it. What looks dear would
# be compiled to machine code first: eight workers came to a stand over that.
_IN_ORDER = "set_config('enable_sort', 'off', true), set_config('jit', 'off', true),"
_FRESH_S = 1.0  # a connection that was used so lately is not asked whether it still stands
_IN_THE_WAY = ("55P03", "40P01", "40001")  # a lock was not had in time, or two waited for each other
_BEGIN = {"plain": "BEGIN", "read": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "": ""}
_DURABLE = ("on", "remote_apply")  # what makes a commit last: the weaker ones may lose it when a server falls over
_CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "digest",
}


class PostgresServer:
    """A database on a server."""

    shared = True

    def __init__(self, workspace: Path, url: URL) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise ConfigError('store.url: PostgreSQL needs more packages; install them with: pip install "digestpress[scale]"') from error
        if not url.database:
            raise StoreError("store.url: name a database, such as postgresql://digest@db.example.org/digest")
        url = url.set(drivername="postgresql+psycopg")
        # Named in the URL, a setting of the same name wins over ours.
        settings: dict[str, Any] = {key: value for key, value in _CONNECT.items() if key not in url.query}
        self.engine: Engine = create_engine(
            url,
            connect_args={"prepare_threshold": None, "autocommit": True, **settings},  # BEGIN is ours: see _begin
            use_native_hstore=False,  # looking for the type would cost every new connection a question
            pool_size=5,
            max_overflow=45,
            execution_options={"preserve_rowcount": True},  # how many an INSERT wrote is asked for, not only of an UPDATE
        )
        event.listen(self.engine, "connect", _check_durable)
        event.listen(self.engine, "begin", lambda connection: _begin(connection, self.turn_s))
        self.turn_s: float | None = None
        event.listen(self.engine, "checkin", _put_back)
        event.listen(self.engine, "checkout", _take_out)
        self.reader: Engine = self.engine.execution_options(digest_begins="read")
        self.writer: Engine = self.engine.execution_options(digest_begins="alone")
        self.together: Engine = self.engine.execution_options(digest_begins="together")
        self._asking: Engine = self.engine.execution_options(digest_begins="")
        # Each machine marks how far it had come itself. The name tells nothing of the server: a backup may be restored elsewhere.
        self.mark_file = workspace / "var" / "postgresql.mark"
        try:
            self.mark_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"var/ cannot be made: {error.strerror}") from error

    @property
    def known(self) -> bool:
        """Whether a key was used with this database before."""
        with self.reader.begin() as tx:
            if tx.execute(text("SELECT to_regclass('meta')")).scalar() is None:
                return False
            return tx.execute(text("SELECT 1 FROM meta WHERE key = 'key_fingerprint'")).scalar() is not None

    def now(self) -> datetime:
        """The server's clock: one question, without a transaction around it."""
        with self._asking.connect() as connection:
            return now(connection)

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """The server keeps the queue: see ``_begin``."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the workspace by a lock of a transaction of its own, which ends with the connection, however that ends.

        A server that starts again lets it go. Two runs at once are no danger, only confusing: the ledger's leases decide.
        """
        connection = self.engine.connect()
        try:
            with contextlib.closing(connection):
                taken = connection.execute(
                    text("SELECT pg_try_advisory_xact_lock(:space, :run), set_config('idle_in_transaction_session_timeout', '0', true)"),
                    {"space": _LOCK_SPACE, "run": _RUN},
                ).one()[0]
                if not taken:
                    raise BusyError("another run is at work on this database; wait until it has finished, nothing was changed")
                try:
                    yield
                finally:
                    with contextlib.suppress(DBAPIError):  # the server may have gone meanwhile, and the lock with it
                        connection.rollback()
        except DBAPIError as error:
            raise StoreError(self.reason(error)) from error

    def begin_migration(self, tx: Connection) -> None:
        """A large table may take its time."""
        tx.execute(text("SELECT set_config('statement_timeout', '0', true)"))

    def passes(self, error: DBAPIError) -> bool:
        """The server is away, or our transaction had to give way to another."""
        return _is_away(error) or _state(error) in _IN_THE_WAY

    def reason(self, error: DBAPIError) -> str:
        """What PostgreSQL means."""
        state = _state(error)
        said = str(error.orig)
        first = said.splitlines()[0] if said else ""
        if _is_away(error):
            return f"the database server cannot be reached or has just gone ({first}); run the same command again, nothing was lost"
        if state in _IN_THE_WAY or state == "57014":
            return "the database is busy with other work; try again in a moment, nothing was lost"
        if state.startswith("53"):
            return f"the database server has no room ({first}); make some and run the same command again, nothing was lost"
        if state.startswith("28") or state == "3D000":
            return f"the database server does not let us in ({first}); check store.url"
        if state in ("42501", "25006"):
            return f"the database cannot be written ({first}); its user must own the tables, and the server must not be a standby"
        # The statement's values are left out, and so are the lines that repeat them.
        return f"the database refused: {type(error.orig).__name__}: {first}"

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _is_away(error: DBAPIError) -> bool:
    state = _state(error)
    # An idle session that the server has ended, or an error of the connection itself, which carries no state.
    lost = state.startswith("08") or state in ("57P01", "57P02", "57P03", "57P05", "25P03")
    return error.connection_invalidated or lost or (not state and isinstance(error, OperationalError))


def _check_durable(connection: Any, _: ConnectionPoolEntry) -> None:
    """Settings without which a commit could be lost, and so a message sent twice (RELIABILITY F2)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_commit', 'fsync', 'full_page_writes')")
        found = dict(cursor.fetchall())
    connection.rollback()
    if found["synchronous_commit"] not in _DURABLE or found["fsync"] != "on" or found["full_page_writes"] != "on":
        said = ", ".join(f"{name} is {value}" for name, value in sorted(found.items()))
        raise StoreError(f"this server does not keep what it commits ({said}); set synchronous_commit, fsync and full_page_writes to on")


def _put_back(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["put_back_at"] = time.monotonic()


def _take_out(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """A server that was started again has closed what lies in the pool; then the whole pool is thrown away.

    It is asked only where a connection lay for a while, or where something has come on it: a server that goes says so, or
    closes it. Asking each time was a tenth of a worker's time (cProfile).
    """
    put_back_at = record.info.get("put_back_at")
    if put_back_at is None:  # just made
        return
    if time.monotonic() - put_back_at < _FRESH_S and not connection.closed and not _has_come(connection.fileno()):
        return
    import psycopg

    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error as error:
        raise InvalidatePoolError from error


def _has_come(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _begin(connection: Connection, turn_s: float | None) -> None:
    """The transaction, and of a writer his settings and place among the writers: all in one question. Readers wait for nobody."""
    connection.info.pop(TURN_AT, None)  # of an earlier transaction
    match connection.get_execution_options().get("digest_begins", "plain"):
        case "alone":
            lock, how = "pg_advisory_xact_lock", ""
        case "together":
            lock, how = "pg_advisory_xact_lock_shared", _IN_ORDER
        case kind:
            if begin := _BEGIN[kind]:
                connection.exec_driver_sql(begin)
            return
    wait_ms = _LOCK_MS if turn_s is None else int(turn_s * 1000)
    # What stands before BEGIN in the same question belongs to the transaction ("Multiple Statements in a Simple Query" in
    # PostgreSQL's pages on its protocol); so its answer comes first.
    durable, *_, connection.info[TURN_AT] = connection.exec_driver_sql(
        f"SELECT current_setting('synchronous_commit'), set_config('lock_timeout', '{wait_ms}', true),"
        f" set_config('statement_timeout', '{_STATEMENT_MS}', true),"
        f" set_config('idle_in_transaction_session_timeout', '{_IDLE_MS}', true), {how}"
        f" {lock}({_LOCK_SPACE}, {_WRITERS}), clock_timestamp();"
        " BEGIN"
    ).one()
    # A pooler may have handed out another session than the one that was looked at when we connected.
    if durable not in _DURABLE:
        raise StoreError(f"this server does not keep what it commits (synchronous_commit is {durable}); set it to on")
