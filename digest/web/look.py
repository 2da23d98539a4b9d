"""How the subscriber pages are made: templates, language, the headers that every answer carries, and forms as they come in."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.tongue import Tongue, choose, tongue
from digest.workspace import Workspace

STATIC = Path(__file__).parent / "static"
_MOST_BYTES = 64 * 1024  # of a form: far more than the longest interest list
_MOST_FIELDS = 2000

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP.format(ancestors="'none'"),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}


class Headers:
    """Puts the headers of privacy and safety on every answer that has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


def templates_in(folder: Path) -> Environment:
    """The templates of pages in a folder: everything is escaped, and a name they do not know is an error."""
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@functools.cache
def environment() -> Environment:
    """The subscriber pages' templates."""
    made = templates_in(Path(__file__).parent / "pages")
    made.globals["asset"] = asset
    return made


@functools.cache
def asset(name: str) -> str:
    """The address of a file in ``static``, which changes with what is in it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def workspace_of(request: Request) -> Workspace:
    """The workspace that the application serves."""
    found: Workspace = request.app.state.workspace
    return found


def tongue_for(request: Request, wanted: str = "") -> Tongue:
    """The language to answer in: ``wanted`` (a reader's or a form's), ``?lang=``, the browser's, the newsletter's."""
    config = workspace_of(request).config
    asked = request.query_params.get("lang", "") or wanted
    return choose(asked[:20], request.headers.get("accept-language", ""), config.pages.languages, config.newsletter.language)


def page(request: Request, name: str, spoken: Tongue, /, *, status: int = 200, headers: Mapping[str, str] = {}, **data: Any) -> Response:
    """A page from its template."""
    return HTMLResponse(render(request, name, spoken, **data), status_code=status, headers=dict(headers))


def render(request: Request, name: str, spoken: Tongue, /, **data: Any) -> str:
    """The HTML of a page."""
    config = workspace_of(request).config
    letter = config.newsletter
    offered = [tongue(code) for code in config.pages.languages]
    themed = config.pages.theme != type(config.pages.theme)()
    return (
        environment()
        .get_template(name)
        .render(
            t=spoken.t,
            tn=spoken.tn,
            tongue=spoken,
            offered=offered,
            themed=themed,
            newsletter=letter,
            reply_to=_bare(config.sender.reply_to),
            path=request.url.path,
            **data,
        )
    )


def _bare(mailbox: str) -> str:
    from email.utils import parseaddr

    return parseaddr(mailbox)[1]


class Form:
    """The fields of a form as somebody sent it; every question has an answer, if an empty one."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def one(self, name: str, longest: int = 400) -> str:
        """The first value of a field, cut to ``longest`` characters; empty where there is none."""
        return next((value for key, value in self._pairs if key == name), "")[:longest]

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a field, each once."""
        return tuple(dict.fromkeys(value[:200] for key, value in self._pairs if key == name))

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """All fields as they came."""
        return tuple(self._pairs)

    def has(self, name: str) -> bool:
        """Whether a field came at all."""
        return any(key == name for key, _ in self._pairs)


async def raw_body(request: Request) -> bytes:
    """The body of a request, as far as a form can be.

    Raises:
        HTTPException: 413, it is larger.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413)
    return body


async def form_of(request: Request) -> Form:
    """The form in a request; what is no form is an empty one.

    Raises:
        HTTPException: 413, it is larger than any form of ours.
    """
    body = await raw_body(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return Form(())
    return parse_form(body)


def parse_form(body: bytes) -> Form:
    """The fields of a URL-encoded body; nonsense is an empty form."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError:
        return Form(())
    return Form(pairs)
