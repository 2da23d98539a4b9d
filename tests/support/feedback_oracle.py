"""What a set of events must make of a ledger, written again from RELIABILITY sections 1.2 and 1.6 and EMAIL section 10.

Nothing of the program's join is used: plain loops over plain dictionaries, one rule at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from digest.model import DeliveryState as S
from digest.workspace import Workspace
from tests.support.feedback import SENT, add_attempt, add_delivery, add_issue, add_people, told


class Row(NamedTuple):
    """A delivery before any event."""

    did: str
    state: S
    evidence: str
    issue: int
    aid: str
    subscriber: int
    dead_lease: bool


class World(NamedTuple):
    """A ledger, its attempts as aid to (issue, provider), and the people behind it as row to (address hash, consent)."""

    rows: tuple[Row, ...]
    attempts: Mapping[str, tuple[int, str]]
    people: Mapping[int, tuple[bytes, datetime | None]]


# What an event can be: how SendGrid writes it, and what it means (verdict, code).
BOUNCES: dict[str, tuple[dict[str, str], str, str]] = {
    "gone": ({"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user here"}, "hard", "5.1.1"),
    "full": ({"type": "bounce", "status": "5.2.2", "reason": "552 5.2.2 mailbox full"}, "soft", "5.2.2"),
    "full later": ({"type": "blocked", "status": "4.2.2", "reason": "452 4.2.2 over quota"}, "soft", "4.2.2"),
    "policy": ({"type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 refused by policy"}, "blocked", "5.7.1"),
    "reputation": ({"type": "bounce", "status": "5.7.26", "reason": "550 5.7.26 not authenticated"}, "blocked", "5.7.26"),
}
DROPS = {"Bounced Address": "hard", "Spam Reporting Address": "complaint", "Unsubscribed Address": "left", "Spam Content": ""}


def make_world(workspace: Workspace, rng: Random, people: int) -> World:
    """Four issues to the same people, in every state there is, with one attempt or two, through both kinds of provider."""
    consents = (None, SENT - timedelta(days=9), SENT + timedelta(hours=4))
    subscribers = add_people(workspace, people, consents)
    with workspace.store.read() as tx:
        from sqlalchemy import select

        from digest.store.schema import subscriber as table

        found = {r.id: (r.address_index, r.consent_at) for r in tx.execute(select(table.c.id, table.c.address_index, table.c.consent_at))}
    rows, attempts = [], {}
    for day in (1, 2, 3, 4):
        issue = add_issue(workspace, day)
        provider = "smtp" if day == 3 else "sendgrid"
        made = [add_attempt(workspace, issue, 4, provider) for _ in range(max(2, people // 4))]
        attempts |= {aid: (issue, provider) for _, aid in made}
        for subscriber in subscribers:
            state = rng.choice(list(S))
            tried = state not in (S.PLANNED, S.QUARANTINED) and rng.random() < 0.9
            attempt, aid = rng.choice(made) if tried else (None, "")
            dead = state is S.INFLIGHT and rng.random() < 0.5
            evidence = rng.choice(["reply", "operator"]) if state is S.ACCEPTED else ""
            lease = {"lease_until": SENT} if dead else {}
            did = add_delivery(workspace, issue, subscriber, state, attempt, evidence=evidence, **lease)
            rows.append(Row(did, state, evidence, issue, aid, subscriber, dead))
    return World(tuple(rows), attempts, found)


def make_events(world: World, rng: Random, most: int = 6) -> list[dict[str, Any]]:
    """Events of these deliveries: mostly of their own attempt, some of another, some of none or of another issue's."""
    found = []
    kinds = rng.choice([_CALM, _BOUNCY])
    aids = sorted(world.attempts)
    for row in world.rows:
        for _ in range(rng.randrange(most + 1) if rng.random() < 0.7 else 0):
            of_issue = [aid for aid in aids if world.attempts[aid][0] == row.issue]
            aid = rng.choice([row.aid, row.aid, row.aid, "", rng.choice(of_issue), rng.choice(aids), f"{rng.getrandbits(128):032x}"])
            when = SENT + timedelta(seconds=rng.randrange(0, 40 * 3600, 7200))
            found.append(told(row.did, aid, rng.choice(kinds), rng=rng, when=when))
    found += [told(f"{rng.getrandbits(128):032x}", "", "delivered", rng=rng) for _ in range(3)]  # nobody's
    found.append(told("", rng.choice(aids), "delivered", rng=rng))  # an aid alone proves nothing of anybody
    return found


_CALM = ("processed", "deferred", "delivered", "delivered", "bounce", "dropped", "spamreport", "unsubscribe", "open")
_BOUNCY = ("processed", "delivered", "bounce", "bounce", "bounce")


def dress(event: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Give a bounce or a drop its particulars."""
    if event["event"] == "bounce":
        return {**event, **BOUNCES[rng.choice([*sorted(BOUNCES), "full", "full later", "policy", "policy"])][0]}
    if event["event"] == "dropped":
        return {**event, "reason": rng.choice(sorted(DROPS))}
    return event


def _meaning(event: Mapping[str, Any]) -> tuple[str, str]:
    if event["event"] == "bounce":
        return next((verdict, code) for given, verdict, code in BOUNCES.values() if given["status"] == event["status"])
    if event["event"] == "dropped":
        return DROPS[event["reason"]], ""
    return {"spamreport": "complaint", "unsubscribe": "left"}.get(event["event"], ""), ""


FIELD = {"delivered": 0, "bounce": 1, "dropped": 2, "spamreport": 3}


def expected(world: World, events: Iterable[Mapping[str, Any]], most: int = 3, days: int = 120) -> dict[str, Any]:
    """The whole outcome."""
    by_did: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        by_did[event.get("did", "")].append(event)
    proven = {
        event["aid"]
        for row in world.rows
        for event in by_did[row.did]
        if world.attempts.get(event.get("aid", ""), (0, ""))[:2] == (row.issue, "sendgrid")
    }
    deliveries, odd = {}, set()
    for row in world.rows:
        own = by_did[row.did]
        state, evidence = row.state, row.evidence
        if own and state in (S.PLANNED, S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD):
            state, evidence = S.ACCEPTED, "event"
        elif own and (state, evidence) == (S.ACCEPTED, "operator"):
            evidence = "event"
        elif own and state in (S.SKIPPED, S.FAILED, S.EXPIRED, S.QUARANTINED):
            odd.add((row.did, f"event for a {state.value} delivery"))
        elif row.aid in proven and (state in (S.UNCERTAIN, S.HELD) or (state is S.INFLIGHT and row.dead_lease)):
            state, evidence = S.ACCEPTED, "sibling"
        tried = {event["aid"] for event in own if world.attempts.get(event.get("aid", ""), (0, ""))[0] == row.issue}
        if len(tried) > 1:
            odd.add((row.did, "two attempts"))
        if row.aid and tried - {row.aid}:
            odd.add((row.did, "claimed again after an attempt that was accepted"))
        times: list[datetime | None] = [None] * 4
        for event in own:
            place = FIELD.get(event["event"])
            if place is not None:
                times[place] = min(filter(None, (times[place], _time(event))))
        deliveries[row.did] = (state.value, evidence, *times)
    return {"deliveries": deliveries, "contradictions": odd, **_people(world, by_did, most, days)}


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["timestamp"], UTC)


def _people(world: World, by_did: Mapping[str, list[Mapping[str, Any]]], most: int, days: int) -> dict[str, Any]:
    suppressed, status, withdrawn, bounces = {}, {}, set(), {}
    for person, (index, consent) in world.people.items():
        status[person] = "active"
        reasons, soft = [], []
        for row in world.rows:
            for event in by_did[row.did] if row.subscriber == person else ():
                (verdict, code), when = _meaning(event), _time(event)
                if event["event"] == "bounce":
                    key = (index, row.did, verdict, when)
                    bounces[key] = min(bounces.get(key, code), code)
                if consent is not None and when <= consent:
                    continue
                if verdict == "hard":
                    reasons.append((1, when, "hard bounce", "bounce"))
                elif verdict == "soft":
                    soft.append((when, row.did))
                elif verdict in ("complaint", "left"):
                    kind = {"spamreport": "complaint"}.get(event["event"], event["event"])
                    withdrawn.add((person, when, f"the provider: {kind}"))
                    if verdict == "complaint":
                        reasons.append((0, when, "the provider's report", "complaint"))
                        status[person] = "suppressed"
                    elif status[person] == "active":
                        status[person] = "unsubscribed"
        for when, _ in sorted(soft):
            if len({did for then, did in soft if when - timedelta(days=days) <= then <= when}) >= most:
                reasons.append((1, when, "soft bounces", "bounce"))
                break
        if reasons:
            _, when, source, reason = min(reasons)
            suppressed[index] = (reason, when, source)
    rows = {(index, did, verdict, code, when) for (index, did, verdict, when), code in bounces.items()}
    return {"suppressed": suppressed, "status": status, "withdrawn": withdrawn, "bounces": rows}
