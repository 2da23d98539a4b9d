"""Pure: what a provider tells later, in our words, and what a set of such events makes of a delivery.

Everything here is a function of the *set* of events: how often, in which order and in which portions they came makes no
difference. Providers repeat events under new ids and in any order (RELIABILITY F6).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from digest.bounces import Bounce
from digest.model import DeliveryState as S
from digest.verdict import DROPPED, classify_sendgrid, code_of

_ID = re.compile(r"[0-9a-f]{32}")
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # how far a provider's clock may run before ours
_KINDS = {
    "processed": "processed",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "bounce",
    "dropped": "dropped",
    "spamreport": "complaint",
    "unsubscribe": "unsubscribe",
    "group_unsubscribe": "unsubscribe",
    "open": "open",
    "click": "click",
}
_WORDS = 2000


class Event(NamedTuple):
    """One thing a provider told. ``did`` and ``aid`` are ours or empty.

    ``kind`` is processed, deferred, delivered, bounce, dropped, complaint, unsubscribe, open, click, other or unreadable;
    ``verdict`` hard, soft, blocked, complaint, left or empty. ``words`` tell two events apart that are alike in all else;
    they may hold an address and are never kept as they are.
    """

    did: str
    aid: str
    kind: str
    at: datetime
    verdict: str = ""
    code: str = ""
    words: str = ""

    @property
    def detail(self) -> str:
        """What is kept of the provider's words: codes, no text, so no address either."""
        return json.dumps({key: value for key, value in (("verdict", self.verdict), ("code", self.code)) if value}, sort_keys=True)


def from_detail(did: str, aid: str, kind: str, at: datetime, detail: str) -> Event:
    """An event as it was kept."""
    return Event(did, aid, kind, at, **json.loads(detail))


# --- reading SendGrid's bodies -------------------------------------------------------------------------------------------


def read_sendgrid(raw: bytes, received_at: datetime) -> Iterator[Event]:
    """The events of one webhook body. What cannot be read is an event of kind ``unreadable``: kept and listed, never lost."""
    try:
        items = json.loads(raw)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        yield Event("", "", "unreadable", received_at, code="not a JSON array of events")
        return
    for place, item in enumerate(items):
        try:
            yield _event(item, received_at)
        except ValueError as error:
            yield Event("", "", "unreadable", received_at, code=str(error), words=f"{place}")


def _event(item: Any, received_at: datetime) -> Event:
    if not isinstance(item, dict):
        raise ValueError("an event is not an object")
    at = _instant(item.get("timestamp"), received_at)
    name = _text(item, "event")
    kind = _KINDS.get(name, "other")
    type, status, words = _text(item, "type"), _text(item, "status"), _text(item, "reason") or _text(item, "response")
    verdict, code = "", ""
    if kind == "bounce":
        verdict, code = classify_sendgrid(type, status, _text(item, "bounce_classification"), words), code_of(status, words)
    elif kind == "dropped":
        known = words.strip().lower()
        verdict = DROPPED.get(known, "")
        code = known if verdict else ""
    elif kind in ("complaint", "unsubscribe"):
        verdict = "complaint" if kind == "complaint" else "left"
    told = "\n".join((name, type, status, words, *(_text(item, key) for key in ("bounce_classification", "attempt", "url"))))
    return Event(_id(item.get("did")), _id(item.get("aid")), kind, at, verdict, code, told)


def _id(value: Any) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    # Half a surrogate pair is legal JSON but no text.
    return str(value)[:_WORDS].encode("utf-8", "replace").decode() if isinstance(value, str | int) else ""


def _instant(value: Any, received_at: datetime) -> datetime:
    if isinstance(value, str) and re.fullmatch(r"\d{9,11}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**11:
        raise ValueError("an event has no timestamp")
    at = datetime.fromtimestamp(value, UTC)
    if not _FIRST <= at <= received_at + _AHEAD:
        raise ValueError("an event's timestamp is out of range")
    return at


def from_bounce(bounce: Bounce, received_at: datetime) -> Event:
    """A bounce message as an event. Its date counts where it can be true, else the moment it came."""
    plausible = bounce.at is not None and received_at - timedelta(days=30) <= bounce.at <= received_at + _AHEAD
    at = bounce.at if plausible and bounce.at is not None else received_at
    verdict = "complaint" if bounce.kind == "complaint" else bounce.verdict
    return Event(bounce.did, bounce.aid, bounce.kind, at.replace(microsecond=0), verdict, bounce.code)


# --- what a set of events makes of a delivery ----------------------------------------------------------------------------


class Facts(NamedTuple):
    """What was told of one delivery, each with the first time it was told."""

    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    dropped_at: datetime | None = None
    complained_at: datetime | None = None


_FACTS = {"delivered": "delivered_at", "bounce": "bounced_at", "dropped": "dropped_at", "complaint": "complained_at"}

OPEN = frozenset({S.PLANNED, S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD})  # an own event moves these to ACCEPTED
# A sibling's event moves these; INFLIGHT only with a dead lease. Not READY: a delivery that was put off (its domain had had
# its share) stands in the same attempt without having been in the call.
SIBLING_OPEN = frozenset({S.INFLIGHT, S.UNCERTAIN, S.HELD})
_CLOSED = frozenset({S.SKIPPED, S.FAILED, S.EXPIRED, S.QUARANTINED})


def facts(events: Iterable[Event], known: Facts = Facts()) -> Facts:  # noqa: B008
    """The earliest time of each kind of event."""
    found = {field: time for field, time in known._asdict().items() if time is not None}
    for event in events:
        if (field := _FACTS.get(event.kind)) and (field not in found or event.at < found[field]):
            found[field] = event.at
    return Facts(**found)


class Standing(NamedTuple):
    """A delivery as the ledger has it; ``aid`` is its last attempt's."""

    state: S
    evidence: str
    facts: Facts
    aid: str


class Joined(NamedTuple):
    """What the events make of it: its state and evidence, its facts, and what does not fit together."""

    state: S
    evidence: str
    facts: Facts
    contradictions: frozenset[str]


def join(standing: Standing, events: Collection[Event], attempts: Collection[str]) -> Joined:
    """A delivery joined with all events of its own did.

    ``attempts`` are the aids, among those that the events name, of attempts of the delivery's own issue. The state moves
    only toward more evidence; an event of a delivery that was never to leave is a contradiction, not a move.
    """
    state, evidence = standing.state, standing.evidence
    odd = set()
    if events:
        if state in OPEN:
            state, evidence = S.ACCEPTED, "event"
        elif state is S.ACCEPTED and evidence in ("sibling", "operator"):
            evidence = "event"
        elif state in _CLOSED:
            odd.add(f"event for a {state.value} delivery")
    named = {event.aid for event in events if event.aid}
    own = named & set(attempts)
    if len(own) > 1:
        odd.add("two attempts")
    if standing.aid and own - {standing.aid}:
        odd.add("claimed again after an attempt that was accepted")
    return Joined(state, evidence, facts(events, standing.facts), frozenset(odd))


# --- what it makes of a person -------------------------------------------------------------------------------------------

RANK = {"complaint": 3, "request": 2, "operator": 1, "bounce": 0}


class Suppression(NamedTuple):
    """Why nobody may write to an address, since when, and who said so."""

    reason: str
    at: datetime
    source: str


def stronger(one: Suppression | None, other: Suppression | None) -> Suppression | None:
    """The one that counts where two are known: a complaint before a request, the earlier before the later."""
    known = [each for each in (one, other) if each is not None]
    return min(known, key=lambda each: (-RANK.get(each.reason, 1), each.at, each.source), default=None)


def suppression_of(events: Iterable[Event], since: datetime | None) -> Suppression | None:
    """What one of these events alone is reason enough for. Those not after ``since``, the last consent, do not count."""
    found: Suppression | None = None
    for event in events:
        if since is not None and event.at <= since:
            continue
        if event.verdict == "complaint":
            found = stronger(found, Suppression("complaint", event.at, "the provider's report"))
        elif event.verdict == "hard":
            found = stronger(found, Suppression("bounce", event.at, "hard bounce"))
    return found


def soft_suppression(soft: Iterable[tuple[datetime, str]], since: datetime | None, most: int, days: int) -> Suppression | None:
    """Soft bounces, as (time, did), that are reason enough together: ``most`` different messages within ``days``.

    The first moment at which that holds. One more bounce can only make it earlier, so the order they come in does not count.
    """
    points = sorted(point for point in soft if since is None or point[0] > since)
    window = timedelta(days=days)
    for end, (at, _) in enumerate(points):
        within = {did for then, did in points[: end + 1] if then >= at - window}
        if len(within) >= most:
            return Suppression("bounce", at, "soft bounces")
    return None
