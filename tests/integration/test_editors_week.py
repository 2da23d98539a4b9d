"""An editor's work on a draft: what is changed is what leaves, and only what was looked at leaves."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import threading
from dataclasses import replace
from datetime import date, timedelta

import pytest

from digest import approval, dispatch, gather, interests, issue, jobs, readiness, rehearsal, review, select
from digest.desk import cautions, compare, edits, share
from digest.desk.editions import Editions
from digest.desk.impact import impact_of_text
from digest.desk.looking import of_imagined, of_reader, page, write
from digest.desk.pieces import pieces
from digest.edits import Change, Conflict, Edits
from digest.errors import ConfigError, IssueError, IssueWaits, LinkError, RenderError
from digest.model import Follower, IssueState
from digest.scratch import scratch
from digest.store import edits as store
from digest.store import issues, shares
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.person import Person

ISSUE = "monthly-2026-05-01"
PEOPLE = """email,name,interests,cadence,status
ana@example.org,Ana,gut,monthly,
ben@example.org,,vision;gut,monthly,
cat@example.org,Cat,diet,monthly,
dan@example.org,Dan,,monthly,
eve@example.org,Eve,gut,monthly,paused
"""
APPROVED = CONFIG.replace("approval: automatic", "approval: required", 1)
NOTE = "Dear readers,\n\nthis month **two** things matter: [see here](https://letter.example.org/about).\n\n- one\n- two\n"


def make_letter(folder, config=APPROVED):
    """Three pieces and five readers; the issue waits for approval."""
    make_workspace(folder, config=config, subscribers=PEOPLE)
    write_summary(folder, "bacteria", "2026-04-10", "gut")
    write_summary(folder, "rice", "2026-04-20", "diet")
    write_summary(folder, "eyes", "2026-04-25", "vision, gut")
    return folder


def draw(opened):
    jobs.first_subscribers(opened)
    gather.gather(opened)
    issue.draft(opened, "monthly")


@pytest.fixture(scope="session")
def drawn_once(tmp_path_factory):
    """A folder with a draft, to be copied: drawing it takes longer than most tests."""
    folder = make_letter(tmp_path_factory.mktemp("drawn") / "letter")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DIGEST_STORE__URL", raising=False)
        with open_workspace(folder, date(2026, 5, 1)) as opened:
            draw(opened)
    return folder


@pytest.fixture
def letter(tmp_path):
    return make_letter(tmp_path / "letter")


@pytest.fixture
def draft(tmp_path, drawn_once):
    """The workspace with a draft of its issue."""
    folder = tmp_path / "letter"
    if "DIGEST_STORE__URL" in os.environ:
        make_letter(folder)
    else:
        shutil.copytree(drawn_once, folder)
    with open_workspace(folder, date(2026, 5, 1)) as opened:
        if "DIGEST_STORE__URL" in os.environ:
            draw(opened)
        yield opened


def by(workspace, name):
    return replace(workspace, who=name)


def titles(workspace, selection, ready):
    return [ready.material.shown[id].title for id in selection.teasers]


def sent(folder, name=ISSUE):
    """Subject, text and HTML of what lies in the outbox, by address."""
    found = {}
    for file in (folder / "var" / "outbox" / name).glob("*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        bodies = [message.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html")]
        found[message["To"].addresses[0].addr_spec] = (message["Subject"], *bodies)
    return found


@pytest.mark.usefixtures("on_both")
def test_from_draft_to_edit_to_approval_to_void_to_mail(draft):
    ana, ben = by(draft, "ana"), by(draft, "ben")
    edits.move(ana, ISSUE, "rice", before="eyes")
    edits.pin(ana, ISSUE, "bacteria")
    edits.teaser(ben, ISSUE, "eyes", title="Eyes, in other words", takeaway="A new takeaway & more.")
    edits.note(ben, ISSUE, NOTE)
    edits.subject(ben, ISSUE, "The May letter")
    edits.preheader(ben, ISSUE, "What the three studies of this month found, and what they cannot tell.")
    edits.intro(ana, ISSUE, "vision", "About *eyes* this month.")
    edits.exclude(ana, ISSUE, "rice")
    first = readiness.approve(draft, ISSUE)
    now = edits.teaser(ana, ISSUE, "bacteria", title="Bacteria anew")
    assert now.version == 9 and now.undo == 'ana: rewrote "Piece bacteria": title "Bacteria anew"'
    with pytest.raises(IssueWaits, match="has changed since it was approved"):
        dispatch.send(draft, ISSUE)
    ready = review.ready(draft, ISSUE)
    assert [one.text for one in compare.since_approval(draft, ready)] == ['rewrote "Piece bacteria": title "Bacteria anew"']
    assert readiness.approve(draft, ISSUE) != first
    dispatch.send(draft, ISSUE)
    mails = sent(draft.path)
    assert set(mails) == {"ana@example.org", "ben@example.org"}  # Cat follows diet alone, whose one piece is excluded
    subject, text, html = mails["ben@example.org"]
    assert subject == "The May letter"
    for body in (text, html):
        assert all(words in body for words in ("Eyes, in other words", "Bacteria anew", "see here"))
        assert not any(words in body for words in ("Piece eyes", "Piece bacteria", "Piece rice", "What eyes found", "**two**"))
    assert "About eyes this month." in text and "A new takeaway & more." in text and "- one\n- two\n" in text
    assert "What the three studies of this month found, and what they cannot tell." in html
    assert "About <em>eyes</em> this month." in html and "A new takeaway &amp; more." in html and "<strong>two</strong>" in html
    assert 'href="https://letter.example.org/about"' in html and "https://letter.example.org/about\n" in text
    assert "Small." in text and "Limits:" in text  # the source's own
    assert "About eyes" not in mails["ana@example.org"][1]
    with pytest.raises(IssueError, match="is finished; what has begun to go out is not edited"):
        edits.undo(ana, ISSUE)
    with draft.store.read() as tx:
        row = issue.find(tx, ISSUE)
        kept = issue.material_of(tx, draft, row).edits
    assert row.state is IssueState.FINISHED and kept.subject == "The May letter" and not edits.edited(draft, ISSUE).may_edit


def test_what_stands_first_and_what_is_left_out(draft):
    def shown(*interests):
        with draft.store.read() as tx:
            made = issue.material_of(tx, draft, issue.find(tx, ISSUE))
        chosen = select.select(made.catalogue, Follower(interests=interests), made.rules, select.Costs()).selection
        return [made.shown[id].title for id in chosen.teasers]

    assert shown("gut") == ["Piece eyes", "Piece rice", "Piece bacteria"]
    edits.pin(draft, ISSUE, "bacteria")
    assert shown("gut") == ["Piece bacteria", "Piece eyes", "Piece rice"]
    edits.move(draft, ISSUE, "rice", to=1)
    assert shown("gut") == ["Piece rice", "Piece bacteria", "Piece eyes"]
    edits.move(draft, ISSUE, "rice", after="eyes")
    assert [one.text for one in edits.steps(draft, ISSUE)][1:] == ['moved "Piece rice" to place 1', 'moved "Piece rice" to place 3']
    assert shown("gut") == ["Piece bacteria", "Piece eyes", "Piece rice"]
    edits.exclude(draft, ISSUE, "eyes", ["gut"])
    assert shown("gut") == ["Piece bacteria", "Piece rice"] and shown("vision") == ["Piece eyes"]
    edits.pin(draft, ISSUE, "rice", ["vision"])
    assert shown("vision") == ["Piece eyes", "Piece rice"]
    edits.unpin(draft, ISSUE, "bacteria")
    edits.reorder(draft, ISSUE, [])
    edits.include(draft, ISSUE, "eyes")
    assert shown("gut") == ["Piece eyes", "Piece rice", "Piece bacteria"]  # what is pinned to an interest is pinned there alone
    for _ in range(8):
        edits.undo(draft, ISSUE)
    assert shown("gut") == ["Piece eyes", "Piece rice", "Piece bacteria"]
    assert edits.edited(draft, ISSUE).edits == Edits() and edits.edited(draft, ISSUE).undo == ""
    with pytest.raises(IssueError, match="nothing to undo"):
        edits.undo(draft, ISSUE)


def test_going_back_to_what_was_approved_is_approved(draft):
    edits.subject(draft, ISSUE, "One")
    readiness.approve(draft, ISSUE)
    edits.subject(draft, ISSUE, "Two")
    with pytest.raises(IssueWaits):
        readiness.make_ready(draft, ISSUE)
    edits.undo(draft, ISSUE)
    assert readiness.make_ready(draft, ISSUE).compiled.known.subject == "One"


@pytest.mark.usefixtures("on_both")
def test_two_editors_of_one_teaser_at_once(draft):
    """Eight threads that all saw version 0: one is first, the others are told, and each still has its own words."""
    told, barrier = [], threading.Barrier(8)

    def work(n):
        barrier.wait()
        try:
            edits.teaser(by(draft, f"editor {n}"), ISSUE, "eyes", title=f"Title {n}", seen=0)
        except Conflict as error:
            told.append((n, error.mine.value["title"], error.theirs["title"], error.who))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (step,) = edits.steps(draft, ISSUE)
    won = step.step.changes[0].value["title"]
    assert len(told) == 7
    assert all(mine == f"Title {n}" != theirs == won and who == step.step.who for n, mine, theirs, who in told)


def test_the_second_is_told_of_the_same_target_only(draft):
    ana, ben = by(draft, "ana"), by(draft, "ben")
    seen = edits.edited(draft, ISSUE).version
    edits.note(ana, ISSUE, "Hello", seen=seen)
    edits.subject(ben, ISSUE, "Hello", seen=seen)  # another target: nobody's text is in the way
    with pytest.raises(Conflict, match="ana changed the editor's note at .* your text is kept"):
        edits.note(ben, ISSUE, "Good day", seen=seen)
    with pytest.raises(Conflict, match="ben changed monthly-2026-05-01"):
        edits.undo(ana, ISSUE, seen=seen)
    assert edits.note(ben, ISSUE, "Good day", seen=2).edits.note == "Good day"


@pytest.mark.parametrize("step", ["approve", "make_ready"])
def test_an_edit_in_the_very_moment_of_approving_or_freezing_is_not_passed_over(draft, monkeypatch, step):
    readiness.approve(draft, ISSUE)
    compile_with, done = issue.Material.compile_with, []

    def meanwhile(material, *args):
        compiled = compile_with(material, *args)
        if not done:
            done.append(edits.subject(by(draft, "ben"), ISSUE, "Slipped in"))
        return compiled

    monkeypatch.setattr(issue.Material, "compile_with", meanwhile)
    with pytest.raises(IssueWaits, match="was edited at this very moment"):
        getattr(readiness, step)(draft, ISSUE)
    with draft.store.read() as tx:
        assert issue.find(tx, ISSUE).state is IssueState.APPROVED
    with pytest.raises(IssueWaits, match="has changed since"):
        dispatch.send(draft, ISSUE)


def test_two_different_people_approve(letter):
    (letter / "config.yaml").write_text(APPROVED.replace("approval: required", "approval: required, approvals: 2", 1), encoding="utf-8")
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        draw(opened)
        readiness.approve(opened, ISSUE, by="Ana")
        with pytest.raises(IssueWaits, match="1 of 2 people"):
            dispatch.send(opened, ISSUE)
        with pytest.raises(IssueError, match="takes 2 people"):
            readiness.approve(opened, ISSUE, by=" ANA ")
        edits.subject(opened, ISSUE, "Another")  # Ben would approve something else than Ana
        readiness.approve(opened, ISSUE, by="Ben")
        assert compare.approvals(opened, review.ready(opened, ISSUE)).complete is False
        edits.undo(opened, ISSUE)
        readiness.approve(opened, ISSUE, by="Ben")
        standing = compare.approvals(opened, review.ready(opened, ISSUE))
        assert standing.complete and [one.who for one in standing.given] == ["Ana", "Ben"]
        edits.subject(opened, ISSUE, "A third")
        readiness.approve(opened, ISSUE, by="Ana")
        second = review.ready(opened, ISSUE)  # Ben is told what differs from what both approved, not from what Ana just did
        assert [one.text for one in compare.since_approval(opened, second)] == ["subject: A third"]
        standing = compare.approvals(opened, second)
        assert (standing.last.who, [one.who for one in standing.given], standing.complete) == ("Ben", ["Ana"], False)
        issue.draft(opened, "monthly", again=True)  # drawn anew is nobody's approved text
        with pytest.raises(IssueWaits, match="0 of 2"):
            dispatch.send(opened, ISSUE)
        readiness.approve(opened, ISSUE, by="Ana")
        readiness.approve(opened, ISSUE, by="Cat")
        assert dispatch.send(opened, ISSUE).status.accepted == 3


def test_a_dry_run_of_an_issue_that_two_approve(letter):
    (letter / "config.yaml").write_text(APPROVED.replace("approval: required", "approval: required, approvals: 2", 1), encoding="utf-8")
    with scratch(letter, date(2026, 5, 1)) as copy:
        assert "waits for approval (0 of 2" in rehearsal.rehearse(copy, "monthly").waits


def test_edits_outlive_a_new_draft_and_what_is_gone_is_said(draft):
    edits.exclude(draft, ISSUE, "bacteria")
    edits.teaser(draft, ISSUE, "eyes", title="Ours")
    edits.pin(draft, ISSUE, "rice")
    write_summary(draft.path, "eyes", "2026-04-25", "vision, gut", takeaway="Quite another text.")
    write_summary(draft.path, "rice", "2026-04-20", "diet", hold="true")
    gather.gather(draft)

    def told():
        with draft.store.read() as tx:
            material = issue.material_of(tx, draft, issue.find(tx, ISSUE))
        return [(one.kind, one.about.rpartition("/")[2]) for one in cautions.cautions(draft, ISSUE, material)]

    assert ("newer_revision", "eyes") in told() and ("gone_piece", "rice") not in told()
    before = issue.draft(draft, "monthly").content_hash
    assert issue.draft(draft, "monthly", again=True).content_hash != before
    assert told() == [("gone_piece", "rice"), ("newer_revision", "eyes")]
    held = edits.edited(draft, ISSUE).edits
    assert [one.title for one in held.teasers.values()] == ["Ours"] and len(held.exclude) == 1
    text = edits.export(draft, ISSUE)
    assert edits.import_(draft, ISSUE, text).edits == held  # also what does nothing any more
    edits.unpin(draft, ISSUE, next(iter(held.pin)))
    assert ("gone_piece", "rice") not in told()


def test_edits_go_out_and_in_as_a_file(draft):
    edits.pin(draft, ISSUE, "bacteria", ["vision"])
    edits.move(draft, ISSUE, "rice", to=1)
    edits.teaser(draft, ISSUE, "eyes", takeaway="Other: “words”, & 'quotes'.")
    edits.note(draft, ISSUE, NOTE)
    edits.intro(draft, ISSUE, "gut", "Words.")
    text, held = edits.export(draft, ISSUE), edits.edited(draft, ISSUE).edits
    assert edits.import_(draft, ISSUE, f"issue: {ISSUE}\n").edits == Edits()
    assert {one.new for one in edits.diff(draft, ISSUE, text)} >= {'pinned "Piece bacteria" under vision', "words under gut: Words."}
    again = edits.import_(draft, ISSUE, text)
    assert again.edits == held and again.version == 7 and edits.diff(draft, ISSUE, text) == ()
    assert edits.undo(draft, ISSUE).edits == Edits()  # one step, however much it changed
    assert edits.import_(draft, ISSUE, "pin: {bacteria: []}\n").edits.pin.keys() == held.pin.keys()  # a file's name will do


MISTAKES = [
    ("subject: [", "not valid YAML"),
    ("- a\n", "must be keys and values"),
    ("subjet: x\n", "the edits:1: subjet: unknown key; did you mean subject?"),
    ("note: x\npin: {nothing: []}\n", 'the edits:2: monthly-2026-05-01 has no piece "nothing"'),
    ("intros:\n  gutt: x\n", 'the edits:2: there is no interest "gutt"'),
    (f"preheader: {'x' * 200}\n", "the edits:1: the preheader has 200 characters; an email shows at most 130"),
    ("note: '[x](ftp://e.org)'\n", "the edits:1: the note: "),
]


def test_a_file_with_a_mistake_changes_nothing_and_says_where(draft):
    for text, told in MISTAKES:
        with pytest.raises(ConfigError) as error:
            edits.import_(draft, ISSUE, text)
        assert told in str(error.value)
    assert edits.edited(draft, ISSUE).version == 0


def test_words_that_cannot_stand_in_an_email_are_refused(draft):
    for wrong in (
        lambda: edits.teaser(draft, ISSUE, "eyes", title="x" * 300),
        lambda: edits.teaser(draft, ISSUE, "nothing", title="x"),
        lambda: edits.note(draft, ISSUE, "x" * 4000),
        lambda: edits.note(draft, ISSUE, "[x](javascript:alert(1)) [y](http://user@e.org/)"),
        lambda: edits.move(draft, ISSUE, "eyes", before="eyes"),
        lambda: edits.move(draft, ISSUE, "eyes"),
        lambda: edits.pin(draft, ISSUE, "eyes", ["nothing"]),
        lambda: edits.redo(draft, ISSUE),
    ):
        with pytest.raises(IssueError):
            wrong()
    now = edits.teaser(draft, ISSUE, "eyes", title=" two\nlines \u202e ", takeaway="What eyes found.")
    assert [(one.title, one.takeaway) for one in now.edits.teasers.values()] == [("two lines", None)]
    assert edits.teaser(draft, ISSUE, "eyes", title="two lines").version == now.version  # nothing new, no step
    assert edits.teaser(draft, ISSUE, "eyes", title=None).edits == Edits()


def test_templates_without_a_place_for_the_note_say_so(draft):
    edits.note(draft, ISSUE, "Hello")
    file = draft.path / "templates" / "digest.txt.j2"
    file.write_text(file.read_text("utf-8").replace("{{ issue.note.text }}", ""), encoding="utf-8")
    with pytest.raises(RenderError, match=r"templates/digest\.txt\.j2: the editor's note is not shown; put {{ issue\.note\.text }}"):
        review.ready(draft, ISSUE)
    edits.note(draft, ISSUE, "")
    edits.intro(draft, ISSUE, "gut", "Hello")
    section = draft.path / "templates" / "parts" / "section.mjml.j2"
    section.write_text(section.read_text("utf-8").replace("{{ section.intro.html|safe }}", ""), encoding="utf-8")
    with pytest.raises(RenderError, match=r"digest\.mjml\.j2: the words under gut is not shown|the words under gut"):
        review.ready(draft, ISSUE)


# --- editions ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_both")
def test_the_list_of_editions_says_what_planning_gives(draft, tmp_path):
    kept = Editions()
    table = kept.table(draft, ISSUE)
    assert (table.readers, table.nothing_for, table.imagined) == (3, 1, False)
    assert sorted((one.readers, one.teasers) for one in table.lines) == [(0, 3), (1, 1), (1, 3), (1, 3)]
    assert [one.name for one in table.lines if not one.readers] == ["imagined reader"]
    assert {role for one in table.lines for role in one.roles} >= {"most readers", "largest", "smallest"}
    assert [one.html_bytes for one in table.sorted("largest")] == sorted((one.html_bytes for one in table.lines), reverse=True)
    rows = pieces(draft, kept.ready(draft, ISSUE), table.readers_of)
    assert [(row.title, row.readers, [taker.why for taker in row.takers]) for row in rows] == [
        ("Piece eyes", 2, ["tag gut", "tag vision"]),
        ("Piece rice", 3, ["tag diet"]),
        ("Piece bacteria", 2, ["tag gut"]),
    ]
    ready = kept.ready(draft, ISSUE)
    looked = of_reader(draft, ready, "cat@example.org")
    assert titles(draft, looked.selection, ready) == ["Piece rice"] and looked.readers == 1
    assert of_reader(draft, ready, "eve@example.org").name == "a subscriber who is paused"
    for address, told in (("dan@example.org", "nothing in this issue"), ("zoe@example.org", "nobody on the list"), ("x", "not an address")):
        with pytest.raises(IssueError, match=told) as error:
            of_reader(draft, ready, address)
        assert address == "x" or address not in str(error.value)
    files = write(page(draft, ready, looked), tmp_path / "out")
    assert [file.suffix for file in files] == [".html", ".txt", ".eml"]
    assert email.message_from_bytes(files[2].read_bytes())["Subject"].startswith("Test Letter")
    readiness.approve(draft, ISSUE)
    dispatch.send(draft, ISSUE)
    after = kept.table(draft, ISSUE)
    assert [(one.id, one.readers, one.html_bytes) for one in after.lines if one.readers] == [
        (one.id, one.readers, one.html_bytes) for one in table.lines if one.readers
    ]
    assert after.nothing_for == 1


def test_the_list_is_worked_out_again_exactly_when_something_changed(draft, monkeypatch):
    kept, counted = Editions(), []
    real = review.counted
    monkeypatch.setattr(review, "counted", lambda *args: counted.append(1) or real(*args))
    people = draft.path / "subscribers" / "people.csv"

    def again():
        before = len(counted)
        kept.table(draft, ISSUE)
        return len(counted) - before

    assert (again(), again()) == (1, 0)
    edits.subject(draft, ISSUE, "Hello")
    assert (again(), again()) == (1, 0)
    template = draft.path / "templates" / "phrases.txt.j2"
    template.write_text(template.read_text("utf-8").replace("Hello", "Dear"), encoding="utf-8")
    assert (again(), again()) == (1, 0)
    people.write_text(PEOPLE.replace("Ana,gut", "Ana,vision"), encoding="utf-8")
    import_file(draft, people, interests.load(draft.path))
    assert (again(), again()) == (1, 0)
    people.write_text(PEOPLE.replace("Ana,gut", "Ana,gut;vision").replace("vision;gut", "gut;vision"), encoding="utf-8")
    import_file(draft, people, interests.load(draft.path))
    assert (again(), again()) == (1, 0)
    assert kept.find(draft, ISSUE, "largest").selection == kept.find(draft, ISSUE, kept.find(draft, ISSUE, "largest").name[:6]).selection
    with pytest.raises(IssueError, match="has no edition"):
        kept.find(draft, ISSUE, "unheard-of")


def test_a_broken_template_is_said_and_once_mended_all_is_as_it_was(draft):
    kept, template = Editions(), draft.path / "templates" / "digest.txt.j2"
    good, before = kept.ready(draft, ISSUE), template.read_text(encoding="utf-8")
    template.write_text("{{ nothing", encoding="utf-8")
    with pytest.raises(RenderError):
        kept.ready(draft, ISSUE)
    template.write_text(before, encoding="utf-8")
    assert kept.ready(draft, ISSUE).compiled.content_hash == good.compiled.content_hash


def test_without_readers_there_are_imagined_ones(letter):
    (letter / "subscribers" / "people.csv").unlink()
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        gather.gather(opened)
        issue.draft(opened, "monthly")
        table = Editions().table(opened, ISSUE)
        ready = review.ready(opened, ISSUE)
        assert of_imagined(ready, ["vision"]).name == "follows Vision"
        for wrong in (["nothing"], []):
            with pytest.raises(IssueError):
                of_imagined(ready, wrong)
    assert table.imagined and table.readers == 0
    assert [one.name for one in table.lines] == ["imagined reader", "follows Gut and diet", "follows Diet", "follows Vision"]


def test_what_an_editor_should_know_of_a_draft(draft):
    (draft.path / "subscribers" / "interests.yaml").write_text(
        "- {id: gut, label: Gut, match: {tag: gut}}\n- {id: vision, label: Vision}\n- {id: odd, label: Odd}\n", encoding="utf-8"
    )
    text = APPROVED.replace("path: summaries/}\n", "path: summaries/}\n  - {name: gone, kind: folder, path: gone/}\n")
    (draft.path / "config.yaml").write_text(text, encoding="utf-8")
    with open_workspace(draft.path, date(2026, 5, 1)) as opened:
        gather.gather(opened)
        found = Editions().table(opened, ISSUE).cautions
    told = {(one.kind, one.about) for one in found}
    assert told == {("source_down", "gone"), ("lost_rule", "vision"), ("no_rule", "odd"), ("gone_interest", "diet")}
    assert any("1 active reader follows it" in one.text and "lost its rule" in one.text for one in found)


# --- asking, comparing, sharing ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_both")
def test_what_a_rule_would_change(draft):
    text = "- {id: gut, label: Gut, match: {tag: gut}}\n- {id: vision, label: Vision, match: {tag: [vision, diet]}}\n"
    found = impact_of_text(draft, text)
    assert (found.pieces, found.readers, found.gaining, found.losing, found.choices_lost) == (3, 3, 0, 2, 1)
    by_id = {one.id: one for one in found.interests}
    assert [ref.title for ref in by_id["vision"].gained] == ["Piece rice"] and [ref.title for ref in by_id["gut"].lost] == ["Piece rice"]
    with pytest.raises(ConfigError, match="interests.yaml:1"):
        impact_of_text(draft, "- {id: gut}\n")


def test_beside_the_issue_before(draft):
    readiness.approve(draft, ISSUE)
    dispatch.send(draft, ISSUE)
    write_summary(draft.path, "later", "2026-05-20", "gut")
    with open_workspace(draft.path, date(2026, 6, 1)) as opened:
        gather.gather(opened)
        issue.draft(opened, "monthly")
        found = compare.with_previous(opened, review.ready(opened, "monthly-2026-06-01"))
        first = compare.with_previous(opened, review.ready(opened, ISSUE))
        with pytest.raises(IssueError, match="there is no issue"):
            compare.with_previous(opened, review.ready(opened, ISSUE), "weekly-2020-01-01")
    assert (found.issue.pieces, found.issue.readers, found.previous.issue, found.previous.pieces) == (1, 2, ISSUE, 3)
    assert found.previous.readers == 3 and found.previous.pieces_by_interest["gut"] == 3 and first.previous is None


@pytest.mark.usefixtures("on_both")
def test_a_link_to_a_draft_ends_and_can_be_taken_back(draft):
    made = share.make(by(draft, "ana"), ISSUE, days=3, edition="largest")
    token = made.url.rpartition("/")[2]
    assert share.read(draft, token) == made and share.every(draft) == (made,)
    assert made.expires_at - made.made_at == timedelta(days=3) and "/draft/" in made.url
    with pytest.raises(LinkError):
        share.read(draft, token[:-1] + ("A" if token[-1] != "A" else "B"))
    share.revoke(draft, made.id)
    with pytest.raises(LinkError):
        share.read(draft, token)
    assert share.every(draft) == ()
    with draft.store.write() as tx:
        row = issue.find(tx, ISSUE)
        shares.put(tx, "ab" * 16, row.id, "", "ana", made.made_at - timedelta(days=8), made.made_at - timedelta(days=1))
        old = shares.find(tx, "ab" * 16)
    assert old is not None
    with pytest.raises(LinkError):
        share.read(draft, share._shared(draft, old).url.rpartition("/")[2])
    for wrong in (lambda: share.make(draft, ISSUE, days=99), lambda: share.make(draft, ISSUE, edition="nothing")):
        with pytest.raises(IssueError):
            wrong()


@pytest.mark.usefixtures("on_both")
def test_steps_are_only_added(draft):
    edits.subject(draft, ISSUE, "Hello")
    with draft.store.read() as tx:
        row = issues.named(tx, ISSUE)
    with pytest.raises(Exception, match=r"(?i)unique"), draft.store.write() as tx:
        store.add(tx, row.id, 1, "eve", "edit", [Change(kind="subject", value="Bye")])
    assert edits.edited(draft, ISSUE).edits.subject == "Hello" and approval.needed(draft, "monthly") == 1


def test_an_editors_week_by_commands(draft):
    person = Person(draft.path)
    draft.store.close()
    assert person.types("edit", ISSUE, "title", "eyes", "Eyes anew", "--seen", "0").returncode == 0
    (draft.path / "note.md").write_text(NOTE, encoding="utf-8")
    assert person.types("edit", ISSUE, "note", "--file", "note.md").returncode == 0
    late = person.types("edit", ISSUE, "title", "eyes", "Too late", "--seen", "0")
    assert late.returncode == 1 and "yours   title: Too late" in late.stderr and "theirs  title: Eyes anew" in late.stderr
    shown = person.types("edition", ISSUE, "show", "--interests", "vision").stdout
    assert "Eyes anew" in shown and "this month two things matter" in shown
    large = person.types("edition", ISSUE, "show", "--edition", "imagined:vision;large", "--form", "html").stdout
    assert "Eyes anew" in large and large != person.types("edition", ISSUE, "show", "--edition", "imagined:vision", "--form", "html").stdout
    assert 'no interest "x"' in person.types("edition", ISSUE, "show", "--edition", "imagined:x").stderr
    sent_one = person.types("send", ISSUE, "--test", "me@example.org", "--edition", "imagined:vision;plain")
    assert "as a test" in sent_one.stdout
    (made,) = (draft.path / f"var/outbox/test-{ISSUE}").glob("*.eml")
    assert "Eyes anew" in made.read_text() and "text/html" not in made.read_text()
    assert person.types("send", ISSUE, "--edition", "largest").returncode == 2
    assert "4 editions for 3 readers" in person.types("edition", ISSUE, "list").stdout
    assert "+ note: Dear readers," in person.types("edit", ISSUE, "diff").stdout
    assert "Approved" in person.types("approve", ISSUE, "--by", "Ana").stdout
    assert "It had been approved" in person.types("edit", ISSUE, "pin", "rice").stdout
    assert 'pinned "Piece rice"' in person.types("compare", ISSUE, "--approved").stdout
    assert "approved before, not as it is now" in person.types("status", ISSUE).stdout.replace("\n", " ")
