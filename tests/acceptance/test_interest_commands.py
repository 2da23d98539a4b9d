"""Somebody who keeps the interest lists, at a terminal."""

from __future__ import annotations

import json

from tests.support.make import INTERESTS, make_workspace, write_summary
from tests.support.person import Person

PEOPLE = "email,interests,cadence\na@example.org,gut;vision,monthly\nb@example.org,vision,monthly\n"


def test_a_change_is_shown_made_and_taken_back(tmp_path):
    folder = make_workspace(tmp_path / "letter", subscribers=PEOPLE)
    write_summary(folder, "eyes", "2026-04-10", "vision")
    person, file = Person(folder), folder / "subscribers" / "interests.yaml"
    assert person.types("run", "monthly", "--on", "2026-05-01").returncode == 0
    merge = ("interests", "merge", "vision", "gut")
    shown = person.types(*merge, "--dry-run")
    assert shown.returncode == 0 and "2 readers follow what this is about, 1 of them both" in shown.stdout
    assert "Nothing was changed." in shown.stdout
    asked = person.types(*merge)  # nobody there to answer
    assert asked.returncode == 1
    assert file.read_text() == INTERESTS
    made = json.loads(person.types(*merge, "--yes", "--json").stdout)
    assert (made["number"], made["readers"], made["again"]) == (2, 2, 0)
    assert "was: [vision]" in file.read_text()
    # Its own old id: the name goes back to where it was.
    assert person.types("interests", "rename", "gut", "vision", "--yes").returncode == 0
    for _ in range(2):
        assert person.types("interests", "undo", "--yes").returncode == 0
    assert file.read_text() == INTERESTS
    nothing = person.types("interests", "undo", "--yes")
    assert nothing.returncode == 1 and nothing.stderr.startswith("error: there is no change to take back")
    listed = json.loads(person.types("subscribers", "list", "--interest", "vision", "--json").stdout)
    assert [one["interests"] for one in listed] == [["gut", "vision"], ["vision"]]
    picture = person.types("report", "pieces", "--svg", "--on", "2026-05-01")
    assert picture.stdout.startswith("<svg ")
