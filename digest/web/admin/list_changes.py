"""Changes of the interest lists: asked for in a form, shown with all they would do, made only from what was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from digest import interests as listed
from digest.admin import effects, interest_lists, interest_moves
from digest.admin.effects import Effects
from digest.admin.interest_lists import mark
from digest.admin.interest_moves import Lists, Proposal
from digest.errors import DigestError, StoreError
from digest.model import Rule
from digest.store import catalogue
from digest.web.admin import guard, lists
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.lists import Id
from digest.web.admin.look import page
from digest.web.admin.telling import back, told
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter()

_PARTS = 4  # rows of the form that splits; more by splitting again


class Kind(NamedTuple):
    """A change that can be asked for: its heading, a sentence about it, and what a form of it means."""

    title: str
    lead: str
    read: Callable[[str, Form], Callable[[Lists], Proposal]]


def _create(_: str, form: Form) -> Callable[[Lists], Proposal]:
    rule, parent = _rule(form.one("rule", 20_000)), form.one("parent") or None
    id, label, description = form.one("id").strip(), form.one("label").strip(), form.one("description").strip()
    return lambda known: interest_moves.create(known, id, label, rule, parent=parent, description=description)


def _edit_rule(id: str, form: Form) -> Callable[[Lists], Proposal]:
    rule = _rule(form.one("rule", 20_000))
    return lambda known: interest_moves.rule(known, id, rule)


def _rename(id: str, form: Form) -> Callable[[Lists], Proposal]:
    return lambda known: interest_moves.rename(known, id, form.one("id").strip())


def _label(id: str, form: Form) -> Callable[[Lists], Proposal]:
    return lambda known: interest_moves.label(known, id, form.one("label").strip(), form.one("language"))


def _move(id: str, form: Form) -> Callable[[Lists], Proposal]:
    return lambda known: interest_moves.move(known, id, form.one("parent") or None)


def _merge(id: str, form: Form) -> Callable[[Lists], Proposal]:
    return lambda known: interest_moves.merge(known, id, form.one("into"))


def _split(id: str, form: Form) -> Callable[[Lists], Proposal]:
    parts = []
    for n in range(1, _PARTS + 1):
        part, text = form.one(f"id{n}").strip(), form.one(f"rule{n}", 20_000).strip()
        if part or text:
            label = form.one(f"label{n}").strip() or part.replace("-", " ").capitalize()
            parts.append((part, label, _rule(text)))
    return lambda known: interest_moves.split(known, id, parts)


def _retire(id: str, form: Form) -> Callable[[Lists], Proposal]:
    return lambda known: interest_moves.retire(known, id, form.one("successor") or None)


def _rule(text: str) -> Rule:
    return interest_moves.parse_rule(text) if text.strip() else Rule()


KINDS: Mapping[str, Kind] = {
    "rule": Kind(
        "Edit the rule", "Which pieces stand under this interest. What comes and goes is shown before anything is saved.", _edit_rule
    ),
    "label": Kind("Label and translations", "What readers see. An empty translation is taken away.", _label),
    "rename": Kind("Rename", "Another id. The old one goes on meaning the same, in links, files and forms.", _rename),
    "move": Kind("Move", "Another place in the tree. Who followed what it stood under follows it by itself from then on.", _move),
    "merge": Kind("Merge", "Make one interest of two. Whoever followed either follows the one that stays.", _merge),
    "split": Kind("Split", "Parts get interests of their own; this one keeps the rest. Its readers follow every part, too.", _split),
    "retire": Kind("Retire", "Offered to nobody new. Who follows it goes on getting what it takes.", _retire),
}


@guarded(router, "GET", "/admin/interests/create", "interests.change")
def ask_new(request: Request) -> Response:
    """The form for a new interest."""
    return _form(request, "create", "", Form(()))


@guarded(router, "POST", "/admin/interests/create", "interests.change")
def make_new(request: Request, form: Filled) -> Response:
    """Shown, then made."""
    return _settle(request, "create", "", form)


@guarded(router, "GET", "/admin/interests/change/{kind}/{id}", "interests.change")
def ask(request: Request, kind: str, id: Id) -> Response:
    """The form of a change, filled with what is there."""
    _known(kind)
    return _form(request, kind, id, Form(()))


@guarded(router, "POST", "/admin/interests/change/{kind}/{id}", "interests.change")
def change(request: Request, kind: str, id: Id, form: Filled) -> Response:
    """Shown, then made."""
    _known(kind)
    return _settle(request, kind, id, form)


@guarded(router, "POST", "/admin/interests/undo", "interests.change")
def undo(request: Request, form: Filled) -> Response:
    """Take the last change back: shown, then done."""
    return _whole(request, form, "Take the last change back", "/admin/interests/undo", interest_lists.undo)


@guarded(router, "POST", "/admin/interests/use-file", "interests.change")
def use_file(request: Request, form: Filled) -> Response:
    """The file counts, as somebody edited it."""
    return _whole(request, form, "The file counts", "/admin/interests/use-file", interest_lists.use_file)


@guarded(router, "POST", "/admin/interests/use-database", "interests.change")
def use_database(request: Request, form: Filled) -> Response:
    """What the database has is written over the file."""
    return _whole(request, form, "The database counts", "/admin/interests/use-database", interest_lists.use_database)


@guarded(router, "GET", "/admin/interests/import", "interests.change")
def ask_import(request: Request) -> Response:
    """Where another file is put in."""
    return page(request, "interest_import.html.j2", error="", text="")


@guarded(router, "POST", "/admin/interests/import", "interests.change")
def take_import(request: Request, form: Filled) -> Response:
    """Other lists in the place of these, whole: shown, then made."""
    text = form.one("text", 60_000).replace("\r\n", "\n")
    text += "" if text.endswith("\n") else "\n"
    workspace = guard.acting(request)
    try:
        interest_lists.load(workspace)
        proposal = interest_lists.use_file(workspace, text)
    except StoreError:
        raise
    except DigestError as error:
        return page(request, "interest_import.html.j2", status=422, error=str(error), text=text)
    if form.one("go") == mark(proposal):
        return _made(workspace, proposal)
    shown = interest_lists.show(workspace, proposal)
    return page(
        request, "interest_whole.html.j2", title="Other lists, taken in whole", action="/admin/interests/import", shown=shown,
        mark=mark(proposal), fields=[("text", text)], stale=form.has("go"),
    )  # fmt: skip


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise guard.Refused("No such change", "The interest lists are not changed in that way.", 404)


def _settle(request: Request, kind: str, id: str, form: Form) -> Response:
    workspace = guard.acting(request)
    try:
        read = _create if kind == "create" else KINDS[kind].read
        proposal = interest_lists.propose(workspace, read(id, form))
        if form.has("live"):
            return _form(request, kind, id, form, _of_rule(workspace, proposal))
        shown = interest_lists.show(workspace, proposal)
    except StoreError:
        raise
    except DigestError as error:
        return _form(request, kind, id, form, error=str(error))
    if form.one("go") != mark(proposal):
        return _form(request, kind, id, form, shown, mark(proposal), stale=form.has("go"))
    return _made(workspace, proposal, shown)


def _of_rule(workspace: Workspace, proposal: Proposal) -> Effects:
    """Only what a rule takes, while it is being typed: without going through the readers."""
    since = workspace.at - timedelta(days=interest_lists.DAYS)
    with workspace.store.read() as tx:
        pieces = [one.summary for one in catalogue.load(tx) if one.summary.published_at >= since]
    found = effects.of_rules(proposal.before, proposal.after, pieces)
    return Effects(kind=proposal.kind, what=proposal.what, since=since, interests=found)


def _made(workspace: Workspace, proposal: Proposal, shown: Effects | None = None) -> Response:
    with told():
        interest_lists.make(workspace, proposal, shown or interest_lists.show(workspace, proposal))
    return back("/admin/interests", "back" if proposal.takes_back is not None else "made")


def _whole(request: Request, form: Form, title: str, action: str, propose: Callable[[Workspace], Proposal]) -> Response:
    workspace = guard.acting(request)
    with told():
        proposal = propose(workspace)
        if form.one("go") == mark(proposal):
            return _made(workspace, proposal)
        shown = interest_lists.show(workspace, proposal)
    return page(
        request, "interest_whole.html.j2", title=title, action=action, shown=shown, mark=mark(proposal), fields=[], stale=form.has("go")
    )


def _form(
    request: Request,
    kind: str,
    id: str,
    form: Form,
    shown: Effects | None = None,
    go: str = "",
    *,
    error: str = "",
    stale: bool = False,
) -> Response:
    workspace = guard.acting(request)
    with told("The lists cannot be read"):
        known = listed.load(workspace.path)
    one = lists.found(known, id) if kind != "create" else None
    about = KINDS[kind] if kind != "create" else Kind("A new interest", "What it takes is shown before it is made.", _create)
    below = {member.id for member in known.family(id)} if one else set()
    start: dict[str, Any] = {}
    if one is not None:
        start = {"rule": lists.rule_text(one.match), "label": one.label, "parent": one.parent or "", "id": one.id}
        if kind == "label" and (language := form.one("language") or request.query_params.get("language", "")[:10]):
            start |= {"language": language, "label": one.labels.get(language, "")}
    values = {**start, **dict(form.pairs)}
    return page(
        request,
        "interest_change.html.j2",
        status=422 if error else 200,
        kind=kind,
        about=about,
        one=one,
        action=f"/admin/interests/change/{kind}/{id}" if one else "/admin/interests/create",
        values=values,
        others=[other for other in known.all if other.id != id],
        places=[other for other in known.all if other.id not in below],
        languages=[code for code in workspace.config.pages.languages if code != workspace.config.newsletter.language],
        parts=range(1, _PARTS + 1),
        kept=[(key, value) for key, value in form.pairs if key not in ("csrf", "go", "live", "again_password", "again_code")],
        shown=shown,
        mark=go,
        error=error,
        stale=stale,
    )
