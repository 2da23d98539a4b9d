"""Many rows in one statement say the same as SQLAlchemy's own way of it, in both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, StatementError

from digest.errors import StoreError
from digest.store import open_store
from digest.store.bulk import among, listed, run_many
from digest.store.dialect import upsert
from digest.store.schema import Instant

SAMPLE = Table(
    "bulk_sample",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("word", String, nullable=False),
    Column("at", Instant),
    Column("n", Integer, nullable=False, default=7),
)
ZONES = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))
INSTANTS = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=ZONES)  # noqa: DTZ001 - hypothesis adds the zone
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ROWS = st.lists(st.tuples(WORDS, INSTANTS), min_size=1, max_size=30)
OFTEN = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def store(tmp_path, request, on_both):
    url = "sqlite:///var/digest.db" if on_both == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_store(tmp_path, url, None)
    with opened.write() as tx:
        SAMPLE.create(tx)
    yield opened
    with opened.write() as tx:
        SAMPLE.drop(tx)
    opened.close()


def written(tx):
    return tx.execute(select(SAMPLE.c.id, SAMPLE.c.word, SAMPLE.c.at, SAMPLE.c.n).order_by(SAMPLE.c.id)).all()


@OFTEN
@given(ROWS, st.booleans())
def test_rows_are_written_as_one_by_one(store, rows, says_n):
    values = [{"id": n, "word": word, "at": at} | ({"n": n * n} if says_n else {}) for n, (word, at) in enumerate(rows)]
    with store.write() as tx:
        run_many(tx, insert(SAMPLE), values)
        found = written(tx)
        tx.execute(delete(SAMPLE))
        for one in values:
            tx.execute(insert(SAMPLE), one)
        assert found == written(tx)
        assert [(word, at) for _, word, at, _ in found] == rows
        tx.execute(delete(SAMPLE))


@OFTEN
@given(st.lists(st.integers(0, 20), max_size=30), st.lists(st.integers(0, 20), max_size=30), WORDS, INSTANTS)
def test_only_what_a_statement_meets_is_changed_and_counted(store, there, asked, word, at):
    there = sorted(set(there))
    change = (
        update(SAMPLE)
        .where(SAMPLE.c.id == bindparam("row"), SAMPLE.c.word == "old")
        .values(word=bindparam("to"), at=bindparam("when"), n=3)
    )
    with store.write() as tx:
        run_many(tx, insert(SAMPLE), [{"id": id, "word": "old" if id % 3 else "kept"} for id in there])
        met = run_many(tx, change, [{"row": id, "to": f"{word}!", "when": at} for id in dict.fromkeys(asked)])
        changed = {id for id in there if id in asked and id % 3}
        assert met == len(changed)
        assert {row.id: (row.word, row.at, row.n) for row in written(tx)} == {
            id: (f"{word}!", at, 3) if id in changed else ("old" if id % 3 else "kept", None, 7) for id in there
        }
        tx.execute(delete(SAMPLE))


def test_what_is_there_already_stays_and_no_rows_are_none(store):
    put = [{"id": 1, "word": "first"}, {"id": 1, "word": "second"}, {"id": 2, "word": "third"}]
    with store.write() as tx:
        run_many(tx, upsert(tx, SAMPLE).values(n=5).on_conflict_do_nothing(index_elements=["id"]), put)
        assert [(row.word, row.n) for row in written(tx)] == [("first", 5), ("third", 5)]
        assert run_many(tx, insert(SAMPLE), []) == 0


def test_a_value_that_is_none_of_its_kind_is_refused(store):
    with pytest.raises((ValueError, StatementError), match="needs a zone"), store.write() as tx:
        run_many(tx, insert(SAMPLE), [{"id": 1, "word": "x", "at": datetime(2026, 5, 1)}])  # noqa: DTZ001
    with pytest.raises(StoreError) as told, store.write() as tx:
        run_many(tx, insert(SAMPLE), [{"id": 1, "word": "x"}, {"id": 1, "word": "secret"}])
    assert isinstance(told.value.__cause__, DBAPIError) and "secret" not in str(told.value)
    with store.read() as tx:
        assert written(tx) == []


@pytest.mark.parametrize("count", [0, 1, 3, 5000])
def test_any_number_of_rows_is_named_in_the_same_words(store, count):
    with store.write() as tx:
        run_many(tx, insert(SAMPLE), [{"id": id, "word": "x", "at": datetime(2026, 5, 1, tzinfo=UTC)} for id in range(0, 12000, 2)])
        wanted = list(range(1, count * 2, 1))[:count]
        query = select(SAMPLE.c.id).where(among(tx.dialect.name, SAMPLE.c.id, "rows")).order_by(SAMPLE.c.id)
        found = tx.execute(query, {"rows": listed(tx.dialect.name, wanted)}).scalars().all()
        assert found == [id for id in wanted if id % 2 == 0]
