"""Changing a draft: its order, what is pinned or left out, its words. Every step can be taken back; two editors meet on a page."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from digest.compose import phrases, rich, view
from digest.desk import edits, pieces
from digest.desk.draft import MAX_SUBJECT, in_words
from digest.edits import Conflict
from digest.errors import ConfigError, IssueError
from digest.readiness import Ready
from digest.web.desk import guard, shown
from digest.web.desk.draft import Draft
from digest.web.desk.guard import Person
from digest.web.desk.look import base_of, page, table_of
from digest.web.desk.reading import Filled, Viewer, common, find_for, frame_of
from digest.web.desk.table import Composed, Table
from digest.web.desk.view import View, path_segment, tall, view_of
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter(include_in_schema=False)

Editor = Annotated[Person, Depends(guard.editor)]
_LONG = 8000  # characters of a text that a form may bring
_LIMITS = {
    "title": view.TITLE,
    "takeaway": view.TAKEAWAY,
    "subject": MAX_SUBJECT,
    "preheader": phrases.PREHEADER_MAX,
    "note": rich.NOTE,
    "intro": rich.INTRO,
}


@router.get("/issues/{name}/edit")
def edit(request: Request, name: str, _: Viewer) -> Response:
    """The pieces in their order, and every text that an editor may write."""
    return _page(request, name)


def _page(
    request: Request, name: str, *, status: int = 200, error: str = "", conflict: Conflict | None = None, form: Form | None = None
) -> Response:
    table = table_of(request)
    composed = table.composed(name)
    workspace = table.workspace()
    ready = composed.ready
    if ready is None or not composed.draft.drafted or not _readable(workspace, name):
        return page(request, "undrafted.html.j2", **common(composed, name, "edit"), status=status)
    beside = request.query_params.get("beside", "imagined:all")
    height, frame = 0, ""
    try:
        found = find_for(request, name, beside)
        letter = shown.letter(table, found)
        frame = frame_of(request, name, beside, _narrow(request), letter.html)
        height = tall(letter, len(found.looked.selection.teasers), _narrow(request).width)
    except IssueError:
        pass  # there is nothing to show beside
    return page(
        request,
        "edit.html.j2",
        **common(composed, name, "edit"),
        now=edits.edited(workspace, name),
        steps=edits.steps(workspace, name)[::-1][:30],
        pieces=pieces.pieces(workspace, ready, table.lines(name).table.readers_of),
        interests=[(one.id, one.label) for one in ready.material.interests.all],
        done=_said(request.query_params.get("done", "")),
        error=error,
        conflict=conflict,
        **_both(conflict, ready),
        typed=form,
        refused=_refused(form) if error and form is not None else None,
        limits=_LIMITS,
        frame=frame,
        frame_height=height,
        beside=beside,
        status=status,
    )


def _readable(workspace: Workspace, name: str) -> bool:
    """Whether what editors have before them can be read: not while the interest lists are broken."""
    try:
        edits.edited(workspace, name)
    except ConfigError:
        return False
    return True


def _both(conflict: Conflict | None, ready: Ready) -> dict[str, str]:
    """What holds now and what was to be set, in words where it is no text that somebody wrote."""
    if conflict is None or conflict.mine is None:
        return {}
    titles = {id: piece.title for id, piece in ready.material.shown.items()}
    target = conflict.mine.target
    theirs, mine = (in_words(target, value, titles) for value in (conflict.theirs, conflict.mine.value))
    if target[0] == "teaser" and conflict.theirs:
        theirs = "\n".join(f"{part}: {conflict.theirs[part]}" for part in ("title", "takeaway") if conflict.theirs.get(part))
    elif isinstance(conflict.theirs, str):
        theirs = conflict.theirs
    return {"theirs": theirs, "mine": mine}


def _refused(form: Form) -> tuple[str, str]:
    """Which form of the page it was: its fields keep what was typed into them."""
    do = form.one("do")
    return do, form.one("interest_id") if do == "intro" else form.one("piece", 600)


def _narrow(request: Request) -> View:
    from dataclasses import replace

    return replace(view_of(request.query_params), view="mail", width=375)


@router.post("/issues/{name}/edit")
def change(request: Request, name: str, person: Editor, form: Filled) -> Response:
    """One step; where somebody else was faster, both texts on a page and nothing lost."""
    guard.require_own_form(request, person, form.one("token"))
    table = table_of(request)
    workspace = table.workspace(person.name)
    seen = int(form.one("seen")) if form.one("seen").isdecimal() else None
    try:
        done = _step(workspace, name, form, seen)
    except Conflict as conflict:
        return _page(request, name, status=409, conflict=conflict, form=form)
    except (IssueError, ConfigError) as error:
        return _page(request, name, status=422, error=str(error), form=form)
    at = form.one("at")
    mark = f"#{quote(at)}" if at else ""
    return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}/edit?done={quote(done)}{mark}", 303)


def _step(workspace: Workspace, name: str, form: Form, seen: int | None) -> str:
    """Do what the form says; what was done, as `_said` knows it."""
    piece, what = form.one("piece", 600), form.one("do")
    match what:
        case "up" | "down" | "first" | "last":
            _move(workspace, name, piece, what, form, seen)
        case "place":
            place = form.one("place", 6)
            if not place.isdecimal() or int(place) < 1:
                raise IssueError("say the place as a number: 1 is the first")
            edits.move(workspace, name, piece, to=int(place), seen=seen)
            return f"place-{int(place)}"
        case "plain-order":
            edits.reorder(workspace, name, (), seen=seen)
        case "pin" | "exclude" if form.has("only") and not form.many("interest"):
            if not form.has("had"):
                raise IssueError(
                    "tick the interests that this is for; for the whole issue there are “Pin” and “Leave out” beside the piece"
                )
            (edits.unpin if what == "pin" else edits.include)(workspace, name, piece, seen=seen)
            return "none"
        case "pin":
            edits.pin(workspace, name, piece, form.many("interest"), seen=seen)
        case "unpin":
            edits.unpin(workspace, name, piece, seen=seen)
        case "exclude":
            edits.exclude(workspace, name, piece, form.many("interest"), seen=seen)
        case "include":
            edits.include(workspace, name, piece, seen=seen)
        case "teaser":
            title, takeaway = form.one("title", _LONG).strip(), form.one("takeaway", _LONG).strip()
            own_title, own_takeaway = form.one("own_title", _LONG).strip(), form.one("own_takeaway", _LONG).strip()
            edits.teaser(
                workspace,
                name,
                piece,
                title=title if title and title != own_title else None,
                takeaway=takeaway if takeaway and takeaway != own_takeaway else None,
                seen=seen,
            )
        case "teaser-back":
            edits.teaser(workspace, name, piece, title=None, takeaway=None, seen=seen)
        case "note":
            edits.note(workspace, name, form.one("text", _LONG).replace("\r\n", "\n").strip(), seen=seen)
        case "subject":
            edits.subject(workspace, name, form.one("text", _LONG).strip(), seen=seen)
        case "preheader":
            edits.preheader(workspace, name, form.one("text", _LONG).strip(), seen=seen)
        case "intro":
            edits.intro(workspace, name, form.one("interest_id"), form.one("text", _LONG).replace("\r\n", "\n").strip(), seen=seen)
        case "undo":
            edits.undo(workspace, name, seen=seen)
        case "redo":
            edits.redo(workspace, name, seen=seen)
        case "import":
            edits.import_(workspace, name, form.one("text", 60_000), seen=seen)
        case _:
            raise HTTPException(400)
    return what


_DONE = {
    "up": "Moved up.",
    "down": "Moved down.",
    "first": "Moved to the top.",
    "last": "Moved to the end.",
    "plain-order": "Back to the order of its own.",
    "pin": "Pinned.",
    "unpin": "No longer pinned.",
    "exclude": "Left out.",
    "include": "Back in.",
    "none": "No longer for some interests alone.",
    "teaser": "Rewritten for this issue.",
    "teaser-back": "As the source has it again.",
    "note": "Note saved.",
    "subject": "Subject saved.",
    "preheader": "Preheader saved.",
    "intro": "Introduction saved.",
    "undo": "Taken back.",
    "redo": "Done again.",
    "import": "Taken in.",
}


def _said(done: str) -> str:
    """What was done, in a few words. An address can only name it: words of its own would be shown as ours."""
    place = done.removeprefix("place-")
    if place != done and place.isascii() and place.isdecimal() and len(place) <= 6:
        return f"Moved to place {place}."
    return _DONE.get(done, "")


def _move(workspace: Workspace, name: str, piece: str, where: str, form: Form, seen: int | None) -> None:
    if where in ("first", "last"):
        edits.move(workspace, name, piece, to=1 if where == "first" else -1, seen=seen)
    elif where == "up":
        edits.move(workspace, name, piece, before=form.one("before", 600), seen=seen)
    else:
        edits.move(workspace, name, piece, after=form.one("after", 600), seen=seen)


@router.get("/issues/{name}/edits.yaml")
def export(request: Request, name: str, _: Viewer) -> Response:
    """What holds, as a file."""
    text = edits.export(table_of(request).workspace(), name)
    said = {"Content-Disposition": f'attachment; filename="{path_segment(name)}-edits.yaml"'}
    return Response(text, media_type="text/yaml; charset=utf-8", headers=said)


@router.post("/issues/{name}/draft")
def draft(request: Request, name: str, person: Editor, form: Filled) -> Response:
    """Take in what the folders hold and draft the issue, anew where it was drafted before."""
    guard.require_own_form(request, person, form.one("token"))
    table = table_of(request)
    composed = table.composed(name)
    _draft(table, composed, table.workspace(person.name))
    return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}?done=drafted", 303)


def _draft(table: Table, composed: Composed, workspace: Workspace) -> None:
    from digest import gather, issue

    found: Draft = composed.draft
    if found.row.state.value not in ("drafted", "in_review", "approved"):
        raise IssueError(f"{found.name} is {found.row.state}; what has begun to go out is not drafted again")
    with workspace.store.alone():
        if table.live:
            gather.gather(workspace, local=True)
        issue.draft(workspace, found.row.cadence, again=found.drafted, slot=found.row.slot)
