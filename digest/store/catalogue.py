"""What was gathered: sources and how they do, summaries and their revisions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, delete, exists, func, insert, literal, select, update

from digest.model import Harvest, Summary
from digest.store import schema as t
from digest.store.dialect import upsert

Taken = Literal["new", "changed", "same", "also"]


class SourceState(NamedTuple):
    """What is known of a source since it was last read. ``failures`` counts those in a row."""

    name: str
    kind: str
    settings_hash: str
    etag: str
    last_modified: str
    read_at: datetime | None
    read_well_at: datetime | None
    failures: int
    error: str
    warning: str
    taken: int
    salvaged: int
    refused: int = 0


class Stored(NamedTuple):
    """A summary as it lies in the catalogue: its row, its newest revision, and the source whose text it is."""

    row: int
    seq: int
    source: str
    summary: Summary


def sources(tx: Connection) -> dict[str, SourceState]:
    """Every source ever read, by name."""
    counted = select(t.refusal.c.source, func.count()).group_by(t.refusal.c.source)
    refused: dict[str, int] = dict(tx.execute(counted).all())
    rows = tx.execute(select(t.source).order_by(t.source.c.name)).all()
    return {row.name: SourceState(**row._mapping, refused=refused.get(row.name, 0)) for row in rows}


def refusals(tx: Connection, name: str) -> list[tuple[str, str]]:
    """What a source's last full reading refused: reference and reason."""
    rows = tx.execute(select(t.refusal.c.ref, t.refusal.c.reason).where(t.refusal.c.source == name).order_by(t.refusal.c.ref))
    return [(row.ref, row.reason) for row in rows]


def record_reading(tx: Connection, name: str, kind: str, settings_hash: str, harvest: Harvest, at: datetime) -> None:
    """A source was read: keep how it did and what it refused."""
    values = {"kind": kind, "settings_hash": settings_hash, "read_at": at, "read_well_at": at, "failures": 0, "error": ""}
    if not harvest.unchanged:
        values |= {
            "etag": harvest.etag,
            "last_modified": harvest.last_modified,
            "warning": harvest.warning,
            "taken": len(harvest.summaries),
            "salvaged": harvest.salvaged,
        }
    _put_source(tx, name, values)
    if not harvest.unchanged:
        tx.execute(delete(t.refusal).where(t.refusal.c.source == name))
        rows = {refusal.ref: refusal.reason for refusal in harvest.refused}
        if rows:
            tx.execute(insert(t.refusal), [{"source": name, "ref": ref, "reason": why, "at": at} for ref, why in rows.items()])


def record_failure(tx: Connection, name: str, kind: str, settings_hash: str, error: str, at: datetime) -> None:
    """A source could not be read: what is known of it stays, and the failure is counted."""
    _put_source(tx, name, {"kind": kind, "settings_hash": settings_hash, "read_at": at, "error": error})
    tx.execute(update(t.source).where(t.source.c.name == name).values(failures=t.source.c.failures + 1))


def _put_source(tx: Connection, name: str, values: Mapping[str, object]) -> None:
    statement = upsert(tx, t.source).values(name=name, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def take(tx: Connection, summary: Summary, at: datetime, configured: Collection[str] | None = None) -> tuple[Taken, int]:
    """Keep a summary once (DESIGN section 4, rule 1); say what it was and which row it is.

    A piece that another source brought before is noted as "also at" and keeps its first source's text, unless that source is
    no longer ``configured``: then this one takes it over.
    """
    row = find(tx, summary)
    if row is None:
        return "new", _add(tx, summary, at)
    row = _unite(tx, row, summary)
    stored = tx.execute(
        select(t.summary.c.source, t.revision.c.hash).join(t.revision, t.revision.c.seq == t.summary.c.seq).where(t.summary.c.id == row)
    ).one()
    if stored.source != summary.source:
        if configured is None or stored.source in configured:
            statement = upsert(tx, t.also_at).values(summary_id=row, source=summary.source, url=summary.url, at=at)
            added = tx.execute(statement.on_conflict_do_nothing()).rowcount
            return ("also" if added else "same"), row
        tx.execute(update(t.summary).where(t.summary.c.id == row).values(source=summary.source))
    if stored.hash == summary.digest():
        return "same", row
    _revise(tx, row, summary, at)
    return "changed", row


def find(tx: Connection, summary: Summary) -> int | None:
    """The row this piece is known by: the one that its own source brought under the same id, else by its strongest identifier.

    A source that corrects a DOI means the same piece. Across sources two papers with different DOIs are two, even where they
    share a link.
    """
    rows = _rows(tx, summary)
    own = next((rows[key] for key in summary.identifiers if key.startswith(f"source:{summary.source}:") and key in rows), None)
    if own is not None:
        return own
    doi = next((key for key in summary.identifiers if key.startswith("doi:")), None)
    for key in summary.identifiers:
        if key in rows and (doi is None or key == doi or not _has_other_doi(tx, rows[key], doi)):
            return rows[key]
    return None


def _rows(tx: Connection, summary: Summary) -> dict[str, int]:
    """The rows that its identifiers stand for, those that turned out to be another's as that other."""
    query = (
        select(t.identifier.c.key, func.coalesce(t.summary.c.same_as, t.summary.c.id))
        .join(t.summary, t.summary.c.id == t.identifier.c.summary_id)
        .where(t.identifier.c.key.in_(summary.identifiers))
    )
    return dict(tx.execute(query).all())


def _unite(tx: Connection, row: int, summary: Summary) -> int:
    """Learn the piece's identifiers; two rows that turn out to be one paper become one.

    The one that readers were given, or else the older, stays; whoever was given the other counts as having been given it.
    """
    rows = _rows(tx, summary)
    doi = next((key for key in summary.identifiers if key.startswith("doi:")), None)
    _remember_identifiers(tx, row, summary.identifiers)
    other = rows.get(doi or "", row)
    if other == row:
        return row
    given = set(tx.execute(select(t.member.c.summary_id).where(t.member.c.summary_id.in_([row, other]))).scalars())
    stays, goes = sorted((row, other), key=lambda one: (one not in given, one))
    tx.execute(update(t.summary).where((t.summary.c.id == goes) | (t.summary.c.same_as == goes)).values(same_as=stays))
    item = t.edition_item.alias()
    known = exists().where(item.c.edition_id == t.edition_item.c.edition_id, item.c.summary_id == stays)
    items = select(t.edition_item.c.edition_id, literal(stays)).where(t.edition_item.c.summary_id == goes, ~known)
    tx.execute(insert(t.edition_item).from_select(["edition_id", "summary_id"], items))
    return stays


def _has_other_doi(tx: Connection, row: int, doi: str) -> bool:
    keys = (
        tx.execute(select(t.identifier.c.key).where(t.identifier.c.summary_id == row, t.identifier.c.key.startswith("doi:")))
        .scalars()
        .all()
    )
    return bool(keys) and doi not in keys


def _add(tx: Connection, summary: Summary, at: datetime) -> int:
    row: int = tx.execute(
        insert(t.summary)
        .values(listed_as=summary.id, source=summary.source, published_at=summary.published_at, seq=0)
        .returning(t.summary.c.id)
    ).scalar_one()
    _remember_identifiers(tx, row, summary.identifiers)
    _revise(tx, row, summary, at)
    return row


def _remember_identifiers(tx: Connection, row: int, keys: Iterable[str]) -> None:
    for key in keys:
        tx.execute(upsert(tx, t.identifier).values(key=key, summary_id=row).on_conflict_do_nothing())


def _revise(tx: Connection, row: int, summary: Summary, at: datetime) -> None:
    notice_hash = summary.notice.digest() if summary.notice else None
    seq = tx.execute(
        insert(t.revision)
        .values(summary_id=row, hash=summary.digest(), body=summary.model_dump_json(), notice_hash=notice_hash, at=at)
        .returning(t.revision.c.seq)
    ).scalar_one()
    values = {"seq": seq, "published_at": summary.published_at, "notice_hash": notice_hash}
    values["notice_at"] = summary.notice.at if summary.notice else None
    tx.execute(update(t.summary).where(t.summary.c.id == row).values(**values))


def highest_seq(tx: Connection) -> int:
    """The newest arrival number; 0 before anything arrived."""
    return tx.execute(select(func.max(t.revision.c.seq))).scalar() or 0


def mark(tx: Connection) -> tuple[int, int]:
    """What changes with every summary that arrives, changes, or turns out to be another one."""
    same = tx.execute(select(func.count()).where(t.summary.c.same_as.is_not(None))).scalar_one()
    return highest_seq(tx), same


def count(tx: Connection) -> int:
    """How many summaries are kept."""
    return tx.execute(select(func.count()).select_from(t.summary)).scalar_one()


def load(tx: Connection, seqs: Sequence[int] | None = None, *, rows: Sequence[int] | None = None) -> list[Stored]:
    """Summaries by arrival number (as they were then) or by row (as they are now); all of them when neither is given."""
    query = select(t.summary.c.id, t.revision.c.seq, t.summary.c.source, t.summary.c.listed_as, t.revision.c.body)
    if seqs is not None:
        query = query.join(t.revision, t.revision.c.summary_id == t.summary.c.id)
    else:
        query = query.join(t.revision, t.revision.c.seq == t.summary.c.seq)
        query = query.where(t.summary.c.same_as.is_(None))
    wanted = seqs if seqs is not None else rows
    column = t.revision.c.seq if seqs is not None else t.summary.c.id
    found: list[Stored] = []
    for part in _parts(wanted):
        chosen = query if part is None else query.where(column.in_(part))
        found.extend(Stored(r.id, r.seq, r.source, _summary(r.listed_as, r.body)) for r in tx.execute(chosen))
    return sorted(found, key=lambda stored: stored.row)


def newest(tx: Connection, rows: Sequence[int]) -> dict[int, Summary]:
    """The summaries of these rows as they are now; a row that turned out to be another piece gives that piece."""
    stands: dict[int, int] = {}
    for part in _parts(rows) if rows else ():
        query = select(t.summary.c.id, func.coalesce(t.summary.c.same_as, t.summary.c.id))
        stands |= dict(tx.execute(query.where(t.summary.c.id.in_(part or ()))).all())
    known = {stored.row: stored.summary for stored in load(tx, rows=sorted(set(stands.values())))}
    return {row: known[now] for row, now in stands.items() if now in known}


def newest_seqs(tx: Connection, rows: Sequence[int]) -> dict[int, int]:
    """The newest arrival number of each of these rows; a row that turned out to be another piece has that piece's."""
    now = t.summary.alias()
    found: dict[int, int] = {}
    for part in _parts(rows) if rows else ():
        query = select(t.summary.c.id, now.c.seq).join(now, now.c.id == func.coalesce(t.summary.c.same_as, t.summary.c.id))
        found |= dict(tx.execute(query.where(t.summary.c.id.in_(part or ()))).all())
    return found


def ids_of(tx: Connection, rows: Sequence[int]) -> dict[int, str]:
    """The id under which each of these rows was listed, also where it turned out to be another piece since."""
    found: dict[int, str] = {}
    for part in _parts(rows) if rows else ():
        found |= dict(tx.execute(select(t.summary.c.id, t.summary.c.listed_as).where(t.summary.c.id.in_(part or ()))).all())
    return found


def published_after(tx: Connection, after: datetime) -> list[Stored]:
    """The summaries of then and later, as they are now."""
    query = select(t.summary.c.id).where(t.summary.c.published_at > after, t.summary.c.same_as.is_(None))
    return load(tx, rows=list(tx.execute(query).scalars()))


def revised_at(tx: Connection, rows: Sequence[int]) -> datetime | None:
    """When any of these rows was last revised."""
    found: list[datetime] = []
    for part in _parts(rows) if rows else ():
        query = select(func.max(t.revision.c.at, type_=t.Instant())).where(t.revision.c.summary_id.in_(part or ()))
        found += [at for at in tx.execute(query).scalars() if at]
    return max(found, default=None)


def _parts(wanted: Sequence[int] | None, size: int = 500) -> Iterable[Sequence[int] | None]:
    if wanted is None:
        return [None]
    return [wanted[start : start + size] for start in range(0, len(wanted), size)]


def _summary(listed_as: str, body: str) -> Summary:
    data = json.loads(body)
    # It is listed under the name it arrived by, even where a later revision knows a stronger one.
    data["identifiers"] = [listed_as, *(key for key in data["identifiers"] if key != listed_as)]
    return Summary.model_validate(data)


def also_at(tx: Connection, row: int) -> list[tuple[str, str]]:
    """Where else a summary was seen: source and link."""
    query = select(t.also_at.c.source, t.also_at.c.url).where(t.also_at.c.summary_id == row).order_by(t.also_at.c.source)
    return list(tx.execute(query))
