"""What a person can do when the main job is done: each story from the outside."""

import json
import subprocess
import sys

import pytest

from tests.support.email_rules import check_message
from tests.support.make import CONFIG, REPOSITORY, write_summary
from tests.support.person import Person

ISSUE = "monthly-2026-05-01"


def files(folder):
    return {file: file.read_bytes() for file in sorted((folder / "var" / "outbox").rglob("*")) if file.is_file()}


def test_make_runs_command_reports_and_says_what_to_open(demo):
    said = demo.first_run.stdout
    assert "Imported 40 new subscribers" in said
    for word in ("gathered", "in the issue", "planned", "editions", "handed over", "skipped", "no interests"):
        assert word in said
    assert f"Open var/outbox/{ISSUE}/index.html in a browser." in said
    assert (demo.folder / "var" / "outbox" / ISSUE / "index.html").exists()


def test_a_second_run_says_that_there_is_nothing_new_and_changes_nothing(demo):
    before = files(demo.folder)
    again = demo.types("run", "monthly", "--on", "2026-05-01")
    assert again.returncode == 0
    assert "There is nothing new" in again.stdout
    assert files(demo.folder) == before


def test_status_is_the_documented_json_and_its_sum_is_right(demo):
    status = json.loads(demo.types("status", ISSUE, "--json").stdout)
    states = ("ready", "inflight", "uncertain", "held", "accepted", "failed", "skipped", "quarantined", "expired")
    assert {"issue", "state", "planned", "editions", "mean_bytes", "largest_html_bytes", "content_hash", *states} <= set(status)
    assert status["state"] == "finished"
    assert status["planned"] == sum(status[state] for state in states)
    assert len(list((demo.folder / "var" / "outbox" / ISSUE).glob("*.eml"))) == status["accepted"] > 20


def test_every_message_in_the_outbox_keeps_every_rule(demo):
    address = "MS Research Digest, 12 Example Street, Exampleton EX1 2MP, United Kingdom"
    files = list((demo.folder / "var" / "outbox" / ISSUE).glob("*.eml"))
    broken = {file.name: check_message(file.read_bytes(), base_url="https://digest.example.org", postal_address=address) for file in files}
    assert len(files) > 20
    assert not any(broken.values()), {name: rules for name, rules in broken.items() if rules}


def test_every_summary_of_the_range_is_accounted_for(demo):
    rows = json.loads(demo.types("coverage", ISSUE, "--json").stdout)["summaries"]
    assert {frozenset(row) for row in rows} == {frozenset({"id", "title", "published_at", "fate", "readers"})}
    assert {row["fate"] for row in rows} <= {"sent", "no_match", "future", "held", "excluded", "over_budget"}
    assert all((row["readers"] > 0) is (row["fate"] == "sent") for row in rows)
    assert [row["fate"] for row in rows if row["published_at"].startswith("2026-12-31")] == ["future"]


def test_why_tells_a_reader_by_address_in_any_spelling(demo):
    said = demo.types("why", "Ana.Lopez@EXAMPLE.org", ISSUE)
    assert said.returncode == 0
    assert "in the email" in said.stdout and "which this reader does not follow" in said.stdout


def test_gather_is_the_documented_json(demo):
    report = json.loads(demo.types("gather", "--json").stdout)
    assert (report["new"], report["changed"], report["refused"]) == (0, 0, 0)
    [source] = report["sources"]
    assert {"name", "new", "changed", "refused", "error"} <= set(source) and source["error"] is None


def test_the_interest_lists_can_be_seen_and_tried(demo):
    assert len(json.loads(demo.types("interests", "list", "--json").stdout)) == 12
    [test] = json.loads(demo.types("interests", "test", "gut", "--json").stdout)
    assert test["takes"] and all(taken["why"] for taken in test["takes"])
    assert demo.types("interests", "test", "guts").returncode == 1


def test_the_list_masks_addresses_unless_asked(demo):
    assert "ana.lopez@" not in demo.types("subscribers", "list").stdout
    assert "ana.lopez@example.org" in demo.types("subscribers", "list", "--addresses").stdout


def test_an_export_imports_into_another_workspace(demo, tmp_path):
    out = tmp_path / "all.csv"
    assert demo.types("subscribers", "export", "-o", str(out)).returncode == 0
    assert out.stat().st_mode & 0o077 == 0
    other = Person(tmp_path / "other")
    Person(tmp_path).types("init", "other")
    said = other.types("subscribers", "import", str(out))
    assert said.returncode == 0 and "Imported 40 new subscribers" in said.stdout


def test_a_new_workspace_is_in_order_and_runs_as_it_is(tmp_path):
    made = Person(tmp_path).types("init", "fresh")
    assert made.returncode == 0 and "digest run monthly" in made.stdout
    fresh = Person(tmp_path / "fresh")
    checked = fresh.types("check")
    assert checked.returncode == 0, checked.stdout
    assert fresh.types("run", "monthly", "--on", "2026-05-01").returncode == 0
    assert Person(tmp_path).types("init", "fresh").returncode == 1


def test_the_repositorys_workspace_is_in_order():
    checked = Person(REPOSITORY).types("check")
    assert checked.returncode == 0, checked.stdout
    assert "0 errors" in checked.stdout or "Everything is in order" in checked.stdout


def test_an_issue_waits_for_approval_where_it_is_required(letter):
    (letter.folder / "config.yaml").write_text(CONFIG.replace("approval: automatic", "approval: required"), encoding="utf-8")
    (letter.folder / "subscribers" / "people.csv").write_text("email,interests\nana@example.org,gut\n", encoding="utf-8")
    write_summary(letter.folder, "bacteria")
    assert "waits for approval" in letter.types("run", "monthly", "--on", "2026-05-01").stdout
    refused = letter.types("send", ISSUE, "--on", "2026-05-01")
    assert refused.returncode == 1 and "digest approve" in refused.stderr
    assert letter.types("approve", ISSUE).returncode == 0
    assert "Handed over 1" in letter.types("send", ISSUE, "--on", "2026-05-01").stdout


def test_two_runs_at_once_the_second_says_so(letter):
    letter.types("status")
    lock = str(letter.folder / "var" / "digest.lock")
    hold = f"import fcntl, sys; f = open({lock!r}, 'a+'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        second = letter.types("run", "monthly")
        other.stdin.close()
    assert second.returncode == 1
    assert "another run is at work" in second.stderr and "Traceback" not in second.stderr


# --- mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "monthyl"), 1, "(monthly, weekly)"),
        (("status", "monthly-1999-01-01"), 1, "there is no issue"),
        (("send", "nothing"), 1, "digest draft CADENCE"),
        (("why", "nobody@example.org", "x"), 1, "there is no issue"),
        (("subscribers", "import", "missing.csv"), 1, "cannot be read"),
        (("draft", "monthly", "--on", "1 May"), 2, "YYYY"),
        (("nonsense",), 2, "No such command"),
        (("-w", "nowhere", "check"), 2, "No such option"),
        (("run", "monthly", "-w", "nowhere"), 1, "digest init"),
    ],
)
def test_a_mistake_is_one_clear_line_and_an_exit_code(letter, words, code, told):
    said = letter.types(*words)
    assert said.returncode == code, said.stderr
    assert told in said.stderr + said.stdout
    assert "Traceback" not in said.stderr


def test_check_lists_all_problems_in_all_files(letter):
    folder = letter.folder
    (folder / "config.yaml").write_text(CONFIG + "selektion: {}\n", encoding="utf-8")
    (folder / "subscribers" / "interests.yaml").write_text(
        "- {id: gut, label: Gut, match: {tag: gut}}\n- {id: gut, label: B}\n", encoding="utf-8"
    )
    template = folder / "templates" / "digest.txt.j2"
    template.write_text(template.read_text(encoding="utf-8") + "{{ titel }}\n", encoding="utf-8")
    said = letter.types("check")
    assert said.returncode == 1
    assert "config.yaml:12: selektion: unknown key; did you mean selection?" in said.stdout
    assert "subscribers/interests.yaml:2:" in said.stdout
    assert "templates/digest.txt.j2:" in said.stdout and "titel" in said.stdout


def test_check_reads_summaries_and_subscriber_files(letter):
    folder = letter.folder
    (folder / "summaries" / "bad.md").write_text(
        "---\ntitle: X\npublishd: 2026-05-01\nurl: https://a.example.org/\n---\n", encoding="utf-8"
    )
    write_summary(folder, "good", tags="gut")
    (folder / "subscribers" / "people.csv").write_text("email,interests\nana,gut\nben@example.org,guts\n", encoding="utf-8")
    said = letter.types("check")
    assert said.returncode == 1
    for told in (
        "summaries/bad.md:3",
        "did you mean published?",
        "subscribers/people.csv:2",
        "subscribers/people.csv:3",
        "did you mean gut?",
    ):
        assert told in said.stdout
    assert 'warning: vision: tag: "vision" matches no summary known so far' in said.stdout


def test_a_broken_template_stops_the_run_before_anything_is_drafted(letter):
    template = letter.folder / "templates" / "digest.mjml.j2"
    template.write_text(template.read_text(encoding="utf-8").replace("{{", "{{ nonsense.", 1), encoding="utf-8")
    write_summary(letter.folder, "x")
    said = letter.types("run", "monthly", "--on", "2026-05-01")
    assert said.returncode == 1 and "templates/" in said.stderr and "Traceback" not in said.stderr
    assert "there is no issue" in letter.types("status", ISSUE).stderr


def test_no_address_of_a_reader_reaches_stdout_or_stderr_by_itself(demo):
    said = demo.first_run.stdout + demo.first_run.stderr
    for words in (("status",), ("status", ISSUE), ("coverage", ISSUE), ("interests", "list"), ("check",)):
        ran = demo.types(*words)
        said += ran.stdout + ran.stderr
    assert "@example" not in said and ".test" not in said


def test_every_command_has_help():
    person = Person(REPOSITORY)
    listed = person.types("--help").stdout
    for command in ("init", "check", "gather", "draft", "approve", "send", "run", "status", "why", "coverage"):
        assert command in listed
        assert person.types(command, "--help").returncode == 0
