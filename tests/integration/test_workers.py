"""Workers as processes of their own on a real PostgreSQL: they share an issue, stop, die, freeze, and nobody gets two."""

from __future__ import annotations

import contextlib
import json
import signal
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from digest.errors import ConfigError
from digest.queue import Hint, Queue
from digest.store import now, open_store, schema, workers
from digest.worker import Worker, hand_in
from digest.workspace import open_workspace
from tests.support.fleet import ISSUE, ON, Fleet
from tests.support.make import CONFIG, make_workspace

QUICK = ("--delay", "0.01", "--batch", "3", "--lanes", "2", "--lease-margin", "1")


@pytest.fixture
def url(postgres):
    """A database of its own: the queue has tables that the store knows nothing of."""
    return postgres.database()


@pytest.fixture
def fleet(tmp_path, url):
    made = []

    def make(readers, **how):
        made.append(Fleet(tmp_path / "letter", url, readers, **how))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def once(fleet):
    taken = fleet.taken()
    assert set(taken.values()) == {1} and len(taken) == fleet.readers


def test_an_issue_that_is_handed_in_is_planned_and_shared_by_the_workers(fleet):
    one = fleet(240, planned=False)
    slow = ("--delay", "0.1", "--batch", "3", "--lanes", "2", "--beat", "30")  # they find nothing by themselves meanwhile
    with one.held_back():
        one.start(*slow), one.start(*slow)
        one.wait(lambda: one.alive() == 2)
    with open_workspace(one.folder, ON) as opened:
        report = hand_in(opened, ISSUE)
        assert report.status.state == "finished" and report.handed_over == 240 and not report.waits
        assert hand_in(opened, ISSUE).finished_before
    once(one)
    assert len(one.hands()) == 2
    assert one.stop() == [0, 0]
    with open_workspace(one.folder, ON) as opened:
        assert working(opened) == []


def working(opened):
    with opened.store.read() as tx:
        return workers.every(tx)


def test_a_worker_that_is_told_to_end_gives_back_and_another_goes_on(fleet):
    one = fleet(120)
    first = one.start("--delay", "0.2", "--batch", "3", "--lanes", "2")
    one.wait(lambda: len(one.taken()) >= 6)
    first.terminate()
    assert first.wait(timeout=30) == 0
    stands = one.status()
    assert stands.inflight == 0 and 0 < stands.accepted < 120 and stands.ready == 120 - stands.accepted
    one.start(*QUICK)
    one.wait_finished()
    once(one)


def test_what_a_killed_worker_had_in_hand_is_found_by_its_lease(fleet):
    one = fleet(60)
    first = one.start("--delay", "5", "--batch", "3", "--lanes", "2", "--lease-margin", "1", "--knows")
    one.wait(lambda: len(one.taken()) >= 6)
    first.kill()
    first.wait()
    assert one.status().inflight == 6 and sum(lease.deliveries for lease in one.status().leases) == 6
    one.start(*QUICK, "--knows")
    one.wait_finished()
    once(one)
    assert one.status().accepted == 60


def test_a_zombie_that_wakes_after_its_lease_hands_over_nothing_more_of_it(fleet):
    one = fleet(60)
    frozen = one.start("--delay", "0.5", "--batch", "3", "--lanes", "2", "--lease-margin", "1", "--knows")  # not done before it is frozen
    one.wait(lambda: len(one.taken()) >= 3)
    frozen.send_signal(signal.SIGSTOP)
    with open_workspace(one.folder, ON) as opened, opened.store.write() as tx:
        tx.execute(update(schema.delivery).values(lease_until=now(tx) - timedelta(seconds=60)))
    one.start(*QUICK, "--knows")
    one.wait_finished(120)
    assert len(one.hands()) == 2
    frozen.send_signal(signal.SIGCONT)
    assert one.stop() == [0, 0]
    once(one)


def test_a_worker_that_has_been_silent_for_a_day_is_forgotten(postgres_url, tmp_path):
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    with contextlib.closing(open_store(tmp_path, postgres_url, None)) as store:
        with store.write() as tx:
            workers.beat(tx, "dead", long_ago, 1, "")
            workers.beat(tx, "silent", long_ago, 1, "")
            for name, hours in (("dead", 25), ("silent", 23)):
                said = {"started_at": long_ago.isoformat(), "beat_at": (now(tx) - timedelta(hours=hours)).isoformat()}
                value = json.dumps({**said, "concurrency": 1, "doing": ""})
                tx.execute(update(schema.meta).where(schema.meta.c.key == f"worker {name}").values(value=value))
        with store.write() as tx:
            workers.beat(tx, "living", long_ago, 1, "")
            kept = tx.execute(select(schema.meta.c.key).where(schema.meta.c.key.startswith("worker "))).scalars()
            assert set(kept) == {"worker living", "worker silent"}
            assert {one.name: one.alive for one in workers.every(tx)} == {"living": True, "silent": False}


def test_what_was_planned_is_known_to_the_query_planner(fleet):
    """Autovacuum, which would find out in a minute, is off on the tests' server."""
    one = fleet(40)
    with open_workspace(one.folder, ON) as opened, opened.store.read() as tx:
        found = dict(tx.execute(text("SELECT relname, reltuples FROM pg_class WHERE relname IN ('delivery', 'subscriber')")).all())
    assert found == {"delivery": 40, "subscriber": 40}


def test_without_a_worker_the_issue_waits_and_says_so(fleet):
    one = fleet(4)
    with open_workspace(one.folder, ON) as opened:
        report = hand_in(opened, ISSUE)
        assert "no worker is alive" in report.waits and report.status.ready == 4
        assert "tells how it stands" in hand_in(opened, ISSUE, wait=False).waits


def test_a_hint_that_is_waiting_is_not_put_in_twice(url):
    queue = Queue(url)
    queue.make()
    queue.make()
    assert queue.defer(Hint("dispatch", "a"), Hint("dispatch", "b"), Hint("dispatch", "a", 1)) == 3
    assert queue.defer(Hint("dispatch", "a"), Hint("dispatch", "c")) == 1


def test_workers_need_a_queue_and_a_server(tmp_path):
    inline = make_workspace(tmp_path / "inline")
    with pytest.raises(ConfigError, match="queue: procrastinate"):
        Worker(inline).run()
    (inline / "config.yaml").write_text(CONFIG + "queue: procrastinate\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="PostgreSQL"):
        Worker(inline).run()
