"""Account for every decision: what became of each summary, and why one reader got what they got."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from digest import interests, issue, plan, readiness, select
from digest.addresses import parse
from digest.errors import IssueError
from digest.model import Follower, Frozen, Selection, Status
from digest.select import Reason
from digest.store import catalogue, outcomes, people, plans
from digest.workspace import Workspace


def summary_fate(fate: select.Fate, readers: int, left_out: bool, excluded: bool) -> str:
    """The word that the coverage report has for a summary."""
    if fate is select.Fate.FUTURE:
        return "future"
    if fate is select.Fate.HELD:
        return "held"
    if fate is select.Fate.RETRACTED or excluded:
        return "excluded"
    if readers:
        return "sent"
    return "over_budget" if left_out else "no_match"


class Covered(Frozen):
    """What became of one summary of an issue's range, and how many readers got it."""

    id: str
    title: str
    published_at: datetime
    fate: str
    readers: int


def coverage(workspace: Workspace, name: str) -> tuple[Covered, ...]:
    """Every summary of the issue's range, accounted for. Before planning the readers are those it would have now."""
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        material = issue.material_of(tx, workspace, row)
        fates = issue.fates(tx, workspace, row.slot, row)
        planned = outcomes.selections(tx, row.id) if row.planned is not None else None
    if planned is None:
        planned = forecast(workspace, name)
    readers: dict[str, int] = {}
    left_out: set[str] = set()
    for body, count in planned:
        if not body:
            continue
        selection = Selection.model_validate_json(body)
        for id in selection.teasers:
            readers[id] = readers.get(id, 0) + count
        left_out.update(selection.left_out)
    members = {stored.row for stored in (*material.members, *material.carried)}
    listed = [(stored.summary, select.Fate.MEMBER) for stored in material.members]
    listed += [(stored.summary, select.Fate.MEMBER) for stored in material.carried if readers.get(stored.summary.id)]
    waiting = (select.Fate.FUTURE, select.Fate.HELD, select.Fate.RETRACTED)
    listed += [(stored.summary, fate) for stored, fate in fates if fate in waiting and stored.row not in members]
    return tuple(
        Covered(
            id=piece.id,
            title=piece.title,
            published_at=piece.published_at,
            fate=summary_fate(fate, readers.get(piece.id, 0), piece.id in left_out, piece.id in material.catalogue.excluded),
            readers=readers.get(piece.id, 0),
        )
        for piece, fate in sorted(listed, key=lambda pair: (pair[0].published_at, pair[0].id))
    )


def forecast(workspace: Workspace, name: str) -> list[tuple[str, int]]:
    """What planning would give now, without writing anything: each edition's selection (JSON) and its number of readers.

    The empty string stands for those who would get nothing.
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        material = issue.material_of(tx, workspace, row)
    return forecast_of(workspace, readiness.Ready(row, material, material.compile(workspace)))


def forecast_of(workspace: Workspace, ready: readiness.Ready) -> list[tuple[str, int]]:
    """The same for an issue that is composed already."""
    planner = plan.Planner(workspace, ready)
    kinds: dict[plan.Kind, int] = {}
    last = 0
    while True:
        with workspace.store.read() as tx:
            page = planner.page(tx, last)
        if not page:
            break
        for _, kind in page:
            kinds[kind] = kinds.get(kind, 0) + 1
        last = page[-1][0].row
    counted: dict[str, int] = {}
    for kind, count in kinds.items():
        edition = planner.choose(kind)
        body = edition.selection if edition else ""
        counted[body] = counted.get(body, 0) + count
    return list(counted.items())


class Verdict(Frozen):
    """One summary of the range, for one reader: in the email or not, and why."""

    id: str
    title: str
    shown: bool
    why: str


class Why(Frozen):
    """What one reader gets of an issue. ``planned`` tells whether that is settled or only what would happen now."""

    issue: str
    planned: bool
    state: str
    reason: str
    verdicts: tuple[Verdict, ...]


def why(workspace: Workspace, address: str, name: str) -> Why:
    """For each summary in range why this reader gets it or not.

    Raises:
        IssueError: no such issue, or nobody has that address.
    """
    try:
        parsed = parse(address)
    except ValueError as error:
        raise IssueError(f"that is not an address: {error}") from error
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        person = people.find(tx, workspace.store.vault, parsed)
        if person is None:
            raise IssueError("nobody on the list has that address; `digest subscribers list` shows who has")
        material = issue.material_of(tx, workspace, row)
        delivery = outcomes.delivery_of(tx, row.id, person.row)
        rows = [stored.row for stored in (*material.members, *material.carried)]
        seen = plans.seen_before(tx, person.row, rows, row.id)
        theirs = issue.carried_for(tx, workspace, row, material, person.row)
        fates = issue.fates(tx, workspace, row.slot, row)
    subscriber = person.subscriber
    withheld = frozenset(stored.summary.id for stored in material.carried if stored.row not in theirs)
    follower = Follower(
        interests=delivery.interests if delivery else subscriber.interests,
        audience=subscriber.audience,
        seen=frozenset(material.ids[summary] for summary in seen) | withheld,
    )
    costs = plan.costs_of(issue.compiled_of(workspace, row, material))
    decisions = select.select(material.catalogue, follower, material.rules, costs).decisions
    labels = {interest.id: interest.label for interest in material.interests.all}
    members = {stored.row for stored in material.members}
    zone = ZoneInfo(workspace.zone)
    verdicts = []
    settled = Selection.model_validate_json(delivery.selection) if delivery and delivery.selection else None
    for id, piece in material.catalogue.summaries.items():
        if id in withheld and (settled is None or id not in settled.teasers):
            continue  # carried for other readers
        decision = _as_planned(decisions[id], id, settled)
        shown = decision.reason in (Reason.SHOWN, Reason.HIGHLIGHT)
        verdicts.append(Verdict(id=id, title=piece.title, shown=shown, why=_words(decision, labels, material, id, seen)))
    for stored, fate in fates:
        if stored.row not in members and fate in _NOT_IN_ISSUE:
            piece, reason = stored.summary, _NOT_IN_ISSUE[fate]
            verdicts.append(
                Verdict(
                    id=piece.id,
                    title=piece.title,
                    shown=False,
                    why=reason.format(at=piece.published_at.astimezone(zone)),
                )
            )
    return Why(
        issue=name,
        planned=delivery is not None,
        state=delivery.state.value if delivery else "not planned",
        reason=delivery.reason if delivery else _not_planned(subscriber.status, subscriber.cadence, row.cadence, row.planned is not None),
        verdicts=tuple(sorted(verdicts, key=lambda verdict: (not verdict.shown, verdict.title))),
    )


_NOT_IN_ISSUE = {
    select.Fate.FUTURE: "dated {at:%Y-%m-%d}, after this issue",
    select.Fate.HELD: "held back by the editor",
    select.Fate.RETRACTED: "retracted",
}


def _not_planned(status: Status, cadence: str, wanted: str, planned: bool) -> str:
    if status is not Status.ACTIVE:
        return f"this subscriber is {status}"
    if cadence != wanted:
        return f"this subscriber gets the {cadence} issues, not the {wanted} ones"
    if planned:
        return "this subscriber was not on the list when the issue was planned; this is what they would have got"
    return "this issue has not been planned yet; this is what they would get now"


def _as_planned(decision: select.Decision, id: str, settled: Selection | None) -> select.Decision:
    """What was planned counts, also where today's preferences would choose otherwise."""
    if settled is None:
        return decision
    for section in settled.sections:
        if any(placed.summary == id for placed in section.teasers):
            return select.Decision(Reason.SHOWN, section.interest)
    if id in settled.highlights:
        return select.Decision(Reason.HIGHLIGHT)
    return select.Decision(Reason.NOT_CHOSEN, decision.interest) if decision.reason in (Reason.SHOWN, Reason.HIGHLIGHT) else decision


def _words(decision: select.Decision, labels: dict[str, str], material: issue.Material, id: str, seen: dict[int, str]) -> str:
    under = labels.get(decision.interest, decision.interest)
    match decision.reason:
        case Reason.SHOWN:
            return f"follows {under}: {_rule(material, decision.interest, id)}"
        case Reason.HIGHLIGHT:
            return "nothing new in the interests; one of the editor's highlights"
        case Reason.SEEN:
            return f"was in {seen.get(material.rows[id], 'an earlier issue')}"
        case Reason.NOT_CHOSEN:
            return "was not chosen when the issue was planned; the reader's choices have changed since"
        case Reason.OTHER_AUDIENCE:
            return f"written for {', '.join(material.catalogue.summaries[id].audience)}"
        case Reason.OVER_INTEREST_CAP:
            return f"more than {material.rules.max_per_interest} fitted {under}"
        case Reason.OVER_EMAIL_CAP:
            return f"more than {material.rules.max_teasers} fitted the email"
        case Reason.OVER_SIZE:
            return f"the email would have been larger than {material.rules.max_html_kb} KB"
    takers = sorted(labels[interest] for interest in material.catalogue.takers[id])
    if id in material.catalogue.excluded:
        return "excluded by the editor from every interest it fits"
    return f"is in {', '.join(takers)}, which this reader does not follow" if takers else "fits no interest"


def _rule(material: issue.Material, interest: str, id: str) -> str:
    """Which rule of the interest or of one below it took the summary."""
    piece = material.catalogue.summaries[id]
    for member in material.interests.family(interest):
        result = select.match(piece, member)
        if result.takes:
            return result.why if member.id == interest else f"{member.label}, {result.why}"
    return "pinned by the editor"


class InterestLine(Frozen):
    """An interest in the tree: ``depth`` 0 is a root; ``takes`` counts the gathered summaries of its whole family."""

    id: str
    label: str
    depth: int
    followers: int
    takes: int


def interest_table(workspace: Workspace) -> tuple[InterestLine, ...]:
    """All interests, parents before children, with followers and summaries."""
    lists = interests.load(workspace.path)
    with workspace.store.read() as tx:
        followers = people.count_by_interest(tx)
        known = select.catalogue((stored.summary for stored in catalogue.load(tx)), lists)
    return tuple(
        InterestLine(
            id=interest.id,
            label=interest.label,
            depth=lists.depth(interest),
            followers=followers.get(interest.id, 0),
            takes=sum(interest.id in under for under in known.follows.values()),
        )
        for interest in lists.all
    )


class Taken(Frozen):
    """A summary that an interest takes, and by which part of its rule."""

    id: str
    title: str
    why: str


class InterestTest(Frozen):
    """One interest, what it takes itself, and what only its children bring."""

    id: str
    label: str
    takes: tuple[Taken, ...]
    through_children: int


def interest_tests(workspace: Workspace, id: str | None) -> tuple[InterestTest, ...]:
    """Try the rules of one interest, or of all, on everything gathered.

    Raises:
        IssueError: there is no such interest.
    """
    lists = interests.load(workspace.path)
    chosen = [interest for interest in lists.all if id in (None, interest.id)]
    if not chosen:
        raise IssueError(f'there is no interest "{id}" ({", ".join(interest.id for interest in lists.all)})')
    with workspace.store.read() as tx:
        pieces = [stored.summary for stored in catalogue.load(tx)]
    known = select.catalogue(pieces, lists)
    tests = []
    for interest in chosen:
        found = [(piece, select.match(piece, interest)) for piece in pieces]
        takes = tuple(Taken(id=piece.id, title=piece.title, why=result.why) for piece, result in found if result.takes)
        under = sum(interest.id in ids for ids in known.follows.values())
        tests.append(InterestTest(id=interest.id, label=interest.label, takes=takes, through_children=under - len(takes)))
    return tuple(tests)


def forecast_report(workspace: Workspace, name: str) -> dict[str, object]:
    """What ``send`` would do now: how many readers, how many distinct editions, how many who would get nothing."""
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if row.planned is not None:
        raise IssueError(f"{name} has been planned already; `digest status {name}` shows what is left to hand over")
    counted = dict(forecast(workspace, name))
    nothing = counted.pop("", 0)
    return {
        "issue": name,
        "readers": sum(counted.values()),
        "editions": len(counted),
        "nothing_for": nothing,
        "largest_edition_readers": max(counted.values(), default=0),
    }
