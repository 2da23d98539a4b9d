"""The outcome of an attempt on PostgreSQL in one statement: one for each row took its turn at the server for each.

SQLite, which is asked in the same process, is as quick row by row (see ``ledger.settle``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, Integer, String, Update, bindparam, case, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from digest.model import DeliveryState as S
from digest.store import schema as t

_TYPES: dict[str, Any] = {
    "row": BigInteger(),
    "epoch": Integer(),
    "new_state": String(),
    "at": t.Instant(),
    "why": String(),
    "next": t.Instant(),
    "size": Integer(),
    "hash": String(),
    "called": Boolean(),
}


def _statement() -> Update:
    new = (
        func.unnest(*(bindparam(f"{name}s", type_=ARRAY(kind)) for name, kind in _TYPES.items()))
        .table_valued(*(column(name, kind) for name, kind in _TYPES.items()))
        .render_derived(name="new")
    )
    moved = (
        update(t.delivery)
        .where(t.delivery.c.id == new.c.row, t.delivery.c.state == S.INFLIGHT.value, t.delivery.c.lease_epoch == new.c.epoch)
        .values(
            state=new.c.new_state,
            state_at=new.c.at,
            reason=new.c.why,
            next_at=new.c.next,
            bytes=new.c.size,
            sha256=new.c.hash,
            evidence="reply",
            lease_owner=None,
            lease_until=None,
            attempt_id=case((new.c.called, t.delivery.c.attempt_id)),  # set aside before the call: it says nothing of it
        )
        .returning(t.delivery.c.id)
        .cte("moved")
    )
    ref = bindparam("given_ref", type_=String())
    return (
        update(t.attempt)
        .where(t.attempt.c.id == bindparam("attempt", type_=BigInteger()))
        .values(
            ended_at=bindparam("now", type_=t.Instant()),
            outcome=bindparam("given_outcome", type_=String()),
            code=bindparam("given_code", type_=String()),
            provider_ref=case((ref != "", ref), else_=t.attempt.c.provider_ref),
            evidence="reply",
        )
        .returning(select(func.count()).select_from(moved).scalar_subquery())
    )


_SETTLE = _statement()  # built once, run for many


def settle_at_once(tx: Connection, attempt: int, rows: Sequence[dict[str, Any]], at: datetime, *, outcome: str, code: str, ref: str) -> int:
    """End an attempt and write outcomes, each only where its claim is still ours. Returns how many were."""
    columns = {f"{name}s": [row[name] for row in rows] for name in _TYPES}
    given = {"attempt": attempt, "now": at, "given_outcome": outcome, "given_code": code, "given_ref": ref}
    return int(tx.execute(_SETTLE, {**columns, **given}).scalar_one())
