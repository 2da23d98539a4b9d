"""Lists, readers, issues and reports in a real browser: each task once by mouse and once by keyboard, each page without fault."""

from datetime import date

import pytest
from sqlalchemy import update

from digest import jobs
from digest.interests import load
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
