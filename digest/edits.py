"""Pure: what editors change about one issue, as a list of steps that is only ever added to, and what it comes to.

A step sets some targets (a teaser, the subject, …) to a value, or takes an earlier step back (undo), or does it again (redo).
What holds is the fold of all steps. Every step has a number, the version; who changes a target names the version they saw, and
whoever comes second is told (`Conflict`), their text with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from digest.errors import IssueError
from digest.model import Frozen, Instant

Kind = Literal["order", "pin", "exclude", "teaser", "note", "subject", "preheader", "intro"]
Op = Literal["edit", "undo", "redo"]


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
    pin: dict[str, tuple[str, ...]] = {}
    exclude: dict[str, tuple[str, ...]] = {}
    teasers: dict[str, Rewritten] = {}
    note: str = ""
    subject: str = ""
    preheader: str = ""
    intros: dict[str, str] = {}


class Change(Frozen):
    """One target set to a value; None means as it was before anybody changed it. ``key`` is a piece's or an interest's id."""

    kind: Kind
    key: str = ""
    value: Any = None


class Step(Frozen):
    """One line of the list: ``undo`` and ``redo`` have no changes of their own."""

    version: int
    at: Instant
    who: str
    op: Op = "edit"
    changes: tuple[Change, ...] = ()


class State(NamedTuple):
    """What a list of steps comes to. ``touched``: the last step that changed a target; ``undo`` and ``redo``: which step each takes."""

    edits: Edits
    version: int
    touched: Mapping[tuple[str, str], Step]
    undo: Step | None
    redo: Step | None


class Conflict(IssueError):
    """Somebody changed the same target since it was looked at. Nothing was written; both texts are here.

    ``mine`` is what was to be set, ``theirs`` what holds now, ``who`` set it and ``at`` when, ``version`` is what to name next time.
    """

    def __init__(self, text: str, *, mine: Change, theirs: Any, who: str, at: datetime, version: int) -> None:
        super().__init__(text)
        self.mine, self.theirs, self.who, self.at, self.version = mine, theirs, who, at, version


def fold(steps: Sequence[Step]) -> State:
    """What the steps come to, in order of their versions."""
    raise NotImplementedError
