"""One reader: what they chose and agreed to, every issue with its fate, why not this piece; and what an admin does when asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest import audit, explain, suppress
from digest import interests as listed
from digest import readers as steps
from digest.admin import reader_edits
from digest.errors import ConfigError
from digest.interests import Interests
from digest.model import Audience, Subscriber
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, back, told
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter()

HOW = "admin"  # in the consent record, for what an admin did at a reader's wish
Sid = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]

_SAID = {
    "changed": "Saved. It stands in the reader's record that an admin changed it.",
    "paused": "Paused.",
    "resumed": "They are written to again.",
    "left": "Their subscription has ended. Only they can begin a new one.",
    "suppressed": "Nobody writes to that address any more, whatever list it comes from.",
    "free": "The address may be written to again, if its reader subscribes.",
}


@guarded(router, "GET", "/admin/readers/about/{sid}", "readers.see")
def about(request: Request, sid: Sid) -> Response:
    """Everything kept about one reader."""
    return _show(request, sid)


@guarded(router, "GET", "/admin/readers/about/{sid}/why/{name}", "readers.see")
def why(request: Request, sid: Sid, name: str) -> Response:
    """For each piece of an issue why this reader has it or not."""
    workspace = guard.acting(request)
    one = _reader(workspace, sid)
    with told("That cannot be said", 404):
        found = explain.why(workspace, one.email, name)
    return page(request, "reader_why.html.j2", one=one, why=found)


@guarded(router, "GET", "/admin/readers/about/{sid}/edit", "readers.change")
def ask_edit(request: Request, sid: Sid) -> Response:
    """The form."""
    return _edit(request, _reader(guard.acting(request), sid), "")


@guarded(router, "POST", "/admin/readers/about/{sid}/edit", "readers.change")
def edit(request: Request, sid: Sid, form: Filled) -> Response:
    """Change what a reader gets, as they asked for."""
    workspace = guard.acting(request)
    one = _reader(workspace, sid)
    try:
        known = listed.load(workspace.path)
        changed = reader_edits.checked(workspace, known, one, _values(form))
    except ConfigError as error:
        return _edit(request, one, str(error))

    def alter(now: Subscriber) -> Subscriber:
        update = {name: getattr(changed, name) for field, names in _ALONE.items() if _typed(form, field) for name in names}
        interests, audience = changed.interests, changed.audience
        if form.has("was_interests"):
            interests = _upon(now.interests, _ids(known, form.one("was_interests", 4000)), interests)
            audience = _upon(now.audience, _audience(form, "was_audience"), audience)
        return now.model_copy(update={**update, "interests": interests, "audience": audience})

    _alter(workspace, sid, alter)
    return _back(sid, "changed")


@guarded(router, "POST", "/admin/readers/about/{sid}/pause", "readers.change")
def pause(request: Request, sid: Sid, form: Filled) -> Response:
    """Write nothing until a day, or until they say so."""
    workspace, text = guard.acting(request), form.one("until").strip()
    with told():
        try:
            until = date.fromisoformat(text) if text else None
        except ValueError as error:
            raise ConfigError("write the day as YYYY-MM-DD") from error
        _alter(workspace, sid, lambda now: reader_edits.paused(now, until, workspace.on))
    return _back(sid, "paused")


@guarded(router, "POST", "/admin/readers/about/{sid}/resume", "readers.change")
def resume(request: Request, sid: Sid) -> Response:
    """Write to them again."""
    with told():
        _alter(guard.acting(request), sid, reader_edits.resumed)
    return _back(sid, "resumed")


@guarded(router, "POST", "/admin/readers/about/{sid}/leave", "readers.change")
def leave(request: Request, sid: Sid) -> Response:
    """End the subscription, as they asked."""
    steps.leave(guard.acting(request), sid, HOW)
    return _back(sid, "left")


@guarded(router, "POST", "/admin/readers/about/{sid}/suppress", "readers.change")
def put_away(request: Request, sid: Sid) -> Response:
    """Never write to that address again."""
    workspace = guard.acting(request)
    with told():
        suppress.add(workspace, _reader(workspace, sid).email, "operator", workspace.who)
    return _back(sid, "suppressed")


@guarded(router, "POST", "/admin/readers/about/{sid}/allow", "readers.change")
def allow(request: Request, sid: Sid) -> Response:
    """Take the address off the suppression list; not after a complaint, which only the command does, with a word to force it."""
    workspace = guard.acting(request)
    with told():
        suppress.remove(workspace, _reader(workspace, sid).email, who=workspace.who)
    return _back(sid, "free")


@guarded(router, "POST", "/admin/readers/about/{sid}/export", "readers.export")
def export(request: Request, sid: Sid) -> Response:
    """All that is kept about them, to hand to them."""
    workspace = guard.acting(request)
    data = steps.data_of(workspace, sid)
    if data is None:
        raise _nobody()
    audit.note(workspace, "readers.export", sid)
    text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
    headers = {"Content-Disposition": f'attachment; filename="reader-{sid[:8]}.json"'}
    return Response(text, media_type="application/json", headers=headers)


@guarded(router, "POST", "/admin/readers/about/{sid}/forget", "readers.erase")
def forget(request: Request, sid: Sid, form: Filled) -> Response:
    """Let go who they are. Asked for by the person; cannot be taken back."""
    if form.one("sure") != "yes":
        raise guard.Refused("Nothing was changed", "Tick the box to say that it cannot be taken back.", 422)
    if not steps.erase(guard.acting(request), sid):
        raise _nobody()
    return back("/admin/readers", "forgotten")


def _alter(workspace: Workspace, sid: str, alter: Callable[[Subscriber], Subscriber]) -> None:
    if steps.change(workspace, sid, alter, HOW) is None:
        raise _nobody()


# The fields of the form that are one choice each, and what they are in the reader's record.
_ALONE = {
    "name": ("name",),
    "cadence": ("cadence",),
    "language": ("language",),
    "form": ("plain_text", "large_print"),
    "most": ("max_teasers",),
}
_One = TypeVar("_One")


def _typed(form: Form, field: str) -> bool:
    """Whether the admin changed it: what a reader changes while the form is open is not written over by what it showed."""
    return not form.has(f"was_{field}") or form.one(field).strip() != form.one(f"was_{field}").strip()


def _upon(now: tuple[_One, ...], was: tuple[_One, ...], chosen: tuple[_One, ...]) -> tuple[_One, ...]:
    """What the admin added and took away, upon what the reader has now; the order is the form's where nothing came between."""
    if now == was:
        return chosen
    rest = (one for one in now if one in chosen or one not in was)
    return tuple(dict.fromkeys((*rest, *(one for one in chosen if one not in was))))


def _ids(known: Interests, text: str) -> tuple[str, ...]:
    return known.today(id.strip().lower() for id in text.split(","))


def _audience(form: Form, field: str) -> tuple[Audience, ...]:
    return tuple(Audience(word) for word in form.many(field) if word in list(Audience))


def _was(one: Subscriber) -> list[tuple[str, str]]:
    """What the form shows, to be sent back with it."""
    shown = "plain" if one.plain_text else "large" if one.large_print else ""
    alone = [("name", one.name), ("interests", ", ".join(one.interests)), ("cadence", one.cadence), ("language", one.language)]
    return [*alone, *(("audience", word.value) for word in one.audience), ("form", shown), ("most", str(one.max_teasers or ""))]


def _values(form: Form) -> dict[str, object]:
    """The choices in a form."""
    return {
        "name": form.one("name"),
        "interests": [id.strip().lower() for id in form.one("interests", 4000).split(",") if id.strip()],
        "cadence": form.one("cadence"),
        "language": form.one("language"),
        "audience": _audience(form, "audience"),
        "plain_text": form.one("form") == "plain",
        "large_print": form.one("form") == "large",
        "max_teasers": form.one("most").strip() or None,
    }


def _show(request: Request, sid: str) -> Response:
    workspace = guard.acting(request)
    data = steps.data_of(workspace, sid)
    if data is None:
        raise _nobody()
    with told("The lists cannot be read"):
        known = listed.load(workspace.path)
    return page(
        request,
        "reader.html.j2",
        one=Subscriber.model_validate(data["subscriber"]),
        consent=data["consent"],
        issues=list(reversed(data["issues"])),
        suppression=data["suppression"],
        labels={one.id: one.label for one in known.all},
        said=_SAID.get(request.query_params.get(DONE, ""), ""),
    )


def _edit(request: Request, one: Subscriber, error: str) -> Response:
    workspace = guard.acting(request)
    with told("The lists cannot be read"):
        known = listed.load(workspace.path)
    return page(
        request,
        "reader_edit.html.j2",
        status=422 if error else 200,
        one=one,
        was=_was(one),
        error=error,
        interests=[interest for interest in known.all if not interest.retired or interest.id in one.interests],
        cadences=list(workspace.config.cadences),
        languages=workspace.config.pages.languages,
        audiences=[word.value for word in Audience],
    )


def _reader(workspace: Workspace, sid: str) -> Subscriber:
    found = steps.find(workspace, sid)
    if found is None:
        raise _nobody()
    return found


def _nobody() -> guard.Refused:
    return guard.Refused("Nobody there", "There is no such reader, or who it was is erased.", 404)


def _back(sid: str, done: str) -> Response:
    return back(f"/admin/readers/about/{sid}", done)
