"""One edition as it would leave: a subscriber's, or that of somebody imagined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from digest import compose, plan, review, select
from digest.addresses import parse
from digest.errors import IssueError
from digest.lint.editions import Looked, imagined_envelope, imagined_reader
from digest.model import Audience, Follower, Form, Selection, Status
from digest.readiness import Ready
from digest.store import outcomes, people, plans
from digest.workspace import Workspace


class Page(NamedTuple):
    """An edition as it would leave, to an imagined reader with links of nobody's. ``html`` is empty where only text leaves."""

    looked: Looked
    subject: str
    preheader: str
    html: str
    text: str
    eml: bytes


def choose(ready: Ready, follower: Follower) -> Selection:
    """What a follower would get of the issue as it is now."""
    return select.select(ready.material.catalogue, follower, ready.material.rules, plan.costs_of(ready.compiled)).selection


def of_reader(workspace: Workspace, ready: Ready, address: str) -> Looked:
    """What a subscriber got of the issue, or would get now; for who gets no issue of this cadence now, what they would get if
    they did.

    Raises:
        IssueError: nobody has that address, or there is nothing for them; the text never repeats it.
    """
    try:
        parsed = parse(address)
    except ValueError as error:
        raise IssueError(f"that is not an address: it {error}") from error
    with workspace.store.read() as tx:
        person = people.find(tx, workspace.store.vault, parsed)
        if person is None:
            raise IssueError("nobody on the list has that address; `digest subscribers list` shows who has")
        delivery = outcomes.delivery_of(tx, ready.row.id, person.row)
        planner = plan.Planner(workspace, ready)
        kind = planner.kind_of(tx, person.row)
        rows = [stored.row for stored in ready.material.members]
        seen = frozenset(ready.material.ids[row] for row in plans.seen_before(tx, person.row, rows, ready.row.id))
    one = person.subscriber
    if delivery is not None and delivery.selection:
        return Looked("a subscriber, as planned", 1, Selection.model_validate_json(delivery.selection))
    if kind is not None:
        chosen = planner.choose(kind)
        if chosen is None:
            raise IssueError("there is nothing in this issue for that reader; `digest why` tells why")
        return Looked("a subscriber", 1, Selection.model_validate_json(chosen.selection))
    follower = Follower(
        interests=one.interests,
        audience=one.audience,
        seen=seen,
        fewer=frozenset(one.fewer),
        most=one.max_teasers,
        form=one.form,
        language=ready.compiled.spoken(one.language),
    )
    selection = choose(ready, follower)
    if selection.empty:
        raise IssueError("there is nothing in this issue for that reader; `digest why` tells why")
    state = f"is {one.status}" if one.status is not Status.ACTIVE else f"gets the {one.cadence} issues"
    return Looked(f"a subscriber who {state}", 0, selection)


def of_imagined(
    ready: Ready,
    interests: Sequence[str],
    audience: Sequence[Audience] = (),
    form: Form = "",
    language: str = "",
    max_teasers: int | None = None,
) -> Looked:
    """What somebody would get who follows these, in this order, and never got anything.

    Raises:
        IssueError: there is no such interest, or nothing for them.
    """
    known = {one.id: one.label for one in ready.material.interests.all}
    for id in interests:
        if id not in known:
            raise IssueError(f'there is no interest "{id}" ({", ".join(known)})')
    follower = Follower(
        interests=tuple(dict.fromkeys(interests)),
        audience=tuple(audience),
        most=max_teasers,
        form=form,
        language=ready.compiled.spoken(language),
    )
    selection = choose(ready, follower)
    if selection.empty:
        raise IssueError("there is nothing in this issue for somebody who follows only these")
    return Looked(f"follows {', '.join(known[id] for id in follower.interests)}", 0, selection)


IMAGINED = "imagined"  # imagined:gut+vision;patients+large+in-de, or imagined:all


def of_name(ready: Ready, asked: str) -> Looked:
    """What somebody imagined would get who is written down as in `IMAGINED`: whom the desk's addresses and the commands name alike.
    Interests that are not there are left out, for an address may be older than the lists.

    Raises:
        IssueError: there is nothing for them.
    """
    ids, _, options = asked.removeprefix(f"{IMAGINED}:").partition(";")
    known = [interest.id for interest in ready.material.interests.all]
    follows = known if ids == "all" else [id for id in dict.fromkeys(ids.split("+")) if id in known]
    said = set(options.split("+")) if options else set()
    form: Form = next((one for one in get_args(Form) if one and one in said), "")
    return of_imagined(ready, follows, [one for one in Audience if one.value in said], form, language_of(asked))


def language_of(asked: str) -> str:
    """The language of somebody imagined; empty for the newsletter's own."""
    return next((one.removeprefix("in-") for one in asked.partition(";")[2].split("+") if one.startswith("in-")), "")


def find(workspace: Workspace, ready: Ready, edition: str = "", reader: str = "") -> Looked:
    """The edition that a command names: of a reader, of somebody imagined (`IMAGINED`), or by role or id (`review.find_edition`).

    Raises:
        IssueError: there is none.
    """
    if reader:
        return of_reader(workspace, ready, reader)
    if edition.startswith(f"{IMAGINED}:"):
        known = {one.id for one in ready.material.interests.all}
        follows = edition.removeprefix(f"{IMAGINED}:").partition(";")[0]
        if wrong := [id for id in follows.split("+") if id not in known and follows != "all"]:
            raise IssueError(f'there is no interest "{wrong[0]}" ({", ".join(sorted(known))})')
        return of_name(ready, edition)
    return review.find_edition(workspace, ready, edition)


def page(workspace: Workspace, ready: Ready, looked: Looked) -> Page:
    """An edition as it would leave.

    Raises:
        RenderError: it cannot be composed.
    """
    mailbox = workspace.config.sender.unsubscribe_mailbox
    look = ready.compiled.look
    nobody = imagined_reader(look.url, f"mailto:{mailbox}" if mailbox else "")
    edition = compose.make_edition(ready.compiled, looked.selection)
    return Page(
        looked=looked,
        subject=edition.subject,
        preheader=edition.preheader,
        html="" if edition.plain_text else compose.html_of(edition, nobody),
        text=compose.text_of(edition, nobody),
        eml=compose.make_message(edition, nobody, imagined_envelope(look, ready.row.cadence)),
    )


def write(shown: Page, folder: Path) -> tuple[Path, ...]:
    """Write HTML, text and ``.eml`` of an edition into a folder, named by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = review.selection_id(shown.looked.selection)
    files: Iterable[tuple[str, bytes]] = (("html", shown.html.encode()), ("txt", shown.text.encode()), ("eml", shown.eml))
    made = []
    for suffix, body in files:
        if body:
            made.append(folder / f"{stem}.{suffix}")
            made[-1].write_bytes(body)
    return tuple(made)
