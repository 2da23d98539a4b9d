"""Lists, readers, issues and reports in a real browser: each task once by mouse and once by keyboard, each page without fault."""

import re
from datetime import date

import pytest
from sqlalchemy import update

from digest import jobs
from digest.interests import load
from digest.model import Status
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.browser.test_admin import BUDGETS, DESK, PHONE, check, fresh_page
from tests.support.make import write_summary
from tests.support.site import make_site_folder, serving
from tests.support.staff import Browser, add

__all__ = ["fresh_page"]  # a fixture
ISSUE = "monthly-2026-05-01"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = make_site_folder(tmp_path_factory.mktemp("pages") / "w", BUDGETS)
    write_summary(folder, "three", "2026-10-17", "diet")
    with serving(folder) as site:
        site.nora = add(site, "nora")
        for n in range(12):
            site.add(f"reader{n:02}@example.org", name=f"Reader {n}", interests=("gut", "vision"), consent_source="form")
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


@pytest.fixture
def page(site, fresh_page):
    return enter(site, fresh_page(viewport=DESK))


def enter(site, page):
    session = Browser(site).enter(site.nora)
    page.context.add_cookies([{"name": "digest", "value": session.cookies["digest"], "url": site.url}])
    return page


def reach(page, wanted, most=120):
    """Tab on until what has the focus is called that; whatever has it on the way shows so."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const e = document.activeElement, l = e.labels && e.labels[0];
                       const name = l ? l.innerText : e.innerText || e.getAttribute("aria-label") || e.id;
                       return [name.trim(), getComputedStyle(e).outlineStyle]; }"""
        )
        if name.startswith(wanted):
            assert outline == "solid", name
            return
    raise AssertionError(f"{wanted} is not reached by keyboard")


def press(page, wanted, key="Enter"):
    reach(page, wanted)
    page.keyboard.press(key)


def follow(page, wanted):
    """Press it, and be where it leads."""
    reach(page, wanted)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_rule_by_mouse_seen_while_it_is_typed(site, page):
    page.goto(site.url + "/admin/interests")
    page.get_by_role("link", name="Vision").click()
    page.get_by_role("link", name="Edit the rule").click()
    page.wait_for_load_state()  # what is typed before the page's script is there is seen with the next key
    page.get_by_label("Rule").fill("{any: [{tag: vision}, {tag: diet}]}")
    page.get_by_role("status").get_by_text("1 more than now, 0 fewer").wait_for()  # without a button pressed
    assert page.get_by_role("button", name="Do this").count() == 0
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Do this").click()
    page.get_by_role("status").get_by_text("The change is made").wait_for()
    assert load(site.folder).get("vision").match.any
    page.get_by_role("button", name="Take it back").click()
    page.get_by_role("button", name="Do this").click()
    page.get_by_role("status").get_by_text("taken back").wait_for()
    assert not load(site.folder).get("vision").match.any


def test_a_label_by_keyboard_and_without_scripts(site, fresh_page):
    page = enter(site, fresh_page(viewport=DESK, java_script_enabled=False))
    page.goto(site.url + "/admin/interests/about/vision")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(":focus").inner_text().startswith("Label and translations"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Label and translations: Vision").wait_for()
    page.get_by_label("Label").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Eyes")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What it would do").wait_for()
    page.get_by_role("button", name="Do this").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The change is made").wait_for()
    assert load(site.folder).get("vision").label == "Eyes"
    page.get_by_role("button", name="Take it back").click()
    page.get_by_role("button", name="Do this").click()


def test_a_new_interest_by_keyboard(site, page):
    page.goto(site.url + "/admin/interests")
    follow(page, "New interest")
    reach(page, "Label")
    page.keyboard.type("Sleep")
    page.keyboard.press("Tab")
    page.keyboard.type("sleep")
    reach(page, "Rule")
    page.keyboard.type("{tag: sleep}")
    follow(page, "Show what it would do")
    follow(page, "Do this")
    page.get_by_role("link", name="Sleep").wait_for()
    follow(page, "Take it back")
    follow(page, "Do this")
    assert load(site.folder).get("sleep") is None


def test_a_reader_by_mouse_found_edited_paused(site, page):
    page.goto(site.url + "/admin/readers")
    page.get_by_label("Exact address or id").fill("reader03@example.org")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="Reader 3").wait_for()
    assert "example" not in page.url and "gut" not in page.url
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Interests, in their order").fill("vision")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").get_by_text("Saved").wait_for()
    page.get_by_role("link", name=re.compile("Why these")).click()
    page.get_by_role("heading", name="Not in it").wait_for()
    page.go_back()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("status").get_by_text("Paused").wait_for()
    reader = site.reader("reader03@example.org")
    assert (reader.interests, reader.status) == (("vision",), Status.PAUSED)


def test_a_reader_by_keyboard_found_and_forgotten(site, page):
    page.goto(site.url + "/admin/readers")
    reach(page, "Exact address or id")
    page.keyboard.type("reader04@example.org")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Reader 4").wait_for()
    press(page, "They asked for it", "Space")
    follow(page, "Forget this reader")
    page.get_by_role("status").get_by_text("forgotten").wait_for()
    assert not site.knows("reader04@example.org")


def test_filters_by_keyboard_saved_and_a_file_taken_along(site, page):
    page.goto(site.url + "/admin/readers")
    reach(page, "Follows")
    page.keyboard.type("Vis")
    follow(page, "Show")
    page.get_by_role("heading", name="Follows vision").wait_for()
    assert "vision" not in page.url
    reach(page, "Save “follows vision”")
    page.keyboard.type("sight")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_role("link", name="sight").click()
    with page.expect_download() as taken:
        press(page, "Download these as CSV")
    assert "reader05@example.org" in taken.value.path().read_text()


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_file_brought_in(site, page, tmp_path, by):
    file = tmp_path / "list.csv"
    file.write_text(f"E-Mail,Full name\n{by}@example.org,New\nnonsense,X\n")
    page.goto(site.url + "/admin/readers")
    if by == "mouse":
        page.get_by_role("link", name="Bring in a CSV file").click()
    else:
        follow(page, "Bring in a CSV file")
    page.get_by_label("The file").set_input_files(file)
    for button in ("Go on", "Show what would happen", "Bring them in"):
        if by == "mouse":
            page.get_by_role("button", name=button).click()
        else:
            follow(page, button)
        if button == "Show what would happen":
            page.get_by_text("1 would be added").wait_for()
            assert not site.knows(f"{by}@example.org")
            check(page, button)
    page.get_by_role("status").get_by_text("brought in").wait_for()
    assert site.reader(f"{by}@example.org").name == "New"


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_held_hand_overs_decided(site, page, by):
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.delivery).values(state="held", reason="no word came back"))
    page.goto(site.url + f"/admin/issues/about/{ISSUE}")
    check(page, "held")
    if by == "mouse":
        page.get_by_label("All of them").check()
        page.get_by_role("button", name="Decide").click()
    else:
        press(page, "All of them", "Space")
        follow(page, "Decide")
    page.get_by_role("status").get_by_text("Decided and recorded").wait_for()
    with site.open() as workspace, workspace.store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM delivery WHERE state='held'").scalar_one() == 0


def test_an_issue_made_again_by_mouse_and_one_message_by_keyboard(site, page):
    page.goto(site.url + "/admin/issues")
    page.get_by_role("link", name=ISSUE).click()
    page.get_by_role("button", name="Make messages again and compare").click()
    page.get_by_text("byte for byte").wait_for()
    with page.expect_download() as taken:
        press(page, "Download")
    file = site.folder / "var/outbox" / ISSUE / taken.value.suggested_filename
    assert taken.value.path().read_bytes() == file.read_bytes()


def test_a_report_by_keyboard_with_its_picture(site, page):
    page.goto(site.url + "/admin/reports")
    follow(page, "Readers by status")
    assert page.locator(".chart img").evaluate("image => image.complete && image.naturalWidth") == 760
    with page.expect_download() as taken:
        press(page, "Download as CSV")
    assert taken.value.path().read_text().startswith("month,")


@pytest.mark.parametrize("scheme, size", [("light", DESK), ("dark", PHONE)])
def test_every_page_is_without_fault_on_a_phone_and_at_a_desk(site, fresh_page, scheme, size):
    one = site.reader("reader07@example.org")
    kinds = ("rule", "merge", "split")
    paths = [
        "/interests", "/interests/about/gut", "/interests/history", "/interests/compare", "/interests/import", "/interests/create",
        *(f"/interests/change/{kind}/gut" for kind in kinds),
        "/readers", f"/readers/about/{one.id}", f"/readers/about/{one.id}/edit", f"/readers/about/{one.id}/why/{ISSUE}", "/readers/import",
        "/issues", f"/issues/about/{ISSUE}", "/reports", "/reports/about/readers", "/reports/about/deliveries",
    ]  # fmt: skip
    page = enter(site, fresh_page(viewport=size, color_scheme=scheme))
    for path in paths:
        page.goto(site.url + "/admin" + path)
        check(page, (path, size, scheme))
    page.goto(site.url + "/admin/interests/change/rename/diet")
    page.get_by_label("New id").fill("food")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Do this").wait_for()
    check(page, ("shown", size, scheme))


# --- webhooks ------------------------------------------------------------------------------------------------------------


def test_a_webhook_is_added_by_mouse_and_removed_by_keyboard(site, page):
    page.goto(site.url + "/admin/hooks")
    page.get_by_label("Address", exact=True).fill("https://receiver.example.org/digest?key=1")
    page.get_by_label("Everything about issues").check()
    page.get_by_text("Or single events").click()
    page.get_by_label("reader.joined").check()
    check(page, "the form")
    page.get_by_role("button", name="Add").click()
    assert page.locator("code.key").inner_text().startswith("whsec_")
    check(page, "the secret")
    page.get_by_role("link", name="On to the webhook").click()
    assert page.get_by_text("issue.*, reader.joined").is_visible() and page.get_by_text("key=1").count() == 0
    check(page, "the webhook")
    reach(page, "Take it away")
    page.keyboard.press("Space")
    reach(page, "Remove")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("The webhook is gone").wait_for()
    assert page.get_by_text("There is none yet").is_visible()
