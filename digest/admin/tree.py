"""The tree of interests with its figures: readers, pieces by month, what overlaps, what is dead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from digest import interests as listed
from digest import select
from digest.interests import Interests
from digest.model import Frozen, Summary
from digest.store import catalogue, lists
from digest.workspace import Workspace

_HIDDEN = 10  # a group of fewer persons is not shown where it would tell of them


class Line(Frozen):
    """One interest. ``readers`` are active, ``all_readers`` of any status; ``months`` how many pieces of each month stand under it,
    the oldest first; ``dead`` why nothing comes of it, or empty.
    """

    id: str
    label: str
    depth: int
    readers: int
    all_readers: int
    pieces: int
    months: tuple[int, ...]
    dead: str = ""
    retired: bool = False
    successor: str | None = None
    was: tuple[str, ...] = ()


class Overlap(Frozen):
    """Active readers who follow both, and what part of the smaller following that is, in percent."""

    one: str
    other: str
    both: int
    percent: int


class Tree(Frozen):
    """All interests. ``months`` are ``YYYY-MM``; ``orphans`` ids that readers follow and the lists do not know, with how many."""

    months: tuple[str, ...]
    lines: tuple[Line, ...]
    overlaps: tuple[Overlap, ...]
    orphans: dict[str, int]


def months_until(day: date, count: int) -> tuple[str, ...]:
    """The last months up to that of a day, as ``YYYY-MM``, the oldest first."""
    last = day.year * 12 + day.month - 1
    return tuple(f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(last - count + 1, last + 1))


def by_month(pieces: Iterable[Summary], interests: Interests, months: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """For every interest how many pieces of each of these months can stand under it."""
    known = set(months)
    wanted = {piece.id: month for piece in pieces if (month := f"{piece.published_at:%Y-%m}") in known}
    counts = {one.id: dict.fromkeys(months, 0) for one in interests.all}
    for id, under in select.catalogue((piece for piece in pieces if piece.id in wanted), interests).follows.items():
        for interest in under:
            counts[interest][wanted[id]] += 1
    return {id: tuple(found.values()) for id, found in counts.items()}


def overlaps(both: Mapping[tuple[str, str], int], readers: Mapping[str, int]) -> tuple[Overlap, ...]:
    """Pairs that many follow together, the closest first; groups under ten are left out."""
    found = []
    for (one, other), count in both.items():
        smaller = min(readers.get(one, 0), readers.get(other, 0))
        if count >= _HIDDEN and smaller:
            found.append(Overlap(one=one, other=other, both=count, percent=round(100 * count / smaller)))
    return tuple(sorted(found, key=lambda pair: (-pair.percent, -pair.both, pair.one, pair.other)))


def lines(
    interests: Interests, pieces: Sequence[Summary], followers: Mapping[str, tuple[int, int]], months: Sequence[str], dead_months: int
) -> tuple[Line, ...]:
    """The tree in the order of the file. Dead is what had no piece for ``dead_months`` months, or has no active reader."""
    counted = by_month(pieces, interests, months)
    lately = {id: sum(found[-dead_months:]) for id, found in counted.items()}
    rows = []
    for one in interests.all:
        active, every = followers.get(one.id, (0, 0))
        why = [*([f"no piece in {dead_months} months"] if not lately[one.id] else []), *(["no readers"] if not active else [])]
        rows.append(
            Line(
                id=one.id,
                label=one.label,
                depth=interests.depth(one),
                readers=active,
                all_readers=every,
                pieces=sum(counted[one.id]),
                months=counted[one.id],
                dead=", ".join(why),
                retired=one.retired,
                successor=one.successor,
                was=one.was,
            )
        )
    return tuple(rows)


def tree(workspace: Workspace, months: int = 12, dead_months: int = 6) -> Tree:
    """All of it, for the months up to the date acted as of."""
    known = listed.load(workspace.path)
    with workspace.store.read() as tx:
        pieces = [stored.summary for stored in catalogue.load(tx)]
        followers, both = lists.counts(tx), lists.overlap(tx)
    names = months_until(workspace.on, max(months, dead_months))
    found = lines(known, pieces, followers, names, dead_months)
    return Tree(
        months=names[-months:],
        lines=tuple(one.model_copy(update={"months": one.months[-months:], "pieces": sum(one.months[-months:])}) for one in found),
        overlaps=overlaps(both, {id: active for id, (active, _) in followers.items()}),
        orphans={id: every for id, (_, every) in sorted(followers.items()) if known.get(id) is None},
    )
