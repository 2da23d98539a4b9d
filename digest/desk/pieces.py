"""The pieces of an issue as the desk lists them: in their order, with what was changed and who takes them by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from digest import explain, select
from digest.desk.draft import order_of
from digest.model import Frozen
from digest.readiness import Ready
from digest.select import Fate
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


def pieces(workspace: Workspace, ready: Ready, readers: Mapping[str, int], left_out: frozenset[str] = frozenset()) -> tuple[PieceLine, ...]:
    """All pieces of the issue in their order. ``readers`` by id and ``left_out`` are those of `editions.EditionTable`."""
    material = ready.material
    known, own = material.catalogue, material.edits
    sources = {stored.summary.id: stored.source for stored in (*material.members, *material.carried)}
    labels = {one.id: one for one in material.interests.all}
    lines = []
    for place, id in enumerate(order_of(material), start=1):
        piece, shown = known.summaries[id], material.shown[id]
        takers = []
        for interest in sorted(known.takers[id]):
            pinned = (interest, id) in own.pinned
            why = "pinned for this issue" if pinned else select.match(piece, labels[interest]).why
            takers.append(Taker(interest=interest, label=labels[interest].label, why=why))
        lines.append(
            PieceLine(
                id=id,
                place=place,
                title=shown.title,
                takeaway=shown.takeaway,
                own_title=piece.title,
                own_takeaway=piece.takeaway,
                limits=piece.limits,
                evidence=piece.evidence.value if piece.evidence else "",
                url=piece.url,
                source=sources[id],
                published_at=piece.published_at,
                pinned=own.pin.get(id),
                excluded=own.exclude.get(id),
                rewritten=id in own.teasers,
                takers=tuple(takers),
                readers=readers.get(id, 0),
                fate=explain.summary_fate(Fate.MEMBER, readers.get(id, 0), id in left_out, id in known.excluded),
            )
        )
    return tuple(lines)
