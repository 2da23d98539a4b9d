"""What SQLite and PostgreSQL say in different words; every other file of the store is plain SQL to both."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, func, literal_column, select, text
from sqlalchemy.dialects import postgresql, sqlite

from digest.store.schema import Instant

# Both dialects' statements take the same ``on_conflict_do_nothing`` and ``on_conflict_do_update``; this type stands for either.
Upsert = postgresql.Insert


def is_postgresql(tx: Connection) -> bool:
    """Whether several writers may be at work at the same time."""
    return tx.dialect.name == "postgresql"


def upsert(tx: Connection, table: Table) -> Upsert:
    """An INSERT that can say what happens to a row that is there already."""
    return postgresql.insert(table) if is_postgresql(tx) else cast(Upsert, sqlite.insert(table))


def least(tx: Connection, one: ColumnElement[str], other: ColumnElement[str]) -> ColumnElement[Any]:
    """The lesser of two texts by their bytes, whatever language the database sorts by."""
    if is_postgresql(tx):
        return func.least(one.collate("C"), other.collate("C"))
    return func.min(one, other)


def analyse(tx: Connection, *tables: Table) -> None:
    """Look at how much there is now, after much was written at once.

    PostgreSQL's planner otherwise goes by what it saw before, and reads and sorts a whole table for each page of it (measured:
    55 ms a page of 1,000 of 300,000 rows before, 1.5 ms after). SQLite needs no telling.
    """
    if is_postgresql(tx):
        for table in tables:
            tx.execute(text(f"ANALYZE {table.name}"))


def now(tx: Connection) -> datetime:
    """The database's own clock, the only one that leases are measured by."""
    return tx.execute(_POSTGRESQL_NOW if is_postgresql(tx) else _SQLITE_NOW).scalar_one()


def turn_at(tx: Connection) -> datetime:
    """The database's clock when this writer's turn had come. PostgreSQL told it then, and is not asked again."""
    return cast(datetime, tx.info[TURN_AT]) if is_postgresql(tx) else now(tx)


TURN_AT = "digest_turn_at"  # under which a connection keeps it

# Asked several times for every request: building them anew took a tenth of a hand-over's processor time.
_POSTGRESQL_NOW = select(literal_column("clock_timestamp()", Instant()))
_SQLITE_NOW = select(func.strftime("%Y-%m-%d %H:%M:%f", "now", type_=Instant()))


def month_of(tx: Connection, column: ColumnElement[datetime]) -> ColumnElement[str]:
    """The month of an instant in UTC, as ``YYYY-MM``."""
    if is_postgresql(tx):
        return func.to_char(func.timezone("UTC", column), "YYYY-MM")
    return func.strftime("%Y-%m", column)
