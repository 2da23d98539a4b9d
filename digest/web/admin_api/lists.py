"""The interest lists: the tree with its figures, one interest, and changes, which are tried and made by what the pages use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import Field

from digest import interests as listed
from digest.admin import interest_lists, interest_moves, tree
from digest.admin.effects import Effects
from digest.admin.interest_lists import Difference, Made
from digest.admin.interest_moves import Lists, Proposal
from digest.admin.tree import Line, Overlap, Tree
from digest.errors import ConfigError, StoreError
from digest.model import Frozen, Instant, Interest, Rule, Slug
from digest.store import lists
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import Refused, lists_are_wrong, not_found
from digest.workspace import Workspace

router = APIRouter(tags=["lists"])

Months = Annotated[int, Query(ge=1, le=60, description="how many months of pieces are counted")]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Mark = Annotated[
    str, Field(pattern="^[0-9a-f]{32}$", description="from the preview: the change is made only if it is still what was shown")
]
_MOST_PARTS = 50


class Listing(Tree):
    """The tree, and the file beside what the database has: while they differ no change is made."""

    difference: Difference


class About(Frozen):
    """One interest: as the file has it, its figures, its children, and what its readers follow, too."""

    interest: Interest
    figures: Line
    months: tuple[str, ...]
    children: tuple[str, ...]
    overlaps: tuple[Overlap, ...]


class Asked(Frozen):
    """A change that is asked for."""

    mark: Mark | None = None


class Create(Asked):
    """A new interest, behind the last one there."""

    kind: Literal["create"]
    id: Slug
    label: Label
    description: Annotated[str, Field(max_length=1000)] = ""
    match: Rule = Rule()
    parent: Slug | None = None

    def on(self, known: Lists) -> Proposal:
        return interest_moves.create(known, self.id, self.label, self.match, parent=self.parent, description=self.description)


class EditRule(Asked):
    """Another rule for an interest. It may take pieces away from its readers."""

    kind: Literal["rule"]
    id: Slug
    match: Rule

    def on(self, known: Lists) -> Proposal:
        return interest_moves.rule(known, self.id, self.match)


class EditLabel(Asked):
    """Another label; with a language its translation, which an empty text takes away."""

    kind: Literal["label"]
    id: Slug
    label: Annotated[str, Field(max_length=200)]
    language: Annotated[str, Field(pattern="^([a-z]{2,3})?$")] = ""

    def on(self, known: Lists) -> Proposal:
        return interest_moves.label(known, self.id, self.label, self.language)


class Rename(Asked):
    """Another id. The old one goes on meaning the same."""

    kind: Literal["rename"]
    id: Slug
    new_id: Slug

    def on(self, known: Lists) -> Proposal:
        return interest_moves.rename(known, self.id, self.new_id)


class Move(Asked):
    """Another place in the tree; without ``parent`` to the top."""

    kind: Literal["move"]
    id: Slug
    parent: Slug | None = None

    def on(self, known: Lists) -> Proposal:
        return interest_moves.move(known, self.id, self.parent)


class Merge(Asked):
    """Make one interest of two. Whoever followed either follows the one that stays, ``into``."""

    kind: Literal["merge"]
    id: Slug
    into: Slug

    def on(self, known: Lists) -> Proposal:
        return interest_moves.merge(known, self.id, self.into)


class Part(Frozen):
    """A part that gets an interest of its own."""

    id: Slug
    label: Label
    match: Rule


class Split(Asked):
    """Parts get interests of their own; the interest itself keeps the rest."""

    kind: Literal["split"]
    id: Slug
    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=_MOST_PARTS)]

    def on(self, known: Lists) -> Proposal:
        return interest_moves.split(known, self.id, [(part.id, part.label, part.match) for part in self.parts])


class Retire(Asked):
    """Offered to nobody new. Who follows it goes on getting what it takes."""

    kind: Literal["retire"]
    id: Slug
    successor: Slug | None = None

    def on(self, known: Lists) -> Proposal:
        return interest_moves.retire(known, self.id, self.successor)


class Undo(Asked):
    """Take the last change back: readers have again what they had chosen before it, and keep what they chose since."""

    kind: Literal["undo"]


Change = Annotated[Create | EditRule | EditLabel | Rename | Move | Merge | Split | Retire | Undo, Body(discriminator="kind")]


class Shown(Frozen):
    """What a change would do. Send ``mark`` with it, and exactly this is made, or nothing."""

    mark: str
    effects: Effects


class Past(Frozen):
    """A change that was made. ``readers`` are those whose choices it wrote anew; ``takes_back`` the change that it undid."""

    number: int
    kind: str
    what: str
    at: Instant
    who: str
    state: str
    readers: int | None
    takes_back: int | None


class History(Frozen):
    """Changes, the newest first; ``next`` goes into ``before`` for the ones before them."""

    changes: tuple[Past, ...]
    next: int | None


@scoped(router, "GET", "/lists", "lists:read", may=("invalid",))
def overview(request: Request, months: Months = 6) -> Listing:
    """The tree with readers and pieces of each interest, what is followed together, what is dead."""
    workspace = guard.acting(request)
    found = tree.tree(workspace, months)
    return Listing(**found.model_dump(), difference=interest_lists.compare(workspace))


@scoped(router, "GET", "/lists/{id}", "lists:read")
def about(request: Request, id: Annotated[Slug, Path()], months: Months = 6) -> About:
    """One interest."""
    workspace = guard.acting(request)
    known = listed.load(workspace.path)
    one = known.get(id)
    if one is None:
        raise not_found()
    found = tree.tree(workspace, months)
    return About(
        interest=one,
        figures=next(line for line in found.lines if line.id == id),
        months=found.months,
        children=tuple(child.id for child in known.all if child.parent == id),
        overlaps=tuple(pair for pair in found.overlaps if id in (pair.one, pair.other)),
    )


@scoped(router, "GET", "/list-changes", "lists:read", may=("invalid",))
def history(
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> History:
    """Every change of the lists: when, by whom, how many readers' choices."""
    rows = [one for one in interest_lists.history(guard.acting(request)) if before is None or one.id < before]
    return History(changes=tuple(_past(one) for one in rows[:limit]), next=rows[limit - 1].id if len(rows) > limit else None)


@scoped(router, "POST", "/list-changes/preview", "lists:write")
def preview(request: Request, change: Change) -> Shown:
    """All that a change would do, as the pages show it. Nothing is saved."""
    workspace = guard.acting(request)
    proposal = _proposed(request, workspace, change)
    return Shown(mark=interest_lists.mark(proposal), effects=interest_lists.show(workspace, proposal))


@scoped(router, "POST", "/list-changes", "lists:write", status=201, once=True, may=("stale",))
def make(request: Request, change: Change) -> Made:
    """Make a change: in the file and in readers' choices, in one move. With the ``mark`` of its preview only what that showed."""
    workspace = guard.acting(request)
    proposal = _proposed(request, workspace, change)
    if change.mark is not None and change.mark != interest_lists.mark(proposal):
        raise Refused("stale", "the lists have changed since the preview; look at another one")
    return interest_lists.make(workspace, proposal, interest_lists.show(workspace, proposal))


def _proposed(request: Request, workspace: Workspace, change: Change) -> Proposal:
    """A change that cannot be is the caller's affair; lists that are not as they were left are in the way of every change."""
    if isinstance(change, Undo):
        return _settled(request, lambda: interest_lists.undo(workspace))

    def work_out(known: Lists) -> Proposal:
        try:
            return change.on(known)
        except StoreError:
            raise
        except ConfigError as error:
            raise Refused("refused", str(error)) from error

    return _settled(request, lambda: interest_lists.propose(workspace, work_out))


def _settled(request: Request, propose: Callable[[], Proposal]) -> Proposal:
    try:
        return propose()
    except StoreError:
        raise
    except ConfigError as error:
        if lists_are_wrong(request):
            raise
        raise Refused("conflict", str(error)) from error


def _past(one: lists.Move) -> Past:
    return Past(
        number=one.id, kind=one.kind, what=one.what, at=one.at, who=one.who, state=one.state, readers=one.readers, takes_back=one.takes_back
    )
