"""The store keeps its promises, on a real SQLite file and on a real PostgreSQL server."""

import base64
import threading
from datetime import date, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select

from digest.addresses import parse
from digest.errors import BusyError, ConfigError, StoreError
from digest.events import Suppression
from digest.model import DeliveryState as S
from digest.model import IssueState, Notice, Slot, Status, Subscriber
from digest.store import catalogue, issues, ledger, now, open_store, outcomes, people, plans, schema, suppressions
from digest.store.database import HEAD, migrate, open_empty, version
from digest.store.schema import metadata
from tests.support.make import REPOSITORY, at, make_summary

URL = "sqlite:///var/digest.db"
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
SLOT = Slot(cadence="monthly", local_date=date(2026, 5, 1), opens_after=at("2026-04-01T08:00"), due_at=at("2026-05-01T08:00"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Where the store lies: every test that takes it runs on both."""
    return URL if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def empty_url(request, url):
    """The same, before anything was made in it."""
    if url == URL:
        return url
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def store(tmp_path, url):
    opened = open_store(tmp_path, url, None)
    yield opened
    opened.close()


# --- the database --------------------------------------------------------------------------------------------------------


def test_every_connection_keeps_what_it_commits(store):
    with store.read() as tx:
        if tx.dialect.name == "sqlite":
            assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        else:
            assert tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            assert tx.exec_driver_sql("SHOW fsync").scalar() == "on"


def migrations():
    script = Config()
    script.set_main_option("script_location", str(REPOSITORY / "digest/store/migrations"))
    return ScriptDirectory.from_config(script)


def test_the_migrations_lead_to_the_tables_that_the_program_uses(store):
    assert migrations().get_current_head() == HEAD
    with store.read() as tx:
        assert version(tx) == HEAD
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_what_readers_were_given_is_still_known_after_the_upgrade(tmp_path):
    old = open_empty(tmp_path, URL, None)
    migrate(old, "0002")
    on = "'2026-05-01 00:00:00'"
    with old.write() as tx:
        for statement in (
            f"INSERT INTO summary (id, listed_as, source, published_at, seq) VALUES (1, 'a', 'ours', {on}, 1), (2, 'b', 'ours', {on}, 2)",
            f"INSERT INTO revision (seq, summary_id, hash, body, at) VALUES (1, 1, '', '', {on}), (2, 2, '', '', {on})",
            "INSERT INTO subscriber (id, sid, address_index, address, name, cadence, language, audience, status, status_at, consent_source,"
            f" created_at) VALUES (1, 's1', x'01', '', '', 'm', '', '', 'active', {on}, '', {on}),"
            f" (2, 's2', x'02', '', '', 'm', '', '', 'active', {on}, '', {on})",
            "INSERT INTO issue (id, name, cadence, local_date, opens_after, due_at, state, drafted_at, known_seq, content_hash, frozen,"
            f" uncertain) VALUES (1, 'm-1', 'm', '2026-05-01', {on}, {on}, 'finished', {on}, 2, '', '{{}}', 'hold')",
            "INSERT INTO member (issue_id, summary_id, cadence, seq) VALUES (1, 1, 'm', 1), (1, 2, 'm', 2)",
            "INSERT INTO edition (id, issue_id, hash, selection, html_bytes, problem) VALUES"
            " (1, 1, 'x', '', 0, ''), (2, 1, 'y', '', 0, '')",
            "INSERT INTO delivery (id, issue_id, subscriber_id, edition_id, did, state, state_at, reason, interests, attempts, date_header,"
            f" lease_epoch) VALUES (1, 1, 1, 1, 'd1', 'accepted', {on}, '', '', 1, '', 1),"
            f" (2, 1, 2, 2, 'd2', 'failed', {on}, '', '', 1,"
            " '', 1)",
            "INSERT INTO delivery_item (subscriber_id, summary_id, delivery_id) VALUES (1, 1, 1), (1, 2, 1), (2, 1, 2)",
            "INSERT INTO delivery_notice (subscriber_id, summary_id, notice_hash, delivery_id) VALUES (1, 2, 'n', 1)",
        ):
            tx.exec_driver_sql(statement)
    old.close()
    opened = open_store(tmp_path, URL, None)
    with opened.read() as tx:
        assert plans.seen(tx, 99, 1, 2, [1, 2]) == {1: frozenset({1, 2})}  # the other's delivery came to nothing
        assert plans.seen_before(tx, 1, [2], 99) == {2: "m-1"}
        assert tx.execute(select(schema.edition_notice)).all() == [(1, 2, "n")]
    opened.close()


def test_a_database_of_any_earlier_version_opens_and_keeps_its_rows(tmp_path, url, request):
    script = Config()
    script.set_main_option("script_location", str(REPOSITORY / "digest/store/migrations"))
    for number in sorted(one.revision for one in ScriptDirectory.from_config(script).walk_revisions() if one.revision != HEAD):
        folder = tmp_path / number
        url = url if url == URL else request.getfixturevalue("postgres").database()
        old = open_empty(folder, url, None)
        migrate(old, number)
        with old.write() as tx:
            tx.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('kept', 'yes')")
            tx.exec_driver_sql("INSERT INTO summary (listed_as, source, published_at, seq) VALUES ('a', 'ours', '2026-05-01 00:00:00', 1)")
        old.close()
        opened = open_store(folder, url, None)
        with opened.read() as tx:
            assert version(tx) == HEAD
            assert tx.exec_driver_sql("SELECT value FROM meta").scalar() == "yes"
            assert catalogue.count(tx) == 1
            assert compare_metadata(MigrationContext.configure(tx), metadata) == []
        opened.close()


def test_a_lost_key_is_told_and_no_other_is_made(store, tmp_path, url):
    add(store)
    store.close()
    (tmp_path / "var" / "secret.key").unlink()
    with pytest.raises(ConfigError, match="put the key back"):
        open_store(tmp_path, url, None)
    assert not (tmp_path / "var" / "secret.key").exists()


def test_another_key_is_refused(store, tmp_path, url):
    with pytest.raises(StoreError, match="another key"):
        open_store(tmp_path, url, KEY)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path, empty_url):
    store = open_store(tmp_path, empty_url, None)
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer digest"):
        open_store(tmp_path, empty_url, None)
    with store.read() as tx:
        assert version(tx) == "9999"
    store.close()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mysql://localhost/x", "is not known"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://", "needs a file"),
        ("postgresql://localhost", "name a database"),
        ("postgresql://digest:hunter2@127.0.0.1:9/x", "cannot be reached"),
        ("hunter2", "is no database address"),
    ],
)
def test_a_store_that_cannot_be_is_refused(tmp_path, address, told):
    with pytest.raises(StoreError, match=told) as raised:
        open_store(tmp_path, address, None)
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_no_database_is_told_so(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "digest.db").write_bytes(b"this is not a database, it is a letter" * 100)
    with pytest.raises(StoreError, match="no database"):
        open_store(tmp_path, URL, KEY)


def test_a_transaction_that_raises_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        catalogue.take(tx, make_summary(), now(tx))
        raise ZeroDivisionError
    with store.read() as tx:
        assert catalogue.count(tx) == 0


def test_two_writers_wait_for_each_other(store):
    def write(n):
        for k in range(20):
            with store.write() as tx:
                catalogue.count(tx)
                catalogue.take(tx, make_summary(f"{n}-{k}"), now(tx))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert catalogue.count(tx) == 80


def test_the_second_run_is_told_that_one_is_at_work(store, tmp_path, url):
    other = open_store(tmp_path, url, None)
    with store.alone(), pytest.raises(BusyError, match="another run"), other.alone():
        pass
    with other.alone():
        pass
    other.close()


# --- the catalogue -------------------------------------------------------------------------------------------------------


def take(store, *summaries):
    with store.write() as tx:
        return [catalogue.take(tx, summary, now(tx))[0] for summary in summaries]


def test_a_summary_is_kept_once_by_its_strongest_identifier(store):
    feed = make_summary("1", source="feed", url="https://a.example.org/x?utm_source=mail", doi="10.1/AbC")
    assert take(store, feed) == ["new"]
    assert take(store, make_summary("x", doi="https://doi.org/10.1/abc")) == ["also"]
    assert take(store, make_summary("x", doi="10.1/abc")) == ["same"]
    assert take(store, make_summary("2", source="page", url="http://A.example.org/x/")) == ["also"]
    with store.read() as tx:
        [stored] = catalogue.load(tx)
        assert [source for source, _ in catalogue.also_at(tx, stored.row)] == ["ours", "page"]


def test_two_papers_that_share_a_link_are_two(store):
    assert take(
        store,
        make_summary("1", url="https://a.example.org/list", doi="10.1/a"),
        make_summary("2", url="https://a.example.org/list", doi="10.1/b"),
    ) == ["new", "new"]


def test_a_changed_summary_is_a_new_revision_of_the_same_one(store):
    assert take(store, make_summary("1"), make_summary("1"), make_summary("1", title="Better")) == ["new", "same", "changed"]
    with store.read() as tx:
        [now_it_is] = catalogue.load(tx)
        assert now_it_is.summary.title == "Better"
        first = catalogue.load(tx, [now_it_is.seq - 1])
        assert first[0].summary.title == "Piece 1"


def test_a_summary_keeps_the_id_it_arrived_with(store):
    take(store, make_summary("1"))
    take(store, make_summary("1", doi="10.1/later"))
    with store.read() as tx:
        [stored] = catalogue.load(tx)
    assert stored.summary.id == make_summary("1").id
    assert "doi:10.1/later" in stored.summary.identifiers


def test_a_source_that_corrects_a_doi_means_the_same_piece(store):
    assert take(store, make_summary("1", doi="10.1/wrong"), make_summary("1", doi="10.1/right")) == ["new", "changed"]


def test_a_paper_that_two_sources_turn_out_to_share_is_one(store):
    one = make_summary("a", source="feed", url="https://a.example.org/x", doi="10.1/x")
    other = make_summary("b", source="page", url="https://b.example.org/y")
    assert take(store, one, other) == ["new", "new"]
    assert take(store, make_summary("b", source="page", url="https://b.example.org/y", doi="10.1/x")) == ["also"]
    with store.read() as tx:
        assert [stored.source for stored in catalogue.load(tx)] == ["feed"]
    assert take(store, make_summary("b", source="page", url="https://b.example.org/y")) == ["same"]


def test_a_source_that_is_gone_leaves_its_pieces_to_whoever_brings_them(store):
    take(store, make_summary("a", source="old"))
    changed = make_summary("a", source="new", title="Better")
    with store.write() as tx:
        assert catalogue.take(tx, changed, now(tx), {"new"})[0] == "changed"
        assert [stored.source for stored in catalogue.load(tx)] == ["new"]


# --- people --------------------------------------------------------------------------------------------------------------


def add(store, email="ana@example.org", **values):
    address = parse(email)
    person = Subscriber(**{"id": "", "email": address.spelling, "name": "Ana Canary", "interests": ("gut",), **values})
    with store.write() as tx:
        return people.add(tx, store.vault, address, person, now(tx))


def test_a_stolen_database_tells_nobodys_name(tmp_path):
    store = open_store(tmp_path, URL, None)
    add(store)
    with store.write() as tx:
        suppressions.put(tx, store.vault.index(parse("left@example.org").key), Suppression("operator", now(tx), "test"))
    store.close()
    for file in (tmp_path / "var").glob("digest.db*"):
        raw = file.read_bytes()
        assert not any(word in raw for word in (b"ana@", b"Canary", b"left@"))


def test_a_subscriber_comes_back_as_they_went_in(store):
    add(store, interests=("vision", "gut", "vision"), audience=("patients",), consent_at=at("2026-01-01"), consent_source="form")
    with store.read() as tx:
        found = people.find(tx, store.vault, parse("ANA@EXAMPLE.ORG"))
        assert found is not None
        assert (found.subscriber.email, found.subscriber.name, found.subscriber.interests) == (
            "ana@example.org",
            "Ana Canary",
            ("vision", "gut"),
        )


def test_only_who_may_be_written_to_is_read_for(store):
    rows = [add(store, f"{status}@example.org", status=status) for status in Status]
    barred = add(store, "barred@example.org")
    other = add(store, "weekly@example.org", cadence="weekly")
    with store.write() as tx:
        suppressions.put(tx, store.vault.index(parse("barred@example.org").key), Suppression("operator", now(tx), "test"))
    with store.read() as tx:
        found = [reader.row for reader in people.readers_after(tx, "monthly", 0, 100)]
    assert found == [rows[0]] and barred not in found and other not in found


# --- the ledger ----------------------------------------------------------------------------------------------------------


def planned(store, count=5, notice=None):
    """An issue in dispatch with ``count`` ready deliveries. Returns its row and the subscribers' rows."""
    readers = [add(store, f"r{n}@example.org") for n in range(count)]
    with store.write() as tx:
        _, piece = catalogue.take(tx, make_summary("1", notice=notice), now(tx))
        issue = issues.put_issue(
            tx, SLOT, known_seq=1, content_hash="h", frozen={"interests": [], "selection": {}, "notices": []}, uncertain="hold"
        )
        issues.put_members(tx, issue, "monthly", [(piece, catalogue.highest_seq(tx))], ["ours"])
        edition = plans.put_editions(tx, issue, [plans.NewEdition("e", "{}", 1000, summaries=(piece,))])["e"]
        chosen = [plans.Plan(reader, ("gut",), edition, S.PLANNED, "") for reader in readers]
        plans.put_plans(tx, issue, chosen, "Fri, 01 May 2026 08:00:00 +0000")
        plans.open_for_dispatch(tx, issue)
    return issue, readers


def claim(store, issue, k=10, minutes=5):
    with store.write() as tx:
        return ledger.claim(tx, issue, k, owner="test", lease=timedelta(minutes=minutes), provider="outbox")


def settle(store, claimed, state, **values):
    with store.write() as tx:
        return ledger.settle(tx, claimed, [ledger.Settled(one, state, **values) for one in claimed.deliveries], outcome="answered")


def counts(store, issue):
    with store.read() as tx:
        return {state.value: n for state, n in outcomes.counts(tx, issue).items() if n}


def test_a_delivery_is_claimed_once(store):
    issue, _ = planned(store)
    first, second = claim(store, issue, 3), claim(store, issue, 3)
    assert len(first.deliveries) == 3 and len(second.deliveries) == 2
    assert not {one.did for one in first.deliveries} & {one.did for one in second.deliveries}
    assert claim(store, issue) is None
    assert counts(store, issue) == {"inflight": 5}


def test_who_left_before_the_claim_is_skipped(store):
    issue, readers = planned(store)
    with store.write() as tx:
        found = people.find(tx, store.vault, parse("r0@example.org"))
        people.change(tx, store.vault, readers[0], found.subscriber.model_copy(update={"status": Status.UNSUBSCRIBED}), now(tx))
        suppressions.put(tx, store.vault.index(parse("r1@example.org").key), Suppression("operator", now(tx), "test"))
    claimed = claim(store, issue, 5)  # all: which of one edition come first is nobody's promise
    assert {one.subscriber for one in claimed.deliveries} == set(readers[2:])
    assert counts(store, issue) == {"inflight": 3, "skipped": 2}
    with store.read() as tx:
        assert set(outcomes.reasons(tx, issue)) == {("skipped", "unsubscribed"), ("skipped", "suppressed")}


def test_a_dead_lease_is_uncertain_never_ready(store):
    issue, _ = planned(store)
    claim(store, issue, 2, minutes=-1)
    claim(store, issue, 1)
    with store.write() as tx:
        assert ledger.reap(tx, issue, everything=False) == 2
    assert counts(store, issue) == {"ready": 2, "inflight": 1, "uncertain": 2}


def test_an_outcome_that_comes_after_the_lease_moves_nothing(store):
    issue, _ = planned(store, 1)
    claimed = claim(store, issue)
    with store.write() as tx:
        ledger.reap(tx, issue, everything=True)
        ledger.resolve(tx, [row for row, _ in ledger.uncertain(tx, issue)], S.READY, "")
    again = claim(store, issue)
    assert settle(store, claimed, S.FAILED) == 1
    assert counts(store, issue) == {"inflight": 1}
    assert settle(store, again, S.ACCEPTED) == 0


def test_a_deferred_delivery_waits_for_its_time(store):
    issue, _ = planned(store, 1)
    with store.read() as tx:
        later = now(tx) + timedelta(hours=1)
    settle(store, claim(store, issue), S.READY, next_at=later)
    assert claim(store, issue) is None
    assert counts(store, issue) == {"ready": 1}


def test_what_is_too_late_expires(store):
    issue, _ = planned(store, 2)
    with store.write() as tx:
        issues.move_issue(tx, issue, IssueState.SENDING, send_not_after=now(tx) - timedelta(hours=1))
    assert claim(store, issue) is None
    assert counts(store, issue) == {"expired": 2}


def test_an_issue_and_a_delivery_exist_once(store):
    issue, readers = planned(store, 1)
    with store.write() as tx:  # somebody else planned the same reader meanwhile: the first one stays
        plans.put_plans(tx, issue, [plans.Plan(readers[0], (), None, S.SKIPPED, "")], "x")
    assert counts(store, issue) == {"ready": 1}
    with pytest.raises(StoreError, match="(?i)unique"), store.write() as tx:
        row = dict(tx.execute(select(schema.delivery)).one()._mapping)
        tx.execute(insert(schema.delivery).values(**row | {"id": row["id"] + 1, "did": "another"}))
    with pytest.raises(StoreError, match="(?i)unique"), store.write() as tx:
        row = dict(tx.execute(select(schema.issue)).one()._mapping) | {"id": issue + 1, "name": "another"}
        tx.execute(insert(schema.issue).values(**row))


def test_a_correction_is_owed_to_exactly_those_who_were_sent_it(store):
    issue, readers = planned(store, 3)
    settle(store, claim(store, issue, 2), S.ACCEPTED)  # the third never left
    later = at("2026-06-01T08:00")
    with store.write() as tx:
        assert plans.owed_notices(tx, later, 0, 99) == {}
        catalogue.take(tx, make_summary("1", notice=Notice(kind="correction", at=at("2026-05-20"), text="It was seven.")), now(tx))
        owed = plans.owed_notices(tx, later, 0, 99)
        assert sorted(owed) == readers[:2]
        assert plans.owed_notices(tx, at("2026-05-10"), 0, 99) == {}
        assert len(plans.owed_summaries(tx, later)) == 1
        (piece, hash) = owed[readers[0]][0]
        june = SLOT.model_copy(update={"local_date": date(2026, 6, 1), "due_at": later})
        telling = issues.put_issue(
            tx, june, known_seq=2, content_hash="h", frozen={"interests": [], "selection": {}, "notices": []}, uncertain="hold"
        )
        edition = plans.put_editions(tx, telling, [plans.NewEdition("n", "{}", 1, notices=((piece, hash),))])["n"]
        plans.put_plans(tx, telling, [plans.Plan(readers[0], (), edition, S.PLANNED, "")], "x")
        assert sorted(plans.owed_notices(tx, later, 0, 99)) == readers[1:2]  # told once
        assert plans.owed_summaries(tx, later) == [piece]
        plans.put_plans(tx, telling, [plans.Plan(readers[1], (), edition, S.PLANNED, "")], "x")
        assert plans.owed_notices(tx, later, 0, 99) == {} and plans.owed_summaries(tx, later) == []


def test_no_correction_is_owed_for_what_was_sent_corrected(store):
    issue, _ = planned(store, 1, notice=Notice(kind="correction", at=at("2026-04-20"), text="It was seven."))
    settle(store, claim(store, issue), S.ACCEPTED)
    with store.read() as tx:
        assert plans.owed_notices(tx, at("2026-06-01"), 0, 99) == {}
