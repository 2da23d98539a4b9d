"""What has come out, for everybody: the issues that were sent and the pieces in them as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from digest import select
from digest.model import IssueState, Slot, Summary
from digest.store import catalogue, issues
from digest.workspace import Workspace

_MOST_WORDS = 12


@dataclass(frozen=True)
class Archive:
    """Pieces with the newest first, and the issues that had each. ``changed_at`` is when any of it last changed."""

    pieces: tuple[Summary, ...]
    issues: tuple[tuple[Slot, tuple[Summary, ...]], ...]
    changed_at: datetime | None


def load(workspace: Workspace) -> Archive:
    """Everything in issues that have begun to go out. What is held back is left out; what was retracted stays, with its notice."""
    with workspace.store.read() as tx:
        gone = [row for row in issues.every(tx) if row.state in (IssueState.SENDING, IssueState.FINISHED)]
        members = {row.name: [summary for summary, _ in issues.members(tx, row.id)] for row in gone}
        now = catalogue.newest(tx, sorted({row for rows in members.values() for row in rows}))
        revised_at = catalogue.revised_at(tx, sorted(now))
    at = max(workspace.at, datetime.now(UTC))  # a server runs for weeks
    shown = {row: _told(piece, at) for row, piece in now.items() if not piece.hold}
    listed = []
    for issue in gone:
        unique = {shown[row].id: shown[row] for row in members[issue.name] if row in shown}
        listed.append((issue.slot, _newest_first(list(unique.values()))))
    pieces = _newest_first(list({piece.id: piece for piece in shown.values()}.values()))
    stamps = [at for at in (*(issue.planned_at for issue in gone), revised_at) if at]
    return Archive(pieces, tuple(listed), max(stamps, default=None))


def _told(piece: Summary, at: datetime) -> Summary:
    """The piece without a notice whose time has not come."""
    return piece if piece.notice is None or select.told(piece.notice, at) else piece.model_copy(update={"notice": None})


def _newest_first(pieces: list[Summary]) -> tuple[Summary, ...]:
    return tuple(sorted(pieces, key=lambda piece: (piece.published_at, piece.id), reverse=True))


def found(pieces: Sequence[Summary], words: str) -> tuple[Summary, ...]:
    """The pieces that have every one of these words, or words that begin with them, in title, takeaway, text, tags or journal."""
    wanted = [f" {word}" for word in select.fold(_spaced(words)).split()[:_MOST_WORDS]]
    if not wanted:
        return ()
    texts = ((piece, _text(piece)) for piece in pieces)
    return tuple(piece for piece, text in texts if all(word in text for word in wanted))


def _text(piece: Summary) -> str:
    parts = [piece.title, piece.takeaway, piece.limits, piece.journal, *piece.tags, *(section.text for section in piece.sections)]
    return " " + select.fold(_spaced(" ".join(parts)))


def _spaced(text: str) -> str:
    """Letters, digits and their marks; whatever parts words becomes a space."""
    return "".join(char if char.isalnum() or ord(char) > 0x2FF and char.isprintable() else " " for char in text)
