"""One edition, found by what the address calls it: an id, a role, a reader picked by address, or somebody imagined."""

from __future__ import annotations

from typing import NamedTuple

from digest import review
from digest.desk import looking
from digest.errors import IssueError, RenderError
from digest.lint.editions import Looked
from digest.lint.letter import Letter
from digest.model import Selection
from digest.readiness import Ready
from digest.web.desk.table import NOTHING, Composed, Table

IMAGINED = looking.IMAGINED
READER = "reader"  # reader:KEY, see Table.pick


def is_of_reader(which: str) -> bool:
    """Whether it is one reader's edition: for who may see readers."""
    return which.partition(":")[0] == READER


class Shown(NamedTuple):
    """An edition that is looked at, with what it is called in addresses and on the page."""

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
    composed = table.composed(name) if kind == READER or (kind == IMAGINED and looking.language_of(rest)) else table.quickly(name)
    if composed.ready is None:
        raise RenderError(NOTHING)
    if kind == IMAGINED:
        return Shown(composed, composed.ready, looking.of_name(composed.ready, rest), which, "An imagined reader")
    if kind == READER:
        address = table.picked(rest)
        if address is None:
            raise IssueError("the desk has forgotten which reader that was; pick them again by their address")
        looked = looking.of_reader(table.workspace(), composed.ready, address)
        return Shown(composed, composed.ready, looked, which, "One reader on the list")
    last = table.last_lines(name)
    kept = last.find(which) if last is not None else None
    if kept is None or kept.selection.language or not _has_all(composed.ready, kept.selection):
        composed = table.composed(name)
        kept = table.lines(name).find(which)
        if kept is None:
            raise IssueError("there is no such edition any more: what readers get has changed; look at the list")
    if composed.ready is None:
        raise RenderError(NOTHING)
    return Shown(composed, composed.ready, kept, which, f"Edition {kept.name}")


def _has_all(ready: Ready, selection: Selection) -> bool:
    known = ready.compiled
    pieces = all(id in known.numbers for id in (*selection.teasers, *selection.notices))
    return pieces and all(section.interest in known.section_numbers for section in selection.sections)


def letter(table: Table, found: Shown) -> Letter:
    """The edition as an email to somebody imagined."""
    return review.letters(table.workspace(), found.ready, [found.looked])[0]
