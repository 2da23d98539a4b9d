"""What changes if a rule changes: which pieces and readers each interest would have gained or lost lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from digest.interests import Interests
from digest.model import Frozen, Summary
from digest.workspace import Workspace


class PieceRef(Frozen):
    """A piece, and by which part of the rule it comes or came."""

    id: str
    title: str
    why: str


class InterestImpact(Frozen):
    """One interest with its children's pieces. ``change`` is of its own rule, place or being there; ``readers`` follow it."""

    id: str
    label: str
    change: Literal["new", "removed", "changed", "same"]
    readers: int
    before: int
    after: int
    gained: tuple[PieceRef, ...]
    lost: tuple[PieceRef, ...]


class PieceImpact(Frozen):
    """One piece that other readers would have got than did."""

    id: str
    title: str
    before: int
    after: int
    gained: int
    lost: int


class Impact(Frozen):
    """All of it. ``pieces`` were looked at, ``readers`` asked. ``gaining`` and ``losing`` readers would have got a piece more or one
    less (one may do both); ``choices_lost`` counts follows of interests that would be gone.
    """

    pieces: int
    readers: int
    gaining: int
    losing: int
    choices_lost: int
    interests: tuple[InterestImpact, ...]
    changed: tuple[PieceImpact, ...]


def impact(pieces: Sequence[Summary], before: Interests, after: Interests, follows: Iterable[Sequence[str]]) -> Impact:
    """Pure. ``follows`` is each reader's interests; they are gone through once, a reader at a time.

    Caps and what a reader was given before are left out: this is about whom a piece is for.
    """
    raise NotImplementedError


def impact_of_text(workspace: Workspace, text: str, months: int = 12) -> Impact:
    """What an edited ``interests.yaml`` would change for the active readers and the pieces of the last months.

    Raises:
        ConfigError: the text is wrong; names the lines.
    """
    raise NotImplementedError
