"""Outgoing webhooks: add one, try it, see what it was told, give it another secret, stop it. For admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest.errors import HookError
from digest.hooks import keeping
from digest.hooks.kinds import KINDS, read_topics
from digest.store.hooks import Hook
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, back, told
from digest.web.look import Form

router = APIRouter()

Hid = Annotated[str, Path(max_length=8)]
_MOST = 50
_SAID = {
    "enabled": "It is told again; what waited goes out first.",
    "disabled": "It is told nothing more. What waits stays; what happens meanwhile is not kept for it.",
    "removed": "The webhook is gone, and what waited for it.",
}
_FAMILIES = (("issue.*", "Everything about issues"), ("reader.*", "Everything about readers"))


@guarded(router, "GET", "/admin/hooks", "hooks.see")
def every(request: Request) -> Response:
    """All of them, and the form for another."""
    return _list(request)


def _list(request: Request, error: str = "", form: Form | None = None) -> Response:
    return page(
        request,
        "hooks.html.j2",
        status=422 if error else 200,
        hooks=keeping.every(guard.acting(request)),
        place=keeping.place,
        topics=keeping.topics,
        said=_SAID.get(request.query_params.get(DONE, ""), ""),
        error=error,
        url=form.one("url", 3000) if form else "",
        chosen=form.many("event") if form else (),
        with_addresses=form.has("with_addresses") if form else False,
        families=_FAMILIES,
        kinds=KINDS,
    )


@guarded(router, "POST", "/admin/hooks", "hooks.change")
def add(request: Request, form: Filled) -> Response:
    """A new one. Its secret is shown this once."""
    try:
        topics = read_topics(",".join(form.many("event")))
        made, secret = keeping.add(guard.acting(request), form.one("url", 3000).strip(), topics, with_addresses=form.has("with_addresses"))
    except HookError as error:
        return _list(request, str(error), form)
    return page(request, "hook_secret.html.j2", hook=made, place=keeping.place, secret=secret, until=None)


@guarded(router, "GET", "/admin/hooks/{hid}", "hooks.see")
def one(request: Request, hid: Hid) -> Response:
    """One of them, and what it was told lately."""
    return _one(request, _find(request, hid))


def _one(request: Request, hook: Hook, tried: str = "", good: bool = False) -> Response:
    failing = request.query_params.get("failed", "") == "1"
    rows = keeping.deliveries(guard.acting(request), hook.hid, failing=failing, most=_MOST)
    return page(
        request,
        "hook.html.j2",
        hook=hook,
        place=keeping.place,
        topics=keeping.topics(hook),
        said=_SAID.get(request.query_params.get(DONE, ""), ""),
        tried=tried,
        good=good,
        rows=rows,
        failing=failing,
        states=keeping.STATES,
        most=_MOST,
    )


@guarded(router, "POST", "/admin/hooks/{hid}/test", "hooks.change")
def send_test(request: Request, hid: Hid) -> Response:
    """Hand over one event that says it is a test; what came of it is shown."""
    hook = _find(request, hid)
    with told():
        answer = keeping.send_test(guard.acting(request), hook.hid)
    good = answer.status is not None and 200 <= answer.status < 300
    return _one(request, hook, keeping.said(answer), good)


@guarded(router, "POST", "/admin/hooks/{hid}/rotate", "hooks.change")
def rotate(request: Request, hid: Hid) -> Response:
    """Another secret, shown this once."""
    hook = _find(request, hid)
    with told():
        _, secret, until = keeping.rotate(guard.acting(request), hook.hid)
    return page(request, "hook_secret.html.j2", hook=hook, place=keeping.place, secret=secret, until=until)


@guarded(router, "POST", "/admin/hooks/{hid}/enable", "hooks.change")
def enable(request: Request, hid: Hid) -> Response:
    """It is told again."""
    hook = _find(request, hid)
    with told():
        keeping.enable(guard.acting(request), hook.hid)
    return back(f"/admin/hooks/{hook.hid}", "enabled")


@guarded(router, "POST", "/admin/hooks/{hid}/disable", "hooks.change")
def disable(request: Request, hid: Hid) -> Response:
    """It is told nothing more."""
    hook = _find(request, hid)
    with told():
        keeping.disable(guard.acting(request), hook.hid)
    return back(f"/admin/hooks/{hook.hid}", "disabled")


@guarded(router, "POST", "/admin/hooks/{hid}/remove", "hooks.change")
def remove(request: Request, hid: Hid, form: Filled) -> Response:
    """It is gone, and what waits for it."""
    hook = _find(request, hid)
    if not form.has("sure"):
        raise guard.Refused("Nothing was changed", "Tick the box that says you are sure.", 422)
    with told():
        keeping.remove(guard.acting(request), hook.hid)
    return back("/admin/hooks", "removed")


def _find(request: Request, hid: str) -> Hook:
    found = next((one for one in keeping.every(guard.acting(request)) if one.hid == hid), None)
    if found is None:
        raise guard.Refused("No such webhook", "It may have been removed.", 404)
    return found
