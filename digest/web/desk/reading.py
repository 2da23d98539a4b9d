"""Looking: which issues there are, the editions of one, and one edition in every way it can be looked at."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from email import message_from_bytes, policy
from itertools import islice
from typing import Annotated, Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from digest import audit, calendar, compose, screenshot
from digest.addresses import masked, parse
from digest.compose.teaser import clusters
from digest.desk.editions import EditionLine, Sort
from digest.errors import DigestError, IssueError
from digest.lint import simulate
from digest.lint.weight import CLIP_BYTES
from digest.model import Audience, IssueState, Status
from digest.review import selection_id
from digest.store import issues, people
from digest.web.desk import guard, shown
from digest.web.desk.guard import Person
from digest.web.desk.lines import PAGE, SORTS
from digest.web.desk.look import base_of, page, table_of
from digest.web.desk.standing import Standing, standing
from digest.web.desk.table import Composed, Table
from digest.web.desk.view import MEDIA, PAPER, PROGRAMS, SCHEMES, VIEWS, View, changed, path_segment, tall, view_of
from digest.web.look import Form, form_of
from digest.workspace import Workspace

router = APIRouter(include_in_schema=False)

Viewer = Annotated[Person, Depends(guard.viewer)]
Seer = Annotated[Person, Depends(guard.reader_seer)]
Filled = Annotated[Form, Depends(form_of)]

_AHEAD = 3  # issues to come that are offered of every cadence
_CUT = {"iPhone": 36, "Android": 32, "Desk": 70}  # characters of a subject that they show, about


class Offered(NamedTuple):
    """An issue that can be opened."""

    name: str
    stands: Standing
    due: str


@router.get("/")
def overview(request: Request, _: Viewer) -> Response:
    """Every cadence with its issues: those there are, and the next ones."""
    table = table_of(request)
    workspace = table.workspace()
    on, wrong = workspace.on, ""
    if typed := request.query_params.get("on", ""):
        try:
            on = date.fromisoformat(typed)
        except ValueError:
            wrong = f'"{typed[:20]}" is not a date; write it as YYYY-MM-DD'
    zone = ZoneInfo(workspace.zone)
    with workspace.store.read() as tx:
        rows = issues.every(tx)
    cadences = []
    for cadence, rule in workspace.config.cadences.items():
        known = {row.name: row for row in rows if row.cadence == cadence}
        dates = [next(calendar.dates_back(rule, on)), *islice(calendar.dates_on(rule, on), _AHEAD)]
        slots = [calendar.slot_on(cadence, rule, workspace.zone, day) for day in dict.fromkeys(dates)]
        found = {slot.name: (slot.due_at, known[slot.name].state if slot.name in known else None) for slot in slots}
        found |= {row.name: (row.due_at, row.state) for row in list(known.values())[:12]}
        listed = sorted(found.items(), key=lambda pair: pair[1][0])
        due = sum(at.astimezone(zone).date() <= on for _, (at, _) in listed)
        last = max(due - 1, 0)  # the one an editor is most likely at, then those to come, then those that were
        listed = [*listed[last:], *listed[:last][::-1]]
        cadences.append(
            (
                cadence,
                [Offered(name, _stands(table, name, state), f"{due.astimezone(zone):%d %B %Y, %H:%M}") for name, (due, state) in listed],
            )
        )
    return page(request, "overview.html.j2", cadences=cadences, on=on, wrong=wrong)


def _stands(table: Table, name: str, state: IssueState | None) -> Standing:
    """What the list says of an issue; whether an approval holds takes composing it, which is kept."""
    if state is None:
        return Standing("not drafted yet", "undrafted")
    if state is IssueState.APPROVED:
        try:
            return standing(table.workspace(), table.composed(name))
        except DigestError:
            return Standing("approved before", "before")  # the interest lists are wrong, and no earlier state is known here
    return Standing(state.value.replace("_", " "), state.value)


def common(composed: Composed, name: str, here: str) -> dict[str, Any]:
    """What every page of an issue shows on top."""
    return {
        "name": name,
        "composed": composed,
        "draft": composed.draft,
        "wrong": composed.wrong,
        "stamp": composed.stamp[:16],
        "here": here,
    }


def no_earlier(composed: Composed) -> bool:
    """Whether there is nothing to show at all."""
    return composed.ready is None


@router.get("/issues/{name}")
def editions(request: Request, name: str, _: Viewer) -> Response:
    """Every distinct edition, and forms to look through somebody's eyes."""
    table = table_of(request)
    composed = table.composed(name)
    asked = request.query_params.get("sort", "")
    sort: Sort = next((one for one in get_args(Sort) if one == asked), "readers")
    number = request.query_params.get("page", "1")
    at = max(1, int(number)) if number.isascii() and number.isdecimal() and len(number) < 6 else 1
    lines: tuple[EditionLine, ...] = ()
    table_of_lines, total, of_readers = None, 0, 0
    if not no_earlier(composed):
        found = table.lines(name)
        every = found.sorted(sort)
        table_of_lines, total, of_readers = found.table, len(every), found.of_readers
        at = min(at, max(1, -(-total // PAGE)))
        lines = every[(at - 1) * PAGE : at * PAGE]
    material = composed.draft.material
    depths = {interest.id: material.interests.depth(interest) for interest in material.interests.all}
    return page(
        request,
        "issue.html.j2",
        **common(composed, name, "editions"),
        lines=lines,
        total=total,
        table=table_of_lines,
        of_readers=of_readers,
        sort=sort,
        sorts=SORTS,
        at=at,
        pages=max(1, -(-total // PAGE)),
        clip=CLIP_BYTES,
        interests=[(one.id, one.label, depths[one.id]) for one in material.interests.all],
        audiences=[one.value for one in Audience],
        members=len(material.members),
        languages=sorted(composed.ready.compiled.others) if composed.ready is not None else (),
    )


@router.get("/issues/{name}/imagined")
def imagine(request: Request, name: str, _: Viewer) -> Response:
    """From the form of an imagined reader to what they would get."""
    query = request.query_params
    follows = [id for id in dict.fromkeys(query.getlist("interest")) if id.replace("-", "").isalnum()]
    said: list[str] = [one.value for one in Audience if one.value in query.getlist("audience")]
    said += [form for form in ("plain", "large") if query.get("form") == form]
    said += [f"in-{language}" for language in query.getlist("language")[:1] if language.replace("-", "").isalnum()]
    which = f"{shown.IMAGINED}:{'+'.join(follows) or 'all'}{';' + '+'.join(said) if said else ''}"
    return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}/editions/{path_segment(which)}", 303)


@router.post("/issues/{name}/reader")
def pick(request: Request, name: str, person: Seer, form: Filled) -> Response:
    """From an address, which stands in no address line, to that reader's edition. That somebody was looked up is recorded."""
    guard.require_own_form(request, person, form.one("token"))
    table, address = table_of(request), form.one("address", 320).strip()
    audit.note(table.workspace(person.name), "readers.find", _on_the_list(table.workspace(), address))
    key = table.pick(address)
    where = "why" if form.one("do") == "why" else f"editions/{path_segment(f'{shown.READER}:{key}')}"
    more = f"?reader={key}" if where == "why" else ""
    return RedirectResponse(f"{base_of(request)}/issues/{path_segment(name)}/{where}{more}", 303)


def _on_the_list(workspace: Workspace, address: str) -> str:
    """The id of whoever has that address; empty where nobody does, or it is none."""
    try:
        with workspace.store.read() as tx:
            found = people.find(tx, workspace.store.vault, parse(address))
    except ValueError:
        return ""
    return found.subscriber.id if found is not None and found.subscriber.status is not Status.ERASED else ""


def find_for(request: Request, name: str, which: str) -> shown.Shown:
    """The edition, if whoever asks may see it.

    Raises:
        HTTPException: 403, it is one reader's. IssueError, RenderError: as `shown.find`.
    """
    if shown.is_of_reader(which):
        guard.reader_seer(request)
    return shown.find(table_of(request), name, which)


class Row(NamedTuple):
    """How a program shows the letter in its list, about: what is cut is said."""

    program: str
    subject: str
    preheader: str
    cut: bool


@router.get("/issues/{name}/editions/{which}")
def edition(request: Request, name: str, which: str, _: Viewer) -> Response:
    """One edition."""
    table, view = table_of(request), view_of(request.query_params)
    try:
        found = find_for(request, name, which)
    except IssueError as error:
        composed = table.composed(name)
        return page(request, "nothing.html.j2", **common(composed, name, "editions"), text=str(error), status=404)
    letter = shown.letter(table, found)
    last = table.last_lines(name)
    sort: Sort = next((one for one in get_args(Sort) if one == view.sort), "readers")
    before, after, place = last.neighbours(selection_id(found.looked.selection), sort) if last is not None else (None, None, 0)
    width = PAPER if view.media == "print" else view.width
    size = compose.make_edition(found.ready.compiled, found.looked.selection).html_bytes  # as the list says: the most any reader takes
    parsed = message_from_bytes(letter.message, policy=policy.compat32)
    kept = table.picked(which.partition(":")[2]) if shown.is_of_reader(which) else None
    return page(
        request,
        "edition.html.j2",
        **common(found.composed, name, "editions"),
        which=which,
        title=f"{found.title} ({masked(kept)})" if kept else found.title,
        looked=found.looked,
        letter=letter,
        view=view,
        views=VIEWS,
        schemes=SCHEMES,
        media=MEDIA,
        programs=PROGRAMS,
        program_name=simulate.PROGRAMS[view.program].name if view.program else "",
        widths=screenshot.WIDTHS,
        frame=frame_of(request, name, which, view, letter.html),
        frame_width=width,
        frame_height=tall(letter, len(found.looked.selection.teasers), width),
        size=size,
        clip=CLIP_BYTES,
        clipped=min(100, round(100 * size / CLIP_BYTES)),
        biggest=sorted((letter.sizes or {}).items(), key=lambda pair: -pair[1])[:5],
        before=before,
        after=after,
        place=place,
        total=len(last.table.lines) if last is not None else 0,
        fields=[(field, letter.headers(field)[n]) for field, n in _numbered(parsed.keys())] if view.view == "headers" else [],
        source=_source(letter.html, letter.text, letter.message, view),
        rows=[_row(program, letter.subject, letter.preheader, most) for program, most in _CUT.items()],
        sender=letter.header("From").partition("<")[0].strip() or letter.header("From"),
        pieces=[found.composed.draft.summaries.get(id) for id in found.looked.selection.teasers],
    )


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    met: dict[str, int] = {}
    found = []
    for name in names:
        found.append((name, met.get(name, 0)))
        met[name] = met.get(name, 0) + 1
    return found


def _source(html: str, text: str, message: bytes, view: View) -> str:
    match view.view:
        case "text":
            return text
        case "html":
            return changed(html, view) if view.program else html
        case "raw":
            return message.decode("utf-8", "replace").replace("\r\n", "\n")
    return ""


def _row(program: str, subject: str, preheader: str, most: int) -> Row:
    room = max(0, most * 2 - min(len(subject), most)) if program == "Desk" else most * 2
    return Row(program, _cut(subject, most), _cut(preheader, room), len(subject) > most)


def _cut(text: str, most: int) -> str:
    found = list(clusters(text))
    return text if len(found) <= most else "".join(found[:most]).rstrip() + "…"


def frame_of(request: Request, name: str, which: str, view: View, html: str) -> str:
    """The address of an email. It changes exactly where what it shows does, so that a page renewed leaves a frame alone."""
    base: str = request.app.state.frames or f"{base_of(request)}/mail/-"
    at, said = hashlib.sha256(html.encode()).hexdigest()[:12], replace(view, sort="readers").query
    return f"{base}/{path_segment(name)}/{path_segment(which)}?{said}{'&' if said else ''}at={at}"


# --- to take away --------------------------------------------------------------------------------------------------------

_KINDS = {
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "eml": "message/rfc822",
    "png": "image/png",
    "pdf": "application/pdf",
}


@router.get("/issues/{name}/editions/{which}/get/{kind}")
def take(request: Request, name: str, which: str, kind: str, _: Viewer) -> Response:
    """The edition as a file."""
    if kind not in _KINDS:
        raise HTTPException(404)
    table, view = table_of(request), view_of(request.query_params)
    found = find_for(request, name, which)
    letter = shown.letter(table, found)
    content = _file(letter.html, letter.text, letter.message, kind, view)
    stem = f"{name}-{''.join(c if c.isalnum() else '-' for c in which if c.isascii())[:40]}"
    answer = {
        "Content-Disposition": f'attachment; filename="{stem}.{kind}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=_KINDS[kind], headers=answer)


def _file(html: str, text: str, message: bytes, kind: str, view: View) -> bytes:
    if kind == "html":
        return html.encode()
    if kind == "txt":
        return text.encode()
    if kind == "eml":
        return message
    drawn = simulate.simulate(html, view.program).marked if view.program else html
    if kind == "pdf":
        return next(one.content for one in screenshot.pictures(drawn, widths=(), schemes=("light",), pdf=True))
    return next(iter(screenshot.pictures(drawn, widths=(view.width,), schemes=(view.scheme,)))).content
