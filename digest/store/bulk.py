"""One statement for many rows, without SQLAlchemy looking at each value of each of them.

It did so for a fifth of the time that planning takes, and as long as SQLite itself did for the outcome of a batch (py-spy, a
million readers). PostgreSQL is asked as before: there the way to the server is what costs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, Delete, Dialect, Insert, String, Update, any_, bindparam, func, select

from digest.store.dialect import is_postgresql


def run_many(tx: Connection, statement: Insert | Update | Delete, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run ``statement`` once for each row; all rows have the same names. Returns how many rows of the table it met."""
    if not rows:
        return 0
    if is_postgresql(tx):
        return tx.execute(statement, rows).rowcount
    sql, places = _compiled(statement, tuple(rows[0]), tx.dialect)
    columns: list[Iterable[Any]] = []
    for name, written, same in places:
        if name not in rows[0]:
            columns.append(repeat(same))
        elif written:
            values = [row[name] for row in rows]
            forms = {value: written(value) for value in set(values)}  # many rows say the same
            columns.append([forms[value] for value in values])
        else:
            columns.append([row[name] for row in rows])
    return tx.exec_driver_sql(sql, list(zip(*columns, strict=False))).rowcount


_Written = Callable[[Any], Any]


@functools.lru_cache(16)
def _compiled(
    statement: Insert | Update | Delete, names: tuple[str, ...], dialect: Dialect
) -> tuple[str, tuple[tuple[str, _Written | None, Any], ...]]:
    """The statement as text, and for each of its places the value's name, how it is written down (None: as it is), and what stands
    there, written down, where the rows do not say.
    """
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    defaults = {column.key: column.default.arg for column in getattr(compiled, "insert_prefetch", ())}
    places = []
    for name in compiled.positiontup:
        bound = compiled.binds[name]
        written: _Written | None = bound.type.dialect_impl(dialect).bind_processor(dialect)
        same = None if name in names else defaults.get(name, bound.effective_value)
        places.append((name, written, written(same) if written else same))
    return str(compiled), tuple(places)


def among(dialect: str, column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """SQL: the column is one of the rows given by ``name`` (see `listed`), in words that are the same for however many they are."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(BigInteger)))
    values = func.json_each(bindparam(name, type_=String())).table_valued("value")
    return column.in_(select(values.c.value))


def listed(dialect: str, ids: Collection[int]) -> Any:
    """The rows that `among` names, as the database takes them."""
    return list(ids) if dialect == "postgresql" else json.dumps(list(ids))
