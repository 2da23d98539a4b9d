"""Several plan one issue: each reader once, whoever dies or wakes too late, and as one alone would have planned it."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, func, select, update

from digest import dispatch, issue, plan, readiness
from digest.errors import IssueWaits
from digest.model import IssueState
from digest.store import now, parts, schema
from digest.workspace import open_workspace
from tests.support.fleet import ISSUE, ON, Fleet

READERS, PAGE = 90, 7


@pytest.fixture
def fleet(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(plan, "PAGE", PAGE)
    monkeypatch.setattr(plan, "_LOOK_S", 0.02)
    return Fleet(tmp_path / "letter", postgres.database(), READERS, planned=False)


def planned(workspace):
    """What each reader is to get, by the edition's own name."""
    d = schema.delivery.c
    query = select(d.subscriber_id, d.state, d.reason, d.interests, schema.edition.c.hash).outerjoin(
        schema.edition, schema.edition.c.id == d.edition_id
    )
    with workspace.store.read() as tx:
        rows = tx.execute(query).all()
    assert len(rows) == len({row.subscriber_id for row in rows}) == READERS
    return {row.subscriber_id: tuple(row[1:]) for row in rows}


def start_anew(workspace):
    with workspace.store.write() as tx:
        for table in ("edition_item", "edition_notice", "delivery", "edition", "plan_part"):
            tx.execute(delete(schema.metadata.tables[table]))
        tx.execute(update(schema.issue).values(state=IssueState.PLANNING.value, planned=None, planned_at=None))


class Died(BaseException):
    """A process that was killed: nothing of it runs any more."""


def race(fleet, seed, hands=3):
    """One plans, others lend a hand; some die between two transactions, some sleep beyond their lease. Returns how many died."""
    rng, lock, died, errors = Random(seed), threading.Lock(), [], []
    real = plan.Planner.write

    def write(self, tx, *given):
        with lock:
            fate = rng.random()
        if fate < 0.15:
            raise Died
        if fate < 0.3:  # others may take the part meanwhile, and plan the same readers
            with opened.store.engine.connect() as other:
                other.execute(update(schema.plan_part).values(lease_until=now(other) - timedelta(seconds=1)))
                other.commit()
        real(self, tx, *given)

    def work(step):
        with open_workspace(fleet.folder, ON) as workspace:
            try:
                while True:
                    with workspace.store.read() as tx:
                        if issue.find(tx, ISSUE).state is not IssueState.PLANNING:
                            return
                    try:
                        with contextlib.suppress(IssueWaits):
                            step(workspace)
                    except Died:
                        died.append(step)
                        with workspace.store.write() as tx:  # time passes
                            tx.execute(update(schema.plan_part).values(lease_until=now(tx) - timedelta(seconds=1)))
            except BaseException as error:
                errors.append(error)

    def begin(workspace):
        with workspace.store.alone():
            plan.plan(workspace, readiness.make_ready(workspace, ISSUE))

    def help_out(workspace):
        plan.lend_a_hand(workspace, readiness.make_ready(workspace, ISSUE))

    with open_workspace(fleet.folder, ON) as opened:
        start_anew(opened)
        plan.Planner.write = write
        try:
            threads = [threading.Thread(target=work, args=(step,)) for step in (begin, *[help_out] * hands)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
        finally:
            plan.Planner.write = real
        assert not errors, errors
        with opened.store.read() as tx:
            row = issue.find(tx, ISSUE)
            assert row.state is IssueState.SENDING and row.planned == READERS and parts.left(tx, row.id) == 0
    return len(died)


def test_a_worker_told_to_end_ends_after_its_part_and_leaves_the_others_free(fleet, monkeypatch):
    halt, write = threading.Event(), plan.Planner.write

    def write_and_end(self, *given):
        halt.set()
        write(self, *given)

    with open_workspace(fleet.folder, ON) as opened:
        monkeypatch.setattr(plan.Planner, "write", write_and_end)
        with pytest.raises(IssueWaits, match="goes on from there"):
            dispatch.share(opened, ISSUE, halt)
        monkeypatch.setattr(plan.Planner, "write", write)
        with opened.store.read() as tx:
            number = issue.find(tx, ISSUE).id
            left = parts.left(tx, number)
            held = tx.execute(select(func.count()).select_from(schema.plan_part).where(schema.plan_part.c.lease_until.isnot(None))).scalar()
        assert 0 < left == -(-READERS // PAGE) - 1 and held == 0
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
        assert len(planned(opened)) == READERS


def test_several_plan_what_one_would_whoever_dies_or_sleeps(fleet):
    with open_workspace(fleet.folder, ON) as opened:
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
        alone = planned(opened)
        died = 0
        for seed in range(4):
            died += race(fleet, seed)
            assert planned(opened) == alone, seed
    assert died  # else nothing was tried


def test_who_lends_a_hand_writes_nothing_once_planning_was_begun_anew(fleet, monkeypatch):
    """Another issue may have been planned meanwhile, of which a page that was read before knows nothing."""
    with open_workspace(fleet.folder, ON) as opened:
        ready = readiness.make_ready(opened, ISSUE)
        with opened.store.write() as tx:
            parts.begin_term(tx, ready.row.id)
            parts.cut(tx, ready.row.id, "monthly", 0, PAGE)
        real = plan.Planner.page

        def page(self, tx, *given):
            found = real(self, tx, *given)
            with opened.store.write() as other:
                parts.begin_term(other, ready.row.id)
            return found

        monkeypatch.setattr(plan.Planner, "page", page)
        with pytest.raises(IssueWaits, match="begun anew"):
            plan.lend_a_hand(opened, ready)
        with opened.store.read() as tx:
            assert tx.execute(select(schema.delivery.c.id)).first() is None


def test_who_takes_a_part_once_another_issue_is_planned_writes_nothing(fleet):
    with open_workspace(fleet.folder, ON) as opened:
        ready = readiness.make_ready(opened, ISSUE)
        with opened.store.write() as tx:
            parts.begin_term(tx, ready.row.id)
            parts.cut(tx, ready.row.id, "monthly", 0, PAGE)
            parts.begin_term(tx, ready.row.id + 1)
        with pytest.raises(IssueWaits, match="another issue"):
            plan.lend_a_hand(opened, ready)
        with opened.store.read() as tx:
            assert tx.execute(select(schema.delivery.c.id)).first() is None


def test_parts_hold_every_reader_once_and_are_cut_once(fleet):
    with open_workspace(fleet.folder, ON) as opened, opened.store.write() as tx:
        number = issue.find(tx, ISSUE).id
        parts.cut(tx, number, "monthly", 0, PAGE)
        parts.cut(tx, number, "monthly", 0, 1)
        taken = [parts.take(tx, number, "x", timedelta(seconds=9)) for _ in range(READERS // PAGE + 1)]
        assert parts.take(tx, number, "x", timedelta(seconds=9)) is None
        rows = sorted(tx.execute(select(schema.subscriber.c.id)).scalars())
        held = [[row for row in rows if part.after < row and (part.up_to is None or row <= part.up_to)] for part in taken]
        assert sorted(row for part in held for row in part) == rows
        assert {len(part) for part in held[:-1]} == {PAGE}
