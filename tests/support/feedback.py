"""A ledger to join events with, and events as SendGrid writes them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import insert, select

from digest.addresses import parse
from digest.model import DeliveryState as S
from digest.model import IssueState, Subscriber
from digest.store import now, people, schema
from digest.workspace import Workspace
from tests.support.make import CONFIG, INTERESTS, at

SENT = at("2026-05-01T09:00")


def bare_workspace(folder: Path, extra: str = "") -> Path:
    """A workspace without templates: nothing here composes."""
    (folder / "subscribers").mkdir(parents=True)
    (folder / "summaries").mkdir()
    (folder / "config.yaml").write_text(CONFIG + extra, encoding="utf-8")
    (folder / "subscribers" / "interests.yaml").write_text(INTERESTS, encoding="utf-8")
    return folder


def add_people(workspace: Workspace, count: int, consent: Sequence[datetime | None] = (None,), name: str = "r") -> list[int]:
    """Subscribers ``r0@example.org`` and so on; consents are dealt in turn. Returns their rows."""
    rows = []
    with workspace.store.write() as tx:
        for n in range(count):
            address = parse(f"{name}{n}@example.org")
            person = Subscriber(id="", email=address.spelling, consent_at=consent[n % len(consent)], consent_source="test")
            rows.append(people.add(tx, workspace.store.vault, address, person, now(tx)))
    return rows


def add_issue(workspace: Workspace, day: int = 1) -> int:
    """An issue that is going out."""
    with workspace.store.write() as tx:
        values = {
            "name": f"monthly-2026-05-{day:02}",
            "cadence": "monthly",
            "local_date": date(2026, 5, day),
            "opens_after": SENT,
            "due_at": SENT,
            "state": IssueState.SENDING.value,
            "drafted_at": SENT,
            "known_seq": 0,
            "content_hash": "h",
            "frozen": "{}",
        }
        return tx.execute(insert(schema.issue).values(**values).returning(schema.issue.c.id)).scalar_one()


def add_attempt(workspace: Workspace, issue: int, n: int = 1, provider: str = "sendgrid") -> tuple[int, str]:
    """An attempt: its row and aid."""
    aid = secrets.token_hex(16)
    with workspace.store.write() as tx:
        values = {"aid": aid, "issue_id": issue, "provider": provider, "n": n, "started_at": SENT}
        return tx.execute(insert(schema.attempt).values(**values).returning(schema.attempt.c.id)).scalar_one(), aid


def add_delivery(workspace: Workspace, issue: int, subscriber: int, state: S, attempt: int | None = None, **values: Any) -> str:
    """A delivery: its did. An INFLIGHT one has a living lease unless ``lease_until`` is given."""
    did = secrets.token_hex(16)
    with workspace.store.write() as tx:
        row = {
            "issue_id": issue,
            "subscriber_id": subscriber,
            "did": did,
            "state": state.value,
            "state_at": SENT,
            "attempt_id": attempt,
            "attempts": int(attempt is not None),
            "date_header": "Fri, 01 May 2026 09:00:00 +0000",
            "evidence": "reply" if state is S.ACCEPTED else "",
            "lease_until": now(tx) + timedelta(hours=1) if state is S.INFLIGHT else None,
            **values,
        }
        tx.execute(insert(schema.delivery).values(**row))
    return did


def told(did: str, aid: str, event: str, when: datetime = SENT, rng: Random | None = None, **more: Any) -> dict[str, Any]:
    """One event as SendGrid posts it."""
    rng = rng or Random(0)
    return {
        "email": "somebody.else@example.com",  # what an event says of the address is not trusted
        "timestamp": int(when.timestamp()),
        "event": event,
        "sg_event_id": f"{rng.getrandbits(120):x}",
        "sg_message_id": "abc.recv-1",
        **({"did": did} if did else {}),
        **({"aid": aid} if aid else {}),
        **more,
    }


def body(events: Sequence[Any]) -> bytes:
    """A webhook's body, with the line end that SendGrid puts behind it."""
    return json.dumps(events).encode() + b"\r\n"


def dump(workspace: Workspace) -> dict[str, Any]:
    """All that a join may touch, without the moments at which it happened to be applied."""
    d, c = schema.delivery.c, schema.consent.c
    with workspace.store.read() as tx:
        rows = tx.execute(select(d.did, d.state, d.evidence, d.delivered_at, d.bounced_at, d.dropped_at, d.complained_at))
        deliveries = {r.did: tuple(r[1:]) for r in rows}
        odd = {tuple(r) for r in tx.execute(select(schema.contradiction.c.did, schema.contradiction.c.what))}
        s = schema.suppression.c
        suppressed = {r.address_index: tuple(r[1:]) for r in tx.execute(select(s.address_index, s.reason, s.at, s.source))}
        status = dict(tx.execute(select(schema.subscriber.c.id, schema.subscriber.c.status)).all())
        withdrawn = {tuple(r) for r in tx.execute(select(c.subscriber_id, c.at, c.source).where(c.kind == "withdrawn"))}
        b = schema.bounce.c
        bounces = {tuple(r) for r in tx.execute(select(b.address_index, b.did, b.kind, b.code, b.at))}
    return {
        "deliveries": deliveries,
        "contradictions": odd,
        "suppressed": suppressed,
        "status": status,
        "withdrawn": withdrawn,
        "bounces": bounces,
    }
