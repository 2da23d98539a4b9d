"""Pages of readers by what is asked for, in order of their rows, each in bounded time however many there are.

A page goes along the index that narrows most, some thousand rows at a time, and ends when it is full or has looked at enough: then
it says from where to go on. So a filter that hardly anybody fits costs several short pages, never one long one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, exists, func, select

from digest.model import Status
from digest.store import people
from digest.store import schema as t
from digest.store.people import Person
from digest.vault import Vault

# Rows of an index looked at together: few where nearly everybody fits, more where few do. Together they bound a page.
_WINDOWS = (400, 4_000, 16_000)


class Wanted(NamedTuple):
    """Who is asked for; what is empty narrows nothing. ``interests``: who follows any of them. ``consent_from`` and
    ``consent_until`` bound the instant of the consent, the latter without itself.
    """

    interests: tuple[str, ...] = ()
    cadence: str = ""
    status: str = ""
    source: str | None = None
    language: str | None = None
    consent_from: datetime | None = None
    consent_until: datetime | None = None


class Page(NamedTuple):
    """Some readers; ``next`` is where to go on, None where nobody is left."""

    readers: list[Person]
    next: int | None


def page(tx: Connection, vault: Vault, wanted: Wanted, after: int = 0, limit: int = 100) -> Page:
    """The next readers behind a row."""
    found: list[int] = []
    for size in _WINDOWS:
        window, end = _window(tx, wanted, after, size)
        fitting = select(t.subscriber.c.id).join(window, window.c.id == t.subscriber.c.id)
        fitting = fitting.where(t.subscriber.c.id > after, *_conditions(wanted, by_index=False))
        if end is not None:
            fitting = fitting.where(t.subscriber.c.id <= end)
        found += tx.execute(fitting.order_by(t.subscriber.c.id).limit(limit + 1 - len(found))).scalars()
        if len(found) > limit:
            return Page(people.opened(tx, vault, found[:limit]), found[limit - 1])
        if end is None:
            return Page(people.opened(tx, vault, found), None)
        after = end
    return Page(people.opened(tx, vault, found), after)


def everyone(tx: Connection, vault: Vault, wanted: Wanted) -> Iterator[Person]:
    """All of them, a page at a time."""
    last: int | None = 0
    while last is not None:
        part = page(tx, vault, wanted, last, 500)
        yield from part.readers
        last = part.next


def count(tx: Connection, wanted: Wanted) -> int:
    """How many there are. Looks at all of them: a second or two for two million."""
    query = select(func.count()).select_from(t.subscriber).where(*_conditions(wanted))
    if wanted.interests:
        followed = and_(t.follows.c.subscriber_id == t.subscriber.c.id, t.follows.c.interest.in_(wanted.interests))
        query = query.where(exists().where(followed))
    return tx.execute(query).scalar_one()


def _window(tx: Connection, wanted: Wanted, after: int, size: int) -> tuple[Any, int | None]:
    """The next rows of an index, and the last of them; None where the index ends with them."""
    s, f = t.subscriber.c, t.follows.c
    if len(wanted.interests) == 1:
        (interest,) = wanted.interests
        return _ended(tx, _part(select(f.subscriber_id.label("id")).where(f.interest == interest), f.subscriber_id, after, size), size)
    if wanted.interests:
        size = max(50, size // len(wanted.interests))
        parts = [
            _part(select(f.subscriber_id.label("id")).where(f.interest == interest), f.subscriber_id, after, size)
            for interest in wanted.interests
        ]
        ends = [end for part in parts if (end := _ended(tx, part, size)[1]) is not None]
        first, *rest = (select(part.subquery().c.id) for part in parts)
        return first.union(*rest).subquery(), min(ends, default=None)
    narrow: Select[Any] = select(s.id)
    if wanted.source is not None:
        narrow = narrow.where(s.consent_source == wanted.source)
    elif (few := _few_by_consent(tx, wanted, size)) is not None:
        return select(s.id).where(s.id.in_(few), s.id > after).subquery(), None
    elif wanted.cadence and wanted.status:
        narrow = narrow.where(s.cadence == wanted.cadence, s.status == wanted.status)
    elif wanted.status:
        narrow = narrow.where(s.status == wanted.status)
    elif wanted.cadence:
        narrow = narrow.where(s.cadence == wanted.cadence)
    return _ended(tx, _part(narrow, s.id, after, size), size)


def _part(query: Select[Any], column: Any, after: int, size: int) -> Select[Any]:
    return query.where(column > after).order_by(column).limit(size)


def _ended(tx: Connection, part: Select[Any], size: int) -> tuple[Any, int | None]:
    window = part.subquery()
    last, met = tx.execute(select(func.max(window.c.id), func.count()).select_from(window)).one()
    return window, last if met == size else None


def _few_by_consent(tx: Connection, wanted: Wanted, size: int) -> list[int] | None:
    """Everybody whose consent lies in the bounds, where that is few; they come by its age, not by their rows."""
    bounds = _consent(wanted)
    if not bounds or size != _WINDOWS[0]:
        return None
    rows = list(tx.execute(select(t.subscriber.c.id).where(*bounds).order_by(t.subscriber.c.consent_at).limit(size)).scalars())
    return rows if len(rows) < size else None


def _consent(wanted: Wanted, at: Any = t.subscriber.c.consent_at) -> list[Any]:
    bounds = [at >= wanted.consent_from] if wanted.consent_from else []
    return [*bounds, at < wanted.consent_until] if wanted.consent_until else bounds


def _conditions(wanted: Wanted, *, by_index: bool = True) -> list[Any]:
    """What a reader must fit. Without ``by_index`` it is only looked at: SQLite would else leave the window for an index of a
    condition that nearly everybody fits, and go through that from its beginning (1.8 s a page of two million).
    """
    s = t.subscriber.c

    def seen(column: Any) -> Any:
        return column if by_index else func.coalesce(column, column)

    found = [seen(s.status) == wanted.status if wanted.status else seen(s.status) != Status.ERASED.value]
    found += _consent(wanted, seen(s.consent_at))
    if wanted.cadence:
        found.append(seen(s.cadence) == wanted.cadence)
    if wanted.source is not None:
        found.append(seen(s.consent_source) == wanted.source)
    if wanted.language is not None:
        found.append(seen(s.language) == wanted.language)
    return found
