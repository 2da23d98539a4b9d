"""Readers get the language they chose, with the same pieces; an approval covers all languages, and outlives a reader in a new one."""

from __future__ import annotations

import email
import email.policy
from datetime import date

import pytest

from digest import jobs, readiness
from digest.addresses import parse
from digest.errors import IssueWaits
from digest.model import Selection, Subscriber
from digest.store import issues, now, outcomes, people
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary

ON, NAME = date(2026, 5, 1), "monthly-2026-05-01"
LABELS = "- {id: gut, label: Gut and diet, labels: {de: Darm und Ernährung}, match: {tag: gut}}\n"


@pytest.fixture
def folder(tmp_path):
    config = CONFIG.replace("approval: automatic}\n  weekly", "approval: required}\n  weekly")
    made = make_workspace(tmp_path / "w", config=config, interests=LABELS)
    for n in range(3):
        write_summary(made, f"p{n}", f"2026-04-1{n}", "gut")
    return made


def join(workspace, address, language):
    given = Subscriber(id="", email=address, name="Ana", interests=("gut",), cadence="monthly", language=language)
    with workspace.store.write() as tx:
        people.add(tx, workspace.store.vault, parse(address), given, now(tx))


def received(folder):
    files = (folder / "var/outbox" / NAME).glob("*.eml")
    found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    return {message["To"].addresses[0].addr_spec: message for message in found}


def test_each_in_their_own_and_an_approval_outlives_a_new_language(folder):
    with open_workspace(folder, ON) as workspace, workspace.store.alone():
        for code in ("", "de", "ar", "it"):
            join(workspace, f"x{code}@example.org", code)
        jobs.run(workspace, "monthly")  # drafts, and waits for approval
        readiness.approve(workspace, NAME)
        join(workspace, "late@example.org", "fr")  # nobody read French when it was approved
        jobs.run(workspace, "monthly")
        with workspace.store.read() as tx:
            row = issues.named(tx, NAME)
            chosen = [Selection.model_validate_json(body) for body, _ in outcomes.selections(tx, row.id)]
        assert row.frozen["languages"] == ["ar", "de", "it"]
    got = {address: (message["Subject"], message.get_body(("html",)).get_content()) for address, message in received(folder).items()}
    assert len(got) == 5 and len(chosen) == 3
    assert len({one.model_copy(update={"language": ""}) for one in chosen}) == 1  # the same pieces for all
    assert "Mai 2026" in got["xde@example.org"][0] and "Ihr Thema: Darm und Ernährung." in got["xde@example.org"][1]
    assert 'dir="rtl"' in got["xar@example.org"][1]
    for fallen_back in ("x", "xit", "late"):
        assert "You follow Gut and diet." in got[f"{fallen_back}@example.org"][1]


def test_words_changed_in_any_used_language_void_the_approval(folder):
    with open_workspace(folder, ON) as workspace, workspace.store.alone():
        join(workspace, "x@example.org", "de")
        jobs.run(workspace, "monthly")  # drafts, and waits for approval
        readiness.approve(workspace, NAME)
        file = folder / "templates/phrases.de.txt.j2"
        file.write_text(file.read_text().replace("Guten Tag", "Hallo"))
        with pytest.raises(IssueWaits, match="changed since it was approved"):
            readiness.make_ready(workspace, NAME)
