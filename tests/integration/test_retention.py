"""What is kept only for a while goes; what anybody is told of an issue stays the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from digest import dispatch, feedback, operate, retention
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import issues, now, schema
from digest.store.mark import highest_attempt
from digest.workspace import open_workspace
from tests.support import bounce_corpus as corpus
from tests.support.feedback import add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, told

TABLES = {
    "bodies": schema.event_inbox,
    "events": schema.provider_event,
    "bounces": schema.bounce,
    "attempts": schema.attempt,
}
OPEN = (S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD)
CLOSED = (S.ACCEPTED, S.FAILED, S.SKIPPED, S.EXPIRED, S.QUARANTINED)


def rows(workspace):
    with workspace.store.read() as tx:
        return {name: tx.execute(select(func.count()).select_from(table)).scalar_one() for name, table in TABLES.items()}


def make_older(workspace, days):
    """Let so many days pass."""
    ago = timedelta(days=days)
    with workspace.store.write() as tx:
        for table, *columns in (
            (schema.event_inbox, "received_at", "applied_at"),
            (schema.provider_event, "at", "recorded_at"),
            (schema.bounce, "at"),
            (schema.attempt, "started_at", "ended_at"),
        ):
            for row in tx.execute(select(table)).all():
                older = {name: getattr(row, name) - ago for name in columns if getattr(row, name) is not None}
                tx.execute(update(table).where(table.c.id == row.id).values(**older))


def answers(workspace, names):
    """All that is told of issues: their sums, what is held and why, who is suppressed, what does not fit."""
    found = {name: dispatch.status(workspace, name).model_dump() for name in names}
    reconciled = feedback.reconcile(workspace)
    # That an attempt 400 days old is not named any more is meant; its issue is closed, so nothing of it is held.
    return found, operate.held(workspace), reconciled.unsure, reconciled.untraced, reconciled.contradictions


def an_issue(workspace, day, states, *, done):
    """An issue with an event and a hard bounce for its first delivery, over two attempts."""
    with workspace.store.write() as tx:
        at = now(tx)
    row = add_issue(workspace, day)
    people = add_people(workspace, len(states), name=f"d{day}n")
    dids = []
    for person, state in zip(people, states, strict=True):
        attempt, aid = add_attempt(workspace, row, 1)
        with workspace.store.write() as tx:
            tx.execute(update(schema.attempt).where(schema.attempt.c.id == attempt).values(started_at=at, ended_at=at, outcome="answered"))
        dids.append(add_delivery(workspace, row, person, state, attempt))
        if state in CLOSED:
            feedback.take_webhook(workspace.store, "sendgrid", body([told(dids[-1], aid, "bounce", at, type="bounce", status="5.2.2")]))
    with workspace.store.write() as tx:
        issues.move_issue(tx, row, IssueState.FINISHED if done else IssueState.SENDING, planned=len(states))
    feedback.apply(workspace)
    return f"monthly-2026-05-{day:02}"


@pytest.fixture
def workspace(tmp_path):
    with open_workspace(bare_workspace(tmp_path / "w")) as opened:
        yield opened


def test_it_goes_when_its_time_has_come_and_not_before(workspace):
    name = an_issue(workspace, 1, [S.ACCEPTED, S.ACCEPTED], done=True)
    an_issue(workspace, 2, [S.ACCEPTED], done=True)
    before = rows(workspace)
    assert before == {"bodies": 3, "events": 3, "bounces": 3, "attempts": 3}
    for days, left in (
        (29, before),
        (2, before | {"bodies": 0, "events": 0}),
        (90, before | {"bodies": 0, "events": 0, "bounces": 0}),
        (400, {"bodies": 0, "events": 0, "bounces": 0, "attempts": 1}),
    ):
        make_older(workspace, days)
        planned = retention.prune(workspace, dry_run=True)
        kept, told_before = rows(workspace), answers(workspace, [name])
        done = retention.prune(workspace)
        assert done.model_dump(exclude={"dry_run"}) == planned.model_dump(exclude={"dry_run"})
        assert {key: kept[key] - getattr(done, key) for key in kept} == rows(workspace) == left
        assert answers(workspace, [name]) == told_before


@settings(max_examples=8)
@given(
    states=st.lists(st.lists(st.sampled_from([*OPEN, *CLOSED]), min_size=1, max_size=3), min_size=1, max_size=3),
    days=st.integers(0, 1000),
)
def test_nothing_that_is_told_changes_whatever_is_taken_away(tmp_path_factory, states, days):
    with open_workspace(bare_workspace(tmp_path_factory.mktemp("w") / "w")) as workspace:
        names = [an_issue(workspace, day, of_one, done=not set(of_one) & {S.READY, S.INFLIGHT}) for day, of_one in enumerate(states, 1)]
        make_older(workspace, days)
        before = answers(workspace, names)
        with workspace.store.read() as tx:
            newest = highest_attempt(tx)
        retention.prune(workspace)
        assert answers(workspace, names) == before
        with workspace.store.read() as tx:
            assert highest_attempt(tx) == newest, "or the restore guard would take this for an older copy"
        assert not retention.prune(workspace).any


def test_what_is_held_keeps_its_evidence_however_old(workspace):
    an_issue(workspace, 1, [S.HELD, S.ACCEPTED], done=True)
    make_older(workspace, 2000)
    done = retention.prune(workspace)
    assert (done.events, done.bounces, done.attempts) == (0, 0, 0)
    assert operate.held(workspace)[0].attempt


def test_an_mbox_that_still_holds_a_bounce_does_not_bring_it_back(workspace, tmp_path):
    box = tmp_path / "mbox"
    box.write_bytes(b"From x Fri May  1 09:00:00 2026\n" + corpus.make(corpus.POSTFIX).replace(b"\r\n", b"\n"))
    assert feedback.take_mailbox(workspace, box).taken == 1
    feedback.apply(workspace)
    make_older(workspace, 31)
    assert retention.prune(workspace).bodies == 1
    with workspace.store.read() as tx:
        assert tx.execute(select(schema.event_inbox.c.body)).scalars().all() == [b""]
    assert feedback.take_mailbox(workspace, box).known == 1
    assert not retention.prune(workspace).any


def test_events_of_nobody_known_and_bodies_not_yet_applied(workspace):
    feedback.take_webhook(workspace.store, "sendgrid", body([told("f" * 32, "", "delivered")]))
    feedback.apply(workspace)
    feedback.take_webhook(workspace.store, "sendgrid", body([told("e" * 32, "", "delivered")]))
    make_older(workspace, 31)
    done = retention.prune(workspace)
    assert (done.bodies, done.events) == (1, 1)
    assert feedback.apply(workspace).events == 1, "what was not applied yet is not lost"
