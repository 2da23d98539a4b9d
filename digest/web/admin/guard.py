"""What stands before every page of the admin: who is it, may they, did they mean to, and are they still there."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from digest import identities, signin, staff, tries
from digest.accounts import ACTIONS, FRESH, Person, may
from digest.errors import AccountError
from digest.signin import Session
from digest.tries import Try
from digest.web.admin.look import page
from digest.web.guard import network, own_hosts, same_origin
from digest.web.look import Form, form_of, workspace_of
from digest.workspace import Workspace

OPEN, HALF = "open", "half"  # for everybody; for whoever's password was right and whose code is still to come
OWN_PASSWORD = "/admin/account/password"
ROUTES: dict[tuple[str, str], str] = {}  # every guarded route and what it does
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# Values that must not come back on a page: where one of them is asked for, the proof comes before the form.
_SECRET_FIELDS = ("password", "code")

Filled = Annotated[Form, Depends(form_of)]


class SignIn(Exception):
    """Nobody is logged in, or not wholly: on to the page for it."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class Refused(Exception):
    """They may not, or it did not come from our own page."""

    def __init__(self, title: str, text: str, status: int = 403) -> None:
        super().__init__(title)
        self.title, self.text, self.status = title, text, status


class Nobody(Exception):
    """Nobody may log in yet."""


class Again(Exception):
    """Prove who you are once more; what was typed is kept."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.wrong = wrong


# --- who -----------------------------------------------------------------------------------------------------------------


def who(request: Request) -> Person:
    """The person who is logged in; a surface of its own puts this before its routes and asks ``accounts.may``.

    Raises:
        SignIn: nobody is; answered with the way to the log-in.
        Nobody: nobody could be.
    """
    return session_of(request).person


def session_of(request: Request, stage: str = "full") -> Session:
    """The session of a request, looked up once.

    Raises:
        SignIn: there is none, or it is of another stage.
    """
    if not hasattr(request.state, "session"):
        request.state.session = signin.read(workspace_of(request), request.cookies.get(cookie_name(request), ""))
    session: Session | None = request.state.session
    if session is None:
        if not staff.anybody(workspace_of(request)):
            raise Nobody
        raise SignIn("/admin/login")
    if session.stage != stage:
        raise SignIn("/admin/code" if session.stage == "code" else "/admin")
    return session


def acting(request: Request) -> Workspace:
    """The workspace as the person who is logged in acts on it, now: what they do is recorded under their name."""
    workspace = workspace_of(request)  # opened when the server began, which may be weeks ago
    return replace(workspace, who=who(request).name, web=True, on=workspace.today, at=datetime.now(UTC))


# --- routes --------------------------------------------------------------------------------------------------------------


def guarded(
    router: APIRouter, method: str, path: str, action: str, filled: Callable[..., Any] = form_of
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a route that only lets through who may do ``action``. ``path`` is the whole path; ``filled`` reads the form."""
    if action not in ACTIONS and action not in (OPEN, HALF):
        raise ValueError(f"{action} is no action")
    ROUTES[(method, path)] = action
    methods = ["GET", "HEAD"] if method == "GET" else [method]
    return router.api_route(path, methods=methods, dependencies=[Depends(_before(action, filled))], include_in_schema=False)


def _before(action: str, filled: Callable[..., Any]) -> Callable[..., None]:
    def check(request: Request, form: Form = Depends(filled)) -> None:  # noqa: B008
        request.state.form = form
        enter(request, form, action)

    return check


def enter(request: Request, form: Form, action: str) -> None:
    """Let a request through or raise: who it is, whether they may, and for what changes something, whether they meant it.

    Raises:
        SignIn, Nobody, Refused, Again: and then nothing was done.
    """
    changes = request.method not in ("GET", "HEAD")
    if changes and not same_origin(request):
        raise Refused("That did not come from here", "Your browser says that another page sent this form. Nothing was changed.")
    if not is_safe(request):
        raise only_by_https()
    if action == OPEN:
        return
    session = session_of(request, "code" if action == HALF else "full")
    if changes and not hmac.compare_digest(form.one("csrf").encode(), session.csrf.encode()):
        raise Refused("Please try that again", "The form was too old, or from another log-in. Nothing was changed: go back and reload.")
    if action == HALF:
        return
    person = session.person
    if person.must_change and request.url.path not in (OWN_PASSWORD, "/admin/logout", "/admin/again"):
        raise SignIn(OWN_PASSWORD)
    if not may(person.role, action):
        raise not_for(person, action)
    if action in FRESH and not session.fresh:
        _prove(request, form, session, changes)


def only_by_https() -> Refused:
    """Somebody on the way could read the cookie."""
    return Refused("Only by https", "The admin is reached by https, or on the machine that it runs on. Log in there.")


def not_for(person: Person, action: str) -> Refused:
    """Their role is too small."""
    return Refused("Not for your role", f"You are {person.role} here, and this needs {ACTIONS[action]}. An admin can change that.")


def _prove(request: Request, form: Form, session: Session, changes: bool) -> None:
    if not changes or any(form.has(name) for name in _SECRET_FIELDS):
        raise SignIn(f"/admin/again?to={quote(request.url.path)}")
    if not form.has("again_password"):
        raise Again
    if not proved(request, session, form):
        raise Again(wrong=True)


def proved(request: Request, session: Session, form: Form) -> bool:
    """Whether the proof in a form is right; counts against the budgets of log-ins.

    Raises:
        Refused: a budget is spent.
    """
    counted = Try("again", session.person.name, network(request), session=session.sid)
    admit(request, counted)
    if not signin.prove(workspace_of(request), session, form.one("again_password", 1024), form.one("again_code")):
        return False
    tries.right(workspace_of(request), counted)
    return True


def admit(request: Request, counted: Try) -> None:
    """Count a try before anything is looked at.

    Raises:
        Refused: a budget is spent.
        StoreError: it could not be counted.
    """
    if not tries.admits(workspace_of(request), counted):
        raise too_many()


def too_many() -> Refused:
    """A budget is spent."""
    return Refused("Too many tries", "Log-ins are counted, and there were too many in the last hour. Try again in an hour.", 429)


class Behind:
    """Puts the log-in before an application that is mounted in ours, such as the desk.

    Whoever may do ``action`` gets through, and ``request.state.session`` is their session; everybody else gets our answer. What
    a form needs is the mounted application's own affair. ``forms`` tells by the ending of a form's path which action that is, where it
    is another; if it is one of `accounts.FRESH`, they must have proved lately who they are, and come back to the page above it.
    """

    def __init__(self, inner: ASGIApp, action: str, forms: Mapping[str, str] | None = None) -> None:
        self.inner, self.action, self.forms = inner, action, forms or {}
        for one in (action, *self.forms.values()):
            if one not in ACTIONS:
                raise ValueError(f"{one} is no action")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope, receive)  # the application is still ours here
        answer = await run_in_threadpool(self._refusal, request)
        await (answer or self.inner)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        try:
            if not is_safe(request):
                raise only_by_https()
            person = who(request)
            if person.must_change:
                raise SignIn(OWN_PASSWORD)
            path: str = request.scope["path"]  # as it is routed, and not quoted yet
            ending = next((one for one in self.forms if path.endswith(one)), "") if request.method == "POST" else ""
            for action in (self.action, *([self.forms[ending]] if ending else ())):
                if not may(person.role, action):
                    raise not_for(person, action)
                if action in FRESH and not request.state.session.fresh:
                    raise SignIn(f"/admin/again?to={quote(path.removesuffix(ending))}")
        except tuple(HANDLERS) as error:
            return HANDLERS[type(error)](request, error)
        return None


# --- where from ----------------------------------------------------------------------------------------------------------


def is_https(request: Request) -> bool:
    """Whether the browser came by https: it says so, or it asked for the address that the newsletter has (which is https only)."""
    asked, own = own_hosts(request)
    return request.url.scheme == "https" or asked == own


def is_safe(request: Request) -> bool:
    """Whether nobody on the way can read the cookie."""
    return is_https(request) or is_loopback(request.headers.get("host", "").lower())


def is_loopback(host: str) -> bool:
    """Whether a host, with its port or without, is this very machine."""
    return host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK


def cookie_name(request: Request) -> str:
    """By https a name that browsers take only from this very host, for all of it, and never without https."""
    return "__Host-digest" if is_https(request) else "digest"


def put_cookie(request: Request, answer: Response, token: str) -> None:
    """Give the browser its session. Ends with the browser, at the latest."""
    answer.set_cookie(cookie_name(request), token, path="/", secure=is_https(request), httponly=True, samesite="lax")


def browser_mark(request: Request) -> str:
    """What a browser says of itself that somebody came in with before."""
    return request.cookies.get(f"{cookie_name(request)}-browser", "")


def mark_browser(request: Request, answer: Response, name: str) -> None:
    """Somebody came in with this browser: their tries are counted apart from everybody else's from now on."""
    mark, seconds = tries.browser_mark(workspace_of(request), name), int(tries.BROWSER.total_seconds())
    name = f"{cookie_name(request)}-browser"
    answer.set_cookie(name, mark, path="/", max_age=seconds, secure=is_https(request), httponly=True, samesite="lax")


def drop_cookie(request: Request, answer: Response) -> None:
    """Take it back."""
    answer.delete_cookie(cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="lax")


def own_path(text: str) -> str:
    """Where to go on to: a path of the admin or the desk, whatever somebody put into the link."""
    plain = text.isascii() and text.isprintable() and "\\" not in text and "//" not in text and ".." not in text
    inside = text in ("/admin", "/desk") or text.startswith(("/admin/", "/admin?", "/desk/", "/desk?"))
    return text if plain and inside else "/admin"


# --- answers -------------------------------------------------------------------------------------------------------------


def sign_in(request: Request, error: Exception) -> Response:
    """On to the log-in, and back afterwards: to what was looked at, or to the page that a form was on."""
    assert isinstance(error, SignIn)
    to = error.to
    if to in ("/admin/login", "/admin/code"):
        looked = request.method in ("GET", "HEAD")
        at = urlsplit(str(request.url) if looked else request.headers.get("referer", "") if same_origin(request) else "")
        here = at.path + (f"?{at.query}" if at.query else "")
        to += f"?to={quote(here)}" if own_path(here) != "/admin" else ""
    return RedirectResponse(to, status_code=303)


def refused(request: Request, error: Exception) -> Response:
    """Why not."""
    assert isinstance(error, Refused)
    headers = {"Retry-After": "3600"} if error.status == 429 else {}
    return page(request, "refused.html.j2", status=error.status, headers=headers, title=error.title, text=error.text)


def nobody(request: Request, error: Exception) -> Response:
    """How to begin."""
    return page(request, "nobody.html.j2", status=404)


def again(request: Request, error: Exception) -> Response:
    """The same form with what was typed, and the password asked for."""
    assert isinstance(error, Again)
    form: Form = request.state.form
    fields = [(name, value) for name, value in form.pairs if name not in ("csrf", "again_password", "again_code")]
    return ask_proof(request, fields, request.url.path, wrong=error.wrong)


def ask_proof(request: Request, fields: Sequence[tuple[str, str]], action: str, *, wrong: bool = False) -> Response:
    """The page that asks who it is; ``fields`` are sent to ``action`` with the proof."""
    found = identities.of(workspace_of(request), session_of(request).person.name)
    linked = found is not None and bool(found.issuer)
    return page(request, "again.html.j2", status=403 if wrong else 200, wrong=wrong, fields=fields, action=action, linked=linked)


def cannot(request: Request, error: Exception) -> Response:
    """What was asked cannot be done."""
    return page(request, "refused.html.j2", status=422, title="Nothing was changed", text=str(error))


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    SignIn: sign_in,
    Refused: refused,
    Nobody: nobody,
    Again: again,
    AccountError: cannot,
}
