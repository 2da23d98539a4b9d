"""R7: eight workers, all of which would plan, on one issue; some fall asleep in a call and wake after their lease.

``DIGEST_TEST_EXAMPLES=nightly`` runs it 50 times, a push 3 times.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from random import Random

import pytest
from sqlalchemy import delete, select, update

from digest import dispatch, entries, issue
from digest.errors import IssueWaits
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.providers import Handover, Receipt
from digest.store import ledger, schema
from digest.workspace import open_workspace
from tests.support.carrier import Carrier
from tests.support.fleet import ISSUE, ON, Fleet

ROUNDS = 50 if os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly" else 3
WORKERS, READERS = 8, 48
LEASE_S = 2.0


@pytest.fixture
def fleet(tmp_path, postgres):
    return Fleet(tmp_path / "letter", postgres.database(), READERS, planned=False)


def start_anew(workspace):
    """The issue as it was before it was planned, its content frozen. Attempts stay: without them it would be an older copy."""
    with workspace.store.write() as tx:
        for table in ("edition_item", "edition_notice", "delivery", "edition"):
            tx.execute(delete(schema.metadata.tables[table]))
        values = {"state": IssueState.PLANNING.value, "planned": None, "planned_at": None, "finished_at": None}
        tx.execute(update(schema.issue).values(**values))


def run(fleet, monkeypatch, seed, share=dispatch.share):
    """One race. Returns what the provider took, and the deliveries' states by did."""
    taken = Counter()
    lock = threading.Lock()
    rng = Random(seed)

    def script(aid, parcels):
        with lock:
            taken.update(parcel.did for parcel in parcels)
            sleeps = rng.random() < 0.06
        time.sleep(1.3 * LEASE_S if sleeps else 0.005)
        return Handover([Receipt(parcel.did, "accepted") for parcel in parcels])

    def carrier(*_):
        made = Carrier(script, batch=2, lanes=2)
        made.longest_s = 0.2
        return made

    monkeypatch.setattr(dispatch, "make", carrier)
    monkeypatch.setattr(entries, "_LEASE_MARGIN_S", LEASE_S - 0.2)
    errors = []

    def work(workspace):
        try:
            until = time.monotonic() + 80
            while dispatch.status(workspace, ISSUE).state != "finished":
                assert time.monotonic() < until
                with contextlib.suppress(IssueWaits):
                    share(workspace, ISSUE)
                time.sleep(0.1)
        except BaseException as error:
            errors.append(error)

    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_workspace(fleet.folder, ON)) for _ in range(WORKERS)]
        start_anew(opened[0])
        threads = [threading.Thread(target=work, args=(one,)) for one in opened]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        with opened[0].store.read() as tx:
            found = dict(tx.execute(select(schema.delivery.c.did, schema.delivery.c.state)).all())
            assert issue.find(tx, ISSUE).planned == len(found) == READERS
    return taken, found


def test_nobody_gets_two_and_nobody_is_missed_whoever_races_whom(fleet, monkeypatch):
    for seed in range(ROUNDS):
        taken, found = run(fleet, monkeypatch, seed)
        assert set(taken.values()) == {1} and set(taken) == set(found), seed
        assert set(found.values()) <= {S.ACCEPTED.value, S.HELD.value}, seed


def test_a_ledger_that_makes_dead_leases_ready_is_found_out(fleet, monkeypatch):
    """The control: what is known to be wrong must show."""
    real = ledger.reap

    def careless(tx, number, *, everything):
        reaped = real(tx, number, everything=everything)
        tx.execute(update(schema.delivery).where(schema.delivery.c.state == S.UNCERTAIN.value).values(state=S.READY.value))
        return reaped

    monkeypatch.setattr(ledger, "reap", careless)
    doubled = 0
    for seed in range(10):
        taken, _ = run(fleet, monkeypatch, seed)
        doubled += sum(n > 1 for n in taken.values())
        if doubled:
            break
    assert doubled
