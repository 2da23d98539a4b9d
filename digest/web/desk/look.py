"""How the desk's pages are made: templates, addresses under wherever the desk is, the headers that every answer carries."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from jinja2 import Environment
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from digest.web import look as readers_pages
from digest.web.desk.guard import Person, Role, form_token
from digest.web.desk.standing import standing
from digest.web.desk.table import Composed, Table
from digest.web.desk.view import path_segment

STATIC = Path(__file__).parent / "static"


def headers(frames: str) -> dict[str, str]:
    """What every answer carries that has not said otherwise. ``frames``: where emails are framed from, as a CSP says it."""
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
        "Referrer-Policy": "same-origin",  # with less a browser does not say where a form comes from
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
    }


@functools.cache
def environment() -> Environment:
    """The desk's templates."""
    made = readers_pages.templates_in(Path(__file__).parent / "pages")
    made.filters["kb"] = lambda size: f"{size / 1024:.0f} KB"
    made.filters["segment"] = path_segment
    made.filters["sentence"], made.filters["coded"] = sentence, coded
    made.filters["words"] = lambda value: str(value).replace("_", " ")
    return made


@functools.cache
def _version(folder: Path, name: str) -> str:
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]


def base_of(request: Request) -> str:
    """Where the desk is: nothing, or ``/desk``."""
    return str(request.scope.get("root_path", ""))


def table_of(request: Request) -> Table:
    """What lies on this desk."""
    found: Table = request.app.state.table
    return found


def count(n: int, word: str, many: str = "") -> str:
    """``1 piece``, ``2 pieces``."""
    return f"{n:,} {word if n == 1 else many or word + 's'}"


def coded(text: str) -> Markup:
    """A text of ours with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def sentence(text: str) -> Markup:
    """The same as a sentence: an error begins small and ends without a stop. What is a name (of a file, a rule) stays as it is."""
    named = not text.partition(" ")[0].rstrip(",:;").isalpha()
    return coded(f"{text[:1] if named else text[:1].upper()}{text[1:]}{'' if text[-1:] in '.?!…' else '.'}")


def page(request: Request, name: str, /, *, status: int = 200, **data: Any) -> Response:
    """A page from its template."""
    return HTMLResponse(render(request, name, **data), status_code=status)


def render(request: Request, name: str, /, **data: Any) -> str:
    """The HTML of a page."""
    person: Person | None = getattr(request.state, "person", None)
    table, base = table_of(request), base_of(request)
    workspace = table.workspace()
    composed: Composed | None = data.get("composed")
    return (
        environment()
        .get_template(name)
        .render(
            base=base,
            asset=lambda file: f"{base}/static/{file}?v={_version(STATIC, file)}",
            shared_asset=lambda file: f"{base}/readers/{file}?v={_version(readers_pages.STATIC, file)}",
            person=person,
            may_edit=person is not None and person.role >= Role.EDITOR,
            may_approve=person is not None and person.role >= Role.APPROVER,
            may_see_readers=person is not None and person.role >= Role.ADMIN,
            csrf=person.session if person is not None and table.web else "",
            token=form_token(person) if person is not None else "",
            newsletter=workspace.config.newsletter,
            zone=workspace.zone,
            config_wrong=table.config_wrong,
            live=table.live,
            news=request.app.state.news.number,
            count=count,
            day=lambda at: f"{at.astimezone(ZoneInfo(workspace.zone)):%d %B %Y}",
            when=lambda at: f"{at.astimezone(ZoneInfo(workspace.zone)):%d %B %Y, %H:%M}",
            standing=standing(workspace, composed) if composed is not None else None,
            path=request.url.path,
            **data,
        )
    )
