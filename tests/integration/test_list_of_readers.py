"""Readers by filter: a page is what going through everybody one by one would give, on both databases."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from digest import interests, readers
from digest.addresses import parse
from digest.admin import reports, segments
from digest.admin.segments import Filter
from digest.errors import ConfigError
from digest.model import Status, Subscriber
from digest.store import figures, now, pages, people, suppressions
from digest.subscribe import import_file, problem_rows
from digest.workspace import open_workspace
from tests.support.make import make_workspace

FILTERS = [
    Filter(),
    Filter(status=Status.PAUSED),
    Filter(cadence="weekly"),
    Filter(cadence="weekly", status=Status.ACTIVE),
    Filter(interests=("gut",)),
    Filter(interests=("gut", "vision"), cadence="weekly"),
    Filter(interests=("diet",), source="form"),
    Filter(source="import", language="de"),
    Filter(language="xx"),
    Filter(consent_older_days=300),
    Filter(consent_newer_days=100, status=Status.ACTIVE),
    Filter(consent_older_days=380, interests=("gut",)),
]


@pytest.fixture
def listed(tmp_path, on_both):
    with open_workspace(make_workspace(tmp_path / "letter")) as opened:
        vault, at = opened.store.vault, datetime.now(UTC)
        with opened.store.write() as tx:
            for n in range(40):
                one = Subscriber(
                    id="",
                    email=f"r{n}@example.org",
                    interests=tuple(id for k, id in enumerate(("gut", "diet", "vision")) if n % (k + 2) == 0),
                    cadence="weekly" if n % 3 == 0 else "monthly",
                    language="de" if n % 7 == 0 else "",
                    status=Status.PAUSED if n % 11 == 0 else Status.ACTIVE,
                    consent_at=at - timedelta(days=9 * n, hours=1),
                    consent_source="form" if n % 2 else "import",
                )
                people.add(tx, vault, parse(one.email), one, at)
        readers.forget_address(opened, "r8@example.org")
        yield opened


def fits(one, filter, at):
    """Written down anew, on one reader."""
    age = at - one.consent_at
    return (
        (not filter.interests or bool(set(filter.interests) & set(one.interests)))
        and filter.cadence in ("", one.cadence)
        and filter.status in (None, one.status)
        and filter.source in (None, one.consent_source)
        and filter.language in (None, one.language)
        and (filter.consent_older_days is None or age > timedelta(days=filter.consent_older_days))
        and (filter.consent_newer_days is None or age <= timedelta(days=filter.consent_newer_days))
    )


def test_pages_are_what_going_through_everybody_gives(listed, monkeypatch):
    with listed.store.read() as tx:
        everybody = [(person.row, person.subscriber) for person in people.everyone(tx, listed.store.vault)]
    for windows in ((400, 4000), (3, 5)):  # wide ones, and such as end in the middle of everything
        monkeypatch.setattr(pages, "_WINDOWS", windows)
        for filter in FILTERS:
            wanted = [(row, one) for row, one in everybody if fits(one, filter, listed.at)]
            found, after, asked = [], 0, 0
            while after is not None:
                part = segments.page(listed, filter, after, 7)
                assert len(part.readers) <= 7
                found += part.readers
                assert part.next is None or part.next > after
                after, asked = part.next, asked + 1
                assert asked <= len(everybody) + 1
            assert [tuple(one) for one in found] == wanted, (windows, filter.said())
            assert segments.count(listed, filter) == len(wanted)
            assert list(segments.everyone(listed, filter)) == [one for _, one in wanted]


def test_a_window_that_skipped_somebody_is_found_out(listed, monkeypatch):
    """The control: pages that go on one row too far lose a reader, and the comparison above would say so."""
    page = pages.page

    def hasty(tx, vault, wanted, after=0, limit=100):
        part = page(tx, vault, wanted, after, limit)
        return part._replace(next=part.next + 1) if part.next else part

    monkeypatch.setattr(pages, "page", hasty)
    assert len(list(segments.everyone(listed, Filter()))) == 39  # one page only: nothing to skip
    found, after = [], 0
    while after is not None:
        part = segments.page(listed, Filter(), after, 7)
        found, after = found + part.readers, part.next
    assert len(found) < 39


def test_a_filter_is_saved_under_a_name_and_narrowed(listed):
    segments.save(listed, "gut-weekly", Filter(interests=("gut",), cadence="weekly"))
    segments.save(listed, "gut-weekly", Filter(interests=("gut",), cadence="monthly"))
    assert [(one.name, filter.cadence) for one, filter in segments.every(listed)] == [("gut-weekly", "monthly")]
    assert segments.find(listed, "gut-weekly").interests == ("gut",)
    with pytest.raises(ConfigError, match="did you mean gut"):
        segments.check(Filter(interests=("gutt",)), interests.load(listed.path), ("monthly",))
    segments.remove(listed, "gut-weekly")
    with pytest.raises(ConfigError, match="no segment"):
        segments.find(listed, "gut-weekly")


def test_a_file_with_other_columns_is_taken_in_and_told_about(listed, tmp_path):
    file = tmp_path / "theirs.csv"
    file.write_text('E-Mail;Themen;Notiz\nnew@example.org;gut;"=1+1"\nbad;gut;\nother@example.org;guts;\n')
    columns = {"email": "E-Mail", "interests": "themen"}
    tried = import_file(listed, file, interests.load(listed.path), delimiter=";", columns=columns, dry_run=True)
    assert (tried.new, tried.refused) == (1, 2)
    rows = list(problem_rows(tried))
    assert [row[:2] for row in rows] == [["line", "taken"], ["3", "no"], ["4", "no"]]
    assert "did you mean gut" in rows[2][2]
    for wrong, told in (
        ({"email": "Mail"}, "has no column"),
        ({"mail": "E-Mail"}, "no column of ours"),
        ({"name": "Notiz"}, "email among"),
    ):
        with pytest.raises(ConfigError, match=told):
            import_file(listed, file, interests.load(listed.path), delimiter=";", columns=wrong)


def test_the_readers_report_adds_up_to_the_list(listed):
    with listed.store.read() as tx:
        ids = [person.subscriber.id for person in people.everyone(tx, listed.store.vault)]
    for sid in ids[:12]:
        readers.leave(listed, sid, "page", "too_many")
    readers.come_back(listed, ids[0])
    readers.forget_address(listed, "r30@example.org")
    with listed.store.write() as tx:
        suppressions.put(tx, listed.store.vault.index(parse("r31@example.org").key), SUPPRESSED(now(tx)))
    with listed.store.read() as tx:
        stands = people.count_by_status(tx)
        changes = figures.status_changes(tx)
    found = reports.report(listed, "readers")
    last = dict(zip(found.columns[1:], found.rows[-1][1:], strict=True))
    assert {status: count for status, count in last.items() if count} == stands
    assert sum(one.readers for one in changes if not one.old) == 40
    left = reports.report(listed, "joins")
    assert [row[2:] for row in left.rows if row[1] == "left" and row[2] == "page: too_many"] == [("page: too_many", 12)]
    assert "<10" in {row[3] for row in left.rows}  # the one who was suppressed


def SUPPRESSED(at):
    from digest.events import Suppression

    return Suppression("complaint", at, "told by the provider")


def test_every_report_is_a_table_and_a_picture(listed):
    for name in reports.REPORTS:
        found = reports.report(listed, name)
        assert all(len(row) == len(found.columns) for row in found.rows)
        assert all(len(one.values) == len(found.picture.labels) for one in found.picture.series)
        table = list(csv.reader(io.StringIO(reports.as_csv(found))))
        assert table[0] == list(found.columns) and len(table) == len(found.rows) + 1
        picture = reports.as_svg(found)
        assert picture.startswith("<svg ") and 'role="img"' in picture and "prefers-color-scheme:dark" in picture
        assert "@" not in picture.replace("@media", "") + reports.as_csv(found)
