"""Outgoing webhooks: who wants to be told of what; events on their way, written in the transaction that does what they tell.

Writing one is a single INSERT … SELECT over the hooks that want it, so that where there is none, nothing is written. An event
holds an issue's figures or a reader's opaque id; an address is looked up when it is handed over, and never kept here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    String,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql.selectable import LABEL_STYLE_TABLENAME_PLUS_COL

from digest.model import DeliveryState, IssueState, Status
from digest.store import outcomes
from digest.store import schema as t
from digest.store.dialect import now
from digest.vault import Vault

SEALED = "hook"  # the field that addresses and secrets of hooks are sealed as
# In the words of the index, so that both databases see that it holds all that is looked for.
_OPEN = text("hook_event.state IN ('waiting', 'inflight')")


# --- what happened -------------------------------------------------------------------------------------------------------


def issue_moved(tx: Connection, issue: int, state: IssueState, at: datetime) -> None:
    """An issue went on to another state. Planning is told as its end, the sending."""
    if state is IssueState.PLANNING or not _anybody(tx):
        return
    held = state is IssueState.FINISHED and outcomes.counts(tx, issue)[DeliveryState.HELD] > 0
    issue_event(tx, issue, "issue.finished_with_held" if held else f"issue.{state.value}", at)


def issue_event(tx: Connection, issue: int, kind: str, at: datetime) -> None:
    """Something became of an issue: its name, cadence and date, and its sums as this transaction leaves them."""
    if not _anybody(tx):
        return
    i = t.issue.c
    name, cadence, local_date = tx.execute(select(i.name, i.cadence, i.local_date).where(i.id == issue)).one()
    counts = outcomes.counts(tx, issue)
    data = {
        "issue": name,
        "cadence": cadence,
        "local_date": local_date.isoformat(),
        "counts": {"planned": sum(counts.values()), **{state.value: n for state, n in counts.items() if state.value != "planned"}},
    }
    tx.execute(_OF_ISSUE, {**_named(kind, at), "data": json.dumps(data)})


def _anybody(tx: Connection) -> bool:
    return bool(tx.execute(_ANYBODY).scalar())


def kind_of(old: str | None, new: Status) -> str:
    """What a reader's change is called, by their status before (None: they are new) and after; empty where it is nobody's business."""
    match new:
        case Status.ACTIVE:
            return "reader.changed" if old in (Status.ACTIVE.value, Status.PAUSED.value) else "reader.joined"
        case Status.PENDING:
            return ""
        case _ if old == new.value:
            return "reader.changed"
        case Status.PAUSED:
            return "reader.paused"
        case Status.UNSUBSCRIBED:
            return "reader.left"
        case Status.SUPPRESSED:
            return "reader.suppressed"
        case Status.ERASED:
            return "reader.forgotten"


def reader_event(tx: Connection, row: int, kind: str, at: datetime) -> None:
    """Something became of a reader."""
    if kind:
        tx.execute(_OF_READER, {**_named(kind, at), "row": row, "ending": '"}'})


def address_event(tx: Connection, address_index: bytes, kind: str, at: datetime, reason: str) -> None:
    """Something became of the reader with that address, if there is one. ``reason`` is a word of ours."""
    tx.execute(_OF_ADDRESS, {**_named(kind, at), "address_index": address_index, "ending": f'", "reason": "{reason}"}}'})


def _named(kind: str, at: datetime) -> dict[str, Any]:
    return {"event": secrets.token_hex(16), "kind": kind, "family": f"{kind.partition('.')[0]}.*", "at": at}


def _telling(data: ColumnElement[str], whom: ColumnElement[bool] | None = None) -> Insert:
    """The new rows: one for each hook that wants to be told of it."""
    h, topics, moment = t.hook.c, t.hook_topic.c, bindparam("at", type_=t.Instant())
    wants = select(topics.hook_id).where(topics.topic.in_([bindparam("kind"), bindparam("family"), "*"]))
    event, kind, waiting = bindparam("event", type_=String()), bindparam("kind", type_=String()), literal("waiting")
    chosen = select(event, h.id, kind, moment, data, waiting, moment, moment).where(h.disabled_at.is_(None), h.id.in_(wants))
    if whom is not None:
        chosen = chosen.select_from(t.hook.join(t.subscriber, whom))
    columns = ("event", "hook_id", "kind", "at", "data", "state", "state_at", "next_at")
    return insert(t.hook_event).from_select(columns, chosen)


# Made once: every change of a reader asks one of them, and building it anew would cost ten times what the database needs.
_READER = literal('{"reader": "').concat(t.subscriber.c.sid).concat(bindparam("ending", type_=String()))  # all plain letters
_OF_READER = _telling(_READER, t.subscriber.c.id == bindparam("row"))
_OF_ADDRESS = _telling(_READER, t.subscriber.c.address_index == bindparam("address_index"))
_OF_ISSUE = _telling(bindparam("data", type_=String()))
_ANYBODY = select(exists().where(t.hook.c.disabled_at.is_(None)))


# --- handing over --------------------------------------------------------------------------------------------------------


class Due(NamedTuple):
    """An event in hand, and the hook it goes to. ``attempts`` counts this one, too."""

    row: int
    hook: int
    hid: str
    event: str
    kind: str
    at: datetime
    data: dict[str, Any]
    attempts: int
    url: str
    secrets: tuple[str, ...]
    with_addresses: bool


def due(tx: Connection) -> list[int]:
    """The hooks that something may be handed over to now: who answers comes first, then who waits longest."""
    h, e, at = t.hook.c, t.hook_event.c, now(tx)
    # Of each hook the first event in the index, however many wait.
    first = select(e.next_at).where(e.hook_id == h.id, _OPEN, e.next_at <= at).order_by(e.next_at).limit(1).scalar_subquery()
    waiting = select(h.id, h.failures, first.label("since")).where(_awake(at)).subquery()
    w = waiting.c
    return list(tx.execute(select(w.id).where(w.since.is_not(None)).order_by(w.failures, w.since, w.id)).scalars())


def _awake(at: datetime) -> ColumnElement[bool]:
    h = t.hook.c
    return h.disabled_at.is_(None) & or_(h.rest_until.is_(None), h.rest_until <= at)


def claim(tx: Connection, vault: Vault, hook: int, lease: timedelta) -> Due | None:
    """The hook's next event, ours for as long as the lease. One whose lease has run out is anybody's again: its process died,
    perhaps after it was handed over.
    """
    h, e, at = t.hook.c, t.hook_event.c, now(tx)
    query = select(t.hook_event, t.hook).join(t.hook, h.id == e.hook_id).where(h.id == hook, _awake(at), _OPEN, e.next_at <= at)
    query = query.order_by(e.next_at, e.id).limit(1).with_for_update(skip_locked=True, of=t.hook_event)
    row = tx.execute(query.set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)).one_or_none()
    if row is None:
        return None
    attempts = row.hook_event_attempts + 1
    values = {"state": "inflight", "state_at": at, "next_at": at + lease, "attempts": attempts}
    tx.execute(update(t.hook_event).where(e.id == row.hook_event_id).values(**values))
    return Due(
        row=row.hook_event_id,
        hook=row.hook_id,
        hid=row.hook_hid,
        event=row.hook_event_event,
        kind=row.hook_event_kind,
        at=row.hook_event_at,
        data=json.loads(row.hook_event_data),
        attempts=attempts,
        url=vault.open(row.hook_url, SEALED),
        secrets=_secrets(vault, row.hook_secret, row.hook_old_secret, row.hook_old_until, at),
        with_addresses=row.hook_with_addresses,
    )


def _secrets(vault: Vault, newest: bytes, old: bytes | None, until: datetime | None, at: datetime) -> tuple[str, ...]:
    both = old is not None and until is not None and at < until
    return tuple(vault.open(one, SEALED) for one in ((newest, old) if both else (newest,)) if one is not None)


def address_of(tx: Connection, vault: Vault, sid: str) -> str | None:
    """A reader's address as it is now; None once they are erased."""
    s = t.subscriber.c
    sealed = tx.execute(select(s.address).where(s.sid == sid, s.status != Status.ERASED.value)).scalar()
    return None if sealed is None else vault.open(sealed, "address")


def delivered(tx: Connection, one: Due, status: int) -> None:
    """The receiver has it, whoever may have taken it up again meanwhile."""
    h, e = t.hook.c, t.hook_event.c
    values = {"state": "delivered", "state_at": now(tx), "status": status, "reason": ""}
    tx.execute(update(t.hook_event).where(e.id == one.row).values(**values))
    well = {"failing_since": None, "failures": 0, "rest_until": None}
    tx.execute(update(t.hook).where(h.id == one.hook, h.failing_since.is_not(None)).values(**well))


def failed(tx: Connection, one: Due, status: int | None, reason: str, wait_s: float | None) -> None:
    """It was not taken; tried again after ``wait_s``, None for never. Nothing where somebody else has it in hand by now."""
    e, at = t.hook_event.c, now(tx)
    values: dict[str, Any] = {"state": "failed" if wait_s is None else "waiting", "state_at": at, "status": status, "reason": reason}
    if wait_s is not None:
        values["next_at"] = at + timedelta(seconds=wait_s)
    ours = (e.id == one.row) & (e.state == "inflight") & (e.attempts == one.attempts)
    tx.execute(update(t.hook_event).where(ours).values(**values))


def ail(tx: Connection, hook: int, rest_s: Callable[[int], float] | None) -> timedelta:
    """The hook failed. ``rest_s`` tells by its failures in a row before how long it rests; None where it need not.

    Returns for how long it has done nothing but fail.
    """
    h, at = t.hook.c, now(tx)
    row = tx.execute(select(h.failures, h.failing_since).where(h.id == hook).with_for_update()).one_or_none()
    if row is None:  # removed meanwhile
        return timedelta(0)
    since: datetime = row.failing_since or at
    values: dict[str, Any] = {"failing_since": since}
    if rest_s is not None:
        values |= {"failures": row.failures + 1, "rest_until": at + timedelta(seconds=rest_s(row.failures))}
    tx.execute(update(t.hook).where(h.id == hook).values(**values))
    return at - since


# --- the hooks themselves ------------------------------------------------------------------------------------------------


class Hook(NamedTuple):
    """A hook as it is kept, its address opened. ``waiting`` events are on their way, ``given_up`` could never be handed over."""

    row: int
    hid: str
    url: str
    topics: tuple[str, ...]
    with_addresses: bool
    made_at: datetime
    made_by: str
    old_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_why: str
    waiting: int
    given_up: int


def add(
    tx: Connection, vault: Vault, hid: str, url: str, secret: str, topics: Sequence[str], who: str, *, with_addresses: bool = False
) -> None:
    """A new hook, told of what happens from now on."""
    values = {"hid": hid, "url": vault.seal(url, SEALED), "secret": vault.seal(secret, SEALED), "with_addresses": with_addresses}
    row = tx.execute(insert(t.hook).values(made_at=now(tx), made_by=who, **values).returning(t.hook.c.id)).scalar_one()
    tx.execute(insert(t.hook_topic), [{"hook_id": row, "topic": topic} for topic in topics])


def every(tx: Connection, vault: Vault) -> list[Hook]:
    """All hooks, in the order in which they were made."""
    e = t.hook_event.c
    sums = select(e.hook_id, e.state, func.count().label("n")).where(e.state.in_(["waiting", "inflight", "failed"]))
    counted = {(row.hook_id, row.state): row.n for row in tx.execute(sums.group_by(e.hook_id, e.state))}
    topics: dict[int, list[str]] = {}
    for hook, topic in tx.execute(select(t.hook_topic.c.hook_id, t.hook_topic.c.topic)):
        topics.setdefault(hook, []).append(topic)
    return [
        Hook(
            row=row.id,
            hid=row.hid,
            url=vault.open(row.url, SEALED),
            topics=tuple(sorted(topics.get(row.id, ()))),
            with_addresses=row.with_addresses,
            made_at=row.made_at,
            made_by=row.made_by,
            old_until=row.old_until,
            failing_since=row.failing_since,
            disabled_at=row.disabled_at,
            disabled_why=row.disabled_why,
            waiting=counted.get((row.id, "waiting"), 0) + counted.get((row.id, "inflight"), 0),
            given_up=counted.get((row.id, "failed"), 0),
        )
        for row in tx.execute(select(t.hook).order_by(t.hook.c.id))
    ]


def remove(tx: Connection, hook: int) -> None:
    """The hook, and whatever was on its way to it."""
    tx.execute(delete(t.hook_event).where(t.hook_event.c.hook_id == hook))
    tx.execute(delete(t.hook_topic).where(t.hook_topic.c.hook_id == hook))
    tx.execute(delete(t.hook).where(t.hook.c.id == hook))


def disable(tx: Connection, hook: int, why: str) -> bool:
    """Tell it nothing more. Returns whether that is news."""
    h = t.hook.c
    values = {"disabled_at": now(tx), "disabled_why": why, "failing_since": None, "failures": 0, "rest_until": None}
    return tx.execute(update(t.hook).where(h.id == hook, h.disabled_at.is_(None)).values(**values)).rowcount > 0


def enable(tx: Connection, hook: int) -> bool:
    """Tell it again, what waited first. Returns whether that is news."""
    h, at = t.hook.c, now(tx)
    values = {"disabled_at": None, "disabled_why": "", "failing_since": None, "failures": 0, "rest_until": None}
    news = tx.execute(update(t.hook).where(h.id == hook, h.disabled_at.is_not(None)).values(**values)).rowcount > 0
    waiting = (t.hook_event.c.hook_id == hook) & (t.hook_event.c.state == "waiting")
    tx.execute(update(t.hook_event).where(waiting).values(next_at=at))
    return news


def rotate(tx: Connection, vault: Vault, hook: int, secret: str, old_for: timedelta) -> datetime:
    """A new secret; the one before signs, too, until the instant that is returned."""
    h, until = t.hook.c, now(tx) + old_for
    tx.execute(update(t.hook).where(h.id == hook).values(old_secret=h.secret, old_until=until, secret=vault.seal(secret, SEALED)))
    return until


def secrets_of(tx: Connection, vault: Vault, hook: int) -> tuple[str, ...]:
    """What signs now, the newest first."""
    h = t.hook.c
    row = tx.execute(select(h.secret, h.old_secret, h.old_until).where(h.id == hook)).one()
    return _secrets(vault, row.secret, row.old_secret, row.old_until, now(tx))


def waiting(tx: Connection, hook: int) -> int:
    """How many events wait for a hook."""
    e = t.hook_event.c
    return tx.execute(select(func.count()).select_from(t.hook_event).where(e.hook_id == hook, _OPEN)).scalar_one()


class Told(NamedTuple):
    """An event and what became of it. ``next_at`` counts only while it waits."""

    hid: str
    event: str
    kind: str
    at: datetime
    state: str
    attempts: int
    state_at: datetime
    next_at: datetime
    status: int | None
    reason: str


def told(tx: Connection, hook: int | None = None, *, failing: bool = False, most: int = 50) -> list[Told]:
    """The newest events, of one hook or of all; ``failing``: only those that were tried in vain."""
    e = t.hook_event.c
    columns = (t.hook.c.hid, e.event, e.kind, e.at, e.state, e.attempts, e.state_at, e.next_at, e.status, e.reason)
    query: Select[Any] = select(*columns).join(t.hook, t.hook.c.id == e.hook_id).order_by(e.id.desc()).limit(most)
    if hook is not None:
        query = query.where(e.hook_id == hook)
    if failing:
        query = query.where(e.state.in_(["waiting", "inflight", "failed"]), e.reason != "")
    return [Told(*row) for row in tx.execute(query)]


class Trouble(NamedTuple):
    """A hook that is disabled, or has done nothing but fail since an instant."""

    hid: str
    disabled_at: datetime | None
    why: str
    failing_since: datetime | None


def troubled(tx: Connection) -> list[Trouble]:
    """Hooks that are not well."""
    h = t.hook.c
    query = select(h.hid, h.disabled_at, h.disabled_why, h.failing_since)
    return [Trouble(*row) for row in tx.execute(query.where(or_(h.disabled_at.is_not(None), h.failing_since.is_not(None))).order_by(h.id))]
