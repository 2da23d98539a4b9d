"""What reports add up, in the database as far as it can; what lies sealed is gone through once, and only sums leave here."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from digest.model import Status
from digest.store import schema as t
from digest.store.dialect import month_of
from digest.vault import Vault

_GONE = (Status.UNSUBSCRIBED.value, Status.SUPPRESSED.value, Status.ERASED.value)


class Change(NamedTuple):
    """So many readers went from one status to another in a month (``YYYY-MM``); ``old`` is empty for who was new."""

    month: str
    old: str
    new: str
    readers: int


def status_changes(tx: Connection) -> list[Change]:
    """Every change of status there was, by month; they add up to how the list stands now.

    Where a reader left and only that is known, they count as active until then.
    """
    s, c, line = t.subscriber.c, t.consent.c, t.consent.alias()
    lines = select(line.c.source).where(line.c.subscriber_id == s.id, line.c.kind == "status", line.c.source.like("% to %")).limit(1)
    first = lines.order_by(line.c.id).scalar_subquery()
    newest = lines.order_by(line.c.id.desc()).scalar_subquery()
    began = month_of(tx, s.created_at)
    found: Counter[tuple[str, str, str]] = Counter()
    for month, line_text, status, count in tx.execute(
        select(began, first.label("line"), s.status, func.count()).group_by(began, "line", s.status)
    ):
        # Without a line of their own, who is gone came as active: see below.
        initial = line_text.partition(" to ")[0] if line_text else Status.ACTIVE.value if status in _GONE else status
        found[month, "", initial] += count
    when = month_of(tx, c.at)
    moved = select(when, c.source, func.count()).where(c.kind == "status", c.source.like("% to %")).group_by(when, c.source)
    for month, text, count in tx.execute(moved):
        old, _, new = text.partition(" to ")
        found[month, old, new] += count
    left = month_of(tx, s.status_at)
    gone = select(left, s.status, newest.label("line"), func.count()).where(s.status.in_(_GONE)).group_by(left, s.status, "line")
    for month, status, line_text, count in tx.execute(gone):
        last = line_text.partition(" to ")[2] if line_text else Status.ACTIVE.value
        if last != status:  # else a line tells of it
            found[month, last, status] += count
    return [Change(*key, count) for key, count in sorted(found.items())]


def joins(tx: Connection) -> list[tuple[str, str, int]]:
    """New readers by month and where their consent came from."""
    month = month_of(tx, t.subscriber.c.created_at)
    query = select(month, t.subscriber.c.consent_source, func.count()).group_by(month, t.subscriber.c.consent_source)
    return sorted((row[0], row[1], row[2]) for row in tx.execute(query))


class Leave(NamedTuple):
    """So many left in a month, by which way, and for the reason they gave, if they did."""

    month: str
    how: str
    reason: str
    readers: int


def leaves(tx: Connection, vault: Vault, since: datetime) -> list[Leave]:
    """Who left since an instant. The reasons lie sealed: each is opened, and only sums are kept."""
    c = t.consent.c
    query = select(c.subscriber_id, c.kind, c.at, c.source, c.detail).where(c.kind.in_(["withdrawn", "reason"]), c.at >= since)
    found: Counter[tuple[str, str, str]] = Counter()
    last: tuple[int, str, str] | None = None
    for row in tx.execute(query.order_by(c.subscriber_id, c.id), execution_options={"yield_per": 1000}):
        detail = json.loads(vault.open(row.detail, "consent")) if row.detail else {}
        reason = str(detail.get("reason", "")) if isinstance(detail, dict) else ""
        if row.kind == "withdrawn":
            last = (row.subscriber_id, f"{row.at:%Y-%m}", row.source)
            found[last[1], last[2], reason] += 1
        elif reason and last is not None and last[0] == row.subscriber_id and found[last[1], last[2], ""]:
            found[last[1], last[2], ""] -= 1  # said afterwards, of the same leave
            found[last[1], last[2], reason] += 1
    return [Leave(*key, count) for key, count in sorted(found.items()) if count]


class IssueFigures(NamedTuple):
    """An issue's deliveries: by state, and what came back of them."""

    issue: str
    due_at: datetime
    states: dict[str, int]
    delivered: int
    bounced: int
    complained: int


def deliveries(tx: Connection, since: datetime) -> list[IssueFigures]:
    """The issues due since an instant, the oldest first."""
    d, i = t.delivery.c, t.issue.c
    counted = (
        select(d.issue_id, d.state, func.count(), func.count(d.delivered_at), func.count(d.bounced_at), func.count(d.complained_at))
        .group_by(d.issue_id, d.state)
        .join(t.issue, i.id == d.issue_id)
        .where(i.due_at >= since)
    )
    states: dict[int, dict[str, int]] = {}
    later: dict[int, list[int]] = {}
    for issue, state, count, *facts in tx.execute(counted):
        states.setdefault(issue, {})[state] = count
        later[issue] = [sum(pair) for pair in zip(later.get(issue, (0, 0, 0)), facts, strict=True)]
    rows = tx.execute(select(i.id, i.name, i.due_at).where(i.due_at >= since).order_by(i.due_at, i.id)).all()
    return [IssueFigures(row.name, row.due_at, states.get(row.id, {}), *later.get(row.id, (0, 0, 0))) for row in rows]


class DomainFigures(NamedTuple):
    """What was handed over to one domain, and what came back."""

    domain: str
    accepted: int
    bounced: int
    complained: int
    readers: int


def domains(tx: Connection, vault: Vault, since: datetime) -> list[DomainFigures]:
    """By domain of the address, over the issues due since an instant. Addresses lie sealed: each is opened once, none is kept."""
    d = t.delivery.c
    handed = (
        select(d.subscriber_id, func.count().label("n"), func.count(d.bounced_at).label("b"), func.count(d.complained_at).label("c"))
        .join(t.issue, t.issue.c.id == d.issue_id)
        .where(t.issue.c.due_at >= since, d.state == "accepted")
        .group_by(d.subscriber_id)
        .subquery()
    )
    query = (
        select(t.subscriber.c.address, handed.c.n, handed.c.b, handed.c.c)
        .join(t.subscriber, t.subscriber.c.id == handed.c.subscriber_id)
        .where(t.subscriber.c.status != Status.ERASED.value)
    )
    sums: dict[str, list[int]] = {}
    for address, *figures in tx.execute(query, execution_options={"yield_per": 1000}):
        domain = vault.open(address, "address").rpartition("@")[2].lower()
        mine = sums.setdefault(domain, [0, 0, 0, 0])
        for place, value in enumerate((*figures, 1)):
            mine[place] += value
    return [DomainFigures(domain, *figures) for domain, figures in sorted(sums.items())]


def followers_by_issue(tx: Connection, since: datetime) -> list[tuple[str, str, datetime, str, int]]:
    """For each issue planned since an instant: cadence, name, instant, interests as followed then (separated by ;), readers."""
    d, i = t.delivery.c, t.issue.c
    query = (
        select(i.cadence, i.name, i.due_at, d.interests, func.count())
        .join(t.issue, i.id == d.issue_id)
        .where(i.due_at >= since)
        .group_by(i.cadence, i.name, i.due_at, d.interests)
        .order_by(i.due_at, i.name)
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in tx.execute(query)]
