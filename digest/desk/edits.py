"""Changing a draft: each function writes one step (`digest.edits`) and returns what holds then.

All take ``seen``, the version that the editor had before them (`Edited.version`); where somebody changed the same target since, they
raise `digest.edits.Conflict`, which carries both texts. None does not ask. Whoever acts is ``workspace.who``
(``dataclasses.replace(workspace, who=…)``). A piece goes by its id, DOI, link or file name. All raise IssueError where the issue has
begun to go out, there is no such piece or interest, or a text cannot stand in an email; the text says what would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from digest.edits import Edits, Step
from digest.model import Frozen
from digest.workspace import Workspace

KEEP: Literal["\0keep"] = "\0keep"  # leaves a part of a teaser as it stands


class Edited(Frozen):
    """What holds for an issue now. ``may_edit`` is false once it has begun to go out. ``undo`` and ``redo`` tell what each would
    take back or do again; empty where there is nothing.
    """

    issue: str
    version: int
    edits: Edits
    may_edit: bool
    undo: str = ""
    redo: str = ""


class Told(Frozen):
    """A step in words: ``Ana pinned "Gut bacteria …"``. ``holds`` is false where it was taken back."""

    step: Step
    text: str
    holds: bool


class Difference(Frozen):
    """A target that differs, with both values in words."""

    target: str
    old: str
    new: str


def edited(workspace: Workspace, name: str) -> Edited:
    """What holds for an issue."""
    raise NotImplementedError


def steps(workspace: Workspace, name: str) -> tuple[Told, ...]:
    """Every step of an issue, the first one first."""
    raise NotImplementedError


def pin(workspace: Workspace, name: str, piece: str, interests: Sequence[str] = (), *, seen: int | None = None) -> Edited:
    """Let a piece stand first wherever it stands; with interests: let these take it for this issue, too."""
    raise NotImplementedError


def unpin(workspace: Workspace, name: str, piece: str, *, seen: int | None = None) -> Edited:
    """No longer."""
    raise NotImplementedError


def exclude(workspace: Workspace, name: str, piece: str, interests: Sequence[str] = (), *, seen: int | None = None) -> Edited:
    """Leave a piece out of this issue (it comes in no later one of the cadence), or only from under these interests."""
    raise NotImplementedError


def include(workspace: Workspace, name: str, piece: str, *, seen: int | None = None) -> Edited:
    """Take an exclusion back."""
    raise NotImplementedError


def move(workspace: Workspace, name: str, piece: str, *, before: str = "", after: str = "", to: int = 0, seen: int | None = None) -> Edited:
    """Put a piece before or after another, or in place ``to`` (1 is the first; -1 the last). One of the three."""
    raise NotImplementedError


def reorder(workspace: Workspace, name: str, pieces: Sequence[str], *, seen: int | None = None) -> Edited:
    """Put the pieces in this order; none at all: as they stand by themselves (pins, weight, newest)."""
    raise NotImplementedError


def teaser(
    workspace: Workspace, name: str, piece: str, *, title: str | None = KEEP, takeaway: str | None = KEEP, seen: int | None = None
) -> Edited:
    """Rewrite a teaser for this issue. None: as the source has it. Title and takeaway are one target: one teaser."""
    raise NotImplementedError


def note(workspace: Workspace, name: str, markdown: str, *, seen: int | None = None) -> Edited:
    """The editor's note on top of every email, in Markdown; empty takes it away."""
    raise NotImplementedError


def subject(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """The subject of every email with teasers; empty: each its own, as by itself."""
    raise NotImplementedError


def preheader(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """The preheader of every email with teasers; empty: each its own."""
    raise NotImplementedError


def intro(workspace: Workspace, name: str, interest: str, markdown: str, *, seen: int | None = None) -> Edited:
    """Words under an interest's heading, in Markdown; empty takes them away."""
    raise NotImplementedError


def undo(workspace: Workspace, name: str, *, seen: int | None = None) -> Edited:
    """Take the last step back that holds, whoever made it."""
    raise NotImplementedError


def redo(workspace: Workspace, name: str, *, seen: int | None = None) -> Edited:
    """Do again what was taken back last."""
    raise NotImplementedError


def export(workspace: Workspace, name: str) -> str:
    """What holds, as YAML."""
    raise NotImplementedError


def import_(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """Make what holds equal to the YAML, in one step.

    Raises:
        ConfigError: it is not such a file; names the line.
    """
    raise NotImplementedError


def diff(workspace: Workspace, name: str, text: str = "") -> tuple[Difference, ...]:
    """What would change were the YAML imported; without one: what differs from an issue nobody edited."""
    raise NotImplementedError
