"""The first page: who you are, what you may do, where you are logged in."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from digest import staff
from digest.accounts import ABOUT
from digest.web.admin import guard
from digest.web.admin.guard import guarded
from digest.web.admin.look import page

router = APIRouter()


@guarded(router, "GET", "/admin", "account.own")
def overview(request: Request) -> Response:
    """What there is."""
    person = guard.who(request)
    sessions = len(staff.sessions(guard.acting(request), person.name))
    return page(request, "overview.html.j2", about=ABOUT[person.role], sessions=sessions)


@guarded(router, "GET", "/desk", "issues.see")
def desk(request: Request) -> Response:
    """The desk is mounted below; people type its address without the slash."""
    return RedirectResponse("/desk/", status_code=303)
