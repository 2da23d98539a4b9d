"""The tasks of an admin as journeys in a real browser, each once by mouse and once by keyboard alone."""

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from digest import jobs, staff, totp
from digest.accounts import Role
from digest.admin import interest_lists
from digest.interests import load
from digest.model import Status
from digest.store import now
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.browser.test_admin import BUDGETS, DESK, PHONE, check, fresh_page
from tests.support.hands import Keyboard, Mouse, type_at_focus
from tests.support.make import write_summary
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add, code_of

__all__ = ["fresh_page"]  # a fixture
ISSUE = "monthly-2026-05-01"
HANDS = pytest.mark.parametrize("with_hand", [Mouse, Keyboard], ids=["mouse", "keyboard"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = make_site_folder(tmp_path_factory.mktemp("tasks") / "w", BUDGETS)
    write_summary(folder, "three", "2026-10-17", "diet")
    with serving(folder) as site:
        site.nora = add(site, "nora")
        for n in range(14):
            site.add(f"reader{n:02}@example.org", name=f"Reader {n}", interests=("gut", "vision"), consent_source="form")
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


def begin(site, fresh_page, with_hand, path, size=DESK):
    page = fresh_page(viewport=size)
    page.set_default_timeout(10_000)
    session = Browser(site).enter(site.nora)
    page.context.add_cookies([{"name": "digest", "value": session.cookies["digest"], "url": site.url}])
    page.goto(site.url + path)
    return page, with_hand(page)


def said(page, words):
    page.get_by_role("status").get_by_text(words).first.wait_for()


def do(page, hand):
    """Shown first, then done: what was shown is the next thing on the page."""
    hand.go("Show what it would do")
    page.get_by_role("heading", name="What it would do").wait_for()
    hand.go("Do this")
    said(page, "The change is made")


@HANDS
def test_the_life_of_an_interest(site, fresh_page, with_hand):
    page, hand = begin(site, fresh_page, with_hand, "/admin/interests")
    before = (site.folder / "subscribers/interests.yaml").read_text()
    hand.go("New interest")
    hand.write("Label", "Sleep")
    hand.write("Id", "sleep")
    hand.choose("Stands under", "Vision")
    hand.write("Rule", "{tag: diet}")
    said(page, "1 piece of the last year")  # while it is typed, and the focus stays where it is typed
    assert page.evaluate("document.activeElement.id") == "rule"
    do(page, hand)
    for words, label, text in (("Edit the rule", "Rule", "{any: [{tag: diet}, {tag: gut}]}"), ("Rename", "New id", "rest")):
        hand.go("Sleep")
        hand.go(words)
        hand.write(label, text)
        if label == "Rule":
            said(page, "1 more than now, 0 fewer")
            assert page.evaluate("document.activeElement.id") == "rule"
        do(page, hand)
    for words, label, option in (("Move", "Stands under", "the top"), ("Retire", "Named in its place", "Diet")):
        hand.go("Sleep")
        hand.go(words)
        hand.choose(label, option)
        do(page, hand)
    rest = load(site.folder).get("rest")
    assert (rest.label, rest.parent, rest.retired, rest.successor, rest.was) == ("Sleep", None, True, "diet", ("sleep",))
    hand.go("Sleep")
    hand.go("Split")
    hand.write("Id", "naps")
    hand.write("Label", "Naps")
    hand.write("What it takes of this interest", "{tag: diet}")
    do(page, hand)
    hand.go("Naps")
    hand.go("Merge")
    hand.choose("Merge into (this one stays)", "Diet")
    do(page, hand)
    assert load(site.folder).today(["naps"]) == ("diet",)
    hand.go("Take it back …")
    hand.go("Do this")
    said(page, "taken back")
    with site.open() as workspace:
        for _ in range(6):
            proposal = interest_lists.undo(workspace)
            interest_lists.make(workspace, proposal, interest_lists.show(workspace, proposal))
    assert (site.folder / "subscribers/interests.yaml").read_text() == before
    assert site.reader("reader09@example.org").interests == ("gut", "vision")


@HANDS
def test_file_and_database_compared_and_one_chosen(site, fresh_page, with_hand):
    file = site.folder / "subscribers/interests.yaml"
    before = file.read_text()
    page, hand = begin(site, fresh_page, with_hand, "/admin/interests/change/label/vision")
    hand.write("Label", "Sight")
    do(page, hand)
    file.write_text(before.replace("label: Vision", "label: Eyesight"))
    hand.go("Interests")
    hand.go("Look at both and choose")
    page.get_by_text("Changed: vision").wait_for()
    check(page, "compare")
    hand.go("The database counts …")
    hand.go("Do this")
    assert load(site.folder).get("vision").label == "Sight"
    file.write_text(before)
    hand.go("Compare file and database")
    hand.go("The file counts …")
    hand.go("Do this")
    page.get_by_role("link", name="Vision").wait_for()
    assert file.read_text() == before


@HANDS
def test_a_reader_from_the_search_to_the_end(site, fresh_page, with_hand):
    n = 1 if with_hand is Mouse else 2
    address = f"reader0{n}@example.org"
    page, hand = begin(site, fresh_page, with_hand, "/admin/readers")
    hand.write("Exact address or id", address)
    hand.go("Find")
    page.get_by_role("heading", name=f"Reader {n}").wait_for()
    hand.go("Why these")
    page.get_by_role("heading", name="Not in it").wait_for()
    page.get_by_text("Piece three").wait_for()  # why not this piece
    hand.go(f"Reader {n}")
    hand.go("Edit")
    hand.write("Interests, in their order", "vision")
    hand.choose("The email", "large print")
    hand.go("Save")
    said(page, "Saved")
    hand.go("Pause")
    said(page, "Paused")
    reader = site.reader(address)
    assert (reader.interests, reader.large_print, reader.status) == (("vision",), True, Status.PAUSED)
    hand.go("Write to them again")
    said(page, "")
    hand.go("Never write to this address again")
    page.get_by_role("heading", name="Nobody writes to this address").wait_for()
    check(page, "suppressed")
    with page.expect_download() as taken:
        hand.press("Download all that is kept about them")
    assert address in taken.value.path().read_text()
    hand.press("They asked for it, and I know")
    hand.go("Forget this reader")
    said(page, "forgotten")
    assert not site.knows(address)


@HANDS
def test_a_filter_counted_saved_used_taken_along_and_removed(site, fresh_page, with_hand):
    page, hand = begin(site, fresh_page, with_hand, "/admin/readers")
    hand.choose("Follows", "Vision")
    hand.choose("Status", "active")
    hand.go("Show")
    page.get_by_role("heading", name="Follows vision").wait_for()
    hand.go("Count them")
    said(page, "in all")
    hand.write("Save “", "sight")
    hand.go("Save")
    hand.go("sight")
    page.get_by_role("heading", name="Filter “sight”").wait_for()
    with page.expect_download() as taken:
        hand.press("Download these as CSV")
    assert "reader05@example.org" in taken.value.path().read_text()
    hand.go("Remove")
    assert page.get_by_role("link", name="sight", exact=True).count() == 0


@HANDS
def test_the_calendar_one_issue_and_its_messages_again(site, fresh_page, with_hand):
    page, hand = begin(site, fresh_page, with_hand, "/admin")
    hand.go("Issues")
    page.get_by_role("heading", name="To come").wait_for()
    hand.go(ISSUE)
    page.get_by_role("heading", name="Sum of states").wait_for()
    page.get_by_text("that were planned").wait_for()
    hand.go("Make messages again and compare")
    page.get_by_text("byte for byte").wait_for()
    with page.expect_download() as taken:
        hand.press("Download")
    file = site.folder / "var/outbox" / ISSUE / taken.value.suggested_filename
    assert taken.value.path().read_bytes() == file.read_bytes()


@HANDS
def test_each_report_with_picture_table_and_file(site, fresh_page, with_hand):
    page, hand = begin(site, fresh_page, with_hand, "/admin/reports")
    titles = page.locator(".cards a").all_inner_texts()
    assert len(titles) == 7
    for title in titles:
        hand.go(title)
        page.get_by_role("heading", level=1).wait_for()
        if page.locator(".chart img").count():
            assert page.locator(".chart img").evaluate("image => image.complete && image.naturalWidth") == 760
            assert page.locator("tbody tr").count() >= 1
        else:
            page.get_by_text("nothing to show yet").wait_for()
        with page.expect_download() as taken:
            hand.press("Download as CSV")
        assert taken.value.path().read_text().count(",") >= 1
        hand.go("Reports")
    hand.go(titles[0])
    hand.write("From the month of", "01012026")
    hand.go("Show")
    assert "since=2026-01-01" in page.url


@HANDS
def test_somebody_added_given_another_role_and_shown_the_door(site, fresh_page, with_hand):
    name = f"ben-{with_hand.by}"
    page, hand = begin(site, fresh_page, with_hand, "/admin/people")
    with site.open() as workspace, workspace.store.write() as tx:  # it is a while since she proved who she is
        tx.execute(update(t.session).values(fresh_at=now(tx) - timedelta(minutes=9)))
    hand.write("Name to log in with", name)
    hand.go("Add")
    page.get_by_role("heading", name="Is it still you?").wait_for()
    check(page, "again")
    type_at_focus(page, PASSWORD)
    hand.go("Go on")
    given = page.locator("code.key").inner_text()
    hand.go("Back to people")
    hand.go(name)
    hand.choose("Role", "approver: " + page.locator("option[value=approver]").inner_text().partition(": ")[2])
    hand.go("Change the role")
    said(page, "approver")
    other = Browser(site)
    other.log_in(name, given)
    assert other.get("/admin/account/password").status == 200
    page.reload()
    hand.go("End all their sessions")
    said(page, "have ended")
    assert other.get("/admin/account").status == 303
    hand.go("Make a new password")
    assert page.locator("code.key").inner_text() != given
    hand.go("Back to people")
    hand.go(name)
    hand.go("Let them log in no more")
    said(page, "no more")
    check(page, "disabled")
    with site.open() as workspace:
        one = next(one for one in staff.everybody(workspace) if one.name == name)
    assert one.role is Role.APPROVER and one.disabled_at is not None
    hand.go(f"What {name} did")
    page.get_by_role("heading", name="Audit log").wait_for()


@HANDS
def test_a_second_factor_set_up_and_used(site, fresh_page, with_hand):
    name = f"dora-{with_hand.by}"
    add(site, name, Role.VIEWER)
    page = fresh_page(viewport=PHONE)
    hand = with_hand(page)
    page.goto(site.url + "/admin")
    hand.write("Password", PASSWORD) if with_hand is Keyboard else hand.write("Name", name)
    if with_hand is Keyboard:
        page.keyboard.press("Shift+Tab")
        page.keyboard.type(name)
    else:
        hand.write("Password", PASSWORD)
    hand.go("Log in")
    hand.go("My account")
    hand.go("Set up a second factor")
    secret = totp.read(page.locator("code.key").inner_text())
    hand.write("Code", "000000")
    hand.go("Turn it on")
    page.get_by_role("alert").get_by_text("does not fit").wait_for()
    hand.write("Code", code_of(secret, -1))
    hand.go("Turn it on")
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    hand.go("I have them")
    hand.go("Log out")
    type_at_focus(page, name)
    hand.write("Password", PASSWORD)
    hand.go("Log in")
    type_at_focus(page, code_of(secret))
    hand.go("Log in")
    page.get_by_role("heading", name=f"Hello {name}").wait_for()
    assert page.url == site.url + "/admin"


@HANDS
def test_settings_looked_at_and_the_log_filtered_and_checked(site, fresh_page, with_hand):
    page, hand = begin(site, fresh_page, with_hand, "/admin/settings")
    hand.go("Let the doctor look")
    page.get_by_role("heading", name="What the doctor finds").wait_for()
    check(page, "doctor")
    hand.go("Audit log")
    if with_hand is Mouse:
        page.locator("summary").click()
    else:
        hand.press("Filter")
    hand.choose("Who", "nora")
    hand.go("Show")
    assert "who=nora" in page.url
    hand.go("Check every record")
    said(page, re.compile("records are as they were written"))
    with page.expect_download() as taken:
        hand.press("Download it")
    assert '"seq": 1' in taken.value.path().read_text()
