"""Pure: what a reader's issue brings besides its own summaries, so that changing cadence or missing an issue loses nothing.

Membership is per cadence: a summary belongs to one issue of each. A reader who changes cadence stands between two such
rows of issues. The rule: **the first issue of the new cadence also offers what the old one would still have brought and is
not in the issue itself.** What was given before is never given again, whatever is offered; caps hold as always.

The same holds within one cadence for a reader whose delivery came to nothing because it was too late, or who joined the
cadence after its issue was drafted: what that issue had is offered by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from digest.model import Slot

LATER = "joined this cadence after the draft; the next issue brings it all"


class Piece(NamedTuple):
    """A summary as it is known now: its row, whose text it is, when it was published."""

    row: int
    source: str
    published_at: datetime


class Past(NamedTuple):
    """An issue in the ledger, with the rows of its members."""

    cadence: str
    due_at: datetime
    members: frozenset[int]


class Given(NamedTuple):
    """A reader's delivery of an issue. ``missed``: it came to nothing through no doing of the reader's."""

    issue: int
    missed: bool


class Candidate(NamedTuple):
    """A reader for whom an issue may have to carry something. ``since`` is when the present status began: what fell due before
    was not meant for them. ``changed_at`` is when they last chose another cadence.
    """

    row: int
    since: datetime
    changed_at: datetime | None = None


class Ledger(NamedTuple):
    """What is decided from: all issues by row, and for each cadence the instant up to which what a source published is archive."""

    issues: Mapping[int, Past]
    archive_ends: Mapping[str, Mapping[str, datetime]]


def carried(
    slot: Slot, own: frozenset[int], pieces: Sequence[Piece], ledger: Ledger, given: Sequence[Given], reader: Candidate
) -> frozenset[int]:
    """The rows that the issue of ``slot`` offers this reader besides its ``own`` members; empty for nearly everybody.

    ``pieces`` are the summaries that may be sent.
    """
    past = sorted((one for one in given if one.issue in ledger.issues), key=lambda one: ledger.issues[one.issue].due_at)
    last = next((ledger.issues[one.issue] for one in reversed(past) if not one.missed), None)
    offered: set[int] = set()
    for one in past:
        issue = ledger.issues[one.issue]
        if one.missed and issue.cadence == slot.cadence and (last is None or issue.due_at > last.due_at):
            offered |= issue.members
    # Also who left this cadence and came back: an issue of it may have gone out between.
    changed = reader.changed_at is not None and last is not None and reader.changed_at > last.due_at
    if last is not None and (changed or last.cadence != slot.cadence):
        had = frozenset[int]().union(*(i.members for i in ledger.issues.values() if i.cadence == last.cadence and i.due_at <= last.due_at))
        fresh = frozenset[int]().union(
            *(i.members for i in ledger.issues.values() if i.cadence == slot.cadence and i.due_at > reader.since)
        )
        ends = ledger.archive_ends.get(last.cadence, {})
        offered |= {
            piece.row
            for piece in pieces
            if piece.row not in had
            and piece.published_at > ends.get(piece.source, last.due_at)
            and (piece.published_at > reader.since or piece.row in fresh)
        }
    may = {piece.row for piece in pieces if piece.published_at <= slot.due_at}
    return frozenset(offered & may - own)
