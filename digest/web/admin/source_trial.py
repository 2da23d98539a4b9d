"""A new source: an address is given, what would be gathered is seen, its parts are picked, and it is added."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from digest.admin import source_trial, sourcefile, sources
from digest.admin.source_trial import ROLES, Tried
from digest.config import PageSource
from digest.errors import ConfigError, DigestError, SourceError, StoreError
from digest.sources import fetch, trial
from digest.sources.layout import Layout, Role, places
from digest.sources.trial import DateOrder, Kind
from digest.web.admin import guard, picking, uploads
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import FRAMING, page
from digest.web.admin.sources import days_in
from digest.web.admin.telling import back, told
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter()

Token = Annotated[str, Path(max_length=64)]
_SHOWN = 50  # pieces and refusals listed


@guarded(router, "GET", "/admin/sources/new", "sources.try")
def ask(request: Request) -> Response:
    """Where an address is given."""
    return _ask(request, "", "")


@guarded(router, "POST", "/admin/sources/new", "sources.try")
def look(request: Request, form: Filled) -> Response:
    """Fetch it once, and show what would be gathered."""
    workspace = _now(request)
    url = form.one("url", 2000)
    try:
        fetched = source_trial.get(workspace, url)
        tried = source_trial.look(workspace, fetched)
    except SourceError as error:
        return _ask(request, url, str(error))
    token = uploads.keep(workspace, guard.who(request).name, picking.packed(fetched))
    return _shown(request, workspace, token, tried)


@guarded(router, "POST", "/admin/sources/new/pick", "sources.try")
def pick(request: Request, form: Filled) -> Response:
    """Other parts: clicked in the page, chosen among what is repeated, or typed."""
    workspace = _now(request)
    token = form.one("token")
    return _shown(request, workspace, token, _tried(request, workspace, form), clicked=_clicked(form))


@guarded(router, "GET", "/admin/sources/new/page/{token}", "sources.try")
def framed(request: Request, token: Token) -> Response:
    """The fetched page for the frame, bare."""
    with told("The page cannot be shown"):
        html = picking.framed(_kept(request, guard.acting(request), token))
    return HTMLResponse(html, headers=picking.HEADERS)


@guarded(router, "POST", "/admin/sources/new/add", "sources.change")
def add(request: Request, form: Filled) -> Response:
    """Add it to config.yaml, as it was shown."""
    workspace = _now(request)
    token, tried = form.one("token"), _tried(request, workspace, form)
    try:
        source_trial.add(workspace, tried, form.one("seen"))
    except StoreError:
        raise
    except DigestError as error:
        status = 409 if isinstance(error, sourcefile.Conflict) else 422
        return _shown(request, workspace, token, tried, status=status, error=str(error), name=form.one("name", 80))
    uploads.drop(workspace, token)
    return back(f"/admin/sources/about/{form.one('name', 80).strip()}", "added")


# --- what was sent -------------------------------------------------------------------------------------------------------


def _now(request: Request) -> Workspace:
    with told("config.yaml cannot be read"):
        return sources.current(guard.acting(request))


def _kept(request: Request, workspace: Workspace, token: str) -> fetch.Page:
    return picking.unpacked(uploads.kept(workspace, guard.who(request).name, token))


def _clicked(form: Form) -> dict[Role, int]:
    """The places that were clicked; nothing where somebody begins anew or chooses otherwise."""
    if form.has("forget") or form.has("choose") or form.one("item"):
        return {}
    found: dict[Role, int] = {}
    for role in ROLES:
        text = form.one(f"at_{role}", 10)
        if text.isascii() and text.isdecimal():
            found[role] = int(text)
    return found


def _tried(request: Request, workspace: Workspace, form: Form) -> Tried:
    fetched = _kept(request, workspace, form.one("token"))
    kinds: dict[str, Kind] = {"page": "page", "feed": "feed", "text": "text"}
    orders: dict[str, DateOrder] = {"mdy": "mdy", "dmy": "dmy"}
    layout = None
    if item := (form.one("choose", 2000) or form.one("item")).strip():
        layout = _chosen(item) if form.has("choose") else _typed(form)
    with told("That cannot be read"):
        return source_trial.look(
            workspace,
            fetched,
            kind=kinds.get(form.one("kind")),
            layout=layout,
            clicked=_clicked(form),
            name=form.one("name", 80).strip(),
            date_order=orders.get(form.one("date_order")),
        )


def _chosen(text: str) -> Layout:
    """One of what is repeated, as its button says it."""
    try:
        return Layout.model_validate_json(text)
    except ValueError as error:
        raise guard.Refused("That is not on the page", "Choose one of what is listed.", 422) from error


def _typed(form: Form) -> Layout:
    return Layout(
        item=form.one("item").strip(),
        title=form.one("title").strip(),
        link=form.one("link").strip(),
        date=form.one("date").strip(),
        takeaway=form.one("takeaway").strip(),
        with_following=form.one("with_following") == "yes",
    )


# --- pages ---------------------------------------------------------------------------------------------------------------


def _ask(request: Request, url: str, error: str) -> Response:
    limit = guard.acting(request).config.fetch.timeout_s
    return page(request, "source_new.html.j2", status=422 if error else 200, url=url, error=error, limit=limit)


def _shown(
    request: Request,
    workspace: Workspace,
    token: str,
    tried: Tried,
    *,
    clicked: dict[Role, int] | None = None,
    status: int = 200,
    error: str = "",
    name: str = "",
) -> Response:
    try:
        text = sourcefile.read(workspace.path)
    except ConfigError as fault:
        raise guard.Refused("config.yaml cannot be read", str(fault)) from fault
    layout, marks = tried.layout, {}
    if isinstance(tried.source, PageSource) and layout is not None and not tried.problem:
        marks = places(trial.parsed(tried.page), layout)
        layout = Layout(**{key: getattr(tried.source, key) or "" for key in ("item", *ROLES)}, with_following=layout.with_following)
    source = tried.source
    return page(
        request,
        "source_trial.html.j2",
        status=status,
        headers=FRAMING if tried.kind == "page" else {},
        kept_as=token,
        tried=tried,
        place=fetch.shown(tried.page.url),
        proposals=[(one, one.layout.model_dump_json()) for one in tried.proposals],
        layout=layout,
        marks=json.dumps(marks),
        clicked=clicked or {},
        roles=ROLES,
        name=name or (source.name if source is not None else ""),
        order=source.date_order if source is not None else "mdy",
        yaml=sourcefile.shown(tried.entry) if source is not None else "",
        seen=sourcefile.mark(text),
        writable=sourcefile.writable(workspace.path),
        pieces=tried.harvest.summaries[:_SHOWN],
        refused=tried.harvest.refused[:_SHOWN],
        day=days_in(workspace.zone),
        now=workspace.at,
        error=error,
    )
