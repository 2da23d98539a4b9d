"""What has come out, for everybody: the issues that were sent and the pieces in them as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from digest import select
from digest.interests import Interests
from digest.model import IssueState, Slot, Summary
from digest.store import catalogue, issues
from digest.store.issues import IssueRow
from digest.workspace import Workspace

_MOST_WORDS = 12


class Known(NamedTuple):
    """A piece by its newest revision: what of it is searched, and the interests that take it. It costs, so it is kept."""

    piece: Summary
    text: str
    follows: frozenset[str]


@dataclass(frozen=True)
class Archive:
    """Pieces with the newest first, and the issues that had each. ``changed_at`` is when any of it last changed.

    ``known`` has each piece by its newest arrival number, ``by_id`` the same by its id, both as ``lists`` had the interests.
    ``mark`` is what the database had; with the same mark it is the same until ``until``, when the time of a notice comes.
    """

    pieces: tuple[Summary, ...]
    issues: tuple[tuple[Slot, tuple[Summary, ...]], ...]
    changed_at: datetime | None
    lists: Interests
    known: Mapping[int, Known]
    by_id: Mapping[str, Known]
    mark: tuple[object, ...]
    until: datetime

    def about(self, interest: str) -> tuple[Summary, ...]:
        """The pieces of one interest."""
        return tuple(piece for piece in self.pieces if interest in self.by_id[piece.id].follows)


def load(workspace: Workspace, lists: Interests, before: Archive | None = None) -> Archive:
    """Everything in issues that have begun to go out. What is held back, or an editor left out of its only issue, is left out;
    what was retracted stays, with its notice.

    Only what is new since ``before`` is read and matched.
    """
    kept = before.known if before is not None and before.lists is lists else {}
    at = max(workspace.at, datetime.now(UTC))  # a server runs for weeks
    with workspace.store.read() as tx:
        gone = [row for row in issues.every(tx) if row.state in (IssueState.SENDING, IssueState.FINISHED)]
        mark = (*catalogue.mark(tx), *(row.id for row in gone))
        if before is not None and before.lists is lists and before.mark == mark and at < before.until:
            return before
        members = _given(tx, gone)
        stands = catalogue.newest_seqs(tx, sorted({row for rows in members.values() for row in rows}))
        fresh = catalogue.load(tx, sorted(set(stands.values()) - set(kept)))
        revised_at = catalogue.revised_at(tx, sorted(stands))
    follows = select.catalogue([stored.summary for stored in fresh], lists).follows
    known = {seq: kept[seq] for seq in set(stands.values()) if seq in kept}
    known |= {one.seq: Known(one.summary, _text(one.summary), follows[one.summary.id]) for one in fresh}
    shown = {row: _told(known[seq].piece, at) for row, seq in stands.items() if not known[seq].piece.hold}
    listed = []
    for issue in gone:
        unique = {shown[row].id: shown[row] for row in members[issue.id] if row in shown}
        listed.append((issue.slot, _newest_first(list(unique.values()))))
    pieces = _newest_first(list({piece.id: piece for piece in shown.values()}.values()))
    stamps = [at for at in (*(issue.planned_at for issue in gone), revised_at) if at]
    by_id = {one.piece.id: one for one in known.values()}
    ahead = [one.piece.notice.at for one in known.values() if one.piece.notice and not select.told(one.piece.notice, at)]
    until = min(ahead, default=datetime.max.replace(tzinfo=UTC))
    return Archive(pieces, tuple(listed), max(stamps, default=None), lists, known, by_id, mark, until)


def _given(tx: Connection, gone: Sequence[IssueRow]) -> dict[int, list[int]]:
    """The summaries of each issue, without those that its editors left out of it."""
    members = issues.members_of(tx, [row.id for row in gone])
    for issue in gone:
        out = {id for id, under in issue.frozen.get("edits", {}).get("exclude", {}).items() if not under}
        if out:
            ids = catalogue.ids_of(tx, members[issue.id])
            members[issue.id] = [row for row in members[issue.id] if ids[row] not in out]
    return members


def _told(piece: Summary, at: datetime) -> Summary:
    """The piece without a notice whose time has not come."""
    return piece if piece.notice is None or select.told(piece.notice, at) else piece.model_copy(update={"notice": None})


def _newest_first(pieces: list[Summary]) -> tuple[Summary, ...]:
    return tuple(sorted(pieces, key=lambda piece: (piece.published_at, piece.id), reverse=True))


def found(archive: Archive, words: str) -> tuple[Summary, ...]:
    """The pieces that have every one of these words, or words that begin with them, in title, takeaway, text, tags or journal."""
    wanted = [f" {word}" for word in select.fold(_spaced(words)).split()[:_MOST_WORDS]]
    if not wanted:
        return ()
    return tuple(piece for piece in archive.pieces if all(word in archive.by_id[piece.id].text for word in wanted))


def _text(piece: Summary) -> str:
    parts = [piece.title, piece.takeaway, piece.limits, piece.journal, *piece.tags, *(section.text for section in piece.sections)]
    return " " + select.fold(_spaced(" ".join(parts)))


def _spaced(text: str) -> str:
    """Letters, digits and their marks; whatever parts words becomes a space."""
    return "".join(char if char.isalnum() or ord(char) > 0x2FF and char.isprintable() else " " for char in text)
