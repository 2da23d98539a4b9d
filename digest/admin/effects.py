"""What a change of the interest lists would do, looked up before it is made: pieces, readers, issues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from digest import select
from digest.admin.interest_moves import Proposal, standing
from digest.choices import Choice, apply, take_back
from digest.config import SelectionRules
from digest.interests import Interests
from digest.model import DONE, UNPLANNED, Follower, Frozen, IssueState, Summary
from digest.store import issues, lists, plans
from digest.store.catalogue import Stored

_NEXT = 0  # the number that a change not yet made is tried under


class PieceLine(Frozen):
    """A piece, and by which part of the rule it comes, or came."""

    id: str
    title: str
    why: str


class InterestEffect(Frozen):
    """One interest with its children's pieces, of those published ``since``: how many before and after, which come and go."""

    id: str
    label: str
    before: int
    after: int
    gained: tuple[PieceLine, ...] = ()
    lost: tuple[PieceLine, ...] = ()


class Effects(Frozen):
    """All that is shown before a change is made.

    ``followers`` are readers of every status who follow what it is about, ``both`` those of them who follow more than one of the
    interests that become one, ``changed`` those whose choices are written anew. Of them ``gaining`` would get pieces of the last
    months that they did not follow before, had those not been sent yet; ``had`` were given some of these already, and ``again``
    would get one of them a second time: 0, or something is wrong. ``voids`` are approved issues that must be looked at again.
    """

    kind: str
    what: str
    since: datetime
    interests: tuple[InterestEffect, ...] = ()
    followers: int = 0
    both: int = 0
    changed: int = 0
    gaining: int = 0
    had: int = 0
    again: int = 0
    voids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def of_rules(before: Interests, after: Interests, pieces: Sequence[Summary]) -> tuple[InterestEffect, ...]:
    """Pure: which pieces come under which interests and which no longer do. An interest keeps its line through a new id."""
    then, now = standing(pieces, before), standing(pieces, after)
    by_id = {piece.id: piece for piece in pieces}
    found = []
    for one in after.all:
        old = one.id if one.id in then else next((id for id in reversed(one.was) if id in then), "")
        had, has = then.get(old, frozenset()), now[one.id]
        if had == has and old == one.id and before.get(old) == one:
            continue
        gained = tuple(_line(by_id[id], after, one.id) for id in sorted(has - had))
        lost = tuple(_line(by_id[id], before, old) for id in sorted(had - has))
        found.append(InterestEffect(id=one.id, label=one.label, before=len(had), after=len(has), gained=gained, lost=lost))
    renamed = {old for one in after.all for old in one.was}
    for one in before.all:
        if after.get(one.id) is None and one.id not in renamed:
            lost = tuple(_line(by_id[id], before, one.id) for id in sorted(then[one.id]))
            found.append(InterestEffect(id=one.id, label=one.label, before=len(lost), after=0, lost=lost))
    return tuple(found)


def _line(piece: Summary, interests: Interests, id: str) -> PieceLine:
    for member in interests.family(id):
        result = select.match(piece, member)
        if result.takes:
            return PieceLine(id=piece.id, title=piece.title, why=result.why if member.id == id else f"by {member.id}: {result.why}")
    return PieceLine(id=piece.id, title=piece.title, why="")


def of(tx: Connection, proposal: Proposal, stored: Sequence[Stored], since: datetime) -> Effects:
    """Look up everything. Goes through all readers that the change touches."""
    recent = [one for one in stored if one.summary.published_at >= since]
    effects = Effects(
        kind=proposal.kind,
        what=proposal.what,
        since=since,
        interests=of_rules(proposal.before, proposal.after, [one.summary for one in recent]),
        voids=tuple(row.name for row in issues.every(tx) if row.state is IssueState.APPROVED and row.approved_hash),
        notes=(*proposal.notes, *_drafts(tx)),
    )
    return effects.model_copy(update=_readers(tx, proposal, recent))


def _drafts(tx: Connection) -> tuple[str, ...]:
    going = [row.name for row in issues.every(tx) if row.state not in UNPLANNED and row.state not in DONE]
    return tuple(f"{name} is going out and stays as it was planned" for name in going)


def _readers(tx: Connection, proposal: Proposal, recent: Sequence[Stored]) -> dict[str, int]:
    """Go through the readers, a page at a time."""
    pieces = [one.summary for one in recent]
    before, after = standing(pieces, proposal.before), standing(pieces, proposal.after)
    rows = {one.summary.id: one.row for one in recent}
    ids = {row: id for id, row in rows.items()}
    known = select.catalogue(pieces, proposal.after)
    joined = [
        {old for old, new in proposal.steps.became.items() if new == target} | {target} for target in set(proposal.steps.became.values())
    ]
    undone = lists.named(tx, proposal.takes_back) if proposal.takes_back is not None else None
    touched = _touched(proposal, before, after) | (undone.steps.touched | set(undone.steps.became.values()) if undone else frozenset())
    found = dict.fromkeys(("followers", "both", "changed", "gaining", "had", "again"), 0)
    gains = sorted({rows[id] for one in after for id in after[one] - before.get(one, frozenset())})
    known_choices: dict[tuple[Choice, ...], tuple[tuple[Choice, ...], frozenset[str], bool]] = {}

    def tried(choices: tuple[Choice, ...]) -> tuple[tuple[Choice, ...], frozenset[str], bool]:
        """What becomes of choices, the pieces that come with it, and whether they held several that become one."""
        if choices not in known_choices:
            new = apply(proposal.steps, choices, _NEXT)
            ids = {choice.interest for choice in choices}
            extra = _pieces(after, new) - _pieces(before, choices)
            known_choices[choices] = (new, extra, any(len(ids & together) > 1 for together in joined))
        return known_choices[choices]

    last = 0
    while touched and (page := lists.followers_of(tx, touched, last)):
        first, last = page[0].reader, page[-1].reader
        earlier = plans.seen(tx, 0, first, last, gains) if gains else {}
        kept = lists.before(tx, undone.id, first, last) if undone else {}
        for one in page:
            new, extra, both = tried(one.choices)
            if undone is not None:
                new = take_back(undone.steps, kept.get(one.reader), one.choices, undone.id)
                extra = _pieces(after, new) - _pieces(before, one.choices)
            had = {ids[row] for row in earlier.get(one.reader, ())} & extra
            found["followers"] += 1
            found["both"] += both
            found["changed"] += new != one.choices
            found["gaining"] += bool(extra)
            found["had"] += bool(had)
            found["again"] += bool(had) and _again(known, new, had)
    return found


def _touched(proposal: Proposal, before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> frozenset[str]:
    differing = {id for id in (*before, *after) if before.get(id) != after.get(id) or proposal.before.get(id) != proposal.after.get(id)}
    return proposal.steps.touched | differing


def _pieces(standing: Mapping[str, frozenset[str]], choices: Sequence[Choice]) -> frozenset[str]:
    return frozenset[str]().union(*(standing.get(choice.interest, frozenset()) for choice in choices))


def _again(known: select.Catalogue, choices: Sequence[Choice], had: set[str]) -> bool:
    """Whether the reader would get one of these again, were they all in their next issue: asked of the selection itself."""
    reader = Follower(interests=tuple(choice.interest for choice in choices), seen=frozenset(had))
    issue = select.Catalogue({id: known.summaries[id] for id in had}, known.takers, known.follows, known.pinned, known.excluded)
    return bool(select.select(issue, reader, SelectionRules(), select.Costs()).selection.teasers)
