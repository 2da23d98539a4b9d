"""A workspace moves from one database to another with everything it has, or not at all."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from sqlalchemy import delete, func, insert, select

from digest import audit, dispatch, gather, interests, issue
from digest.errors import StoreError
from digest.model import DeliveryState as S
from digest.providers import Handover, Receipt
from digest.store import moving, now, open_store, outcomes, schema, workers
from digest.subscribe import import_file
from digest.workspace import move_store, open_workspace
from tests.support.carrier import Carrier
from tests.support.make import make_workspace, write_summary

SQLITE = "sqlite:///var/digest.db"
ISSUE, ON, READERS = "monthly-2026-05-01", date(2026, 5, 1), 6


@pytest.fixture
def letter(tmp_path, monkeypatch):
    """A workspace in the middle of an issue: some accepted, some held, some to come."""
    people = "email,name,interests\n" + "".join(f"r{n}@example.org,Ünï {n},{'gut' if n % 2 else 'vision'}\n" for n in range(READERS))
    made = make_workspace(tmp_path / "letter", subscribers=people)
    write_summary(made, "bacteria", tags="gut")
    write_summary(made, "eyes", tags="vision")
    lost = Carrier(lambda aid, parcels: Handover([Receipt(parcel.did, "uncertain") for parcel in parcels]), batch=1)
    with open_workspace(made, ON) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        monkeypatch.setattr(dispatch, "make", lambda *_: lost)
        dispatch.send(opened, ISSUE)
        with opened.store.write() as tx:
            first = select(func.min(schema.delivery.c.id)).scalar_subquery()
            tx.execute(schema.delivery.update().where(schema.delivery.c.id == first).values(state=S.READY.value, attempt_id=None))
            tx.execute(schema.issue.update().values(state="sending", finished_at=None))
    return made


def test_where_only_a_worker_has_told_that_it_lives_there_is_room(letter, postgres_url):
    with contextlib.closing(open_store(letter, postgres_url, None)) as store, store.write() as tx:
        workers.beat(tx, "somewhere:1:00", now(tx), 1, "")
    assert {one.table: one.rows for one in move_store(letter, SQLITE, postgres_url)}["delivery"] == READERS


def contents(folder, url):
    """Every row of every table, but for the record of the move itself, which the log of the new database ends with."""
    store = open_store(folder, url, None)
    try:
        with store.read() as tx:
            found = {
                table.name: sorted(map(tuple, tx.execute(select(table).order_by(*table.primary_key))), key=repr)
                for table in schema.metadata.sorted_tables
            }
            del found["audit_head"]
            found["audit"] = [row for row in found["audit"] if row[3] != "store.move"]
            return found
    finally:
        store.close()


def test_everything_moves_there_and_back_and_the_issue_goes_on(letter, postgres_url, monkeypatch):
    before = contents(letter, SQLITE)
    moved = move_store(letter, SQLITE, postgres_url)
    counts = {one.table: one.rows for one in moved}
    assert counts.pop("audit_head") == 1
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert contents(letter, postgres_url) == before == contents(letter, SQLITE)

    # It goes on where it stood: nobody who is held is written to, new rows get new numbers.
    monkeypatch.setenv("DIGEST_STORE__URL", postgres_url)
    carrier = Carrier()
    monkeypatch.setattr(dispatch, "make", lambda *_: carrier)
    with open_workspace(letter, ON) as opened:
        log = audit.verify(opened)
        assert log.faults == () and log.records == counts["audit"] + 1
        report = dispatch.send(opened, ISSUE)
        assert len(carrier.taken) == 1 and (report.status.accepted, report.status.held) == (1, READERS - 1)
        with opened.store.write() as tx:
            tx.execute(insert(schema.decision).values(at=now(tx), who="x", what="x", subject="x"))
            assert outcomes.counts(tx, 1)[S.HELD] == READERS - 1

    after = contents(letter, postgres_url)
    again = "sqlite:///var/again.db"
    move_store(letter, postgres_url, again)
    assert contents(letter, again) == after


def test_a_used_target_is_refused_and_left_alone(letter, postgres_url):
    move_store(letter, SQLITE, postgres_url)
    before = contents(letter, postgres_url)
    with pytest.raises(StoreError, match="not empty"):
        move_store(letter, SQLITE, postgres_url)
    assert contents(letter, postgres_url) == before


def test_nothing_moves_while_an_issue_is_planned(letter, postgres_url):
    with open_workspace(letter, ON) as opened, opened.store.write() as tx:
        tx.execute(schema.issue.update().values(state="planning"))
    with pytest.raises(StoreError, match=f"{ISSUE} is being planned"):
        move_store(letter, SQLITE, postgres_url)


def test_a_target_of_another_key_is_refused(letter, postgres_url, tmp_path):
    open_store(tmp_path / "elsewhere", postgres_url, None).close()
    with pytest.raises(StoreError, match="another key"):
        move_store(letter, SQLITE, postgres_url)


def test_a_source_that_is_not_there_is_not_made(letter, postgres_url):
    with pytest.raises(StoreError, match="no database"):
        move_store(letter, "sqlite:///var/nothing.db", postgres_url)
    assert not (letter / "var" / "nothing.db").exists()


@pytest.mark.parametrize("spoil", [lambda rows: rows[:-1], lambda rows: [*rows[:-1], rows[-1] | {"name": b"other"}]])
def test_a_move_that_loses_or_changes_a_row_is_found_out_and_undone(letter, postgres_url, monkeypatch, spoil):
    """The control: a copy that is known to be wrong must not pass."""
    real = moving._write
    monkeypatch.setattr(moving, "_write", lambda tx, table, rows: real(tx, table, spoil(rows) if table.name == "subscriber" else rows))
    with pytest.raises(StoreError, match="subscriber did not arrive|refused"):
        move_store(letter, SQLITE, postgres_url)
    assert not any(rows for name, rows in contents(letter, postgres_url).items() if name != "meta")


def test_a_copied_folder_of_a_moved_workspace_keeps_its_guard(letter, postgres_url, monkeypatch):
    """The mark goes with the move: an older copy of the new database is known as one."""
    move_store(letter, SQLITE, postgres_url)
    monkeypatch.setenv("DIGEST_STORE__URL", postgres_url)
    with open_workspace(letter, ON) as opened, opened.store.read() as tx:
        assert not opened.store.guard.is_older_copy(tx)
    with open_workspace(letter, ON) as opened:
        with opened.store.write() as tx:
            tx.execute(schema.delivery.update().values(attempt_id=None))
            tx.execute(delete(schema.attempt))
        with opened.store.read() as tx:
            assert opened.store.guard.is_older_copy(tx)
