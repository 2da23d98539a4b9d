"""What only a server can do wrong: several writers at once, settings that lose commits, a restart in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import BigInteger, text, update

from digest.errors import ConfigError, StoreAway, StoreError
from digest.model import DeliveryState as S
from digest.store import claiming, ledger, now, open_store, outcomes, plans, schema, settling
from digest.store.dialect import TURN_AT
from digest.store.mark import Guard, new_epoch
from digest.store.patience import patiently
from digest.store.schema import metadata
from digest.workspace import open_workspace
from tests.support.feedback import add_issue, add_people, bare_workspace
from tests.support.postgres import empty


@pytest.fixture
def workspace(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setenv("DIGEST_STORE__URL", postgres_url)
    with open_workspace(bare_workspace(tmp_path / "w")) as opened:
        yield opened


def ready(workspace, count, editions=1, day=1):
    rows = add_people(workspace, count, name=f"r{day}-")
    issue = add_issue(workspace, day)
    with workspace.store.write() as tx:
        made = plans.put_editions(tx, issue, [plans.NewEdition(f"e{n}", "{}", 1) for n in range(editions)])
        chosen = [plans.Plan(row, (), made[f"e{n % editions}"], S.PLANNED, "") for n, row in enumerate(rows)]
        plans.put_plans(tx, issue, chosen, "x")
        plans.open_for_dispatch(tx, issue)
    return issue


def claim(tx, issue, k, **how):
    return ledger.claim(tx, issue, k, owner="x", lease=timedelta(hours=1), provider="smtp", **how)


def test_rows_are_counted_beyond_32_bits(workspace):
    """Half a million readers and a letter a day use up the numbers of 32 bits in twelve years; a busy list of events, much sooner."""
    growing = [table.name for table in metadata.sorted_tables if "id" in table.c and isinstance(table.c.id.type, BigInteger)]
    assert {"subscriber", "delivery", "attempt", "edition", "provider_event", "event_inbox", "consent"} <= set(growing)
    with workspace.store.write() as tx:
        for name in growing:
            tx.execute(text(f"SELECT setval('{name}_id_seq', {2**31 + 5})"))
    issue = ready(workspace, 2)
    with workspace.store.write(together=True) as tx:
        found = claim(tx, issue, 2)
        done = [ledger.Settled(one, S.ACCEPTED) for one in found.deliveries]
        assert ledger.settle(tx, found, done, outcome="answered") == 0
    assert min(found.attempt, *(number for one in found.deliveries for number in (one.id, one.subscriber, one.edition))) > 2**31
    with workspace.store.read() as tx:
        assert outcomes.counts(tx, issue)[S.ACCEPTED] == 2


def test_two_claims_at_the_same_time_take_different_rows(workspace):
    issue = ready(workspace, 5)
    with workspace.store.write(together=True) as one, workspace.store.write(together=True) as two:
        first, second = claim(one, issue, 3), claim(two, issue, 3)
    assert len(first.deliveries) == 3 and len(second.deliveries) == 2
    assert not {d.did for d in first.deliveries} & {d.did for d in second.deliveries}


def test_two_claims_of_one_edition_each_find_one(workspace):
    issue = ready(workspace, 4, editions=2)
    with workspace.store.write(together=True) as one, workspace.store.write(together=True) as two:
        first, second = claim(one, issue, 9, one_edition=True), claim(two, issue, 9, one_edition=True)
    assert len(first.deliveries) == len(second.deliveries) == 2
    assert first.deliveries[0].edition != second.deliveries[0].edition


def plan_of(workspace, statement, given, part):
    """What the server does for a part of a statement, a CTE: every step, with the rows that came out of it. It compiles nothing."""
    compiled = statement.compile(dialect=workspace.store.engine.dialect)
    values = {name: given.get(name, value if value is not None else "") for name, value in compiled.params.items()}
    with workspace.store.write(together=True) as tx:
        (plan,) = tx.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled.string}", values).scalar_one()
    assert "JIT" not in plan
    steps, found = [(plan["Plan"], False)], []
    while steps:
        step, inside = steps.pop()
        inside = inside or step.get("Subplan Name") == f"CTE {part}"
        found += [(step["Node Type"], step.get("Relation Name", ""), step["Actual Rows"] * step["Actual Loops"])] if inside else []
        steps += [(below, inside) for below in step.get("Plans", [])]
    return found


SEEN = pytest.mark.parametrize("seen", ["nothing", "few", "planned", "ready"])


def issue_of(workspace, postgres_url, seen, *, wait=0):
    """300 deliveries that are ready. The server knows nothing of them, or what an earlier and smaller list left, or, as after planning,
    what was there before any was ready. Gives the issue and the time.
    """
    if seen == "few":
        ready(workspace, 4, day=2, editions=3)
        with workspace.store.write() as tx:
            plans.analyse_planned(tx)
        empty(postgres_url)
    issue = ready(workspace, 300, editions=2)
    ours = update(schema.delivery).where(schema.delivery.c.issue_id == issue)
    with workspace.store.write() as tx:
        if seen == "nothing":
            tx.execute(text("DELETE FROM pg_statistic WHERE starelid IN ('delivery'::regclass, 'subscriber'::regclass)"))
        if seen == "planned":
            tx.execute(ours.values(state=S.PLANNED.value))
            plans.analyse_planned(tx)
            tx.execute(ours.values(state=S.READY.value))
        if wait:
            tx.execute(ours.values(next_at=now(tx) - timedelta(minutes=1)))
        if seen == "ready":
            plans.analyse_planned(tx)
        return issue, now(tx)


@SEEN
@pytest.mark.parametrize("one_edition", [False, True])
@pytest.mark.parametrize("wait", [0, 1])
def test_a_claim_looks_at_no_more_deliveries_than_it_takes(workspace, postgres_url, one_edition, wait, seen):
    """Whatever the server knows of the table. Once it read and sorted all that was ready for each claim: 19 ms of 4,000, now 1.4."""
    issue, at = issue_of(workspace, postgres_url, seen, wait=wait)
    given = {"issue": issue, "k": 2, "at": at, "until": at, "owner": "x", "provider": "x", "ref": "", "aid": "x", "known": []}
    steps = plan_of(workspace, claiming._STATEMENTS[one_edition][wait], given, "chosen")
    assert max(rows for _, table, rows in steps if table == "delivery") <= 2 and not any("Sort" in kind for kind, _, _ in steps), steps


@SEEN
def test_an_outcome_looks_at_no_more_deliveries_than_it_is_of(workspace, postgres_url, seen):
    issue, at = issue_of(workspace, postgres_url, seen)
    with workspace.store.write(together=True) as tx:
        found = claim(tx, issue, 3)
    outcomes = [{"row": one.id, "epoch": one.epoch, "new_state": "accepted", "why": "", "called": True} for one in found.deliveries]
    given = {"attempt": found.attempt, "now": at, "rows": [one.id for one in found.deliveries], "outcomes": json.dumps(outcomes)}
    steps = plan_of(workspace, settling._SETTLE, given, "moved")
    assert max(rows for _, table, rows in steps if table == "delivery") == 3, steps


@contextlib.contextmanager
def wire(workspace, file):
    """Gives what counts how often the server was asked since the last count, as libpq writes it down. The pool has one connection."""
    with workspace.store.read() as tx:
        traced = tx.connection.dbapi_connection.pgconn
    with file.open("ab") as log:

        def questions():
            traced.untrace()
            asked = re.findall(r"\tF\t\d+\t(?:Query|Sync)\b", file.read_text())
            os.truncate(file, 0)
            traced.trace(log.fileno())
            return len(asked)

        questions()
        try:
            yield questions
        finally:
            traced.untrace()


def test_a_batch_takes_seven_questions(workspace, tmp_path):
    """How many it takes is what bounds a fleet. A transaction takes none to begin, and the clock is asked without one."""
    issue = ready(workspace, 4)
    with wire(workspace, tmp_path / "wire") as questions:
        with workspace.store.write(together=True) as tx:
            found = claim(tx, issue, 3)
        assert questions() == 3  # the turn with its settings, the claim, the commit
        workspace.store.now()
        assert questions() == 1
        with workspace.store.write(together=True) as tx:
            ledger.settle(tx, found, [ledger.Settled(one, S.ACCEPTED) for one in found.deliveries], outcome="answered")
        assert questions() == 3
    assert found.readers.keys() == {one.subscriber for one in found.deliveries} and len(found.selections) == 1
    with workspace.store.write(together=True) as tx:
        assert claim(tx, issue, 1, known=found.selections).selections == {}


@pytest.mark.parametrize("kind", ["alone", "together"])
def test_a_turn_that_is_not_had_in_time_leaves_nothing_open(workspace, kind):
    """Its settings and its lock go with the question that asked for them: the transaction had not begun."""
    store = workspace.store
    with store.write() as tx:
        waiting = tx.info[TURN_AT]
        store.backend.turn_s = 0.05
        with pytest.raises(StoreAway, match="busy"), store.write(together=kind == "together"):
            raise AssertionError("two at once")
    store.backend.turn_s = None
    with store.write(together=True) as tx:
        assert tx.info[TURN_AT] > waiting
        told = tx.execute(text("SELECT current_setting('enable_sort'), current_setting('transaction_isolation')")).one()
    assert tuple(told) == ("off", "read committed")
    with store.read() as tx:
        told = tx.execute(text("SELECT current_setting('enable_sort'), current_setting('lock_timeout')")).one()
        assert tuple(told) == ("on", "0")
        assert tx.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar() == 0


def test_who_writes_alone_waits_for_those_who_write_together_and_they_for_him(workspace):
    done = []

    def alone():
        with workspace.store.write():
            done.append("alone")

    with workspace.store.write(together=True):
        thread = threading.Thread(target=alone)
        thread.start()
        with workspace.store.read() as tx:
            while not tx.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).scalar():
                time.sleep(0.01)
        done.append("together")
    thread.join()
    assert done == ["together", "alone"]


def test_a_report_is_of_one_moment(workspace):
    issue = ready(workspace, 2)
    with workspace.store.read() as tx:
        before = outcomes.counts(tx, issue)
        with workspace.store.write(together=True) as other:
            claim(other, issue, 1)
        assert outcomes.counts(tx, issue) == before
        with pytest.raises(StoreError, match="cannot be written"), workspace.store.read() as looking:
            new_epoch(looking)


@pytest.mark.parametrize("weak", ["off", "local", "remote_write"])
def test_a_server_that_may_lose_a_commit_is_refused(tmp_path, postgres, weak):
    url = postgres.database()
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {weak}')
    with pytest.raises(StoreError, match="does not keep what it commits"):
        open_store(tmp_path, url, None)


def test_a_session_that_was_made_weaker_afterwards_is_refused(workspace):
    """As a pooler may hand one out: the settings were looked at in another."""
    connection = workspace.store.engine.connect()
    connection.execute(text("SET SESSION synchronous_commit = off"))
    connection.commit()
    connection.close()  # back in the pool, to be had by the next
    with pytest.raises(StoreError, match="does not keep what it commits"), workspace.store.write():
        pass


def test_a_restart_in_the_middle_is_waited_for_and_nothing_is_done_twice(tmp_path, postgres, monkeypatch):
    if not hasattr(postgres, "process"):
        pytest.skip("a server that was given to the tests is not restarted")
    monkeypatch.setenv("DIGEST_STORE__URL", postgres.database())
    with open_workspace(bare_workspace(tmp_path / "w")) as opened:
        issue = ready(opened, 4)
        tries = []

        def take():
            with opened.store.write(together=True) as tx:
                found = claim(tx, issue, 2, aid="a" * 32)
                tries.append(found)
                if len(tries) == 1:
                    postgres.kill()
                    threading.Timer(0.5, postgres.start).start()
            return found

        def recall():
            with opened.store.write(together=True) as tx:
                ledger.recall(tx, "a" * 32)

        found = patiently(take, recall)
        assert len(tries) == 2 and len(found.deliveries) == 2
        with opened.store.read() as tx:
            assert {state: n for state, n in outcomes.counts(tx, issue).items() if n} == {S.READY: 2, S.INFLIGHT: 2}


def test_a_claim_whose_commit_came_through_unseen_is_given_back(workspace):
    issue = ready(workspace, 2)
    tries = []

    def take():
        with workspace.store.write(together=True) as tx:
            found = claim(tx, issue, 2, aid=f"{len(tries):032}")
        tries.append(found)
        if len(tries) == 1:
            raise StoreAway("the answer to the commit was lost")
        return found

    def recall():
        with workspace.store.write(together=True) as tx:
            assert ledger.recall(tx, f"{0:032}") == 2

    assert len(patiently(take, recall).deliveries) == 2


def test_a_machine_without_a_mark_is_new_and_one_with_an_old_mark_sees_a_restore_once(workspace, tmp_path):
    issue = ready(workspace, 1)
    one, two = Guard(tmp_path / "one", shared=True), Guard(tmp_path / "two", shared=True)
    with workspace.store.write() as tx:
        epoch = new_epoch(tx)
        number = claim(tx, issue, 1).attempt
        assert not one.is_older_copy(tx)
    one.write(epoch, number, now=True)
    two.write(epoch, number + 5, now=True)  # it had handed over more than this database knows of
    with workspace.store.write() as tx:
        assert not one.is_older_copy(tx)
        assert two.is_older_copy(tx)
        new_epoch(tx)  # two has dealt with it
        assert not one.is_older_copy(tx)
        assert now(tx)
    stranger = Guard(tmp_path / "three", shared=True)
    stranger.write("f" * 32, 0, now=True)
    with workspace.store.read() as tx:
        assert stranger.is_older_copy(tx)


def test_without_its_packages_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"digestpress\[scale\]"):
        open_store(tmp_path, "postgresql://localhost/x", None)
