"""Pure: what editors change about one issue, as a list of steps that is only ever added to, and what it comes to.

A step sets some targets (a teaser, the subject, …) to a value, or takes an earlier step back (undo), or does it again (redo).
What holds is the fold of all steps. Every step has a number, the version; who changes a target names the version they saw, and
whoever comes second is told (`Conflict`), their text with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from digest.errors import IssueError
from digest.model import Frozen, Instant, Slug, Summary

Kind = Literal["order", "pin", "exclude", "teaser", "note", "subject", "preheader", "intro"]
Op = Literal["edit", "undo", "redo"]
Target = tuple[Kind, str]


class Rewritten(Frozen):
    """A teaser's words for this issue; None leaves the source's. ``seq`` is the revision that they were written on.

    Limits and evidence are always the source's.
    """

    title: str | None = None
    takeaway: str | None = None
    seq: int = 0


class Edits(Frozen):
    """What holds for an issue. Pieces go by their ids.

    ``pin``: piece → interests that take it for this issue; none means it stands first wherever it stands. ``exclude``: piece →
    interests it does not come under; none means not in this issue at all. ``order`` is the pieces in their places; what it does
    not name comes after. ``note`` and ``intros`` (by interest) are Markdown.
    """

    order: tuple[str, ...] = ()
    pin: dict[str, tuple[Slug, ...]] = {}
    exclude: dict[str, tuple[Slug, ...]] = {}
    teasers: dict[str, Rewritten] = {}
    note: str = ""
    subject: str = ""
    preheader: str = ""
    intros: dict[Slug, str] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody changed anything."""
        return self == Edits()

    def shown(self, summary: Summary) -> Summary:
        """A piece in the words that this issue has for it."""
        words = self.teasers.get(summary.id)
        if words is None:
            return summary
        update = {key: value for key, value in (("title", words.title), ("takeaway", words.takeaway)) if value is not None}
        return summary.model_copy(update=update)

    @functools.cached_property
    def pinned(self) -> frozenset[tuple[str, str]]:
        """Interest and piece: these take these for this issue. An empty interest stands for wherever the piece stands."""
        return _pairs(self.pin)

    @functools.cached_property
    def excluded(self) -> frozenset[tuple[str, str]]:
        """Interest and piece: these do not. An empty interest stands for the whole issue."""
        return _pairs(self.exclude)


def _pairs(found: Mapping[str, tuple[str, ...]]) -> frozenset[tuple[str, str]]:
    return frozenset((interest, id) for id, only in found.items() for interest in only or ("",))


class Change(Frozen):
    """One target set to a value; None means as it was before anybody changed it. ``key`` is a piece's or an interest's id."""

    kind: Kind
    key: str = ""
    value: Any = None

    @property
    def target(self) -> Target:
        """What it sets."""
        return self.kind, self.key


class Step(Frozen):
    """One line of the list: ``undo`` and ``redo`` have no changes of their own."""

    version: int
    at: Instant
    who: str
    op: Op = "edit"
    changes: tuple[Change, ...] = ()


class State(NamedTuple):
    """What a list of steps comes to. ``values`` is by target; ``touched``: the last step that changed a target; ``undo`` and
    ``redo``: which step each would take.
    """

    values: Mapping[Target, Any]
    version: int
    touched: Mapping[Target, Step]
    undo: Step | None
    redo: Step | None

    @property
    def edits(self) -> Edits:
        """What holds."""
        return of_values(self.values)


class Conflict(IssueError):
    """Somebody changed the same target since it was looked at. Nothing was written; both texts are here.

    ``mine`` is what was to be set (None: an undo or redo), ``theirs`` what holds now, ``who`` set it and ``at`` when, ``version``
    is what to name next time.
    """

    def __init__(self, text: str, *, mine: Change | None, theirs: Any, who: str, at: datetime, version: int) -> None:
        super().__init__(text)
        self.mine, self.theirs, self.who, self.at, self.version = mine, theirs, who, at, version


def fold(steps: Iterable[Step]) -> State:
    """What the steps come to, in order of their versions."""
    played = replay(steps)
    touched = {change.target: step for step, edit in played.meant for change in edit.changes}
    values: dict[Target, Any] = {}
    for edit in played.held:
        for change in edit.changes:
            if change.value is None:
                values.pop(change.target, None)
            else:
                values[change.target] = change.value
    return State(values, played.version, touched, *(some[-1] if some else None for some in (played.held, played.taken)))


class Replay(NamedTuple):
    """``held``: the edits that hold; ``taken``: those taken back that can be done again, the next one last; ``meant``: every step
    with the edit that it makes, takes back or does again.
    """

    version: int
    held: list[Step]
    taken: list[Step]
    meant: list[tuple[Step, Step]]


def replay(steps: Iterable[Step]) -> Replay:
    """The steps one after another. An undo or redo of nothing is passed over."""
    held: list[Step] = []
    taken: list[Step] = []
    meant: list[tuple[Step, Step]] = []
    version = 0
    for step in steps:
        version = step.version
        if step.op == "edit":
            held.append(step)
            taken.clear()  # what was taken back before a new change is not done again
            meant.append((step, step))
            continue
        source, end = (held, taken) if step.op == "undo" else (taken, held)
        if source:
            end.append(source.pop())
            meant.append((step, end[-1]))
    return Replay(version, held, taken, meant)


def of_values(values: Mapping[Target, Any]) -> Edits:
    """The same by kind."""
    by_key: dict[str, dict[str, Any]] = {"pin": {}, "exclude": {}, "teaser": {}, "intro": {}}
    alone: dict[str, Any] = {}
    for (kind, key), value in sorted(values.items()):
        if kind in by_key:
            by_key[kind][key] = value
        else:
            alone[kind] = value
    plural = {"teasers": by_key["teaser"], "intros": by_key["intro"], "pin": by_key["pin"], "exclude": by_key["exclude"]}
    return Edits.model_validate({**alone, **plural})


def to_values(edits: Edits) -> dict[Target, Any]:
    """By target, as a `Change` has it."""
    data = edits.model_dump(mode="json")
    values: dict[Target, Any] = {}
    if data["order"]:
        values["order", ""] = data["order"]
    alone: tuple[Kind, ...] = ("note", "subject", "preheader")
    values |= {(kind, ""): data[kind] for kind in alone if data[kind]}
    kinds: tuple[tuple[Kind, str], ...] = (("pin", "pin"), ("exclude", "exclude"), ("teaser", "teasers"), ("intro", "intros"))
    for kind, field in kinds:
        values |= {(kind, key): value for key, value in data[field].items()}
    return values


def between(old: Mapping[Target, Any], new: Mapping[Target, Any]) -> tuple[Change, ...]:
    """The changes that make one set of values the other."""
    targets = sorted({*old, *new})
    return tuple(Change(kind=t[0], key=t[1], value=new.get(t)) for t in targets if old.get(t) != new.get(t))


def refuse(state: State, changes: Iterable[Change], seen: int | None) -> None:
    """Tell whoever comes second.

    Raises:
        Conflict: a target was changed after version ``seen``, to something else than what is to be set.
    """
    if seen is None:
        return
    for change in changes:
        last = state.touched.get(change.target)
        theirs = state.values.get(change.target)
        if last is not None and last.version > seen and theirs != change.value:
            text = (
                f"{last.who} changed {named(change.target)} at {last.at:%H:%M} UTC, after you looked at it; "
                f"nothing was changed and your text is kept: look at both, then set it again on version {state.version}"
            )
            raise Conflict(text, mine=change, theirs=theirs, who=last.who, at=last.at, version=state.version)


def named(target: Target) -> str:
    """A target in words."""
    kind, key = target
    match kind:
        case "order":
            return "the order"
        case "intro":
            return f"the words under {key}"
        case "note":
            return "the editor's note"
        case "teaser" | "pin" | "exclude":
            return f"the {'teaser' if kind == 'teaser' else 'pin' if kind == 'pin' else 'exclusion'} of {key}"
    return f"the {kind}"


# --- places --------------------------------------------------------------------------------------------------------------


def moved(order: Sequence[str], piece: str, to: int) -> tuple[str, ...]:
    """The pieces with one of them in place ``to``: 0 is the first; beyond the end is the last."""
    left = [id for id in order if id != piece]
    left.insert(max(0, min(to, len(left))), piece)
    return tuple(left)


@functools.lru_cache(64)
def places(order: tuple[str, ...]) -> Mapping[str, int]:
    """Each piece's place."""
    return {id: place for place, id in enumerate(order)}
