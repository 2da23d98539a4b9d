"""What changes if a rule changes: which pieces and readers each interest would have gained or lost lately."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from digest import interests, select
from digest.errors import ConfigError
from digest.interests import Interests
from digest.model import Frozen, Interest, Summary
from digest.store import catalogue, people
from digest.workspace import Workspace

_MONTH = timedelta(days=30.44)
_HELD = 50_000  # kinds of readers counted before they are summed up


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
    by_id = {piece.id: piece for piece in sorted(pieces, key=lambda piece: (piece.published_at, piece.id))}
    old, new = _Side(by_id, before), _Side(by_id, after)
    counted = _Counted(len(by_id))
    kinds: dict[tuple[int, int], int] = {}
    followers: dict[str, int] = {}
    for reader in follows:
        had = has = 0
        for id in reader:
            followers[id] = followers.get(id, 0) + 1
            had |= old.taken.get(id, 0)
            has |= new.taken.get(id, 0)
        kinds[had, has] = kinds.get((had, has), 0) + 1
        if len(kinds) > _HELD:
            counted.add(kinds)
            kinds.clear()
    counted.add(kinds)
    gone = {one.id for one in before.all} - {one.id for one in after.all}
    return Impact(
        pieces=len(by_id),
        readers=counted.readers,
        gaining=counted.gaining,
        losing=counted.losing,
        choices_lost=sum(followers.get(id, 0) for id in gone),
        interests=tuple(_interests(by_id, old, new, followers)),
        changed=tuple(counted.pieces(list(by_id.values()))),
    )


class _Side:
    """The lists before or after: ``taken`` holds, for each interest, a bit for every piece that its followers get."""

    def __init__(self, pieces: Mapping[str, Summary], lists: Interests) -> None:
        self.pieces, self.lists = pieces, lists
        self.known = select.catalogue(pieces.values(), lists)
        self.taken: dict[str, int] = {}
        for bit, id in enumerate(pieces):
            for interest in self.known.follows[id]:
                self.taken[interest] = self.taken.get(interest, 0) | 1 << bit

    def why(self, id: str, interest: str) -> str:
        """By which part of the rule the interest, or one below it, takes a piece."""
        for member in self.lists.family(interest):
            found = select.match(self.pieces[id], member)
            if found.takes:
                return found.why if member.id == interest else f"{member.label}, {found.why}"
        return ""


class _Counted:
    """Readers of each piece, before and after, by its bit."""

    def __init__(self, pieces: int) -> None:
        self.readers = self.gaining = self.losing = 0
        self._before, self._after, self._gained, self._lost = ([0] * pieces for _ in range(4))

    def add(self, kinds: Mapping[tuple[int, int], int]) -> None:
        for (had, has), readers in kinds.items():
            self.readers += readers
            self.gaining += readers * bool(has & ~had)
            self.losing += readers * bool(had & ~has)
            for counts, bits in ((self._before, had), (self._after, has), (self._gained, has & ~had), (self._lost, had & ~has)):
                for bit in _bits(bits):
                    counts[bit] += readers

    def pieces(self, pieces: Sequence[Summary]) -> Iterator[PieceImpact]:
        """Those that other readers would have got, the newest first."""
        for bit, piece in reversed(list(enumerate(pieces))):
            if self._gained[bit] or self._lost[bit]:
                yield PieceImpact(
                    id=piece.id,
                    title=piece.title,
                    before=self._before[bit],
                    after=self._after[bit],
                    gained=self._gained[bit],
                    lost=self._lost[bit],
                )


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _interests(pieces: Mapping[str, Summary], old: _Side, new: _Side, followers: Mapping[str, int]) -> Iterator[InterestImpact]:
    ids = list(pieces)
    everywhere = {one.id: one for one in (*old.lists.all, *new.lists.all)}  # the new label, where there are two
    for id, one in everywhere.items():
        had, has = old.taken.get(id, 0), new.taken.get(id, 0)
        yield InterestImpact(
            id=id,
            label=one.label,
            change=_changed(old.lists.get(id), new.lists.get(id)),
            readers=followers.get(id, 0),
            before=had.bit_count(),
            after=has.bit_count(),
            gained=tuple(PieceRef(id=ids[b], title=pieces[ids[b]].title, why=new.why(ids[b], id)) for b in _bits(has & ~had)),
            lost=tuple(PieceRef(id=ids[b], title=pieces[ids[b]].title, why=old.why(ids[b], id)) for b in _bits(had & ~has)),
        )


def _changed(before: Interest | None, after: Interest | None) -> Literal["new", "removed", "changed", "same"]:
    if before is None or after is None:
        return "new" if before is None else "removed"
    rules = [(one.match, one.pin, one.exclude, one.parent) for one in (before, after)]
    return "same" if rules[0] == rules[1] else "changed"


def impact_of_text(workspace: Workspace, text: str, months: int = 12) -> Impact:
    """What an edited ``interests.yaml`` would change for the active readers and the pieces of the last months.

    Raises:
        ConfigError: the text is wrong; names the lines.
    """
    after, problems = interests.read(text, sent=True)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    before = interests.load(workspace.path)
    with workspace.store.read() as tx:
        since = workspace.at - months * _MONTH
        pieces = [stored.summary for stored in catalogue.load(tx) if since < stored.summary.published_at <= workspace.at]
        shown = [piece for piece in pieces if not select.unwanted(piece, workspace.at)]
        return impact(shown, before, after, people.followed(tx))
