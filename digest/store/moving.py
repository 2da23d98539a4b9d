"""Moving a workspace's database to another, row by row and checked: `digest migrate-store`.

One transaction on either side: the source stands still, the target has everything or nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Integer, Table, func, insert, select, text

from digest.errors import StoreError
from digest.model import IssueState
from digest.store import workers
from digest.store.database import Store
from digest.store.dialect import analyse, is_postgresql
from digest.store.mark import epoch_of, highest_attempt
from digest.store.schema import metadata

_PAGE = 1000  # rows copied at a time


class Moved(NamedTuple):
    """A table as it arrived. ``sha256`` is over all its rows, the same on both sides."""

    table: str
    rows: int
    sha256: str


def move(source: Store, target: Store) -> list[Moved]:
    """Copy all tables. The target's schema is there and empty but for what opening it wrote.

    Raises:
        StoreError: the target holds something, an issue is being planned, or a table did not arrive as it left.
    """
    if source.vault.fingerprint != target.vault.fingerprint:
        raise StoreError("both databases must be opened with the same key; set DIGEST_SECRET_KEY for the move")
    with source.alone(), target.alone(), source.write() as old, target.write() as new:
        _refuse_planning(old)
        _refuse_a_used_one(new)
        new.execute(metadata.tables["meta"].delete())
        moved = [_move(table, old, new) for table in metadata.sorted_tables]
        for table in metadata.sorted_tables:
            _go_on_numbering(new, table)
        analyse(new, *metadata.sorted_tables)
        epoch, attempts = epoch_of(new), highest_attempt(new)
    # The restore guard goes with it: what this workspace knows of the old one holds for the new.
    mark = source.guard.read()
    if mark is not None and mark.epoch == epoch:
        for name in mark.issues:
            target.guard.write(epoch, min(attempts, mark.attempts), name, now=True)
        target.guard.write(epoch, min(attempts, mark.attempts), now=True)
    return moved


def _refuse_planning(tx: Connection) -> None:
    """Parts that machines share out are nothing to a database of one machine, which plans on from the last reader it has."""
    issue = metadata.tables["issue"].c
    planning = tx.execute(select(issue.name).where(issue.state == IssueState.PLANNING.value)).scalars().first()
    if planning is not None:
        raise StoreError(f"{planning} is being planned; `digest send {planning}` finishes that, then move. Nothing was changed")


def _refuse_a_used_one(tx: Connection) -> None:
    for table in metadata.sorted_tables:
        if table.name == "meta":
            keys = tx.execute(select(table.c.key)).scalars()
            used = any(key != "key_fingerprint" and not workers.is_beat(key) for key in keys)
        else:
            used = tx.execute(select(func.count()).select_from(table)).scalar_one() > 0
        if used:
            raise StoreError(f"the target is not empty: {table.name} has rows; nothing was changed, name an empty database")


def _move(table: Table, old: Connection, new: Connection) -> Moved:
    count, left = 0, hashlib.sha256()
    page: list[dict[str, Any]] = []
    for row in _rows(table, old):
        left.update(_said(row.values()))
        page.append(row)
        count += 1
        if len(page) == _PAGE:
            _write(new, table, page)
            page = []
    if page:
        _write(new, table, page)
    there = hashlib.sha256()
    arrived = 0
    for row in _rows(table, new):
        there.update(_said(row.values()))
        arrived += 1
    if (count, left.digest()) != (arrived, there.digest()):
        raise StoreError(f"{table.name} did not arrive as it left ({count} rows, then {arrived}); nothing was moved")
    return Moved(table.name, count, left.hexdigest())


def _write(tx: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    tx.execute(insert(table), rows)


def _rows(table: Table, tx: Connection) -> Iterator[dict[str, Any]]:
    """All rows in an order that both databases agree on: keys of text are compared by their bytes."""
    order = [_by_bytes(column, tx) for column in table.primary_key]
    for row in tx.execute(select(table).order_by(*order), execution_options={"yield_per": _PAGE}):
        yield dict(row._mapping)


def _by_bytes(column: Column[Any], tx: Connection) -> Any:
    return column.collate("C") if is_postgresql(tx) and column.type.python_type is str else column


def _said(values: Iterable[Any]) -> bytes:
    """A row in words that do not depend on the database. Each is measured, so that no two rows read the same."""
    words = []
    for value in values:
        match value:
            case None:
                word = b"-"
            case bytes() | memoryview():
                word = b"b" + bytes(value)
            case datetime() | date():
                word = b"d" + value.isoformat().encode()
            case str():
                word = b"s" + value.encode()
            case float():
                word = b"f" + value.hex().encode()
            case _:
                word = b"n" + str(int(value)).encode()
        words.append(b"%d:%b" % (len(word), word))
    return b"".join(words) + b"\n"


def _go_on_numbering(tx: Connection, table: Table) -> None:
    """The next row gets the number after the highest. SQLite sees to that itself."""
    if not is_postgresql(tx):
        return
    for column in table.primary_key:
        if isinstance(column.type, Integer) and not column.foreign_keys and len(table.primary_key) == 1:
            highest = tx.execute(select(func.max(column))).scalar() or 0
            tx.execute(
                text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)"),
                {"table": table.name, "column": column.name, "next": highest + 1},
            )
