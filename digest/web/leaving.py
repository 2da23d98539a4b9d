"""Leaving: RFC 8058's one click for mail programs, a page with one button for people, and the way back on the same page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from digest import readers, tokens
from digest.errors import LinkError
from digest.model import Status, Subscriber
from digest.web import tokening
from digest.web.look import Form, page, parse_form, raw_body, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)

_UNDO = timedelta(hours=1)


def is_one_click(body: bytes) -> bool:
    """Whether a body is the one of RFC 8058, section 3.1, in either of its two encodings."""
    if body.strip() == b"List-Unsubscribe=One-Click":
        return True
    # multipart/form-data, which the RFC prefers: one part of that name and value.
    return body[:2] == b"--" and b'name="List-Unsubscribe"' in body and b"\r\n\r\nOne-Click\r\n" in body


@router.api_route("/u/{token}", methods=["GET", "HEAD"])
def ask(request: Request, token: str) -> Response:
    """The page with the button. Looking at it changes nothing, however often and by whatever program."""
    sid = tokening.read(request, "unsubscribe", token).about
    reader = readers.find(workspace_of(request), sid)
    if reader is None:
        raise LinkError("this link is not one of ours")
    return _page(request, reader, state="left" if _gone(reader) else "asks")


@router.post("/u/{token}")
async def act(request: Request, token: str) -> Response:
    """What the button, or a mail program on behalf of its owner, asks for."""
    body = await raw_body(request)
    return await run_in_threadpool(_act, request, token, body)


def _act(request: Request, token: str, body: bytes) -> Response:
    workspace = workspace_of(request)
    sid = tokening.read(request, "unsubscribe", token).about
    if is_one_click(body):
        request.app.state.one_clicks.do(sid)
        return PlainTextResponse("You are unsubscribed.")  # also where there is nobody left to unsubscribe: that is what was asked for
    reader = readers.find(workspace, sid)
    if reader is None:
        raise LinkError("this link is not one of ours")
    form = parse_form(body)
    if form.one("do") == "undo":
        return _undo(request, reader, form)
    if form.one("do") == "leave":
        return _leave(request, reader)
    if form.one("do") == "stop":
        return _stop(request, reader, form.one("what"))
    if form.one("do") == "reason":
        readers.leave(workspace, sid, "page", form.one("reason")) if _gone(reader) else None
        return _page(request, reader, state="thanks", undo=form.one("undo"))
    return _page(request, reader, state="left" if _gone(reader) else "asks")


def _leave(request: Request, reader: Subscriber) -> Response:
    readers.leave(workspace_of(request), reader.id, "page")
    return _page(request, reader, state="left", undo=_undo_token(request, reader))


def _stop(request: Request, reader: Subscriber, what: str) -> Response:
    """End one subject. A press with none chosen ends nothing: it must never end everything."""
    what = next(iter(request.app.state.glimpse.lists().today((what,))), what)
    if _gone(reader) or what not in reader.interests or len(reader.interests) < 2:
        errors = {} if _gone(reader) else {"what": tongue_for(request, reader.language).t("Choose the subject that should stop.")}
        return _page(request, reader, state="left" if _gone(reader) else "asks", errors=errors, status=422 if errors else 200)

    def without(now: Subscriber) -> Subscriber:
        rest = tuple(one for one in now.interests if one != what)
        return now.model_copy(update={"interests": rest or now.interests, "fewer": tuple(one for one in now.fewer if one != what)})

    after = readers.change(workspace_of(request), reader.id, without, "left one subject")
    place = reader.interests.index(what)
    undo = _undo_token(request, reader)
    return _page(request, after or reader, state="one", undo=undo, dropped=what, place=place, less=what in reader.fewer)


def _undo(request: Request, reader: Subscriber, form: Form) -> Response:
    """Put back what was ended on this page within the hour. The link in the email alone brings nobody back."""
    workspace = workspace_of(request)
    try:
        said = tokening.read(request, "undo", form.one("undo"))
    except LinkError:
        said = None
    if said is None or said.about != reader.id or said.made_at is None or datetime.now(UTC) - said.made_at > _UNDO:
        return _page(request, reader, state="too late" if _gone(reader) else "asks")
    dropped, place = form.one("dropped"), form.one("place")
    if dropped:
        dropped = next(iter(request.app.state.glimpse.lists().today((dropped,))), "")  # it may have got another id since
        at = int(place) if place.isdecimal() and len(place) < 4 else 0

        def back(now: Subscriber) -> Subscriber:
            if not dropped or dropped in now.interests:
                return now
            fewer = (*now.fewer, dropped) if form.one("less") == "yes" else now.fewer
            return now.model_copy(update={"interests": (*now.interests[:at], dropped, *now.interests[at:]), "fewer": fewer})

        after = readers.change(workspace, reader.id, back, "undone")
    else:
        readers.come_back(workspace, reader.id)
        after = readers.find(workspace, reader.id)
    return _page(request, after or reader, state="back")


def _undo_token(request: Request, reader: Subscriber) -> str:
    return tokens.sign("undo", reader.id, workspace_of(request).store.vault.link_keys, datetime.now(UTC))


def _gone(reader: Subscriber) -> bool:
    return reader.status in (Status.UNSUBSCRIBED, Status.SUPPRESSED)


def _page(request: Request, reader: Subscriber, *, status: int = 200, **data: Any) -> Response:
    spoken = tongue_for(request, reader.language)
    labels = {one.id: one.label_in(spoken.code) for one in request.app.state.glimpse.lists().all}
    follows = [(id, labels[id]) for id in reader.interests if id in labels]
    given = {"undo": "", "dropped": "", "place": 0, "less": False, "errors": {}, **data}
    reasons = [
        ("too_many", spoken.t("I get too many emails")),
        ("not_for_me", spoken.t("The subjects are not for me")),
        ("hard_to_read", spoken.t("The emails are hard to read")),
        ("never_asked", spoken.t("I never asked for them")),
        ("other", spoken.t("Something else")),
    ]
    return page(request, "leave.html.j2", spoken, status=status, follows=follows, labels=labels, reasons=reasons, **given)
