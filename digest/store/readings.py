"""The readings of sources that are kept, and what the catalogue says of each source: when it gave what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from digest.model import Harvest, Summary
from digest.store import schema as t

KEPT = 500  # readings of each source: a week of them, gathered every quarter of an hour
# What a piece may lack without being refused, and so what tells of a page that was laid out anew.
FIELDS = ("takeaway", "text", "tags", "authors", "journal", "doi", "image", "evidence")

Result = Literal["read", "unchanged", "nothing", "failed"]


class Reading(NamedTuple):
    """How one reading went. ``filled`` tells of how many taken pieces each field said something."""

    id: int
    source: str
    at: datetime
    who: str
    result: Result
    taken: int = 0
    refused: int = 0
    new: int = 0
    changed: int = 0
    filled: Mapping[str, int] = {}
    said: str = ""

    @property
    def whole(self) -> bool:
        """Whether a document came that was read: not an error on the way, nor word that nothing changed."""
        return self.result in ("read", "nothing")


class Given(NamedTuple):
    """What the catalogue has of a source: how many pieces, and when the last of them arrived."""

    pieces: int
    arrived_at: datetime | None


class Item(NamedTuple):
    """A piece of a source: its row, its date, and when it first arrived."""

    row: int
    published_at: datetime
    arrived_at: datetime


def filled(summaries: Sequence[Summary]) -> dict[str, int]:
    """Of how many pieces each of ``FIELDS`` says something; fields that none has are left out."""
    found = {name: sum(bool(one.sections if name == "text" else getattr(one, name)) for one in summaries) for name in FIELDS}
    return {name: count for name, count in found.items() if count}


def record(tx: Connection, name: str, at: datetime, who: str, harvest: Harvest, *, new: int, changed: int) -> None:
    """A source was read."""
    _put(
        tx, name, at=at, who=who, result="unchanged" if harvest.unchanged else "read", taken=len(harvest.summaries),
        refused=len(harvest.refused), new=new, changed=changed, filled=json.dumps(filled(harvest.summaries)), said=harvest.warning,
    )  # fmt: skip


def record_failure(tx: Connection, name: str, at: datetime, who: str, error: str, *, came: bool) -> None:
    """It could not be read; ``came``: a document did come, but was laid out otherwise than the settings say."""
    _put(tx, name, at=at, who=who, result="nothing" if came else "failed", said=error)


def _put(tx: Connection, name: str, **values: object) -> None:
    tx.execute(insert(t.reading).values(source=name, **values))
    last = select(t.reading.c.id).where(t.reading.c.source == name).order_by(t.reading.c.id.desc()).offset(KEPT).limit(1)
    tx.execute(delete(t.reading).where(t.reading.c.source == name, t.reading.c.id <= last.scalar_subquery()))


def newest(tx: Connection, name: str, most: int = KEPT) -> list[Reading]:
    """The last readings of a source, the newest first."""
    query = select(t.reading).where(t.reading.c.source == name).order_by(t.reading.c.id.desc()).limit(most)
    return [_reading(row) for row in tx.execute(query)]


def recent(tx: Connection, most: int) -> dict[str, list[Reading]]:
    """The last ``most`` readings of every source, the newest first."""
    place = func.row_number().over(partition_by=t.reading.c.source, order_by=t.reading.c.id.desc())
    ranked = select(t.reading, place.label("place")).subquery()
    found: dict[str, list[Reading]] = {}
    for row in tx.execute(select(ranked).where(ranked.c.place <= most).order_by(ranked.c.source, ranked.c.id.desc())):
        found.setdefault(row.source, []).append(_reading(row))
    return found


def _reading(row: object) -> Reading:
    values = {name: getattr(row, name) for name in Reading._fields}
    return Reading(**{**values, "filled": json.loads(values["filled"])})


def published(tx: Connection, since: datetime, until: datetime) -> dict[str, list[datetime]]:
    """The dates of each source's own pieces within that time."""
    summary = t.summary.c
    query = select(summary.source, summary.published_at).where(
        summary.same_as.is_(None), summary.published_at >= since, summary.published_at <= until
    )
    found: dict[str, list[datetime]] = {}
    for source, at in tx.execute(query):
        found.setdefault(source, []).append(at)
    return found


def given(tx: Connection) -> dict[str, Given]:
    """What the catalogue has of each source."""
    summary, revision = t.summary.c, t.revision.c
    counted = select(summary.source, func.count(), func.max(summary.id)).where(summary.same_as.is_(None)).group_by(summary.source)
    rows = tx.execute(counted).all()
    first = select(revision.summary_id, func.min(revision.at, type_=t.Instant())).where(revision.summary_id.in_([row[2] for row in rows]))
    arrived: dict[int, datetime] = dict(tx.execute(first.group_by(revision.summary_id)).all())
    return {source: Given(count, arrived.get(last)) for source, count, last in rows}


def items(tx: Connection, name: str, most: int) -> list[Item]:
    """The last pieces of a source by their dates, the newest first."""
    summary = t.summary.c
    first = select(func.min(t.revision.c.at, type_=t.Instant())).where(t.revision.c.summary_id == summary.id).scalar_subquery()
    query = select(summary.id, summary.published_at, first).where(summary.source == name, summary.same_as.is_(None))
    return [Item(*row) for row in tx.execute(query.order_by(summary.published_at.desc(), summary.id.desc()).limit(most))]
