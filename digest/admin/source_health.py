"""How a source does, in words with what to do: silent for longer than usual, laid out anew, failing. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from digest.model import Frozen
from digest.store.catalogue import SourceState
from digest.store.readings import Reading

FLOOR_DAYS = 7.0  # a silence that nobody need be told of
FACTOR = 3.0
_FEWEST_GAPS = 5  # with fewer nobody knows what is usual
_GAPS = 60  # the newest that count
_LOOKED_BACK = 30  # readings that tell what used to be
_FEWEST_BEFORE = 3
_FEWEST_PIECES = 3
_USED_TO, _NOW = 0.8, 0.2  # share of the pieces that had a field, and that have it still
_JUMP = 0.4  # by which the share of refused entries rose

Kind = Literal["never", "failing", "nothing", "fields", "refusals", "silent", "warning"]


class Silence(Frozen):
    """For how many days a source has published nothing, the usual gap, and the gap from which on it is more than usual."""

    days: int
    usual: float | None = None
    limit: float | None = None

    @property
    def unusual(self) -> bool:
        """Whether it is longer than usual; where too little is known of what is, it is not."""
        return self.limit is not None and self.days > self.limit


class Sign(Frozen):
    """Something about a source that somebody should know: what it is, and what to do."""

    kind: Kind
    text: str
    advice: str


def silence(published: Sequence[datetime], at: datetime) -> Silence | None:
    """How long it has been silent at ``at``; None where it never published anything before.

    What counts are days on which something appeared, so that ten pieces of one day are one. The limit is the largest of a week,
    three usual gaps (the median), and the gap that only one in ten was longer than.
    """
    days: list[date] = sorted({one.date() for one in published if one <= at})
    if not days:
        return None
    silent = (at.date() - days[-1]).days
    gaps = [(later - earlier).days for earlier, later in zip(days, days[1:], strict=False)][-_GAPS:]
    if len(gaps) < _FEWEST_GAPS:
        return Silence(days=silent)
    usual = statistics.median(gaps)
    rare = statistics.quantiles(gaps, n=10, method="inclusive")[-1]
    return Silence(days=silent, usual=usual, limit=max(FLOOR_DAYS, FACTOR * usual, rare))


def signs(state: SourceState | None, readings: Sequence[Reading], published: Sequence[datetime], at: datetime) -> tuple[Sign, ...]:
    """What is to be said of a source, the most pressing first. ``readings``: the newest first."""
    if state is None or state.read_at is None:
        return (Sign(kind="never", text="it was never read", advice="Fetch it now, or wait for the next gathering."),)
    found: list[Sign] = []
    laid_out = markup(readings)
    if state.error and not any(one.kind == "nothing" for one in laid_out):
        times = "the last time" if state.failures < 2 else f"{state.failures} times in a row"
        found.append(
            Sign(kind="failing", text=f"it could not be read {times}: {state.error}", advice="Do what the reason says, then fetch it now.")
        )
    found += laid_out
    quiet = silence(published, at)
    if quiet is not None and quiet.unusual and quiet.usual is not None:
        usual = "a day or less" if quiet.usual <= 1 else f"about {quiet.usual:g} days"
        found.append(
            Sign(
                kind="silent",
                text=f"silent for longer than usual: {quiet.days:g} days, where {usual} between pieces is usual",
                advice=(
                    "Nothing new was put there; if that is so, nothing is wrong."
                    if state.kind in ("folder", "text")
                    else "Look at the site: if it has newer pieces, its address or its markup has changed."
                ),
            )
        )
    if state.warning and not state.error:
        found.append(Sign(kind="warning", text=state.warning, advice="What is whole was taken; the rest is tried again with each reading."))
    return tuple(found)


def markup(readings: Sequence[Reading]) -> tuple[Sign, ...]:
    """Whether the last document that came looks as if its makers had laid it out anew. ``readings``: the newest first."""
    whole = [one for one in readings if one.whole]
    if not whole or (readings[0].result == "failed"):
        return ()
    last, before = whole[0], [one for one in whole[1:] if one.taken][:_LOOKED_BACK]
    if last.result == "nothing" or not last.taken:
        return _nothing(last, before)
    if len(before) < _FEWEST_BEFORE:
        return ()
    return (*_fields(last, before), *_refusals(last, before))


def _nothing(last: Reading, before: Sequence[Reading]) -> tuple[Sign, ...]:
    if last.result == "nothing":
        said = f"the page came, but nothing in it is where the settings say: {last.said}"
    elif before and last.refused:
        said = f"the document came, but none of its {last.refused} entries could be taken, where there used to be {_usual_taken(before)}"
    elif before:
        said = f"the document came with no entry in it, where there used to be {_usual_taken(before)}"
    else:
        return ()
    return (
        Sign(
            kind="nothing",
            text=said,
            advice="Change of markup suspected: try its address anew (“New source”, or `digest sources try`) and pick its parts again.",
        ),
    )


def _usual_taken(before: Sequence[Reading]) -> int:
    return round(statistics.median(one.taken for one in before))


def _fields(last: Reading, before: Sequence[Reading]) -> tuple[Sign, ...]:
    if last.taken < _FEWEST_PIECES:
        return ()
    names = {name for one in before for name in one.filled}
    gone = [
        name
        for name in sorted(names)
        if statistics.median(one.filled.get(name, 0) / one.taken for one in before) >= _USED_TO
        and last.filled.get(name, 0) / last.taken <= _NOW
    ]
    if not gone:
        return ()
    which = " and ".join([", ".join(gone[:-1]), gone[-1]] if len(gone) > 1 else gone)
    return (
        Sign(
            kind="fields",
            text=f"most pieces have no {which} now, and used to have",
            advice="Change of markup suspected: look at the last items, and pick the part again where it is missing.",
        ),
    )


def _refusals(last: Reading, before: Sequence[Reading]) -> tuple[Sign, ...]:
    if last.refused < _FEWEST_PIECES:
        return ()
    usual = statistics.median(_refused(one) for one in before)
    if _refused(last) - usual < _JUMP:
        return ()
    return (
        Sign(
            kind="refusals",
            text=f"{last.refused} of {last.taken + last.refused} entries were refused, where {usual:.0%} used to be",
            advice="Change of markup suspected: the reasons stand below each refused entry.",
        ),
    )


def _refused(one: Reading) -> float:
    return one.refused / (one.taken + one.refused) if one.taken + one.refused else 0.0


RESULTS: Mapping[str, str] = {
    "read": "read",
    "unchanged": "nothing changed since the last time",
    "nothing": "came, but laid out otherwise than the settings say",
    "failed": "could not be read",
}
