"""How the database itself does: what `digest doctor` looks at."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from digest.model import DeliveryState as S
from digest.store import schema as t
from digest.store.database import version


class Standing(NamedTuple):
    """``damage`` is empty where there is none; ``newest_at`` is the latest instant that the ledger holds; ``waiting_since`` that of
    the oldest body not yet applied; ``paused`` issues with the reason; ``unsure`` counts uncertain and held deliveries.
    """

    version: str
    damage: str
    newest_at: datetime | None
    waiting_since: datetime | None
    paused: tuple[tuple[str, str], ...]
    unsure: int


def of(tx: Connection) -> Standing:
    """How it does. Reads the whole file once: some seconds for a million readers."""
    said = tx.execute(text("PRAGMA quick_check(1)")).scalar() if tx.dialect.name == "sqlite" else "ok"
    moments = [
        tx.execute(select(func.max(column, type_=t.Instant()))).scalar() for column in (t.attempt.c.started_at, t.event_inbox.c.received_at)
    ]
    waiting = select(func.min(t.event_inbox.c.received_at, type_=t.Instant())).where(t.event_inbox.c.applied_at.is_(None))
    paused = tx.execute(select(t.issue.c.name, t.issue.c.pause_reason).where(t.issue.c.paused_at.is_not(None)).order_by(t.issue.c.id))
    unsure = select(func.count()).where(t.delivery.c.state.in_([S.UNCERTAIN.value, S.HELD.value]))
    return Standing(
        version=version(tx) or "",
        damage="" if said == "ok" else str(said),
        newest_at=max((moment for moment in moments if moment is not None), default=None),
        waiting_since=tx.execute(waiting).scalar(),
        paused=tuple((row.name, row.pause_reason) for row in paused),
        unsure=tx.execute(unsure).scalar_one(),
    )
