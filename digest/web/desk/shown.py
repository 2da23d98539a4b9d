"""One edition, found by what the address calls it: an id, a role, a reader picked by address, or somebody imagined."""

from __future__ import annotations

from typing import NamedTuple

from digest import plan, review, select
from digest.errors import IssueError, RenderError
from digest.issue import Ready
from digest.lint.editions import Looked, imagined_reader
from digest.lint.letter import Letter
from digest.model import Audience, Follower, Selection
from digest.web.desk.table import Composed, Table

IMAGINED = "imagined"  # an imagined reader's edition: imagined:gut+vision or imagined:all
READER = "reader"  # reader:KEY, see Table.pick


class Shown(NamedTuple):
    """An edition that is looked at, with what it is called on the page and in addresses."""

    composed: Composed
    ready: Ready
    looked: Looked
    which: str
    title: str


def find(table: Table, name: str, which: str) -> Shown:
    """The edition.

    Raises:
        IssueError: there is none of that name, or nothing to show. RenderError: it cannot be composed and never could.
    """
    kind, _, rest = which.partition(":")
    composed = table.quickly(name)
    ready = composed.ready
    if ready is None:
        raise RenderError("it cannot be composed, and no earlier state is known; mend what is named above")
    if kind == IMAGINED:
        return Shown(composed, ready, _imagined(ready, rest), which, "An imagined reader")
    if kind == READER:
        composed = table.composed(name)
        ready = composed.ready or ready
        return Shown(composed, ready, _reader(table, ready, rest), which, "One reader")
    kept = table.last_edition(name, which)
    if kept is not None and not kept.selection.language and _has_all(ready, kept.selection):
        return Shown(composed, ready, kept, which, title_of(kept))
    composed = table.composed(name)
    ready = composed.ready or ready
    looked = table.edition(name, which)
    return Shown(composed, ready, looked, which, title_of(looked))


def title_of(looked: Looked) -> str:
    """What an edition is called on a page."""
    return f"Edition {looked.name}"


def _has_all(ready: Ready, selection: Selection) -> bool:
    known = ready.compiled
    return all(id in known.numbers for id in (*selection.teasers, *selection.notices)) and all(
        section.interest in known.section_numbers for section in selection.sections
    )


def _imagined(ready: Ready, asked: str) -> Looked:
    """Somebody who follows what the name says, in that order: ``all`` or ids joined by ``+``, then options after ``;``."""
    ids, _, options = asked.partition(";")
    known = [interest.id for interest in ready.material.interests.all]
    follows = tuple(known) if ids == "all" else tuple(id for id in ids.split("+") if id in known)
    if not follows:
        raise IssueError("an imagined reader follows at least one interest: tick some")
    said = set(options.split("+")) if options else set()
    follower = Follower(
        interests=follows,
        audience=tuple(one for one in Audience if one.value in said),
        form="large" if "large" in said else "plain" if "plain" in said else "",
    )
    return _chosen(ready, follower, f"{IMAGINED}:{asked}")


def _reader(table: Table, ready: Ready, key: str) -> Looked:
    """What a reader on the list got, or would get now."""
    sid = table.picked(key)
    if sid is None:
        raise IssueError("the desk has forgotten which reader that was; pick them again by their address")
    from digest.web.desk.people import selection_of

    selection = selection_of(table.workspace(), ready, sid)
    if selection.empty:
        raise IssueError("this issue has nothing for that reader: nothing new in what they follow, or they have had it all")
    return Looked(f"{READER}:{key}", 1, selection)


def _chosen(ready: Ready, follower: Follower, name: str) -> Looked:
    selection = select.select(ready.material.catalogue, follower, ready.material.rules, plan.costs_of(ready.compiled)).selection
    if selection.empty:
        raise IssueError("this issue has nothing for somebody who follows only that")
    return Looked(name, 0, selection)


def letter_of(table: Table, name: str, which: str) -> Letter:
    """The edition as an email to somebody imagined.

    Raises:
        IssueError, RenderError: see `find`.
    """
    found = find(table, name, which)
    return letter(table, found)


def letter(table: Table, found: Shown) -> Letter:
    """The same for one that is found already."""
    return review.letters(table.workspace(), found.ready, [found.looked])[0]


__all__ = ["IMAGINED", "READER", "Shown", "find", "imagined_reader", "letter", "letter_of", "title_of"]
