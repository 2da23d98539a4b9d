"""The preference centre: what a reader gets, how it looks, a pause, "fewer of these", their data, and being erased."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from digest import join, readers
from digest.errors import DigestError, LinkError
from digest.model import Status, Subscriber
from digest.store import issues
from digest.tongue import Tongue
from digest.web import links, tokening
from digest.web.joining import audience_of, choices, language_of, name_of
from digest.web.look import Form, form_of, page, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)

LENGTHS = (3, 5, 8, 12)  # teasers, as choices of the longest length
_FRESH = timedelta(hours=1)  # a link just mailed: who has it can read the mailbox now
_LONGEST_PAUSE = timedelta(days=366)

Filled = Annotated[Form, Depends(form_of)]


def _reader(request: Request, token: str) -> tuple[Subscriber, bool]:
    """The reader that a link is about, and whether it was mailed just now.

    Raises:
        LinkError: not ours, too old, or of somebody erased.
    """
    workspace = workspace_of(request)
    said = tokening.read(request, "preferences", token)
    assert said.made_at is not None
    age = datetime.now(UTC) - said.made_at
    if age > timedelta(days=workspace.config.pages.link_days):
        raise LinkError("this link is too old")
    reader = readers.find(workspace, said.about)
    if reader is None:
        raise LinkError("this link is not one of ours")
    return reader, age <= _FRESH


@router.api_route("/p/{token}", methods=["GET", "HEAD"])
def look(request: Request, token: str) -> Response:
    """What the reader has chosen, ready to be changed."""
    reader, fresh = _reader(request, token)
    saved = request.query_params.get("saved", "")
    return _page(request, reader, token, fresh, tongue_for(request, reader.language), {}, saved=saved)


@router.post("/p/{token}")
def save(request: Request, token: str, form: Filled) -> Response:
    """Write what the form holds; or say what is wrong with it, beside the field."""
    reader, fresh = _reader(request, token)
    spoken = tongue_for(request, reader.language)
    if reader.status not in (Status.ACTIVE, Status.PAUSED):
        return _page(request, reader, token, fresh, spoken, {})
    chosen, errors = _chosen(request, reader, form, spoken)
    if errors:
        return _page(request, chosen, token, fresh, spoken, errors, status=422, pause_typed=form.one("pause_until", 20))

    def anew(now: Subscriber) -> Subscriber:
        """By what the reader and the lists are as it is written: an interest may get another id in that moment."""
        chosen, errors = _chosen(request, now, form, spoken)
        return now if errors else _merged(now, {name: getattr(chosen, name) for name in _FIELDS})

    if readers.change(workspace_of(request), reader.id, anew, "preference page") is None:
        raise LinkError("this link is not one of ours")
    moved, _, id = form.one("move").partition(":")
    where = f"?saved={moved}#order-{id}" if moved in ("up", "down") and id in chosen.interests else "?saved=all"
    return RedirectResponse(f"/p/{token}{where}", status_code=303)


_FIELDS = (
    *("interests", "fewer", "cadence", "language", "audience", "name"),
    *("plain_text", "large_print", "max_teasers", "paused_until", "catch_up", "status"),
)


def _merged(now: Subscriber, fields: Mapping[str, Any]) -> Subscriber:
    """The choices upon what is known now: who has left meanwhile stays so."""
    kept = {} if now.status in (Status.ACTIVE, Status.PAUSED) else {"status": now.status}
    return now.model_copy(update={**fields, **kept})


def _chosen(request: Request, reader: Subscriber, form: Form, spoken: Tongue) -> tuple[Subscriber, dict[str, str]]:
    """The reader with what the form holds, and for each field that is wrong the reason."""
    config = workspace_of(request).config
    lists = request.app.state.glimpse.lists()
    known = [one.id for one in lists.all]
    ticked = set(lists.today(form.many("interest")))  # the page may have lain open while an interest got another id
    mine = lists.renewed(reader.interests)  # a change of the lists may not have come to this reader yet
    here, elsewhere = [id for id in mine if id in known], [id for id in mine if id not in known]
    # What came meanwhile was not on that page, and what these lists do not know never is: no tick is no wish to end it.
    shown = lists.today(form.many("followed")) or here
    unseen = {*elsewhere, *(id for id in here if id not in shown)}
    ticked |= unseen
    order = [id for id in here if id in ticked] + [id for id in known if id in ticked and id not in here]
    _move(order, form.one("move"))
    errors: dict[str, str] = {}
    if not order and (here or not elsewhere):
        errors["interest"] = spoken.t(
            "Choose at least one subject. To get nothing for a while, use the pause below; to leave, unsubscribe."
        )
    order += elsewhere
    less = (*lists.today(form.many("fewer")), *(id for id in lists.renewed(reader.fewer) if id in unseen))
    cadence = form.one("cadence")
    if cadence not in config.cadences:
        errors["cadence"] = spoken.t("Choose how often you want the newsletter.")
    name = name_of(form, spoken, errors)
    until = _pause(form, spoken, workspace_of(request).today, errors)
    length = form.one("max_teasers", 3)
    chosen = reader.model_copy(
        update={
            "interests": tuple(order),
            "fewer": tuple(dict.fromkeys(id for id in less if id in order)),
            "cadence": cadence if not errors.get("cadence") else reader.cadence,
            "language": language_of(form, spoken, config.pages.languages),
            "audience": audience_of(form),
            "name": name if "name" not in errors else form.one("name", 300),
            "plain_text": form.one("plain_text") == "yes",
            "large_print": form.one("large_print") == "yes",
            "max_teasers": int(length) if length.isdecimal() and int(length) in LENGTHS else None,
            "paused_until": until,
            "catch_up": until is not None and form.one("catch_up") == "yes",
            "status": Status.PAUSED if until else Status.ACTIVE,
        }
    )
    return chosen, errors


def _move(order: list[str], wanted: str) -> None:
    """Change the order by one place, as a button says."""
    direction, _, id = wanted.partition(":")
    if id in order and direction in ("up", "down"):
        at = order.index(id)
        to = max(0, at - 1) if direction == "up" else min(len(order) - 1, at + 1)
        order.insert(to, order.pop(at))


def _pause(form: Form, spoken: Tongue, today: date, errors: dict[str, str]) -> date | None:
    """The first day on which somebody wants to be written to again; None where they want no pause."""
    if form.one("pause") != "yes":
        return None
    typed = form.one("pause_until", 20).strip()
    try:
        until = date.fromisoformat(typed)
    except ValueError:
        errors["pause_until"] = spoken.t(
            "Enter the day on which the emails should begin again, for example {day}.", day=today + timedelta(days=30)
        )
        return None
    if not today < until <= today + _LONGEST_PAUSE:
        errors["pause_until"] = spoken.t("The day must be later than today and within a year.")
        return None
    return until


def _page(
    request: Request,
    reader: Subscriber,
    token: str,
    fresh: bool,
    spoken: Tongue,
    errors: Mapping[str, str],
    *,
    status: int = 200,
    **data: Any,
) -> Response:
    config, lists = workspace_of(request).config, request.app.state.glimpse.lists()
    reader = reader.model_copy(update={"interests": lists.renewed(reader.interests), "fewer": lists.renewed(reader.fewer)})
    tree = choices(request, spoken, reader.interests)
    labels = {one.id: one.label for one in tree}
    given = {"saved": "", "pause_typed": reader.paused_until.isoformat() if reader.paused_until else "", **data}
    return page(
        request,
        "preferences.html.j2",
        spoken,
        status=status,
        reader=reader,
        here=f"/p/{token}",
        fresh=fresh,
        gone=reader.status not in (Status.ACTIVE, Status.PAUSED),
        choices=tree,
        follows=[(id, labels[id]) for id in reader.interests if id in labels],
        cadences=[(name, spoken.rhythm(rule)) for name, rule in config.cadences.items()],
        audiences=["patients", "caregivers", "clinicians"],
        lengths=LENGTHS,
        errors=errors,
        **given,
    )


# --- the reader's data ---------------------------------------------------------------------------------------------------


@router.post("/p/{token}/link")
def fresh_link(request: Request, token: str) -> Response:
    """Mail the reader a fresh link: what follows is for whoever can read the mailbox now."""
    reader, _ = _reader(request, token)
    join.send_links(workspace_of(request), reader.id)
    request.app.state.asked()
    return RedirectResponse(f"/links/sent?lang={tongue_for(request, reader.language).code}", status_code=303)


@router.post("/p/{token}/data")
def data(request: Request, token: str) -> Response:
    """Everything kept about the reader, as a file."""
    reader, fresh = _reader(request, token)
    if not fresh:
        return _page(request, reader, token, fresh, tongue_for(request, reader.language), {})
    found = readers.data_of(workspace_of(request), reader.id)
    from fastapi.encoders import jsonable_encoder

    return JSONResponse(jsonable_encoder(found), headers={"Content-Disposition": 'attachment; filename="my-data.json"'})


@router.api_route("/p/{token}/erase", methods=["GET", "HEAD"])
def ask_erase(request: Request, token: str) -> Response:
    """One button, and what it does."""
    reader, fresh = _reader(request, token)
    return page(request, "erase.html.j2", tongue_for(request, reader.language), here=f"/p/{token}", fresh=fresh, done=False)


@router.post("/p/{token}/erase")
def erase(request: Request, token: str) -> Response:
    """Let go who the reader was."""
    reader, fresh = _reader(request, token)
    spoken = tongue_for(request, reader.language)
    if fresh:
        readers.erase(workspace_of(request), reader.id)
    return page(request, "erase.html.j2", spoken, here=f"/p/{token}", fresh=fresh, done=fresh)


# --- fewer of these, from a teaser ---------------------------------------------------------------------------------------


@router.api_route("/p/{token}/{issue}/{number}", methods=["GET", "HEAD"])
def ask_fewer(request: Request, token: str, issue: str, number: str) -> Response:
    """Which of the reader's subjects a teaser stood for, and a button for each."""
    reader, _ = _reader(request, token)
    return _fewer_page(request, reader, _subjects(request, reader, issue, number), done="")


@router.api_route("/p//{issue}/{number}", methods=["GET", "HEAD"])
@router.api_route("/p/{issue}/{number:int}", methods=["GET", "HEAD"])  # where a server in front makes one slash of two
@router.api_route("/p/", methods=["GET", "HEAD"])
def say_what_is_missing(request: Request) -> Response:
    """A teaser's link without its token, as it would be if SendGrid did not know the one name in a template that its documents do
    not have (`digest.providers.sendgrid_layout`). The links at the end of that email are whole.
    """
    return links.show(request, tongue_for(request), status=404, cut=True)


@router.post("/p/{token}/{issue}/{number}")
def fewer(request: Request, token: str, issue: str, number: str, form: Filled) -> Response:
    """At most one piece of that subject in each email from now on; or all again."""
    reader, _ = _reader(request, token)
    subjects = _subjects(request, reader, issue, number)
    id = form.one("interest")
    if id not in {one for one, _ in subjects}:
        return _fewer_page(request, reader, subjects, done="")
    less = form.one("do") != "all"

    def alter(now: Subscriber) -> Subscriber:
        rest = tuple(one for one in now.fewer if one != id)
        return now.model_copy(update={"fewer": (*rest, id) if less and id in now.interests else rest})

    after = readers.change(workspace_of(request), reader.id, alter, "fewer of one subject" if less else "all of one subject")
    return _fewer_page(request, after or reader, subjects, done=id)


def _subjects(request: Request, reader: Subscriber, issue: str, number: str) -> list[tuple[str, str]]:
    """The interests the reader follows that the teaser of that number belongs to.

    Raises:
        LinkError: no such issue or teaser.
    """
    from digest.issue import compiled_of, material_of

    workspace = workspace_of(request)
    with workspace.store.read() as tx:
        row = issues.named(tx, issue)
        if row is None:
            raise LinkError("this link is not one of ours")
        material = material_of(tx, workspace, row)
    try:
        numbers = {str(n): id for id, n in compiled_of(workspace, row, material).numbers.items()}
    except DigestError as error:
        raise LinkError("this link leads to an issue that cannot be read") from error
    labels = {one.id: one.label_in(tongue_for(request, reader.language).code) for one in request.app.state.glimpse.lists().all}
    if number not in numbers:
        raise LinkError("this link is not one of ours")
    under = material.catalogue.follows.get(numbers[number], frozenset())
    return [(id, labels[id]) for id in reader.interests if id in under and id in labels]


def _fewer_page(request: Request, reader: Subscriber, subjects: list[tuple[str, str]], done: str) -> Response:
    spoken = tongue_for(request, reader.language)
    token = request.path_params["token"]
    return page(request, "fewer.html.j2", spoken, subjects=subjects, fewer=reader.fewer, done=done, preferences=f"/p/{token}")
