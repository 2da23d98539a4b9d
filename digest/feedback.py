"""What providers tell later: take it in, join it with the ledger, and stop writing to whom that harms.

Taking in only stores (a webhook must answer fast and lose nothing); ``apply`` does the rest and may run at any time, any
number of times, beside a dispatch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from digest import bounces, brake, mailback
from digest.config import DeliverySettings, SoftBounces
from digest.events import Event, Joined, from_bounce, join, read_sendgrid, soft_suppression, stronger, suppression_of
from digest.mailbox import read as read_mailbox
from digest.model import Frozen, Status
from digest.model import Instant as UtcInstant
from digest.store import Store, events, holding, now, suppressions
from digest.store.events import Attempt, Known
from digest.store.returns import Return
from digest.workspace import Workspace

_BODIES = 4  # read in one transaction
_EVENTS = 2000  # joined in one transaction


class Report(Frozen):
    """What an ``apply`` did. ``unknown`` counts all events that fit no delivery, also earlier ones; they are tried again."""

    bodies: int = 0
    events: int = 0
    joined: int = 0
    accepted_by_event: int = 0
    accepted_by_sibling: int = 0
    suppressed: int = 0
    left: int = 0
    unreadable: int = 0
    paused: int = 0
    unknown: int = 0


@dataclass
class _Tally:
    bodies: int = 0
    events: int = 0
    joined: int = 0
    accepted_by_event: int = 0
    accepted_by_sibling: int = 0
    suppressed: int = 0
    left: int = 0
    unreadable: int = 0
    paused: int = 0


# --- taking in -----------------------------------------------------------------------------------------------------------


def take_webhook(store: Store, provider: str, raw: bytes) -> bool:
    """Keep a webhook's body, whose signature was checked. Durable when this returns. Returns whether it is new."""
    with store.write() as tx:
        return events.put_body(tx, store.vault, provider, raw, now(tx))


Taken = Literal["taken", "known", "no bounce"]


def take_bounce(workspace: Workspace, raw: bytes) -> Taken:
    """Keep one message that came to the bounce address. What is no bounce is not kept: it may be a person's letter."""
    raw = raw[: bounces.READ_BYTES]
    if bounces.parse(raw) is None:
        return "no bounce"
    store = workspace.store
    with store.write() as tx:
        return "taken" if events.put_body(tx, store.vault, "smtp", raw, now(tx)) else "known"


class MailboxReport(Frozen):
    """What reading a mailbox gave, in messages."""

    taken: int = 0
    known: int = 0
    no_bounce: int = 0


def take_mailbox(workspace: Workspace, path: Path) -> MailboxReport:
    """Keep every bounce of a Maildir or an mbox file. Running it again takes nothing twice.

    Raises:
        ConfigError: there is no such mailbox.
    """
    counted: dict[Taken, int] = {"taken": 0, "known": 0, "no bounce": 0}
    for raw, done in read_mailbox(path, bounces.READ_BYTES):
        counted[take_bounce(workspace, raw)] += 1
        done()  # marked as read only once it is kept
    return MailboxReport(taken=counted["taken"], known=counted["known"], no_bounce=counted["no bounce"])


# --- applying ------------------------------------------------------------------------------------------------------------


def apply(workspace: Workspace) -> Report:
    """Join everything taken in with the ledger and the service mails, and suppress whom that asks for. Safe to repeat and to interrupt.

    Raises:
        StoreError: the database is busy or cannot be written; what was not applied still waits.
    """
    tally, store = _Tally(), workspace.store
    while _read_bodies(store, tally):
        pass
    while _join_some(store, workspace.config.delivery, tally) or _join_mails(store, workspace.config.delivery, tally):
        pass
    with store.write() as tx:
        tally.accepted_by_sibling += events.accept_siblings(tx, events.proven_open_attempts(tx))
        unknown = events.count_unknown(tx)
    return Report(**{field.name: getattr(tally, field.name) for field in fields(tally)}, unknown=unknown)


def _read_bodies(store: Store, tally: _Tally) -> bool:
    with store.write() as tx:
        waiting = events.waiting(tx, store.vault, _BODIES)
        found = [event for body in waiting for event in _events_in(tx, body)]
        tally.bodies += len(waiting)
        tally.unreadable += sum(event.kind == "unreadable" for event in found)
        tally.events += events.put_events(tx, store.vault, found)
        events.mark_read(tx, [body.id for body in waiting])
    return bool(waiting)


def _events_in(tx: Connection, body: events.Body) -> Iterable[Event]:
    if body.provider == "sendgrid":
        return read_sendgrid(body.raw, body.received_at)
    bounce = bounces.parse(body.raw)
    if bounce is None:
        return [Event("", "", "unreadable", body.received_at, code="no bounce")]
    event = from_bounce(bounce, body.received_at)
    # Anybody can write such a message, so its aid proves nothing for others; it only finds the one message of that attempt.
    attempt = events.attempts(tx, [event.aid]).get(event.aid) if event.aid else None
    if attempt is None or attempt.provider in events.ATOMIC:
        return [event._replace(aid="")]
    return [event if event.did or attempt.n != 1 else event._replace(did=events.only_delivery_of(tx, attempt.id))]


def _join_some(store: Store, settings: DeliverySettings, tally: _Tally) -> bool:
    with store.write() as tx:
        fresh = events.fresh(tx, _EVENTS)
        if not fresh:
            return False
        known, told = events.known(tx, fresh), events.events_of(tx, fresh)
        aids = events.attempts(tx, {event.aid for of_one in told.values() for event in of_one if event.aid})
        tally.accepted_by_event += events.write_joined(tx, list(_joined(known, told, aids)))
        tally.accepted_by_sibling += events.accept_siblings(tx, _proven(known, told, aids))
        _follow_up(tx, known, told, settings.soft_bounces, tally)
        for issue, returned in _returned(known, told).items():
            tally.paused += brake.check(tx, issue, settings.brake, returned)
        rows = [row for of_one in fresh.values() for row in of_one]
        events.mark_joined(tx, rows)
        tally.joined += len(rows)
    return True


def _join_mails(store: Store, settings: DeliverySettings, tally: _Tally) -> bool:
    with store.write() as tx:
        done = mailback.join(tx, store.vault, settings.soft_bounces, _EVENTS)
    if done is None:
        return False
    tally.joined += done[0]
    tally.suppressed += done[1]
    tally.left += done[2]
    return True


def _joined(known: Sequence[Known], told: Mapping[str, Sequence[Event]], aids: Mapping[str, Attempt]) -> Iterator[tuple[Known, Joined]]:
    for one in known:
        own = told[one.did]
        yield one, join(one.standing, own, {event.aid for event in own if event.aid in aids and aids[event.aid].issue == one.issue})


def _proven(known: Sequence[Known], told: Mapping[str, Sequence[Event]], aids: Mapping[str, Attempt]) -> set[int]:
    """Attempts that an event of one of their issue's own deliveries proves to have been taken whole."""
    found = set()
    for one in known:
        for event in told[one.did]:
            attempt = aids.get(event.aid)
            if attempt is not None and attempt.issue == one.issue and attempt.provider in events.ATOMIC:
                found.add(attempt.id)
    return found


def _follow_up(tx: Connection, known: Sequence[Known], told: Mapping[str, Sequence[Event]], soft: SoftBounces, tally: _Tally) -> None:
    """What the events ask for the people behind the deliveries; nothing older than a person's last consent counts."""
    _keep_bounces(tx, known, told)
    removed = suppressions.removals(tx)
    for one in known:
        own = [event for event in told[one.did] if event.verdict]
        if not own:
            continue
        since = _latest(one.consent_at, removed.get(one.address_index.hex()))
        found = suppression_of(own, since)
        if any(event.verdict == "soft" for event in own):
            enough = soft_suppression(events.soft_bounces(tx, one.address_index), since, soft.most, soft.days)
            found = stronger(found, enough)
        if found is not None:
            tally.suppressed += suppressions.put(tx, one.address_index, found)
        for event in own:
            if event.verdict in ("left", "complaint") and (one.consent_at is None or event.at > one.consent_at):
                status = Status.UNSUBSCRIBED if event.verdict == "left" else Status.SUPPRESSED
                tally.left += suppressions.leave(tx, one.subscriber, event.at, f"the provider: {event.kind}", status)


def _keep_bounces(tx: Connection, known: Sequence[Known], told: Mapping[str, Sequence[Event]]) -> None:
    rows = [
        {"address_index": one.address_index, "did": one.did, "kind": event.verdict, "code": event.code, "at": event.at}
        for one in known
        for event in told[one.did]
        if event.kind == "bounce" and event.verdict
    ]
    events.put_bounces(tx, rows)


def _returned(known: Sequence[Known], told: Mapping[str, Sequence[Event]]) -> dict[int, list[Return]]:
    """What came back, by issue."""
    found: dict[int, list[Return]] = {}
    for one in known:
        back = [Return(one.did, event.verdict, event.code) for event in told[one.did] if event.kind == "bounce" and event.verdict]
        if back:
            found.setdefault(one.issue, []).extend(back)
    return found


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


# --- telling -------------------------------------------------------------------------------------------------------------


class UnknownEvent(Frozen):
    """An event that fits no delivery, or could not be read."""

    id: int
    did: str
    kind: str
    at: UtcInstant
    detail: str
    recorded_at: UtcInstant


def unknown(workspace: Workspace, limit: int = 1000) -> tuple[UnknownEvent, ...]:
    """Events that fit no delivery we know, the newest first. They are tried again at every ``apply``."""
    with workspace.store.read() as tx:
        return tuple(UnknownEvent(**row._asdict()) for row in events.unknown(tx, limit))


class Unsure(Frozen):
    """A delivery whose outcome is not known, and why not."""

    issue: str
    did: str
    state: str
    aid: str
    started_at: UtcInstant | None
    why: str


class Reconciled(Frozen):
    """What the events resolved, what is still open and why, and what does not fit together.

    ``untraced`` counts deliveries accepted for a sibling's sake that nothing was told of in 72 hours.
    """

    applied: Report
    unsure: tuple[Unsure, ...] = ()
    untraced: int = 0
    contradictions: tuple[str, ...] = ()


def reconcile(workspace: Workspace, issue: str | None = None) -> Reconciled:
    """Resolve what events can, then say what is still uncertain or held, and why.

    Raises:
        IssueError: there is no issue of that name.
    """
    from digest.issue import find

    applied = apply(workspace)
    with workspace.store.read() as tx:
        row = find(tx, issue).id if issue is not None else None
        held = holding.held(tx, row)
        told = events.events_of_attempts(tx, {one.aid for one in held if one.aid})
        unsure = tuple(
            Unsure(issue=one.issue, did=one.did, state=one.state, aid=one.aid or "", started_at=one.started_at, why=_why(one, told))
            for one in held
        )
        odd = tuple(f"{did}: {what}" for did, what, _ in events.contradictions(tx, row))
        return Reconciled(applied=applied, unsure=unsure, untraced=len(events.untraced(tx, row)), contradictions=odd)


def _why(one: holding.HeldRow, told: Mapping[str, int]) -> str:
    reason = one.reason or "its outcome is not known"
    if not one.aid:
        return f"{reason}; it has no attempt"
    if one.aid in told:
        return f"{reason}; of its attempt {told[one.aid]} events came, but none for it, and its provider may take a part of one"
    return f"{reason}; no event of its attempt has come"
