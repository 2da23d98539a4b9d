"""How the admin's pages are made. They share the stylesheet of the subscriber pages, and run no script."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, Response

from digest.accounts import Person, may
from digest.signin import Session
from digest.web.look import asset, templates_in, workspace_of

_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# For a page that shows something in a frame of our own address.
FRAMING = {"Content-Security-Policy": f"{_CSP}; frame-src 'self'"}
# With no-referrer a browser would not say where a form came from, which is what a form is judged by.
_HEADERS = {"Content-Security-Policy": _CSP, "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"}


class Section(NamedTuple):
    """An entry of the navigation; shown to those who may do ``action``."""

    label: str
    path: str
    action: str


SECTIONS = (
    Section("Overview", "/admin", "account.own"),
    Section("Issues", "/admin/issues", "issues.see"),
    Section("Interests", "/admin/interests", "interests.see"),
    Section("Sources", "/admin/sources", "sources.see"),
    Section("Readers", "/admin/readers", "readers.see"),
    Section("Reports", "/admin/reports", "figures.see"),
    Section("People", "/admin/people", "people.see"),
    Section("Webhooks", "/admin/hooks", "hooks.see"),
    Section("Keys", "/admin/keys", "keys.see"),
    Section("Audit log", "/admin/audit", "audit.see"),
    Section("Settings", "/admin/settings", "settings.see"),
    Section("My account", "/admin/account", "account.own"),
)


@functools.cache
def environment() -> Environment:
    """The admin's templates."""
    made = templates_in(Path(__file__).parent / "pages")
    made.globals["asset"] = asset
    return made


def page(request: Request, name: str, /, *, status: int = 200, headers: Mapping[str, str] = {}, **data: Any) -> Response:
    """A page from its template, with the navigation of whoever is logged in."""
    session: Session | None = getattr(request.state, "session", None)
    person = session.person if session is not None and session.stage == "full" else None
    letter = workspace_of(request).config.newsletter
    html = (
        environment()
        .get_template(name)
        .render(
            letter=letter,
            person=person,
            csrf=session.csrf if session is not None else "",
            navigation=sections_of(person),
            path=request.url.path,
            elsewhere=getattr(workspace_of(request).config.login.oidc, "label", ""),
            may=lambda action: person is not None and may(person.role, action),
            **data,
        )
    )
    return HTMLResponse(html, status_code=status, headers={**_HEADERS, **headers})


def sections_of(person: Person | None) -> list[Section]:
    """What the navigation offers somebody."""
    if person is None or person.must_change:
        return []
    return [one for one in SECTIONS if may(person.role, one.action)]
