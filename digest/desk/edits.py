"""Changing a draft: each function writes one step (`digest.edits`) and returns what holds then.

All take ``seen``, the version that the editor had before them (`Edited.version`); where somebody changed the same target since, they
raise `digest.edits.Conflict`, which carries both texts. None does not ask. Whoever acts is ``workspace.who``
(``dataclasses.replace(workspace, who=…)``). A piece goes by its id, DOI, link or file name. All raise IssueError where the issue has
begun to go out, there is no such piece or interest, or a text cannot stand in an email; the text says what would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from digest import edits as model
from digest import issue
from digest.compose import phrases, rich, view
from digest.desk.draft import MAX_SUBJECT, Draft, Edited, change, line, play
from digest.desk.draft import edited as holding
from digest.desk.draft import markdown as markdown_of
from digest.desk.papers import Difference, diff, export, import_
from digest.edits import Change, Rewritten, Step
from digest.errors import IssueError
from digest.model import Frozen
from digest.workspace import Workspace

__all__ = [
    "KEEP",
    "Difference",
    "Edited",
    "Told",
    "diff",
    "edited",
    "exclude",
    "export",
    "import_",
    "include",
    "intro",
    "move",
    "note",
    "pin",
    "preheader",
    "redo",
    "reorder",
    "steps",
    "subject",
    "teaser",
    "undo",
    "unpin",
]

KEEP: Literal["\0keep"] = "\0keep"  # leaves a part of a teaser as it stands


class Told(Frozen):
    """A step in words: ``Ana pinned "Gut bacteria …"``. ``holds`` is false where it was taken back."""

    step: Step
    text: str
    holds: bool


def edited(workspace: Workspace, name: str) -> Edited:
    """What holds for an issue."""
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        return holding(Draft(tx, workspace, row))


def steps(workspace: Workspace, name: str) -> tuple[Told, ...]:
    """Every step of an issue, the first one first."""
    with workspace.store.read() as tx:
        draft = Draft(tx, workspace, issue.find(tx, name))
        played = model.replay(draft.steps)
        held = {edit.version for edit in played.held}
        told = []
        for step, edit in played.meant:
            verb = {"edit": "", "undo": "took back: ", "redo": "did again: "}[step.op]
            text = f"{verb}{'; '.join(draft.said(change, edit.version) for change in edit.changes)}"
            told.append(Told(step=step, text=text, holds=edit.version in held))
        return tuple(told)


def pin(workspace: Workspace, name: str, piece: str, interests: Sequence[str] = (), *, seen: int | None = None) -> Edited:
    """Let a piece stand first wherever it stands; with interests: let these take it for this issue, too."""
    return change(workspace, name, lambda draft: [draft.under("pin", piece, interests)], seen)


def unpin(workspace: Workspace, name: str, piece: str, *, seen: int | None = None) -> Edited:
    """No longer."""
    return change(workspace, name, lambda draft: [Change(kind="pin", key=draft.known(piece))], seen)


def exclude(workspace: Workspace, name: str, piece: str, interests: Sequence[str] = (), *, seen: int | None = None) -> Edited:
    """Leave a piece out of this issue (it comes in no later one of the cadence), or only from under these interests."""
    return change(workspace, name, lambda draft: [draft.under("exclude", piece, interests)], seen)


def include(workspace: Workspace, name: str, piece: str, *, seen: int | None = None) -> Edited:
    """Take an exclusion back."""
    return change(workspace, name, lambda draft: [Change(kind="exclude", key=draft.known(piece))], seen)


def move(workspace: Workspace, name: str, piece: str, *, before: str = "", after: str = "", to: int = 0, seen: int | None = None) -> Edited:
    """Put a piece before or after another, or in place ``to`` (1 is the first; -1 the last). One of the three."""
    if sum(map(bool, (before, after, to))) != 1:
        raise IssueError("say where to: before a piece, after one, or to a place (1 is the first, -1 the last)")

    def make(draft: Draft) -> list[Change]:
        id = draft.piece(piece).summary.id
        beside = draft.piece(before or after).summary.id if before or after else ""
        if id == beside:
            raise IssueError("a piece cannot stand before or after itself")
        left = [one for one in draft.order if one != id]
        place = left.index(beside) + bool(after) if beside else to - 1 if to > 0 else len(left) + 1 + to
        return [Change(kind="order", value=list(model.moved(draft.order, id, place)))]

    return change(workspace, name, make, seen)


def reorder(workspace: Workspace, name: str, pieces: Sequence[str], *, seen: int | None = None) -> Edited:
    """Put the pieces in this order; none at all: as they stand by themselves (pins, weight, newest)."""

    def make(draft: Draft) -> list[Change]:
        order = list(dict.fromkeys(draft.piece(piece).summary.id for piece in pieces))
        return [Change(kind="order", value=order or None)]

    return change(workspace, name, make, seen)


def teaser(
    workspace: Workspace, name: str, piece: str, *, title: str | None = KEEP, takeaway: str | None = KEEP, seen: int | None = None
) -> Edited:
    """Rewrite a teaser for this issue. None: as the source has it. Title and takeaway are one target: one teaser."""

    def make(draft: Draft) -> list[Change]:
        stored = draft.piece(piece)
        had = draft.state.edits.teasers.get(stored.summary.id, Rewritten())
        words = {
            "title": had.title if title is KEEP else line(title, view.TITLE, "the title", stored.summary.title),
            "takeaway": had.takeaway if takeaway is KEEP else line(takeaway, view.TAKEAWAY, "the takeaway", stored.summary.takeaway),
        }
        value = {**words, "seq": stored.seq} if any(words.values()) else None
        return [Change(kind="teaser", key=stored.summary.id, value=value)]

    return change(workspace, name, make, seen)


def note(workspace: Workspace, name: str, markdown: str, *, seen: int | None = None) -> Edited:
    """The editor's note on top of every email, in Markdown; empty takes it away."""
    return change(workspace, name, lambda _: [Change(kind="note", value=markdown_of(markdown, rich.NOTE, "the note"))], seen)


def subject(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """The subject of every email with teasers; empty: each its own, as by itself."""
    return change(workspace, name, lambda _: [Change(kind="subject", value=line(text, MAX_SUBJECT, "the subject"))], seen)


def preheader(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """The preheader of every email with teasers; empty: each its own."""
    made = line(text, phrases.PREHEADER_MAX, "the preheader")
    return change(workspace, name, lambda _: [Change(kind="preheader", value=made)], seen)


def intro(workspace: Workspace, name: str, interest: str, markdown: str, *, seen: int | None = None) -> Edited:
    """Words under an interest's heading, in Markdown; empty takes them away."""

    def make(draft: Draft) -> list[Change]:
        known = interest if ("intro", interest) in draft.state.values else draft.interest(interest)
        return [Change(kind="intro", key=known, value=markdown_of(markdown, rich.INTRO, f"the text under {interest}"))]

    return change(workspace, name, make, seen)


def undo(workspace: Workspace, name: str, *, seen: int | None = None) -> Edited:
    """Take the last step back that holds, whoever made it."""
    return play(workspace, name, "undo", seen)


def redo(workspace: Workspace, name: str, *, seen: int | None = None) -> Edited:
    """Do again what was taken back last."""
    return play(workspace, name, "redo", seen)
