"""Subscriber files: what is taken, what is listed, and what an import must never do."""

import csv
import io

import pytest

from digest import interests, suppress
from digest.addresses import parse
from digest.errors import ConfigError
from digest.model import Status
from digest.store import people
from digest.subscribe import export_rows, import_file
from digest.workspace import open_workspace
from tests.support.make import at, make_workspace
from tests.unit.test_addresses import SPELLINGS

HEADER = "email,name,interests,cadence,language,audience,status,consent_at,consent_source\n"


@pytest.fixture
def workspace(tmp_path):
    with open_workspace(make_workspace(tmp_path / "letter")) as opened:
        yield opened


def bring(workspace, text, **options):
    file = workspace.path / "subscribers" / "people.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_file(workspace, file, interests.load(workspace.path), **options)


def found(workspace, address):
    with workspace.store.read() as tx:
        person = people.find(tx, workspace.store.vault, parse(address))
        return person.subscriber if person else None


def told(report):
    return [str(problem) for problem in report.problems]


def test_only_the_address_is_needed(workspace):
    assert bring(workspace, "email\nana@example.org\n").new == 1
    assert found(workspace, "ana@example.org").status is Status.ACTIVE
    assert found(workspace, "ana@example.org").cadence == "monthly"


def test_bad_lines_are_listed_and_the_others_taken(workspace):
    report = bring(
        workspace,
        HEADER
        + "not an address,,,,,,,,\n"
        + "a@example.org,,guts,,,,,,\n"
        + "b@example.org,,gut;vision,weekly,en,patients,active,2026-03-01,form\n"
        + "c@example.org,,,yearly,,,,,\n"
        + "d@example.org,,,,,nurses,,,\n"
        + "e@example.org,,,,,,asleep,,\n"
        + "f@example.org,,,,,,,tomorrow,\n"
        + "g@example.org,Anna, Maria,,,,,,,,\n"
        + '"h\nh@example.org",,,,,,,,\n',
    )
    assert (report.new, report.refused) == (1, 8)
    lines = told(report)
    assert "subscribers/people.csv:2: email: holds a blank, a comma or a semicolon: one address, please" in lines
    assert any(line.startswith('subscribers/people.csv:3: interests: "guts"') and "did you mean gut?" in line for line in lines)
    assert any(line.startswith("subscribers/people.csv:5: cadence:") for line in lines)
    assert any("put a cell with a comma in quotes" in line for line in lines)
    assert not any("example.org" in line for line in lines)
    assert found(workspace, "b@example.org").interests == ("gut", "vision")


def test_twenty_spellings_are_one_subscriber(workspace):
    text = io.StringIO()
    csv.writer(text).writerows([["email"], *([spelling] for spelling in SPELLINGS)])
    report = bring(workspace, text.getvalue())
    assert (report.new, report.refused) == (1, 19)
    assert all("the same address as line 2" in line for line in told(report))


def test_importing_again_changes_nothing(workspace):
    text = HEADER + "a@example.org,Ana,gut,monthly,en,patients,active,2026-03-01,form\n"
    bring(workspace, text)
    assert bring(workspace, text).model_dump(exclude={"problems"}) == {
        "new": 0,
        "changed": 0,
        "same": 1,
        "kept": 0,
        "refused": 0,
        "dry_run": False,
    }


def test_a_dry_run_counts_and_changes_nothing(workspace):
    assert bring(workspace, "email\na@example.org\n", dry_run=True).new == 1
    assert found(workspace, "a@example.org") is None


def test_empty_cells_change_nothing(workspace):
    bring(workspace, HEADER + "a@example.org,Ana,gut,weekly,en,patients,,2026-03-01,form\n")
    bring(workspace, HEADER + "a@example.org,,vision,,,,,,\n")
    kept = found(workspace, "a@example.org")
    assert (kept.name, kept.interests, kept.cadence, kept.consent_at) == ("Ana", ("vision",), "weekly", at("2026-03-01"))


@pytest.mark.parametrize("status", ["unsubscribed", "suppressed"])
def test_an_import_never_revives_who_left(workspace, status):
    bring(workspace, HEADER + f"a@example.org,,gut,,,,{status},,\n")
    report = bring(workspace, HEADER + "A@Example.org,Ana,gut,,,,active,2026-04-01,form\n")
    assert found(workspace, "a@example.org").status == status
    assert any("does not revive" in line for line in told(report))


def test_an_import_never_brings_a_suppressed_address_in(workspace):
    suppress.add(workspace, "a@example.org")
    report = bring(workspace, "email\na@example.org\n")
    assert (report.new, report.kept) == (0, 1)
    assert found(workspace, "a@example.org") is None


def test_an_import_never_lowers_a_consent_record(workspace):
    bring(workspace, HEADER + "a@example.org,,gut,,,,,2026-03-01,form\n")
    bring(workspace, HEADER + "a@example.org,,gut,,,,,2025-01-01,old list\n")
    assert found(workspace, "a@example.org").consent_source == "form"
    bring(workspace, HEADER + "a@example.org,,gut,,,,,2026-05-01,form again\n")
    assert found(workspace, "a@example.org").consent_source == "form again"


def test_an_import_does_not_end_a_pause_without_a_newer_consent(workspace):
    bring(workspace, HEADER + "a@example.org,,gut,,,,paused,2026-03-01,form\n")
    assert any("is paused" in line for line in told(bring(workspace, HEADER + "a@example.org,,gut,,,,active,,\n")))
    assert found(workspace, "a@example.org").status is Status.PAUSED
    bring(workspace, HEADER + "a@example.org,,gut,,,,active,2026-04-01,form\n")
    assert found(workspace, "a@example.org").status is Status.ACTIVE


def test_a_pending_address_is_not_confirmed_without_consent(workspace):
    bring(workspace, HEADER + "a@example.org,,gut,,,,pending,,\n")
    assert any("not confirmed" in line for line in told(bring(workspace, HEADER + "a@example.org,,gut,,,,active,,\n")))
    assert found(workspace, "a@example.org").status is Status.PENDING
    bring(workspace, HEADER + "a@example.org,,gut,,,,active,2026-04-01,form\n")
    assert found(workspace, "a@example.org").status is Status.ACTIVE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("email,name\na@example.org,José\n".encode("cp1252"), "people.csv:2: not UTF-8"),
        (b"name\nAna\n", "email among them"),
        (b"email,nmae\na@example.org,Ana\n", "did you mean name?"),
        (b"email,email\n", "stands twice"),
        (b"email;name\na@example.org;Ana\n", "semicolons"),
        (b"", "the first line must name the columns"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
    ],
)
def test_what_is_no_subscriber_file_is_refused_whole(workspace, text, told):
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        bring(workspace, text)


def test_the_encoding_can_be_named(workspace):
    text = "email,name\na@example.org,José\n".encode("cp1252")
    assert bring(workspace, text, encoding="cp1252").new == 1
    assert found(workspace, "a@example.org").name == "José"


def test_an_export_imports_again_and_is_safe_in_a_spreadsheet(workspace):
    bring(workspace, HEADER + 'a@example.org,"=HYPERLINK(""x"")",gut;vision,weekly,en,patients;clinicians,paused,2026-03-01,form\n')
    with workspace.store.read() as tx:
        rows = list(export_rows(person.subscriber for person in people.everyone(tx, workspace.store.vault)))
    assert rows[1][1].startswith("'=")
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    assert bring(workspace, text.getvalue()).same == 1


def test_cells_with_line_breaks_or_no_end_are_refused(workspace):
    report = bring(workspace, 'email,name\na@example.org,"Ana\nBcc: x"\nb@example.org,Ben\n')
    assert (report.new, report.refused) == (1, 1)


def test_a_quote_that_is_never_closed_is_told_with_its_line(workspace):
    report = bring(workspace, 'email,name\na@example.org,Ana\nb@example.org,"Ben\n' + "".join(f"c{n}@example.org,\n" for n in range(9)))
    assert report.new == 1
    assert any("people.csv:3: a quote that opens here is never closed" in line for line in told(report))
