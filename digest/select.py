"""Pure: summaries × interests × one reader → Selection, with the reason for every summary kept or left out.

The rules are those of DESIGN section 4. Nothing here knows who a reader is, what time it is, or how things look.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from digest.config import SelectionRules
from digest.edits import Edits, places
from digest.interests import Interests
from digest.model import Follower, Interest, Notice, Placed, Rule, SelectedSection, Selection, Summary, uncanonical

# --- which interests a summary belongs to (rule 4) -----------------------------------------------------------------------


class Match(NamedTuple):
    """Whether an interest takes a summary, and the words that say why."""

    takes: bool
    why: str


def match(summary: Summary, interest: Interest) -> Match:
    """One interest's own rule and picks, without its children."""
    if names(summary, interest.exclude):
        return Match(False, "excluded by the editor")
    if names(summary, interest.pin):
        return Match(True, "pinned by the editor")
    if interest.match == Rule():
        return Match(False, "no rule of its own")
    return holds(interest.match, summary)


def holds(rule: Rule, summary: Summary) -> Match:
    """Whether a rule holds, and the part of it that decided. A rule without keys holds for nothing."""
    reasons = []
    for key, wanted in _conditions(rule):
        found = [value for value in wanted if _has(summary, key, value)]
        if not found:
            return Match(False, f"{key} is none of {', '.join(map(str, wanted))}")
        reasons.append(f"{key} {', '.join(map(str, found))}")
    if rule.any:
        hits = [result.why for part in rule.any if (result := holds(part, summary)).takes]
        if not hits:
            return Match(False, "nothing under any: holds")
        reasons.append(" and ".join(hits))
    for part in rule.all:
        result = holds(part, summary)
        if not result.takes:
            return Match(False, f"under all: {result.why}")
        reasons.append(result.why)
    for part in rule.none:
        result = holds(part, summary)
        if result.takes:
            return Match(False, f"under not: {result.why}")
    if not reasons and rule.none:
        return Match(True, "nothing under not: holds")
    return Match(bool(reasons), ", ".join(reasons) or "the rule is empty")


def _conditions(rule: Rule) -> Iterable[tuple[str, tuple[str, ...]]]:
    for key in ("tag", "words", "source", "journal", "audience", "evidence"):
        wanted: tuple[str, ...] = getattr(rule, key)
        if wanted:
            yield key, wanted


def _has(summary: Summary, key: str, value: str) -> bool:
    match key:
        case "tag":
            return fold(value) in {fold(tag) for tag in summary.tags}
        case "words":
            return bool(_pattern(value).search(_text(summary)))
        case "source":
            return value == summary.source
        case "journal":
            return fold(value) == fold(summary.journal)
        case "audience":
            return value in summary.audience
        case _:
            return value == summary.evidence


def fold(text: str) -> str:
    """Text as it is compared: without case, width and surplus white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@functools.lru_cache(4096)
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)" + re.escape(fold(words)) + r"(?!\w)")


@functools.lru_cache(4096)
def _text(summary: Summary) -> str:
    return fold("\n".join([summary.title, summary.takeaway, *(section.text for section in summary.sections)]))


def names(summary: Summary, written: Collection[str]) -> bool:
    """Whether an editor's list names this summary: by DOI, link, id, or its file's name alone."""
    if not written:
        return False
    wanted = uncanonical(written)
    known = set(summary.identifiers)
    known.update(identifier.split(":", 2)[2] for identifier in summary.identifiers if identifier.startswith("source:"))
    return not wanted.isdisjoint(known)


@dataclass(frozen=True)
class Catalogue:
    """The summaries of one issue and the interests that take each, worked out once for all readers.

    ``takers`` maps a summary to the interests that take it themselves; ``follows`` to every interest under which it can
    stand, parents included. ``places`` are those that an editor gave to pieces of this issue.
    """

    summaries: Mapping[str, Summary]
    takers: Mapping[str, frozenset[str]]
    follows: Mapping[str, frozenset[str]]
    pinned: frozenset[tuple[str, str]]
    excluded: frozenset[str]
    places: Mapping[str, int] = field(default_factory=dict)

    def order(self, interest: str, summary: str) -> tuple[int, bool, int, float, str]:
        """Sort key under one interest: the place an editor gave it, then pins, weight, newest, id (so that it never wavers)."""
        piece = self.summaries[summary]
        pinned, place = (interest, summary) in self.pinned, self.places.get(summary, len(self.places))
        return (place, not pinned, -piece.weight, -piece.published_at.timestamp(), summary)

    def rank(self, interest: str, summary: str) -> tuple[bool, int, int, float, str]:
        """Sort key by which is left out last: a pinned piece never falls out because it was put further down."""
        place, unpinned, weight, age, id = self.order(interest, summary)
        return (unpinned, place, weight, age, id)


_NONE = Edits()


def catalogue(summaries: Iterable[Summary], interests: Interests, edits: Edits = _NONE) -> Catalogue:
    """Match every summary with every interest. What editors say of this issue wins over what the lists say."""
    pieces = {summary.id: summary for summary in sorted(summaries, key=lambda piece: piece.id)}
    above = {interest.id: _ancestors(interest, interests) for interest in interests.all}
    takers: dict[str, frozenset[str]] = {}
    follows: dict[str, frozenset[str]] = {}
    pinned: set[tuple[str, str]] = set()
    excluded: set[str] = set()
    for id, piece in pieces.items():
        nowhere = ("", id) in edits.excluded
        taken = {interest.id for interest in interests.all if not nowhere and _takes(interest, piece, edits)}
        out = {interest.id for interest in interests.all if _bars(interest, piece, edits)}
        takers[id] = frozenset(taken)
        # An interest that excludes a piece does so for what its children would bring in, too.
        follows[id] = frozenset(parent for child in taken for parent in (child, *above[child]) if parent not in out)
        first = {child for child in taken if names(piece, _get(interests, child).pin) or (child, id) in edits.pinned}
        pinned.update((parent, id) for child in first for parent in (child, *above[child]))
        if ("", id) in edits.pinned:
            pinned.update((interest, id) for interest in ("", *follows[id]))
        if nowhere or (out and not follows[id]):
            excluded.add(id)
    return Catalogue(pieces, takers, follows, frozenset(pinned), frozenset(excluded), places(edits.order))


def _takes(interest: Interest, piece: Summary, edits: Edits) -> bool:
    pair = (interest.id, piece.id)
    return pair not in edits.excluded and (pair in edits.pinned or match(piece, interest).takes)


def _bars(interest: Interest, piece: Summary, edits: Edits) -> bool:
    pair = (interest.id, piece.id)
    return pair in edits.excluded or (pair not in edits.pinned and names(piece, interest.exclude))


def _get(interests: Interests, id: str) -> Interest:
    interest = interests.get(id)
    assert interest is not None
    return interest


def _ancestors(interest: Interest, interests: Interests) -> tuple[str, ...]:
    chain: list[str] = []
    while interest.parent is not None:
        interest = _get(interests, interest.parent)
        chain.append(interest.id)
    return tuple(chain)


# --- which summaries an issue has (rule 2) -------------------------------------------------------------------------------


class Known(NamedTuple):
    """A summary as the catalogue of the workspace has it when an issue is drafted.

    ``taken_by`` is the issue of this cadence that has it already; ``archive_until`` the instant up to which what its
    source published counts as backlog for this cadence (see ``issue``).
    """

    summary: Summary
    archive_until: datetime
    taken_by: str | None = None


class Fate(StrEnum):
    """What becomes of a summary when an issue is drafted."""

    MEMBER = "member"
    FUTURE = "future"
    HELD = "held"
    ARCHIVE = "archive"
    TAKEN = "taken"
    RETRACTED = "retracted"


def fate(known: Known, due_at: datetime) -> Fate:
    """Rule 2: published by the issue's instant, in no earlier issue of the cadence, not backlog, not held back."""
    if known.taken_by is not None:
        return Fate.TAKEN
    if known.summary.published_at > due_at:
        return Fate.FUTURE
    if known.summary.published_at <= known.archive_until:
        return Fate.ARCHIVE
    return {"held back": Fate.HELD, "retracted": Fate.RETRACTED}.get(unwanted(known.summary, due_at), Fate.MEMBER)


def unwanted(summary: Summary, due_at: datetime) -> str:
    """Why a summary must not be sent although it is a member of an issue; empty where it may."""
    if summary.hold:
        return "held back"
    return "retracted" if told(summary.notice, due_at) and summary.notice and summary.notice.kind == "retraction" else ""


def told(notice: Notice | None, due_at: datetime) -> bool:
    """Whether there is a notice and it is time to tell of it."""
    return notice is not None and notice.at <= due_at


# --- what one reader gets (rules 3, 5 to 8) ------------------------------------------------------------------------------


class Reason(StrEnum):
    """Why a summary of the issue is in a reader's email or not."""

    SHOWN = "shown"
    HIGHLIGHT = "highlight"
    SEEN = "seen"
    NOT_FOLLOWED = "not_followed"
    OTHER_AUDIENCE = "other_audience"
    OVER_INTEREST_CAP = "over_interest_cap"
    OVER_EMAIL_CAP = "over_email_cap"
    OVER_SIZE = "over_size"
    NOT_CHOSEN = "not_chosen"


class Decision(NamedTuple):
    """The reason for one summary, and the interest it stands or would stand under."""

    reason: Reason
    interest: str = ""


@dataclass(frozen=True)
class Costs:
    """What the parts of the composed email weigh, in bytes of decoded HTML; upper bounds."""

    frame: int = 0
    teaser: Mapping[str, int] = field(default_factory=dict)
    section: Mapping[str, int] = field(default_factory=dict)
    notice: Mapping[str, int] = field(default_factory=dict)


class Outcome(NamedTuple):
    """A reader's selection and, for every summary of the issue, the decision that led to it."""

    selection: Selection
    decisions: Mapping[str, Decision]


@dataclass
class _Draft:
    """Teasers placed so far, by interest in the reader's order."""

    placed: dict[str, list[str]]
    decisions: dict[str, Decision]
    left_out: list[str] = field(default_factory=list)

    def drop(self, interest: str, summary: str, reason: Reason) -> None:
        self.placed[interest].remove(summary)
        self.left_out.append(summary)
        self.decisions[summary] = Decision(reason, interest)


def select(issue: Catalogue, reader: Follower, rules: SelectionRules, costs: Costs) -> Outcome:
    """What this reader gets of this issue; an empty selection when there is nothing for them."""
    draft = _place(issue, reader, rules)
    for interest, summaries in draft.placed.items():
        most = 1 if interest in reader.fewer else rules.max_per_interest
        if len(summaries) > most:
            for summary in sorted(summaries, key=functools.partial(issue.rank, interest))[most:]:
                draft.drop(interest, summary, Reason.OVER_INTEREST_CAP)
    _trim(issue, draft, reader, rules, costs)
    sections = tuple(
        SelectedSection(
            interest=interest, teasers=tuple(Placed(summary=id, also_in=_also(issue, reader, interest, id)) for id in summaries)
        )
        for interest, summaries in draft.placed.items()
        if summaries
    )
    highlights: tuple[str, ...] = ()
    if not sections and rules.when_empty == "highlights":
        highlights = _highlights(issue, reader, rules, costs)
        draft.decisions.update((id, Decision(Reason.HIGHLIGHT)) for id in highlights)
    selection = Selection(
        sections=sections,
        left_out=tuple(sorted(draft.left_out, key=lambda id: issue.order("", id))),
        notices=reader.owed,
        highlights=highlights,
        form=reader.form,
        language=reader.language,
    )
    return Outcome(selection, draft.decisions)


def _place(issue: Catalogue, reader: Follower, rules: SelectionRules) -> _Draft:
    placed: dict[str, list[str]] = {interest: [] for interest in reader.interests}
    decisions = {}
    for id, piece in issue.summaries.items():
        under = next((interest for interest in reader.interests if interest in issue.follows[id]), None)
        if under is None:
            decisions[id] = Decision(Reason.NOT_FOLLOWED)
        elif id in reader.seen:
            decisions[id] = Decision(Reason.SEEN, under)
        elif not _meant_for(piece, reader, rules):
            decisions[id] = Decision(Reason.OTHER_AUDIENCE, under)
        else:
            decisions[id] = Decision(Reason.SHOWN, under)
            placed[under].append(id)
    for interest, summaries in placed.items():
        summaries.sort(key=functools.partial(issue.order, interest))
    return _Draft(placed, decisions)


def _meant_for(piece: Summary, reader: Follower, rules: SelectionRules) -> bool:
    return not (rules.by_audience and piece.audience and reader.audience) or bool(set(piece.audience) & set(reader.audience))


def _trim(issue: Catalogue, draft: _Draft, reader: Follower, rules: SelectionRules, costs: Costs) -> None:
    """Rule 6: drop the last in the order pins, weight, newest until number and bytes fit."""
    ranked = sorted(((interest, id) for interest, ids in draft.placed.items() for id in ids), key=lambda pair: issue.rank(pair[0], pair[1]))
    most = min(rules.max_teasers, reader.most or rules.max_teasers)
    for interest, id in reversed(ranked[most:]):
        draft.drop(interest, id, Reason.OVER_EMAIL_CAP)
    ranked = ranked[:most]
    budget = rules.max_html_kb * 1024 - costs.frame - sum(costs.notice.get(id, 0) for id in reader.owed)
    size = sum(costs.teaser.get(id, 0) for _, id in ranked) + sum(costs.section.get(i, 0) for i, ids in draft.placed.items() if ids)
    while len(ranked) > 1 and size > budget:  # one teaser is always worth a letter
        interest, id = ranked.pop()
        draft.drop(interest, id, Reason.OVER_SIZE)
        size -= costs.teaser.get(id, 0) + (0 if draft.placed[interest] else costs.section.get(interest, 0))


def _also(issue: Catalogue, reader: Follower, under: str, summary: str) -> tuple[str, ...]:
    return tuple(interest for interest in reader.interests if interest != under and interest in issue.follows[summary])


def _highlights(issue: Catalogue, reader: Follower, rules: SelectionRules, costs: Costs) -> tuple[str, ...]:
    marked = [id for id, piece in issue.summaries.items() if piece.highlight and id not in issue.excluded]
    wanted = [id for id in marked if id not in reader.seen and _meant_for(issue.summaries[id], reader, rules)]
    picks = sorted(wanted, key=functools.partial(issue.rank, ""))[: min(rules.max_per_interest, reader.most or rules.max_per_interest)]
    budget = rules.max_html_kb * 1024 - costs.frame - sum(costs.notice.get(id, 0) for id in reader.owed)
    while len(picks) > 1 and sum(costs.teaser.get(id, 0) for id in picks) > budget:
        picks.pop()
    return tuple(sorted(picks, key=functools.partial(issue.order, "")))


def with_news(issue: Catalogue) -> frozenset[str]:
    """The interests under which the issue has anything: no other makes a difference between two readers."""
    return frozenset().union(*issue.follows.values())
