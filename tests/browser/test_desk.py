"""An editor at the desk in a real browser: looks, switches, orders by mouse and keys, rewrites, approves; files renew the page."""

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe

from digest.accounts import Role
from digest.workspace import open_workspace
from tests.support.desk import NAME, ON, make_desk_folder, sitting
from tests.support.site import serving
from tests.support.staff import Browser, add

PHONE, WIDE = {"width": 375, "height": 800}, {"width": 1200, "height": 900}
ISSUE = f"/issues/{NAME}"
EVERYTHING = f"{ISSUE}/editions/imagined:all"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with sitting(make_desk_folder(tmp_path_factory.mktemp("desk") / "w")) as desk:
        yield desk


@pytest.fixture
def fresh_page(browser):
    """Pages that came in with the key, and complain about anything a strict policy refused or a script threw."""
    opened, complaints = [], []

    def make(desk, **settings):
        context = browser.new_context(**{"viewport": WIDE, **settings})
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
        opened.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(desk.opened.url)
        return page

    yield make
    for context in opened:
        context.close()
    assert complaints == []


def violations(page):
    return [(found["id"], [node["target"] for node in found["nodes"]]) for found in Axe().run(page).response["violations"]]


def email_of(page):
    """The text of the email that is framed, once it is there."""
    frame = page.locator("iframe#mail").element_handle().content_frame()
    return frame.evaluate("document.body ? document.body.innerText : ''")


def until(page, holds, wait_s=20):
    """Wait for something that no event tells of."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        try:
            if holds():
                return
        except Exception:  # the frame is being exchanged
            pass
        page.wait_for_timeout(30)
    raise AssertionError("it did not come")


def titles(page):
    return [re.sub(r"^\d+\. ", "", text) for text in page.locator("[data-order] .subject").all_inner_texts()]


def test_an_editors_hour(tmp_path, fresh_page):
    folder = make_desk_folder(tmp_path / "w")
    with sitting(folder) as desk:
        page = fresh_page(desk)
        page.get_by_role("heading", name="Editions", level=2).wait_for()
        assert "key=" not in page.url
        page.locator("tbody th a").first.click()
        page.get_by_role("link", name="375", exact=True).click()
        page.get_by_role("link", name="Dark", exact=True).click()
        assert "width=375" in page.url and "scheme=dark" in page.url
        assert page.locator("iframe#mail").get_attribute("width") == "375"
        frame = page.locator("iframe#mail").element_handle().content_frame()
        assert frame.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark only"
        page.reload()
        assert page.get_by_role("link", name="Dark", exact=True).get_attribute("aria-current") == "true"
        page.get_by_role("link", name="Plain text", exact=True).click()
        page.get_by_text("https://letter.example.org/").first.wait_for()

        page.get_by_role("link", name="Edit", exact=True).click()
        before = titles(page)
        assert len(before) == 3
        # By mouse: the last one to the top.
        page.locator(".handle").nth(2).drag_to(page.locator("[data-order] > li").nth(0))
        page.get_by_text("Moved to place 1.").wait_for()
        assert titles(page) == [before[2], before[0], before[1]]
        # By keyboard: down again by one, and the focus stays on the button.
        page.get_by_role("button", name=f"Down: {before[2]}").focus()
        page.keyboard.press("Enter")
        page.get_by_text("Moved down.").wait_for()
        assert titles(page) == [before[0], before[2], before[1]]
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Down: {before[2]}"
        page.get_by_role("button", name="Undo:").click()
        page.get_by_text("Taken back.").wait_for()
        assert titles(page) == [before[2], before[0], before[1]]
        page.get_by_role("button", name="Redo:").click()
        page.get_by_text("Done again.").wait_for()
        # Its button is gone: the focus is where it was, and on nothing that a second press would do.
        assert page.evaluate("document.activeElement.textContent") == "Edit"
        page.get_by_role("button", name="Undo:").click()
        page.get_by_text("Taken back.").wait_for()

        page.locator("summary", has_text="Rewrite").first.click()
        page.get_by_label("Title in this issue").first.fill("A title that <b>the editor</b> wrote")
        page.get_by_role("button", name="Save the teaser").first.click()
        page.get_by_text("Rewritten for this issue.").wait_for()
        until(page, lambda: "A title that <b>the editor</b> wrote" in email_of(page))

        page.get_by_role("link", name="Approve", exact=True).click()
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved as it is now.").wait_for()
        assert page.locator(".chip.approved").count() == 1
        header = folder / "templates/parts/header.mjml.j2"
        header.write_text(header.read_text().replace("{{ newsletter.name }}", "{{ newsletter.name }}!"))
        page.get_by_role("heading", name="The approval is void").wait_for()
        page.get_by_text("header.mjml.j2").first.wait_for()
        with open_workspace(folder, ON) as workspace, workspace.store.read() as tx:
            steps = tx.exec_driver_sql("SELECT count(*) FROM edit").scalar_one()
        assert steps == 6


def test_a_saved_file_renews_the_page_in_its_place(tmp_path, fresh_page):
    folder = make_desk_folder(tmp_path / "w")
    with sitting(folder) as desk:
        page = fresh_page(desk, viewport={"width": 1200, "height": 600})
        page.goto(desk.url + EVERYTHING)
        until(page, lambda: "Test Letter" in email_of(page))
        page.evaluate("scrollTo(0, 500)")
        header = folder / "templates/parts/header.mjml.j2"
        good = header.read_text()
        header.write_text(good.replace("{{ newsletter.name }}", "Renewed {{ newsletter.name }}"))
        until(page, lambda: "Renewed Test Letter" in email_of(page))
        assert page.evaluate("scrollY") == 500
        # A mistake: file, line and the lines around it, and the last good state behind.
        header.write_text(good.replace("{{ newsletter.name }}", "{{ newsletter.nam }}"))
        trouble = page.get_by_role("alert")
        trouble.get_by_text("'nam' is undefined; did you mean name?").wait_for()
        line = next(n for n, text in enumerate(good.split("\n"), 1) if "{{ newsletter.name }}" in text)
        assert f"templates/parts/header.mjml.j2:{line}" in trouble.inner_text()
        assert "newsletter.nam }}" in trouble.locator(".it").inner_text()
        assert "Renewed Test Letter" in email_of(page)
        assert violations(page) == []
        # What takes long to compose is said to be on its way.
        page.route(f"**{EVERYTHING}", lambda route: (time.sleep(1), route.continue_()))
        header.write_text(good)
        page.get_by_text("Saved: header.mjml.j2. It is being composed").wait_for()
        trouble.wait_for(state="detached")
        assert not page.locator("#live").is_visible()
        # A piece: what is saved is seen at once, and said to differ from the draft.
        piece = folder / "summaries/one.md"
        piece.write_text(piece.read_text().replace("Piece one", "Piece one, mended"))
        until(page, lambda: "Piece one, mended" in email_of(page))
        page.get_by_text("changed: Piece one, mended").wait_for()
        page.get_by_role("button", name="Take the files in").click()
        page.get_by_role("heading", name="Editions", level=2).wait_for()
        assert page.get_by_text("The saved files say something else").count() == 0


def test_what_is_being_typed_outlives_a_renewal(desk, fresh_page):
    page = fresh_page(desk)
    page.goto(f"{desk.url}{ISSUE}/edit")
    page.get_by_label("Subject").fill("A subject that is being")
    template = desk.folder / "templates/digest.txt.j2"
    template.write_text(template.read_text() + "\n")
    page.get_by_text("You are typing, so this page stays").wait_for()
    assert page.get_by_label("Subject").input_value() == "A subject that is being"
    page.evaluate("window.onbeforeunload = null")
    page.get_by_label("Subject").fill("")
    page.get_by_role("button", name="Save").first.click()


def test_other_buttons_leave_what_is_being_written_alone_and_steps_in_quick_succession_are_all_done(tmp_path, fresh_page):
    with sitting(make_desk_folder(tmp_path / "w")) as desk:
        page = fresh_page(desk)
        page.goto(f"{desk.url}{ISSUE}/edit")
        first, second, third = titles(page)
        page.get_by_label("Preheader").fill("What is in it for you")
        page.locator("summary", has_text=f"Rewrite: {third}").click()
        page.get_by_label("Takeaway in this issue").nth(2).fill("Another takeaway")
        desk.edit("preheader", text="Somebody else's")  # meanwhile: it must not be written over unseen
        # Twice before the first answer, and again: the third to the top, and no button after that does something else.
        page.get_by_role("button", name=f"Up: {third}").focus()
        for _ in range(3):
            page.keyboard.press("Enter")
        until(page, lambda: titles(page) == [third, first, second])
        page.evaluate(
            """() => { for (const [piece, place] of [[2, 1], [2, 1]]) {
                const rows = document.querySelectorAll("[data-order] > li"), with_ = {bubbles: true, dataTransfer: new DataTransfer()};
                rows[piece].querySelector(".handle").dispatchEvent(new DragEvent("dragstart", with_));
                rows[place - 1].dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true}));
                rows[piece].dispatchEvent(new DragEvent("dragend", {bubbles: true}));
            } }"""
        )
        page.get_by_text("Moved to place 1.").wait_for()
        until(page, lambda: page.locator(".busy").count() == 0)
        assert titles(page) == [first, second, third]
        assert page.get_by_label("Takeaway in this issue").nth(2).input_value() == "Another takeaway"
        assert page.get_by_label("Preheader").input_value() == "What is in it for you"
        page.locator("form", has=page.get_by_label("Preheader")).get_by_role("button", name="Save").click()
        box = page.get_by_role("alert")
        assert "Somebody else's" in box.inner_text() and box.get_by_label("Text").input_value() == "What is in it for you"
        page.get_by_role("button", name="Save the teaser").click()
        page.get_by_text("Rewritten for this issue.").wait_for()
        assert page.get_by_label("Preheader").input_value() == "What is in it for you"


def test_a_session_that_ends_while_somebody_writes_costs_no_word(tmp_path, browser):
    with serving(make_desk_folder(tmp_path / "w")) as site:
        ana = add(site, "ana", Role.EDITOR)
        context = browser.new_context()

        def log_in():
            context.add_cookies([{"name": "digest", "value": Browser(site).enter(ana).cookies["digest"], "url": site.url}])

        log_in()
        page = context.new_page()
        page.goto(f"{site.url}/desk{ISSUE}/edit")
        page.get_by_label("Your note on top").fill("Dear readers, …")
        context.clear_cookies()
        save = page.locator("form", has=page.get_by_label("Your note on top")).get_by_role("button")
        save.click()
        link = page.get_by_role("status").get_by_role("link", name="log in")
        assert link.get_attribute("href") == f"/admin/login?to=/desk{ISSUE}/edit"
        assert page.get_by_label("Your note on top").input_value() == "Dear readers, …"
        log_in()
        save.click()
        page.get_by_text("Note saved.").wait_for()
        context.close()


def test_the_second_editor_of_a_teaser_is_told_and_loses_nothing(desk, fresh_page):
    first, second = fresh_page(desk), fresh_page(desk)
    for page in (first, second):
        page.goto(f"{desk.url}{ISSUE}/edit")
        page.locator("summary", has_text="Rewrite").first.click()
    for page, text in ((first, "The first editor's title"), (second, "The second editor's title")):
        page.get_by_label("Title in this issue").first.fill(text)
        page.get_by_role("button", name="Save the teaser").first.click()
        page.wait_for_timeout(50)
        until(page, lambda page=page: page.locator("#stage [role=status], #stage [role=alert]").count())
    box = second.get_by_role("alert")
    assert "Somebody was faster" in box.inner_text() and "The first editor's title" in box.inner_text()
    assert box.get_by_label("Title").input_value() == "The second editor's title"
    assert violations(second) == []
    box.get_by_role("button", name="Put mine in its place").click()
    until(second, lambda: "The second editor's title" in titles(second)[0])
    second.get_by_role("button", name="Undo:").click()
    second.get_by_text("Taken back.").wait_for()
    second.get_by_role("button", name="Undo:").click()


PAGES = {
    "overview": "/",
    "editions": ISSUE,
    "undrafted": "/issues/monthly-2026-06-01",
    "edition": EVERYTHING,
    "simulated": f"{EVERYTHING}?program=gmail&scheme=forced&width=320",
    "text": f"{EVERYTHING}?view=text",
    "source": f"{EVERYTHING}?view=html",
    "headers": f"{EVERYTHING}?view=headers",
    "raw": f"{EVERYTHING}?view=raw",
    "inbox": f"{EVERYTHING}?view=inbox",
    "nothing": f"{ISSUE}/editions/none",
    "edit": f"{ISSUE}/edit",
    "why": f"{ISSUE}/why",
    "checks": f"{ISSUE}/checks",
    "compare": f"{ISSUE}/compare",
    "approve": f"{ISSUE}/approve",
    "share": f"{ISSUE}/share",
    "rules": "/rules",
    "not there": "/issues/nothing",
}


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)], ids=["light, wide", "dark, phone"])
def test_every_page_is_without_fault(desk, fresh_page, scheme, size):
    page = fresh_page(desk, viewport=size, color_scheme=scheme)
    for name, path in PAGES.items():
        page.goto(desk.url + path)
        assert violations(page) == [], name
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), name
        assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 18


def test_it_works_without_scripts(tmp_path, fresh_page):
    with sitting(make_desk_folder(tmp_path / "w")) as desk:
        page = fresh_page(desk, java_script_enabled=False)
        page.get_by_label("Vision").check()
        page.get_by_role("button", name="Show what they would get").click()
        page.get_by_role("heading", name="An imagined reader").wait_for()
        page.get_by_role("link", name="Edit", exact=True).click()
        before = titles(page)
        page.get_by_role("button", name=f"Up: {before[1]}").click()
        page.get_by_text("Moved up.").wait_for()
        assert titles(page)[:2] == [before[1], before[0]]
        page.get_by_role("button", name=f"Leave out: {before[0]}").click()
        page.get_by_text("Left out.").wait_for()
        assert page.locator(".piece-row.out").count() == 1
        page.get_by_role("link", name="Approve", exact=True).click()
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved as it is now.").wait_for()


def test_everything_on_the_edit_page_can_be_reached_by_keys_and_the_focus_is_seen(desk, fresh_page):
    page = fresh_page(desk)
    page.goto(f"{desk.url}{ISSUE}/edit")
    met = []
    for _ in range(45):
        page.keyboard.press("Tab")
        what = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
                       return [e.id || e.tagName, s.outlineStyle, e.tagName]; }"""
        )
        met.append(what[0])
        assert what[1] == "solid" or what[2] in ("IFRAME", "BODY"), what
    assert {"down-1", "pin-1", "exclude-1", "up-2"} <= set(met)
    assert "drag-go" not in met


def test_an_edition_is_taken_away_as_a_picture_and_on_paper(desk):
    picture, paper = (desk.get(f"{EVERYTHING}/get/{kind}?width=375") for kind in ("png", "pdf"))
    assert picture.headers["content-type"] == "image/png" and picture.body[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture.body[16:20], "big") in (375, 750)  # pixels across; twice as many on a fine screen
    assert paper.headers["content-type"] == "application/pdf" and paper.body[:5] == b"%PDF-" and len(paper.body) > 5000
    assert "attachment" in picture.headers["content-disposition"] and "attachment" in paper.headers["content-disposition"]
