"""An old issue made again: the very bytes that lie in the outbox, or it is said that they are not."""

import hashlib
from datetime import date

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from digest import jobs, keys, operate, readers, replay
from digest.cli.commands import app
from digest.errors import IssueError
from digest.store import schema
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary

NAME = "monthly-2026-05-01"
ADDRESSES = ("ana@example.org", "ben@example.org", "cem@example.org", "dora@example.org")


@pytest.fixture
def folder(tmp_path):
    made = make_workspace(tmp_path / "w")
    for name, tags in (("one", "gut"), ("two", "vision"), ("three", "gut, vision")):
        write_summary(made, name, tags=tags)
    lines = [
        f"{who},{who[:3].title()},{follows},monthly" for who, follows in zip(ADDRESSES, ("gut", "vision", "gut;vision", "gut"), strict=True)
    ]
    (made / "readers.csv").write_text("email,name,interests,cadence\n" + "\n".join(lines) + "\n")
    assert CliRunner().invoke(app, ["subscribers", "import", str(made / "readers.csv"), "-w", str(made)]).exit_code == 0
    with open_workspace(made, date(2026, 5, 1)) as workspace, workspace.store.alone():
        jobs.run(workspace, "monthly")
    return made


def sent(folder):
    return {file.stem: file.read_bytes() for file in (folder / "var/outbox" / NAME).glob("*.eml")}


def again(folder):
    with open_workspace(folder) as workspace:
        return list(replay.every(workspace, NAME))


def test_every_message_is_made_again_byte_for_byte(folder):
    left = sent(folder)
    assert len(left) == len(ADDRESSES)
    made = again(folder)
    assert {one.did: one.content for one in made} == left
    assert {one.likeness for one in made} == {"same"}


def test_neither_templates_nor_pieces_nor_lists_of_today_change_what_left(folder):
    left = sent(folder)
    for file in (folder / "templates").rglob("*.j2"):
        file.write_text(file.read_text() + "\n<!-- later -->\n")
    write_summary(folder, "one", title="Quite another title")
    (folder / "subscribers/interests.yaml").write_text(
        "- {id: vision, label: Eyes, match: {tag: vision}}\n- {id: gut, label: Belly, match: {tag: gut}}\n"
    )
    (folder / "config.yaml").write_text(CONFIG + "selection: {max_teasers: 1}\n")
    with open_workspace(folder) as workspace:
        jobs.gather.gather(workspace)
    assert {one.did: one.content for one in again(folder)} == left


def test_new_keys_sign_new_links_and_the_old_ones_are_found(folder):
    left = sent(folder)
    with open_workspace(folder) as workspace:
        keys.rotate(workspace)
    assert {one.did: (one.content, one.likeness) for one in again(folder)} == {did: (content, "same") for did, content in left.items()}


def test_a_message_whose_attempt_is_kept_no_more_is_held_against_its_hash_all_the_same(folder):
    with open_workspace(folder) as workspace, workspace.store.write() as tx:
        tx.execute(update(schema.delivery).values(attempt_id=None))
    assert {one.likeness for one in again(folder)} == {"same"}


def test_where_the_sender_has_changed_it_says_so(folder):
    """The control: a comparison that could not fail would be none."""
    left = sent(folder)
    (folder / "config.yaml").write_text(CONFIG.replace("Test Letter <letter@", "New Name <letter@"))
    made = again(folder)
    assert {one.likeness for one in made} == {"changed"}
    assert all(hashlib.sha256(one.content).digest() != hashlib.sha256(left[one.did]).digest() for one in made)
    with open_workspace(folder) as workspace:
        assert operate.held(workspace, NAME) == ()  # nothing of it touched the ledger


def test_a_reader_who_was_erased_is_nobody(folder):
    with open_workspace(folder) as workspace:
        assert readers.forget_address(workspace, ADDRESSES[0])
        made = list(replay.every(workspace, NAME))
        assert [isinstance(one, replay.Unmade) for one in made].count(True) == 1
        with pytest.raises(IssueError, match="nothing of"):
            replay.one(workspace, NAME, address=ADDRESSES[0])
        one = replay.one(workspace, NAME, address=ADDRESSES[1])
    assert one.likeness == "same" and one.content == sent(folder)[one.did]


def test_the_command_writes_them_and_fails_where_one_is_not_the_same(folder, tmp_path):
    def run(*more):
        return CliRunner().invoke(app, ["replay", NAME, "-w", str(folder), "-o", str(tmp_path / "again"), *more])

    done = run()
    assert done.exit_code == 0 and "4 messages byte for byte as they left" in done.output
    assert {file.stem: file.read_bytes() for file in (tmp_path / "again").glob("*.eml")} == sent(folder)
    (folder / "config.yaml").write_text(CONFIG.replace("Test Letter <letter@", "New Name <letter@"))
    done = run("--reader", ADDRESSES[2])
    assert done.exit_code == 1 and "1 message not the same" in done.output
    assert CliRunner().invoke(app, ["replay", "monthly-2026-06-01", "-w", str(folder), "-o", str(tmp_path)]).exit_code == 1
