"""The pieces of an issue as the desk lists them: in their order, with what was changed and who takes them by which rule."""

from __future__ import annotations

from datetime import datetime

from digest.issue import Ready
from digest.model import Frozen
from digest.workspace import Workspace


class Taker(Frozen):
    """An interest that takes a piece itself, and by which part of its rule."""

    interest: str
    label: str
    why: str


class PieceLine(Frozen):
    """One piece. ``title`` and ``takeaway`` are as readers would see them, ``own_…`` as the source has them. ``pinned`` and
    ``excluded`` are None, or the interests (none: everywhere). ``fate`` is as in `explain.coverage`; ``readers`` get it.
    """

    id: str
    place: int
    title: str
    takeaway: str
    own_title: str
    own_takeaway: str
    limits: str
    evidence: str
    url: str
    source: str
    published_at: datetime
    pinned: tuple[str, ...] | None
    excluded: tuple[str, ...] | None
    rewritten: bool
    takers: tuple[Taker, ...]
    readers: int
    fate: str


def pieces(workspace: Workspace, ready: Ready, readers: dict[str, int]) -> tuple[PieceLine, ...]:
    """All pieces of the issue in their order. ``readers`` by id is `editions.EditionTable.readers_of`."""
    raise NotImplementedError
