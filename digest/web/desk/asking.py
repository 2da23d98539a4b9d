"""Asking: who gets what and why, what the checks say, how this issue stands beside the last, what another rule would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from digest import explain, interests, review
from digest.desk import compare, impact, pieces
from digest.errors import ConfigError, DigestError, IssueError
from digest.lint import edges
from digest.lint.rule import Level
from digest.screenshot import WIDTHS
from digest.web.desk import guard, shown
from digest.web.desk.guard import Person
from digest.web.desk.look import base_of, page, table_of
from digest.web.desk.reading import Filled, Viewer, common, frame_of
from digest.web.desk.table import Asked
from digest.web.desk.view import SCHEMES, View, path_segment, tall, view_of
from digest.web.look import parse_form

router = APIRouter(include_in_schema=False)

Editor = Annotated[Person, Depends(guard.editor)]
_OTHERS = {"links": edges.dead.id, "spelling": edges.spelling.id, "spam": edges.spam.id}  # who can be asked, and the rule that they answer
_MOST_BYTES = 256 * 1024  # of an interests.yaml that is tried


@router.get("/issues/{name}/why")
def why(request: Request, name: str, _: Viewer) -> Response:
    """For each piece who gets it and by which rule; with ``?reader=KEY`` why one reader gets what."""
    table = table_of(request)
    composed = table.composed(name)
    workspace = table.workspace()
    found: tuple[pieces.PieceLine, ...] = ()
    wrong, one = "", None
    key = request.query_params.get("reader", "")
    if key:
        guard.reader_seer(request)
    if composed.ready is not None:
        found = pieces.pieces(workspace, composed.ready, table.lines(name).table.readers_of)
        if key:
            try:
                address = table.picked(key)
                if address is None:
                    raise IssueError("the desk has forgotten which reader that was; pick them again by their address")
                one = explain.why(workspace, address, name)
            except IssueError as error:
                wrong = str(error)
    coverage = explain.coverage(workspace, name) if composed.draft.drafted and not composed.wrong else ()
    known = {piece.id for piece in found}
    return page(
        request,
        "why.html.j2",
        **common(composed, name, "why"),
        pieces=found,
        waiting=[one for one in coverage if one.id not in known],
        one=one,
        key=key,
        asked=wrong,
    )


@router.get("/issues/{name}/checks")
def checks(request: Request, name: str, _: Viewer) -> Response:
    """What the checks find, the errors first; with ``?asked=KEY`` what others said, as long as the issue is what they were asked about."""
    key = request.query_params.get("asked", "")
    asked = _asked(request, name, key)
    if asked is None:
        return _checks(request, name, review_of(request, name), forgotten=bool(key))
    return _checks(request, name, review.recalled(table_of(request).workspace(), asked.report), asked=asked, key=key)


def _asked(request: Request, name: str, key: str) -> Asked | None:
    table = table_of(request)
    found = table.asked(key)
    if found is None or found.report.issue != name or found.stamp != table.composed(name).stamp:
        return None
    return found


def review_of(request: Request, name: str, *, fetch: bool = False, spelling: bool = False, spam: bool = False) -> review.Report | None:
    """What the checks say of the issue as it is now; None where nobody has drafted it or it cannot be composed."""
    table = table_of(request)
    composed = table.composed(name)
    if composed.wrong or not composed.draft.drafted:
        return None
    return review.check(table.workspace(), name, fetch=fetch, spelling=spelling, spam=spam)


def _checks(
    request: Request,
    name: str,
    report: review.Report | None,
    *,
    asked: Asked | None = None,
    key: str = "",
    forgotten: bool = False,
    status: int = 200,
    error: str = "",
) -> Response:
    composed = table_of(request).composed(name)
    by_level = {
        level: [one for one in report.findings if one.level is level and not one.accepted] if report else []
        for level in (Level.ERROR, Level.WARNING, Level.ADVICE)
    }
    return page(
        request,
        "checks.html.j2",
        **common(composed, name, "checks"),
        report=report,
        by_level=by_level,
        accepted=[one for one in report.findings if one.accepted] if report else [],
        others=asked.others if asked else (),
        key=key if asked else "",
        forgotten=forgotten,
        reasons={rule.id: rule.reason for rule in review.ALL_RULES},
        error=error,
        done=request.query_params.get("done", ""),
        status=status,
    )


@router.post("/issues/{name}/checks")
def check(request: Request, name: str, person: Editor, form: Filled) -> Response:
    """Let a rule's warnings pass with a word; or check what asks others too."""
    guard.require_own_form(request, person, form.one("token"))
    here = f"{base_of(request)}/issues/{path_segment(name)}/checks"
    if form.one("do") == "more":
        others = tuple(one for one in _OTHERS if one in form.many("ask"))
        stamp = table_of(request).composed(name).stamp
        said = review_of(request, name, fetch="links" in others, spelling="spelling" in others, spam="spam" in others)
        key = table_of(request).keep_asked(Asked(stamp, others, said)) if said is not None and others else ""
        return RedirectResponse(f"{here}?asked={key}" if key else here, 303)
    workspace = table_of(request).workspace(person.name)
    key, rule = form.one("asked"), form.one("rule")
    if (asked := _asked(request, name, key)) is not None:
        report: review.Report | None = review.recalled(workspace, asked.report)
    else:
        ask = _OTHERS
        report = review_of(request, name, fetch=rule == ask["links"], spelling=rule == ask["spelling"], spam=rule == ask["spam"])
    if report is None:
        raise IssueError("there is nothing to accept: the issue is not drafted, or cannot be composed")
    try:
        review.accept(workspace, report, rule, form.one("word", 1000))
    except IssueError as error:
        return _checks(request, name, report, asked=asked, key=key, status=422, error=str(error))
    return RedirectResponse(f"{here}?done=accepted{f'&asked={key}' if asked else ''}#accepted", 303)


@router.get("/issues/{name}/compare")
def beside(request: Request, name: str, _: Viewer) -> Response:
    """This issue beside the one before it, or beside another."""
    table = table_of(request)
    composed = table.composed(name)
    query = request.query_params
    other, which = query.get("other", ""), query.get("edition", "")
    if which not in _BESIDE and not which.startswith("imagined:"):
        which = "imagined:all"  # one reader's is for who may see readers
    view = replace(view_of(query), view="mail", width=view_of(query).width if query.get("width") else 375)
    wrong, figures, frames = "", None, []
    if composed.ready is not None and composed.draft.drafted:
        try:
            figures = compare.with_previous(table.workspace(), composed.ready, other)
        except IssueError as error:
            wrong = str(error)
    if figures is not None:
        for one in (figures.issue, figures.previous):
            frames.append(_beside(request, one.issue, which, view) if one is not None else None)
    interests_ = [(f"imagined:{one.id}", f"Who follows {one.label}") for one in composed.draft.material.interests.all]
    return page(
        request,
        "compare.html.j2",
        **common(composed, name, "compare"),
        figures=figures,
        frames=frames,
        error=wrong,
        other=other,
        which=which,
        editions=[*_BESIDE.items(), *interests_],
        view=view,
        widths=WIDTHS,
        schemes=SCHEMES,
    )


_BESIDE = {"imagined:all": "Who follows everything", "most-readers": "Most readers", "largest": "The largest", "smallest": "The smallest"}


def _beside(request: Request, name: str, which: str, view: View) -> tuple[str, int] | None:
    """The address and height of that edition of an issue; None where it has none."""
    table = table_of(request)
    try:
        found = shown.find(table, name, which)
        letter = shown.letter(table, found)
    except DigestError:
        return None
    return frame_of(request, name, which, view, letter.html), tall(letter, len(found.looked.selection.teasers), view.width)


@router.get("/rules")
def rules(request: Request, _: Viewer) -> Response:
    """The interest lists, ready to be tried with other rules."""
    return _rules(request, (table_of(request).workspace().path / interests.FILE).read_text(encoding="utf-8"))


@router.post("/rules")
async def try_rules(request: Request, person: Viewer) -> Response:
    """What other rules would change; nothing is saved."""
    from starlette.concurrency import run_in_threadpool

    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 4 * _MOST_BYTES:
            return _rules(request, "", error="that is larger than interest lists may be", status=413)
    form = parse_form(body)
    guard.require_own_form(request, person, form.one("token"))
    text = form.one("text", _MOST_BYTES).replace("\r\n", "\n")
    try:
        found = await run_in_threadpool(impact.impact_of_text, table_of(request).workspace(), text)
    except ConfigError as error:
        return _rules(request, text, error=str(error), status=422)
    return _rules(request, text, found=found)


def _rules(request: Request, text: str, *, found: impact.Impact | None = None, error: str = "", status: int = 200) -> Response:
    return page(request, "rules.html.j2", text=text, found=found, error=error, status=status)
