"""The audit log's rows: appended in order, never touched again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from digest.store import anchor
from digest.store import schema as t
from digest.store.anchor import Anchor, AnchorFile
from digest.store.database import now
from digest.store.dialect import upsert
from digest.vault import Vault

START = "0" * 64  # the hash before the first record


class Record(NamedTuple):
    """One line of the log. ``detail`` is JSON as it is kept."""

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: str
    hash: str


class Head(NamedTuple):
    """Where the log says that it ends."""

    seq: int
    hash: str
    seal: str


def append(tx: Connection, vault: Vault, kept: AnchorFile, who: str, action: str, subject: str, detail: Mapping[str, Any]) -> Record:
    """Add one record. Writers take turns at the row of the log's end, so that none of them forks the chain."""
    tx.execute(upsert(tx, t.audit_head).values(id=1, seq=0, hash=START, seal=seal(vault, 0, START)).on_conflict_do_nothing())
    end = tx.execute(select(t.audit_head.c.seq, t.audit_head.c.hash).with_for_update()).one()
    text = json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    record = Record(end.seq + 1, now(tx), who, action, subject, text, "")
    record = record._replace(hash=link(vault, end.hash, record))
    tx.execute(t.audit.insert().values(**record._asdict()))
    head = {"seq": record.seq, "hash": record.hash, "seal": seal(vault, record.seq, record.hash)}
    tx.execute(t.audit_head.update().values(**head))
    # A file that names a record which is not in the log stays as it is: it is the evidence.
    before = kept.read()
    if before is None or knows(tx, before):
        anchor.note(tx, Anchor(seq=record.seq, hash=record.hash))
    return record


def link(vault: Vault, previous: str, record: Record) -> str:
    """The hash of a record behind the one with the hash ``previous``."""
    said = [previous, record.seq, record.at.isoformat(), record.who, record.action, record.subject, record.detail]
    return vault.proof("audit", json.dumps(said, ensure_ascii=False, separators=(",", ":")))


def seal(vault: Vault, seq: int, hash: str) -> str:
    """What only somebody with the key can put at the log's end."""
    return vault.proof("audit end", f"{seq}:{hash}")


def head(tx: Connection) -> Head | None:
    """Where the log says that it ends; None before its first record."""
    row = tx.execute(select(t.audit_head.c.seq, t.audit_head.c.hash, t.audit_head.c.seal)).one_or_none()
    return Head(*row) if row else None


def end_at(tx: Connection, end: Head) -> None:
    """This machine's file begins anew there, whatever it said."""
    anchor.note(tx, Anchor(seq=end.seq, hash=end.hash))


def knows(tx: Connection, one: Anchor) -> bool:
    """Whether the log has that record with that hash."""
    return tx.execute(select(t.audit.c.hash).where(t.audit.c.seq == one.seq)).scalar() == one.hash


def everything(tx: Connection) -> Iterator[Record]:
    """All records, the first one first."""
    for row in tx.execute(select(*_COLUMNS).order_by(t.audit.c.seq), execution_options={"yield_per": 1000}):
        yield Record(*row)


def page(tx: Connection, most: int, before: int | None = None, who: str = "", action: str = "", subject: str = "") -> list[Record]:
    """The newest records, or those before a number; only of one person, action or subject where one is named.

    An action that ends in a dot stands for all that begin with it.
    """
    query = select(*_COLUMNS).order_by(t.audit.c.seq.desc()).limit(most)
    if before is not None:
        query = query.where(t.audit.c.seq < before)
    if who:
        query = query.where(t.audit.c.who == who)
    if action:
        chosen = t.audit.c.action
        query = query.where(chosen.startswith(action, autoescape=True) if action.endswith(".") else chosen == action)
    if subject:
        query = query.where(t.audit.c.subject == subject)
    return [Record(*row) for row in tx.execute(query)]


def count(tx: Connection) -> int:
    """How many records there are."""
    return tx.execute(select(func.count()).select_from(t.audit)).scalar_one()


def named(tx: Connection) -> tuple[list[str], list[str]]:
    """Everybody who stands in the log, and every action."""
    return tuple(sorted(tx.execute(select(column).distinct()).scalars()) for column in (t.audit.c.who, t.audit.c.action))  # type: ignore[return-value]


_COLUMNS = (t.audit.c.seq, t.audit.c.at, t.audit.c.who, t.audit.c.action, t.audit.c.subject, t.audit.c.detail, t.audit.c.hash)
