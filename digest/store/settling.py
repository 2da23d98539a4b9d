"""The outcome of an attempt on PostgreSQL in one statement: one for each row took its turn at the server for each.

SQLite, which is asked in the same process, is as quick row by row (see ``ledger.settle``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Integer,
    String,
    Update,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    null,
    select,
    update,
)

from digest.model import DeliveryState as S
from digest.store import schema as t

_TYPES: dict[str, Any] = {
    "row": BigInteger(),
    "epoch": Integer(),
    "new_state": String(),
    "why": String(),
    "next": t.Instant(),
    "size": Integer(),
    "hash": String(),
    "called": Boolean(),
}


def _statement() -> Update:
    # One text: an array for each column took the worker longer than all else of it.
    new = (
        func.json_to_recordset(cast(bindparam("outcomes", type_=String()), JSON))
        .table_valued(*(column(name, kind) for name, kind in _TYPES.items()))
        .render_derived(name="new", with_types=True)
    )
    now = bindparam("now", type_=t.Instant())
    moved = (
        update(t.delivery)
        .where(t.delivery.c.id == any_(bindparam("rows", type_=ARRAY(BigInteger()))))  # how many it is the server cannot see in the text
        .where(t.delivery.c.id == new.c.row, t.delivery.c.state == S.INFLIGHT.value, t.delivery.c.lease_epoch == new.c.epoch)
        .values(
            state=new.c.new_state,
            state_at=now,
            reason=new.c.why,
            next_at=new.c.next,
            bytes=new.c.size,
            sha256=new.c.hash,
            evidence="reply",
            lease_owner=null(),
            lease_until=null(),
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
            ended_at=now,
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
    outcomes = json.dumps([{name: row[name] for name in _TYPES} for row in rows], default=datetime.isoformat)
    given = {"attempt": attempt, "now": at, "given_outcome": outcome, "given_code": code, "given_ref": ref}
    return int(tx.execute(_SETTLE, {"rows": [row["row"] for row in rows], "outcomes": outcomes, **given}).scalar_one())
