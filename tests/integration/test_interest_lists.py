"""Changes of the interest lists on a real workspace: file and readers' choices in one move, over crashes, and taken back."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from sqlalchemy import select as sql
from sqlalchemy import update

from digest import interests, jobs, join, readers, readiness, replay, retention, select, unfinished
from digest.addresses import parse
from digest.admin import interest_lists
from digest.admin import interest_moves as moves
from digest.errors import ConfigError, IssueWaits
from digest.model import IssueState, Rule
from digest.store import catalogue, lists, now, people, schema
from digest.store import readers as stored_readers
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary

TREE = """\
# What people can follow.
- id: gut
  label: Gut and diet
  match: {tag: gut}
  children:
    - {id: diet, label: Diet, match: {tag: diet}}
- {id: vision, label: Vision, match: {tag: vision}}   # eyes
- {id: sleep, label: Sleep, match: {tag: [sleep, rest]}}
"""
IDS = ("gut", "diet", "vision", "sleep")
WIDE = CONFIG + "selection: {max_teasers: 60, max_per_interest: 60}\n"


def people_csv(count, seed=1):
    drawn = random.Random(seed)
    rows = [";".join(drawn.sample(IDS, drawn.randint(1, 3))) for _ in range(count)]
    return "email,interests,cadence\n" + "".join(f"r{n}@example.org,{follows},monthly\n" for n, follows in enumerate(rows))


@pytest.fixture
def letter(tmp_path):
    folder = make_workspace(tmp_path / "letter", config=WIDE, interests=TREE, subscribers=people_csv(24))
    for n, tags in enumerate(("gut", "diet", "vision", "sleep", "gut, sleep", "rest")):
        write_summary(folder, f"april{n}", f"2026-04-{10 + n}", tags)
        write_summary(folder, f"may{n}", f"2026-05-{10 + n}", tags)
    return folder


def change(workspace, what):
    proposal = interest_lists.propose(workspace, what)
    shown = interest_lists.show(workspace, proposal)
    return shown, interest_lists.make(workspace, proposal, shown)


def undo(workspace):
    return interest_lists.make(workspace, interest_lists.undo(workspace))


def follows(workspace):
    with workspace.store.read() as tx:
        return {
            person.subscriber.email: (person.subscriber.interests, person.subscriber.fewer)
            for person in people.everyone(tx, workspace.store.vault)
        }


def given(workspace):
    """For each reader every piece of every delivery, one by one."""
    found = {}
    with workspace.store.read() as tx:
        for person in people.everyone(tx, workspace.store.vault):
            issues = stored_readers.history(tx, person.row)
            found[person.subscriber.email] = [piece for one in issues for piece in one["summaries"]]
    return found


CHANGES = [
    lambda now: moves.merge(now, "vision", "gut"),
    lambda now: moves.move(now, "diet", "sleep"),
    lambda now: moves.split(now, "sleep", [("rest", "Rest", Rule(tag=("rest",)))]),
    lambda now: moves.rename(now, "gut", "bowel"),
    lambda now: moves.retire(now, "diet", "bowel"),
]


def test_between_two_issues_nobody_loses_a_piece_and_nobody_gets_one_twice(letter, on_both):
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        jobs.run(opened, "monthly")
        first = given(opened)
        chosen = follows(opened)
        with opened.store.read() as tx:
            pieces = [stored.summary for stored in catalogue.load(tx)]
        entitled = select.catalogue(pieces, interests.load(letter)).follows
        for one in CHANGES:
            shown, made = change(opened, one)
            assert shown.again == 0
            assert shown.changed == made.readers
        after = follows(opened)
        # A piece they have had, that comes under a choice of theirs once more, is not theirs again: this one is shown for it.
        merged = interest_lists.history(opened)[4].shown
        assert merged["kind"] == "merge" and merged["gaining"] > 0
    with open_workspace(letter, date(2026, 6, 1)) as opened:
        jobs.run(opened, "monthly")
        every = given(opened)
    for reader, (ids, _) in chosen.items():
        assert len(every[reader]) == len(set(every[reader])), "a piece came twice"
        wanted = {piece.id for piece in pieces if entitled[piece.id] & set(ids)}
        assert wanted <= set(every[reader]), "a piece was lost"
    assert any(len(every[reader]) > len(first[reader]) for reader in every)
    with open_workspace(letter, date(2026, 6, 2)) as opened:
        late = "r0@example.org"
        assert "bowel" in after[late][0] or "sleep" in after[late][0]
        for _ in CHANGES:
            undo(opened)
        assert follows(opened) == chosen
        assert (letter / interests.FILE).read_text() == TREE


def test_taking_back_keeps_what_readers_chose_since(letter, on_both):
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        before = follows(opened)
        change(opened, lambda now: moves.merge(now, "vision", "gut"))
        with opened.store.read() as tx:
            ids = {person.subscriber.email: person.subscriber.id for person in people.everyone(tx, opened.store.vault)}
        both = [who for who, (chosen, _) in before.items() if "vision" in chosen]
        dropped, more = both[0], both[1]
        readers.change(opened, ids[dropped], lambda now: now.model_copy(update={"interests": ("sleep",)}), "test")
        readers.change(opened, ids[more], lambda now: now.model_copy(update={"interests": (*now.interests, "diet", "sleep")}), "test")
        undo(opened)
        now = follows(opened)
        assert now[dropped][0] == ("sleep",)
        assert set(now[more][0]) == {*before[more][0], "diet", "sleep"}
        rest = set(before) - {dropped, more}
        assert {who: now[who] for who in rest} == {who: before[who] for who in rest}


class Cut(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("when", ["before the file", "after the file", "in the rows"])
@pytest.mark.parametrize("kind", ["made", "taken back"])
def test_a_crash_leaves_all_of_it_or_nothing(letter, on_both, monkeypatch, when, kind):
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        start = follows(opened)
        if kind == "taken back":
            change(opened, CHANGES[0])
            goal, texts = start, ((letter / interests.FILE).read_text(), TREE)
            start = follows(opened)
            proposal = interest_lists.undo(opened)
        else:
            proposal = interest_lists.propose(opened, CHANGES[0])
            goal, texts = None, (TREE, proposal.new_text)
        put, advance = unfinished.put, lists.advance

        def cut_put(path, text):
            if when == "before the file":
                raise Cut
            put(path, text)
            if when == "after the file":
                raise Cut

        advanced = []

        def cut_rows(tx, move, last):
            if advanced:
                raise Cut
            advanced.append(advance(tx, move, last))
            return advanced[0]

        with monkeypatch.context() as patched:
            patched.setattr(unfinished, "put", cut_put)
            if when == "in the rows":
                patched.setattr(lists, "_PAGE", 5)
                patched.setattr(lists, "advance", cut_rows)
            with pytest.raises(Cut):
                interest_lists.make(opened, proposal)
    with open_workspace(letter) as opened:  # the next start
        text = (letter / interests.FILE).read_text()
        if when == "before the file":
            assert (text, follows(opened)) == (texts[0], start)
        else:
            assert text == texts[1]
            assert follows(opened) != start
            assert goal is None or follows(opened) == goal
        assert interest_lists.compare(opened).same
        known = {one.id for one in interests.load(letter).all}
        assert all(set(chosen) <= known for chosen, _ in follows(opened).values())


def cut_in_the_rows(opened, monkeypatch, proposal):
    """Make a change, and end after some readers' choices are written."""
    advanced = []
    advance = lists.advance

    def cut(tx, move, last):
        if advanced:
            raise Cut
        advanced.append(advance(tx, move, last))
        return advanced[0]

    with monkeypatch.context() as patched:
        patched.setattr(lists, "_PAGE", 5)
        patched.setattr(lists, "advance", cut)
        with pytest.raises(Cut):
            interest_lists.make(opened, proposal)


@pytest.mark.parametrize("one", [CHANGES[0], CHANGES[2], CHANGES[3]], ids=["merge", "split", "rename"])
def test_a_file_put_back_after_a_crash_in_the_rows_takes_the_rows_back(letter, on_both, monkeypatch, one):
    file = letter / interests.FILE
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        start = follows(opened)
        cut_in_the_rows(opened, monkeypatch, interest_lists.propose(opened, one))
        assert follows(opened) != start
    file.write_text(TREE)  # as by `git checkout`
    with open_workspace(letter) as opened:
        assert follows(opened) == start
        found = interest_lists.compare(opened)
        assert found.same and not found.orphans


@pytest.mark.parametrize("counts", ["file", "database"])
def test_a_half_made_change_is_walked_back_before_another_text_counts(letter, on_both, monkeypatch, counts):
    file = letter / interests.FILE
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        start = follows(opened)
        cut_in_the_rows(opened, monkeypatch, interest_lists.propose(opened, CHANGES[3]))
    file.write_text(TREE.replace("label: Vision", "label: Eyes"))
    with open_workspace(letter) as opened:
        assert follows(opened) != start
        interest_lists.make(opened, interest_lists.use_file(opened) if counts == "file" else interest_lists.use_database(opened))
        assert follows(opened) == start
        found = interest_lists.compare(opened)
        assert found.same and not found.orphans


def test_a_half_taken_back_change_is_finished_not_dropped(letter, on_both, monkeypatch):
    file = letter / interests.FILE
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        start = follows(opened)
        change(opened, CHANGES[3])
        after = file.read_text()
        cut_in_the_rows(opened, monkeypatch, interest_lists.undo(opened))
    file.write_text(after)
    with open_workspace(letter) as opened:
        assert interest_lists.compare(opened).unfinished.startswith("take back")
        with pytest.raises(ConfigError, match="use-database"):
            interest_lists.use_file(opened)
        interest_lists.make(opened, interest_lists.use_database(opened))
        assert (file.read_text(), follows(opened)) == (TREE, start)
        assert interest_lists.compare(opened).same


def test_a_file_edited_after_a_crash_is_left_for_a_person_to_decide(letter, monkeypatch):
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        start = follows(opened)

        def cut(path, text):
            (letter / interests.FILE).write_text(TREE.replace("Vision", "Eyes"))
            raise Cut

        with monkeypatch.context() as patched:
            patched.setattr(unfinished, "put", cut)
            with pytest.raises(Cut):
                interest_lists.make(opened, interest_lists.propose(opened, CHANGES[0]))
    with open_workspace(letter) as opened:
        found = interest_lists.compare(opened)
        assert not found.same and found.unfinished.startswith("merge")
        with pytest.raises(ConfigError, match="was cut short"):
            interest_lists.propose(opened, CHANGES[3])
        interest_lists.make(opened, interest_lists.use_file(opened))
        assert interest_lists.compare(opened).same
        assert follows(opened) == start


def test_no_change_while_an_issue_is_planned_and_no_planning_by_old_lists(letter):
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        done = jobs.prepare(opened, "monthly")
        with opened.store.write() as tx:
            tx.execute(update(schema.issue).values(state=IssueState.PLANNING.value))
        with pytest.raises(IssueWaits, match="being planned"):
            change(opened, CHANGES[3])
        with opened.store.write() as tx:
            tx.execute(update(schema.issue).values(state=IssueState.DRAFTED.value))
        make_material = jobs.issue.Material.compile

        def meanwhile(material, workspace):
            compiled = make_material(material, workspace)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(jobs.issue.Material, "compile", make_material)
                change(opened, CHANGES[3])
            return compiled

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(jobs.issue.Material, "compile", meanwhile)
            with pytest.raises(IssueWaits, match="were changed while"):
                readiness.make_ready(opened, done.draft.issue)
        assert readiness.make_ready(opened, done.draft.issue).material.interests.get("bowel")


def test_a_machine_with_an_old_copy_of_the_lists_sends_nothing_by_it(letter, on_both):
    file = letter / interests.FILE
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        jobs.first_subscribers(opened)
        change(opened, CHANGES[3])
        new = file.read_text()
        file.write_text(TREE)
        done = jobs.prepare(opened, "monthly")
        with pytest.raises(IssueWaits, match='"bowel".*on this machine'):
            readiness.make_ready(opened, done.draft.issue)
        file.write_text(new + "# seen by Ann\n")  # edited, and knows what everybody follows
        assert readiness.make_ready(opened, done.draft.issue).material.interests.get("bowel")


def test_a_file_edited_by_hand_is_compared_and_one_is_chosen(letter):
    file = letter / interests.FILE
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        change(opened, lambda now: moves.label(now, "gut", "Bowel"))
        kept = file.read_text()
        file.write_text(kept.replace("match: {tag: vision}", "match: {tag: eyes}"))
        with pytest.raises(ConfigError, match="edited by hand"):
            change(opened, CHANGES[3])
        found = interest_lists.compare(opened)
        assert (found.changed, found.only_file, found.only_database) == (("vision",), (), ())
        interest_lists.make(opened, interest_lists.use_database(opened))
        assert file.read_text() == kept

        file.write_text(kept.replace("{id: vision, ", "{id: eyes, "))
        with pytest.raises(ConfigError, match=r"readers follow \"vision\".*was: \[vision\]"):
            interest_lists.use_file(opened)
        before = follows(opened)
        file.write_text(kept.replace("{id: vision, ", "{id: eyes, was: [vision], "))
        interest_lists.make(opened, interest_lists.use_file(opened))
        renamed = {who: (tuple("eyes" if id == "vision" else id for id in ids), less) for who, (ids, less) in before.items()}
        assert follows(opened) == renamed
        undo(opened)
        assert follows(opened) == before
        assert file.read_text() == kept


def test_the_databases_lists_are_refused_where_readers_follow_what_only_the_file_has(letter):
    file = letter / interests.FILE
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        change(opened, lambda now: moves.label(now, "gut", "Bowel"))
        kept = file.read_text()
        file.write_text(kept + "- {id: hands, label: Hands, match: {tag: hands}}\n")
        assert interest_lists.use_database(opened).new_text == kept
        (letter / "subscribers" / "late.csv").write_text("email,interests\nlate@example.org,hands\n")
        assert import_file(opened, letter / "subscribers" / "late.csv", interests.load(letter)).new == 1
        with pytest.raises(ConfigError, match=r'"hands" \(1 of them'):
            interest_lists.use_database(opened)
        file.write_text("- {id: hands\n")  # no list at all: nothing says what is known
        with pytest.raises(ConfigError, match=r'"hands" \(1 of them'):
            interest_lists.use_database(opened)


def test_who_names_an_old_id_means_what_it_has_become(letter):
    with open_workspace(letter) as opened:
        application = join.Application(email="late@example.org", interests=("vision", "sleep"), cadence="monthly")
        join.apply(opened, application)
        join.work(opened)
        change(opened, lambda now: moves.merge(now, "vision", "gut"))
        with opened.store.read() as tx:
            sid = tx.execute(sql(schema.signup.c.sid)).scalar_one()
        join.confirm(opened, sid)
        assert follows(opened)["late@example.org"][0] == ("gut", "sleep")
        file = letter / "subscribers" / "old.csv"
        file.write_text("email,interests\nold@example.org,vision;gut\n")
        assert import_file(opened, file, interests.load(letter)).new == 1
        assert follows(opened)["old@example.org"][0] == ("gut",)
        with pytest.raises(ConfigError, match="old id of"):
            change(opened, lambda now: moves.create(now, "vision", "Vision", Rule(tag=("x",))))


def test_an_erased_reader_leaves_no_choice_in_the_record(letter):
    with open_workspace(letter) as opened:
        jobs.first_subscribers(opened)
        change(opened, CHANGES[0])
        with opened.store.read() as tx:
            kept = set(tx.execute(sql(schema.interest_choice.c.subscriber_id)).scalars())
            person = next(one for one in people.everyone(tx, opened.store.vault) if one.row in kept)
        own = readers.data_of_address(opened, person.subscriber.email)
        assert "vision" in own["choices_before"][0]["interests"]
        readers.forget_address(opened, person.subscriber.email)
        with opened.store.read() as tx:
            left = set(tx.execute(sql(schema.interest_choice.c.subscriber_id)).scalars())
            assert left == kept - {person.row}
            assert people.find(tx, opened.store.vault, parse(person.subscriber.email)) is None
        undo(opened)


def test_what_readers_had_chosen_goes_in_its_time_and_the_change_then_stays(letter, on_both, monkeypatch):
    monkeypatch.setattr(retention, "_ROWS", 5)
    with open_workspace(letter, date(2026, 5, 1)) as workspace:
        jobs.run(workspace, "monthly")
        given_before = given(workspace)
        change(workspace, lambda known: moves.merge(known, "sleep", "vision"))
        after = follows(workspace)

        def passes(days):
            with workspace.store.write() as tx:
                tx.execute(update(schema.interest_move).values(ended_at=now(tx) - timedelta(days=days)))

        passes(179)
        assert not retention.prune(workspace).choices
        proposal = interest_lists.undo(workspace)  # shown in time
        passes(181)
        planned, taken = retention.prune(workspace, dry_run=True).choices, retention.prune(workspace).choices
        assert planned == taken > 5 and not retention.prune(workspace).any
        with workspace.store.read() as tx:
            assert not tx.execute(sql(schema.interest_choice)).all()
        text = (letter / "subscribers" / "interests.yaml").read_text()
        with pytest.raises(ConfigError, match="choices_days"):
            interest_lists.undo(workspace)
        with pytest.raises(ConfigError, match="choices_days"):
            interest_lists.make(workspace, proposal)  # and made too late
        assert follows(workspace) == after and (letter / "subscribers" / "interests.yaml").read_text() == text
        assert given(workspace) == given_before
        assert {message.likeness for message in replay.every(workspace, "monthly-2026-05-01")} == {"same"}
        change(workspace, lambda known: moves.retire(known, "diet", None))  # touches no choice: can be taken back for good
        passes(2000)
        assert not retention.prune(workspace).any
        undo(workspace)


def test_what_is_being_taken_back_is_not_let_go_meanwhile(letter, monkeypatch):
    with open_workspace(letter, date(2026, 5, 1)) as workspace:
        jobs.first_subscribers(workspace)
        before = follows(workspace)
        change(workspace, lambda known: moves.merge(known, "sleep", "vision"))
        with workspace.store.write() as tx:
            tx.execute(update(schema.interest_move).values(ended_at=now(tx) - timedelta(days=500)))
        finish = unfinished.finish
        pruned = []
        monkeypatch.setattr(unfinished, "finish", lambda *values: pruned.append(retention.prune(workspace).choices) or finish(*values))
        undo(workspace)
        assert pruned == [0] and follows(workspace) == before
