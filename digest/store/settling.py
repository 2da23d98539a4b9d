"""The outcomes of a batch on PostgreSQL in one statement: a statement for each row took its turn at the server for each.

SQLite, which is asked in the same process, is as quick row by row (see ``ledger.settle``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, String, Update, bindparam, column, func, update
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
}
_NEW = (
    func.unnest(*(bindparam(f"{name}s", type_=ARRAY(kind)) for name, kind in _TYPES.items()))
    .table_valued(*(column(name, kind) for name, kind in _TYPES.items()))
    .render_derived(name="new")
)
_SETTLE: Update = (
    update(t.delivery)
    .where(
        t.delivery.c.id == _NEW.c.row,
        t.delivery.c.state == S.INFLIGHT.value,
        t.delivery.c.lease_epoch == _NEW.c.epoch,
    )
    .values(
        state=_NEW.c.new_state,
        state_at=_NEW.c.at,
        reason=_NEW.c.why,
        next_at=_NEW.c.next,
        bytes=_NEW.c.size,
        sha256=_NEW.c.hash,
        evidence="reply",
        lease_owner=None,
        lease_until=None,
    )
)
_SET_ASIDE = _SETTLE.values(attempt_id=None)


def settle_at_once(tx: Connection, rows: Sequence[dict[str, Any]], *, called: bool) -> int:
    """Write outcomes, each only where its claim is still ours. Returns how many were."""
    columns = {f"{name}s": [row[name] for row in rows] for name in _TYPES}
    return tx.execute(_SETTLE if called else _SET_ASIDE, columns).rowcount
