"""R7: two schedulers on one PostgreSQL, beside workers that take whatever they find: one issue a slot, nobody gets two.

A push runs 50 months, ``DIGEST_TEST_EXAMPLES=nightly`` twenty times as many. In some calls the provider takes longer than the
lease, so that others find it dead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import Counter
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from digest import dispatch, entries, interests, schedule
from digest.errors import IssueError
from digest.model import DeliveryState as S
from digest.providers import Handover, Receipt
from digest.store import schema, workers
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.carrier import Carrier
from tests.support.fleet import SETTINGS
from tests.support.make import CONFIG, at, make_workspace, write_summary

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
MONTHS, RACES = 50, 20 if NIGHTLY else 1
SCHEDULERS, WORKERS, READERS, LEASE_S = 2, 8, 24, 1.0


def when(month: int) -> datetime:
    """The month's slot and a minute; all of it is past, because leases are measured by the database's clock."""
    return at(f"{2021 + month // 12}-{month % 12 + 1:02}-01T10:01")


class Race:
    """One workspace, opened by each scheduler and worker for itself, and what the provider took."""

    def __init__(self, folder, url, monkeypatch, seed):
        config = "\n".join(line for line in CONFIG.splitlines() if "weekly:" not in line) + "\n"
        people = "email,interests\n" + "".join(f"r{n}@example.org,gut\n" for n in range(READERS))
        self.folder = make_workspace(folder, config=config + SETTINGS.replace("URL", url), subscribers=people)
        self.taken, self.drafted, self.errors = Counter(), Counter(), []
        self._lock, self._random = threading.Lock(), Random(seed)
        with open_workspace(self.folder) as opened:
            import_file(opened, self.folder / "subscribers" / "people.csv", interests.load(self.folder))
            schedule.tick(dataclasses.replace(opened, at=at("2020-12-20"), on=at("2020-12-20").date()))  # from now on slots are served
        monkeypatch.setattr(dispatch, "make", self._carrier)
        monkeypatch.setattr(entries, "_LEASE_MARGIN_S", LEASE_S - 0.2)

    def _carrier(self, *_):
        made = Carrier(self._take, batch=2, lanes=2)
        made.longest_s = 0.2
        return made

    def _take(self, aid, parcels):
        with self._lock:
            self.taken.update(parcel.did for parcel in parcels)
            sleeps = self._random.random() < 0.02
        time.sleep(1.3 * LEASE_S if sleeps else 0.02)
        return Handover([Receipt(parcel.did, "accepted") for parcel in parcels])

    def run(self, months):
        """Everybody at once, month by month, each until the month's issue is finished."""
        together = threading.Barrier(SCHEDULERS + WORKERS + 1)

        def ended(opened, name, until):
            assert time.monotonic() < until, f"not finished: {dispatch.status(opened, name)}"
            try:
                return dispatch.status(opened, name).state == "finished"
            except IssueError:  # nobody has drafted it yet
                return False

        def tick(opened):
            for done in schedule.tick(opened):
                with self._lock:
                    self.drafted.update([done.subject] if done.act == "draft" else [])

        def share(opened):
            with opened.store.read() as tx:
                waiting = workers.waiting_issues(tx)
            for one in waiting:
                with contextlib.suppress(IssueError):
                    dispatch.share(opened, one)

        def work(step, acting):
            try:
                with open_workspace(self.folder, acting=acting) as opened:
                    for due in map(when, months):
                        then = dataclasses.replace(opened, at=due, on=due.astimezone(ZoneInfo(opened.zone)).date())
                        together.wait(90)
                        until = time.monotonic() + 60
                        while not ended(then, f"monthly-{due:%Y-%m-%d}", until):
                            step(then)
                            time.sleep(0.2)  # asking takes ten threads of one interpreter longer than the work
                        together.wait(90)
            except BaseException as error:
                self.errors.append(error)
                together.abort()

        threads = [threading.Thread(target=work, args=(tick, schedule.WHO)) for _ in range(SCHEDULERS)]
        threads += [threading.Thread(target=work, args=(share, "worker")) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        with contextlib.suppress(threading.BrokenBarrierError):
            for month in months:
                write_summary(self.folder, f"m{month}", f"{when(month):%Y-%m-%d}", "gut")  # not after the slot: midnight of that day
                together.wait(90)
                together.wait(90)
                if set(self.taken.values()) != {1}:
                    self.errors.append(AssertionError(f"twice: {when(month):%Y-%m}"))
                    together.abort()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(RACES))
def test_two_schedulers_beside_workers_make_one_issue_a_slot_and_nobody_gets_two(tmp_path, postgres, monkeypatch, seed):
    race = Race(tmp_path / "letter", postgres.database(), monkeypatch, seed)
    race.run(range(MONTHS))
    assert not race.errors, race.errors
    assert set(race.drafted.values()) == {1} and len(race.drafted) == MONTHS
    with open_workspace(race.folder) as opened, opened.store.read() as tx:
        slots = tx.execute(select(schema.issue.c.cadence, schema.issue.c.local_date)).all()
        states = dict(tx.execute(select(schema.delivery.c.state, func.count()).group_by(schema.delivery.c.state)).all())
        dids = set(tx.execute(select(schema.delivery.c.did)).scalars())
    assert len(slots) == len(set(slots)) == MONTHS
    assert states.keys() == {S.ACCEPTED.value, S.HELD.value} and sum(states.values()) == MONTHS * READERS
    assert set(race.taken) == dids
