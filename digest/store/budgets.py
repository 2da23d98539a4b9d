"""Budgets of requests that all processes of a newsletter share, what counts once, and what is known for a while.

A budget is one row: the instant at which all that was taken from it has come back. It holds what one hour may take, and what
was taken comes back evenly. Rows are named by keyed hashes; they tell nobody where a request came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update

from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert

_HOUR = timedelta(hours=1)
_BUDGET, _PROOF, _KNOWN = "asks:", "proof:", "known:"


def used(tx: Connection, names: tuple[str, ...]) -> float:
    """How much of the fullest of these budgets is taken, from 0 to 1."""
    at, c = now(tx), t.throttle.c
    rows = tx.execute(select(c.at).where(c.scope.in_([_BUDGET + name for name in names]))).scalars()
    return max((_taken(until, at) / _HOUR for until in rows), default=0.0)


def spent(tx: Connection, budgets: Mapping[str, int]) -> bool:
    """Whether one of these budgets has nothing left. Only looks: `take` may still find less."""
    at, c = now(tx), t.throttle.c
    rows = tx.execute(select(c.scope, c.at).where(c.scope.in_([_BUDGET + name for name in budgets]))).all()
    return any(_taken(row.at, at) + _HOUR / budgets[row.scope.removeprefix(_BUDGET)] > _HOUR for row in rows)


def give_back(tx: Connection, name: str) -> None:
    """All of a budget is there again."""
    tx.execute(delete(t.throttle).where(t.throttle.c.scope == _BUDGET + name))


def take(tx: Connection, budgets: Mapping[str, int]) -> float:
    """Take one from each of these budgets (name → how many an hour), or from none.

    Returns 0 if it was taken, else the seconds until it could be.
    """
    found = {}
    for name in sorted(budgets):  # always in this order, so that two never wait for each other
        scope = _BUDGET + name
        tx.execute(upsert(tx, t.throttle).values(scope=scope, at=now(tx), taken=0).on_conflict_do_nothing())
        found[name] = tx.execute(select(t.throttle.c.at).where(t.throttle.c.scope == scope).with_for_update()).scalar_one()
    at = now(tx)  # read once the rows are ours
    after = {name: _taken(until, at) + _HOUR / budgets[name] for name, until in found.items()}
    longest = max(after.values())
    if longest > _HOUR:
        return (longest - _HOUR).total_seconds()
    for name, taken in after.items():
        tx.execute(update(t.throttle).where(t.throttle.c.scope == _BUDGET + name).values(at=at + taken))
    return 0.0


def _taken(until: datetime, at: datetime) -> timedelta:
    """What is taken, as a part of an hour; never more than all, for the clock may have been set back."""
    return min(max(until - at, timedelta()), _HOUR)


def spend(tx: Connection, mark: str, until: datetime) -> bool:
    """Use up a proof of work, which counts until then anyway. Returns whether it was unused."""
    values = {"scope": _PROOF + mark, "at": until, "taken": 1}
    return tx.execute(upsert(tx, t.throttle).values(**values).on_conflict_do_nothing()).rowcount == 1


def remember(tx: Connection, name: str, until: datetime) -> None:
    """That is known until then."""
    values = {"scope": _KNOWN + name, "at": until, "taken": 0}
    tx.execute(upsert(tx, t.throttle).values(**values).on_conflict_do_update(index_elements=["scope"], set_={"at": until}))


def known(tx: Connection, name: str) -> bool:
    """Whether that is known still."""
    at = tx.execute(select(t.throttle.c.at).where(t.throttle.c.scope == _KNOWN + name)).scalar()
    return at is not None and at > now(tx)


def sweep(tx: Connection) -> None:
    """Forget budgets of which nothing is taken any more, proofs that are too old to count, and what is known no more."""
    c = t.throttle.c
    ours = or_(*(c.scope.startswith(kind) for kind in (_BUDGET, _PROOF, _KNOWN)))
    tx.execute(delete(t.throttle).where(ours, c.at < now(tx)))
