"""Letting an issue go: approve it as it is, send oneself a test, show the draft to somebody."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from digest import operate, readiness
from digest.desk import compare, share
from digest.errors import DigestError, IssueError
from digest.lint.rule import Level
from digest.web.desk import guard
from digest.web.desk.asking import Editor, review_of
from digest.web.desk.guard import Person
from digest.web.desk.look import base_of, page, table_of
from digest.web.desk.reading import Filled, Viewer, common, find_for
from digest.web.desk.view import path_segment

router = APIRouter(include_in_schema=False)

Approver = Annotated[Person, Depends(guard.approver)]


@router.get("/issues/{name}/approve")
def ask(request: Request, name: str, _: Viewer) -> Response:
    """All that somebody should know before they say yes."""
    return _page(request, name)


def _page(request: Request, name: str, *, error: str = "", status: int = 200) -> Response:
    table = table_of(request)
    composed = table.composed(name)
    ready = composed.ready
    workspace = table.workspace()
    stands = differences = report = None
    if ready is not None and composed.draft.drafted and not composed.wrong:
        stands = compare.approvals(workspace, ready)
        differences = compare.since_approval(workspace, ready)
        report = review_of(request, name)
    lines = table.lines(name) if ready is not None else None
    return page(
        request,
        "approve.html.j2",
        **common(composed, name, "approve"),
        stands=stands,
        differences=differences,
        errors=[one for one in report.findings if one.blocks] if report else [],
        warnings=report.count(Level.WARNING) if report else 0,
        lines=lines,
        content_hash=ready.material.content_hash(ready.compiled) if ready is not None else "",
        error=error,
        done=request.query_params.get("done", ""),
        status=status,
    )


@router.post("/issues/{name}/approve")
def approve(request: Request, name: str, person: Approver, form: Filled) -> Response:
    """Bind an approval to the content that was looked at; if it has changed meanwhile, say so instead."""
    guard.require_own_form(request, person, form.one("token"))
    table = table_of(request)
    composed = table.composed(name)
    ready = composed.ready
    if composed.wrong or ready is None:
        return _page(request, name, error="it cannot be composed as it is now; mend that first", status=422)
    if composed.draft.differs and composed.draft.live:
        return _page(request, name, error="the files say something else than the draft; take them in first, then look again", status=422)
    if form.one("content_hash") != ready.material.content_hash(ready.compiled):
        return _page(request, name, error="it has changed since you opened this page: look again, this is how it is now", status=409)
    workspace = table.workspace(person.name)
    try:
        with workspace.store.alone():
            readiness.approve(workspace, name, expected=form.one("content_hash"))
    except IssueError as error:
        return _page(request, name, error=str(error), status=422)
    return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}/approve?done=approved", 303)


@router.post("/issues/{name}/editions/{which}/test")
def send_test(request: Request, name: str, which: str, person: Editor, form: Filled) -> Response:
    """One message to the editor, marked as a test."""
    guard.require_own_form(request, person, form.one("token"))
    table = table_of(request)
    found = find_for(request, name, which)
    try:
        subject = operate.send_test_of(table.workspace(person.name), found.ready, found.looked.selection, form.one("address", 320))
        said, status = f'Sent "{subject}". It is marked as a test, and the ledger was not touched.', 200
    except DigestError as error:
        said, status = f"Not sent: {error}", 422
    back = f"{base_of(request)}/issues/{path_segment(name)}/editions/{path_segment(which)}"
    return page(
        request, "said.html.j2", **common(found.composed, name, "editions"), said=said, good=status == 200, back=back, status=status
    )


@router.get("/issues/{name}/share")
def shared(request: Request, name: str, _: Viewer) -> Response:
    """The links that show this draft to others."""
    return _shared(request, name)


def _shared(request: Request, name: str, *, error: str = "", made: share.Shared | None = None, status: int = 200) -> Response:
    table = table_of(request)
    composed = table.composed(name)
    links = share.every(table.workspace(), name) if composed.draft.drafted else ()
    data = common(composed, name, "share")
    return page(request, "share.html.j2", **data, links=links, error=error, made=made, most=share.MAX_DAYS, status=status)


@router.post("/issues/{name}/share")
def make_link(request: Request, name: str, person: Editor, form: Filled) -> Response:
    """A new link, or one taken back."""
    guard.require_own_form(request, person, form.one("token"))
    workspace = table_of(request).workspace(person.name)
    try:
        if form.one("do") == "revoke":
            share.revoke(workspace, form.one("id"))
            return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}/share?done={quote('revoked')}", 303)
        days = form.one("days", 4)
        made = share.make(workspace, name, days=int(days) if days.isdecimal() else 0, edition=form.one("edition"))
    except IssueError as error:
        return _shared(request, name, error=str(error), status=422)
    return _shared(request, name, made=made)
