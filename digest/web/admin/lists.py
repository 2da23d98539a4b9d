"""The interest lists as they stand: the tree with its figures, one interest, what was changed, file and database."""

from __future__ import annotations

from typing import Annotated

import yaml
from fastapi import APIRouter, Path, Request
from starlette.responses import PlainTextResponse, Response

from digest import interests as listed
from digest import select, unfinished
from digest.admin import interest_lists, interest_moves, tree
from digest.interests import Interests
from digest.model import Frozen, Interest, Rule
from digest.store import catalogue
from digest.web.admin import guard
from digest.web.admin.guard import guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, told

router = APIRouter()

MONTHS = 6
_SHOWN = 50  # pieces listed on an interest's page
_HISTORY = 100
Id = Annotated[str, Path(max_length=80)]

_DONE = {
    "made": "The change is made, in the file and in the readers' choices. It can be taken back below.",
    "back": "The last change is taken back. Readers have again what they had chosen before it, and keep what they chose since.",
}


class Listed(Frozen):
    """A piece that an interest takes, and why."""

    title: str
    url: str
    date: str
    why: str


@guarded(router, "GET", "/admin/interests", "interests.see")
def overview(request: Request) -> Response:
    """The tree, what overlaps, what is dead."""
    workspace = guard.acting(request)
    with told("The lists cannot be read"):
        found = tree.tree(workspace, MONTHS)
        difference = interest_lists.compare(workspace)
    history = interest_lists.history(workspace)
    return page(
        request,
        "interests.html.j2",
        tree=found,
        labels={line.id: line.label for line in found.lines},
        dead=[line for line in found.lines if line.dead],
        difference=difference,
        last=next((one for one in history if one.state == "done" and one.kind != "first" and one.takes_back is None), None),
        done=_DONE.get(request.query_params.get(DONE, ""), ""),
    )


@guarded(router, "GET", "/admin/interests/about/{id}", "interests.see")
def about(request: Request, id: Id) -> Response:
    """One interest: its rule, its pieces, its readers, what else they follow."""
    workspace = guard.acting(request)
    with told("The lists cannot be read"):
        known = listed.load(workspace.path)
        one = found(known, id)
        counted = tree.tree(workspace, MONTHS)
    with workspace.store.read() as tx:
        pieces = [stored.summary for stored in catalogue.load(tx)]
    pieces.sort(key=lambda piece: piece.published_at, reverse=True)
    family = known.family(id)
    taken = []
    for piece in pieces:
        for member in family:
            result = select.match(piece, member)
            if result.takes:
                why = result.why if member.id == id else f"{member.label}: {result.why}"
                taken.append(Listed(title=piece.title, url=piece.url, date=f"{piece.published_at:%Y-%m-%d}", why=why))
                break
    return page(
        request,
        "interest.html.j2",
        one=one,
        rule=rule_text(one.match),
        line=next(line for line in counted.lines if line.id == id),
        months=counted.months,
        overlaps=[pair for pair in counted.overlaps if id in (pair.one, pair.other)],
        labels={line.id: line.label for line in counted.lines},
        children=[child for child in known.all if child.parent == id],
        pieces=taken[:_SHOWN],
        count=len(taken),
        languages=workspace.config.pages.languages,
    )


@guarded(router, "GET", "/admin/interests/history", "interests.see")
def history(request: Request) -> Response:
    """Every change: when, who, what, whose choices."""
    return page(request, "interest_history.html.j2", rows=interest_lists.history(guard.acting(request))[:_HISTORY], most=_HISTORY)


@guarded(router, "GET", "/admin/interests/compare", "interests.see")
def compare(request: Request) -> Response:
    """The file beside what the database has."""
    with told("The file cannot be read"):
        difference = interest_lists.compare(guard.acting(request))
    return page(request, "interest_compare.html.j2", difference=difference)


@guarded(router, "GET", "/admin/interests/export", "interests.see")
def export(request: Request) -> Response:
    """The file, as it is."""
    with told("The file cannot be read"):
        text = unfinished.read(guard.acting(request).path)
    return PlainTextResponse(text, media_type="application/yaml", headers={"Content-Disposition": 'attachment; filename="interests.yaml"'})


def found(known: Interests, id: str) -> Interest:
    """The interest of that id.

    Raises:
        Refused: there is none.
    """
    one = known.get(id)
    if one is None:
        raise guard.Refused("No such interest", "The lists have no interest of that name. It may have been renamed or merged.", 404)
    return one


def rule_text(rule: Rule) -> str:
    """A rule as it is typed, one condition a line."""
    if rule == Rule():
        return ""
    written: str = yaml.safe_dump(interest_moves.written(rule), allow_unicode=True, sort_keys=False, default_flow_style=None, width=88)
    return written.strip()
