"""In and out: password, code, the proof again, log out."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from digest import signin, staff, tries
from digest.tries import Try
from digest.web.admin import guard
from digest.web.admin.guard import HALF, OPEN, Filled, guarded
from digest.web.admin.look import page
from digest.web.guard import network
from digest.web.look import workspace_of

router = APIRouter()

_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@guarded(router, "GET", "/admin/login", OPEN)
def ask(request: Request) -> Response:
    """The form."""
    to = guard.own_path(request.query_params.get("to", ""))
    try:
        guard.session_of(request)
    except guard.SignIn:
        return page(request, "login.html.j2", to=to, name="", wrong=False)
    return RedirectResponse(to, status_code=303)


@guarded(router, "POST", "/admin/login", OPEN)
def log_in(request: Request, form: Filled) -> Response:
    """A name and a password. The answer is the same for a wrong password and for a name that nobody has."""
    workspace = workspace_of(request)
    name, to = form.one("name"), guard.own_path(form.one("to"))
    counted = Try("password", name, network(request), guard.browser_mark(request))
    guard.admit(request, counted)
    if not staff.anybody(workspace):
        raise guard.Nobody
    person = signin.check(workspace, name, form.one("password", 1024))
    if person is None:
        return page(request, "login.html.j2", status=403, to=to, name=name, wrong=True)
    if old := signin.read(workspace, request.cookies.get(guard.cookie_name(request), "")):
        signin.leave(workspace, old)
    if not person.second_factor:
        tries.right(workspace, counted)
    token = signin.begin(workspace, person, network(request), browser(request.headers.get("user-agent", "")))
    answer = RedirectResponse(f"/admin/code?to={quote(to)}" if person.second_factor else to, status_code=303)
    guard.put_cookie(request, answer, token)
    if not person.second_factor:
        guard.mark_browser(request, answer, person.name)
    return answer


@guarded(router, "GET", "/admin/code", HALF)
def ask_code(request: Request) -> Response:
    """The form for the second factor."""
    return page(request, "code.html.j2", to=guard.own_path(request.query_params.get("to", "")), wrong=False)


@guarded(router, "POST", "/admin/code", HALF)
def take_code(request: Request, form: Filled) -> Response:
    """A code of the app, or a recovery code. The session goes on under another token."""
    workspace, to = workspace_of(request), guard.own_path(form.one("to"))
    session = guard.session_of(request, "code")
    counted = Try("code", session.person.name, network(request), guard.browser_mark(request))
    guard.admit(request, counted)
    token = signin.finish(workspace, session, form.one("code"))
    if token is None:
        return page(request, "code.html.j2", status=403, to=to, wrong=True)
    tries.right(workspace, counted)
    answer = RedirectResponse(to, status_code=303)
    guard.put_cookie(request, answer, token)
    guard.mark_browser(request, answer, session.person.name)
    return answer


@guarded(router, "GET", "/admin/again", "account.own")
def ask_again(request: Request) -> Response:
    """The proof before a page that needs it."""
    return guard.ask_proof(request, [("to", guard.own_path(request.query_params.get("to", "")))], _AGAIN)


_AGAIN = "/admin/again"


@guarded(router, "POST", _AGAIN, "account.own")
def prove_again(request: Request, form: Filled) -> Response:
    """Then on to that page."""
    to = guard.own_path(form.one("to"))
    if not guard.proved(request, guard.session_of(request), form):
        return guard.ask_proof(request, [("to", to)], _AGAIN, wrong=True)
    return RedirectResponse(to, status_code=303)


@guarded(router, "POST", "/admin/logout", "account.own")
def log_out(request: Request) -> Response:
    """The session ends here and in the database."""
    signin.leave(workspace_of(request), guard.session_of(request))
    answer = RedirectResponse("/admin/login", status_code=303)
    guard.drop_cookie(request, answer)
    return answer


def browser(agent: str) -> str:
    """A browser in two words, for the list of sessions; the rest of what it says of itself is not kept."""
    program = next((name for sign, name in _BROWSERS if sign in agent), "another program")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    return f"{program} on {system}" if system else program
