"""What differs: a draft from what was approved last, an issue from the one before."""

from __future__ import annotations

from datetime import datetime

from digest.issue import Ready
from digest.model import Frozen
from digest.workspace import Workspace


class Approval(Frozen):
    """Somebody approved the issue's content as it was then."""

    who: str
    at: datetime
    content_hash: str


class Approvals(Frozen):
    """How approval stands: ``given`` are for the content as it is now, each by another person; ``needed`` by the cadence."""

    needed: int
    given: tuple[Approval, ...]
    last: Approval | None  # of whatever content

    @property
    def complete(self) -> bool:
        """Whether the issue as it is now has all it needs."""
        return len(self.given) >= self.needed


class Difference(Frozen):
    """One thing that differs, in words: ``about`` is a piece, an edit, a template, an interest, a rule, the composed parts."""

    kind: str
    about: str
    text: str
    old: str = ""
    new: str = ""


class IssueFigures(Frozen):
    """An issue in numbers, to stand beside another's."""

    issue: str
    state: str
    pieces: int
    readers: int
    editions: int
    nothing_for: int
    mean_teasers: float
    largest_html_bytes: int
    subject: str  # of most readers
    pieces_by_interest: dict[str, int]


class Comparison(Frozen):
    """An issue beside the one before it of the cadence (None where it is the first)."""

    issue: IssueFigures
    previous: IssueFigures | None


def approvals(workspace: Workspace, ready: Ready) -> Approvals:
    """How approval stands for the issue as it is composed now."""
    raise NotImplementedError


def since_approval(workspace: Workspace, ready: Ready) -> tuple[Difference, ...] | None:
    """What differs from the content that was approved last; None where none ever was, empty where nothing differs."""
    raise NotImplementedError


def with_previous(workspace: Workspace, ready: Ready, other: str = "") -> Comparison:
    """The issue in figures, beside the one before it or another.

    Raises:
        IssueError: there is no issue ``other``.
    """
    raise NotImplementedError
