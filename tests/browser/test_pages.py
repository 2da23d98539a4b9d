"""Readers on the pages in a real browser: with and without scripts, on a phone and at a desk, by keyboard alone, light and dark."""

from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe

from digest import jobs
from digest.model import Status
from digest.workspace import open_workspace
from tests.support.site import link, links, make_site_folder, serving

PAGES = "pages: {languages: [en, de, es, fr, ar], budgets: {network_per_hour: 100000, all_per_hour: 100000}}\n"
PHONE, DESK = {"width": 320, "height": 640}, {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = make_site_folder(tmp_path_factory.mktemp("pages") / "w", PAGES)
    with serving(folder) as site:
        site.add("first@example.org")
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


@pytest.fixture
def fresh_context(browser):
    """Contexts that complain about anything a strict policy refused or a script threw."""
    opened, complaints = [], []

    def make(**settings):
        context = browser.new_context(**{"locale": "en-GB", **settings})
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert complaints == []


def sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def violations(page):
    return [(found["id"], [node["target"] for node in found["nodes"]]) for found in Axe().run(page).response["violations"]]


def small_targets(page):
    """Buttons, links on their own and form controls that are hard to hit: below 44 pixels in height."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main button, main input:not([type=hidden]), main select, main .tick, main a, footer a")]
        .filter((el) => el.getClientRects().length && !el.closest(".trap, .unseen") && !el.matches(".skip"))
        .map((el) => [el.outerHTML.slice(0, 80), (el.closest(".tick") || el).getBoundingClientRect().height]).filter(([, h]) => h < 43.9)"""
    )


@pytest.mark.parametrize(("scripts", "size"), [(True, DESK), (False, PHONE), (True, PHONE)], ids=["desk", "phone without scripts", "phone"])
def test_a_whole_readership_join_confirm_choose_receive_leave(site, fresh_context, scripts, size):
    address = f"nora{size['width']}{scripts}@example.org".lower()
    page = fresh_context(viewport=size, java_script_enabled=scripts).new_page()
    page.goto(site.url)
    page.get_by_label("Gut and diet").check()
    page.get_by_role("button", name="Show me the last newsletter").click()
    frame = page.frame_locator("iframe[name=preview]")
    frame.get_by_role("heading", name="Piece one").wait_for()
    assert page.get_by_label("Gut and diet").is_checked()
    page.get_by_label("Email address").fill("not an address")
    page.wait_for_timeout(2100)
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("heading", name="Something is missing").wait_for()
    page.get_by_label("Email address").fill(address)
    page.wait_for_timeout(2100)
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("heading", name="Look at your email").wait_for()
    site.settled()
    mail = next(mail for mail in site.mails() if address in str(mail["To"]))
    page.goto(site.url + link(mail, "/c/"))
    page.get_by_role("button", name="Yes, I want the newsletter").click()
    page.get_by_role("link", name="Change what you get").click()
    page.get_by_label("Vision").check()
    page.get_by_label("Large print").check()
    page.get_by_role("button", name="Save").last.click()
    page.get_by_role("status").get_by_text("Saved.").wait_for()
    page.get_by_role("button", name="Up: Vision").click()
    page.get_by_text("Moved up.").wait_for()
    reader = site.reader(address)
    assert (reader.interests, reader.large_print, reader.status) == (("vision", "gut"), True, Status.ACTIVE)
    page.goto(site.url + f"/u/{site.token('unsubscribe', reader.id)}")
    page.get_by_role("button", name="Unsubscribe from everything").click()
    page.get_by_role("heading", name="You have left").wait_for()
    assert site.reader(address).status is Status.UNSUBSCRIBED
    page.get_by_role("button", name="Undo this").click()
    page.get_by_text("All is as before").wait_for()
    assert site.reader(address).status is Status.ACTIVE


def test_what_is_chosen_on_the_pages_is_received_and_after_leaving_nothing_is(site, fresh_context):
    reader = site.add("receives@example.org", cadence="weekly", interests=("vision",))
    page = fresh_context(viewport=PHONE).new_page()
    page.goto(site.url + f"/p/{site.token('preferences', reader.id)}")
    page.get_by_label("Gut and diet").check()
    page.get_by_role("button", name="Save").last.click()
    page.get_by_role("status").get_by_text("Saved.").wait_for()

    def run(on):
        with open_workspace(site.folder, on) as workspace, workspace.store.alone():
            jobs.run(workspace, "weekly")
        return [file.read_text() for file in (site.folder / "var/outbox" / f"weekly-{on}").glob("*.eml")]

    (sent,) = run(date(2026, 4, 17))
    assert "Piece one" in sent and "Piece two" in sent
    page.goto(site.url + f"/u/{site.token('unsubscribe', reader.id)}")
    page.get_by_role("button", name="Unsubscribe from everything").click()
    page.get_by_role("heading", name="You have left").wait_for()
    assert run(date(2026, 4, 24)) == []


def every_page(site):
    """A path to each kind of page, and whether it is one that a mistake led to."""
    reader = site.add(f"looks{len(list(site.folder.glob('**/*')))}@example.org", interests=("gut", "vision"), language="")
    fresh, old = site.token("preferences", reader.id), site.token("web", reader.id)
    left = site.add(f"left{reader.id[:8]}@example.org", status=Status.UNSUBSCRIBED, language="")
    site.post("/subscribe", {"email": f"c{reader.id[:8]}@example.org", "interest": "gut", "lang": "en", "stamp": site.stamp()})
    site.settled()
    mail = site.mails()[-1]
    return {
        "join": "/",
        "embed": "/embed",
        "sent": "/subscribe/sent",
        "links sent": "/links/sent",
        "links": "/links",
        "lost": f"/p/{old}",
        "confirm": link(mail, "/c/"),
        "never": link(mail, "/n/"),
        "preferences": f"/p/{fresh}",
        "gone": f"/p/{site.token('preferences', left.id)}",
        "erase": f"/p/{fresh}/erase",
        "fewer": f"/p/{fresh}/monthly-2026-05-01/0",
        "leave": f"/u/{site.token('unsubscribe', reader.id)}",
        "left": f"/u/{site.token('unsubscribe', left.id)}",
        "nothing": "/nothing/here",
        "preview": "/preview",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_without_fault_on_a_phone_and_at_a_desk(site, fresh_context, scheme):
    paths = every_page(site)
    for size in (PHONE, DESK):
        page = fresh_context(viewport=size, color_scheme=scheme).new_page()
        for name, path in paths.items():
            page.goto(site.url + path)
            assert violations(page) == [], (name, size)
            assert not sideways(page), (name, size)
            assert small_targets(page) == [], (name, size)
            assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 18


def test_pages_with_mistakes_and_pages_from_right_to_left_are_without_fault(site, fresh_context):
    page = fresh_context(viewport=PHONE).new_page()
    page.goto(site.url + "/?lang=en")
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("alert").wait_for()
    assert violations(page) == []
    page.get_by_role("alert").get_by_role("link").first.click()
    assert page.evaluate("document.activeElement.id") in ("email", "interest-gut")
    for name, path in every_page(site).items():
        if name == "preview":
            continue
        page.goto(site.url + path + ("&" if "?" in path else "?") + "lang=ar")
        assert page.evaluate("document.documentElement.dir") == "rtl", name
        assert violations(page) == [] and not sideways(page), name


def test_everything_can_be_done_by_keyboard_alone_and_the_focus_is_seen(site, fresh_context):
    page = fresh_context(viewport=DESK).new_page()
    page.goto(site.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    met = []
    for _ in range(40):
        page.keyboard.press("Tab")
        what = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
                       return [e.id || e.name || e.innerText, s.outlineStyle, s.outlineWidth]; }"""
        )
        met.append(what[0])
        if what[0] == "preview":  # into the frame and out of it
            continue
        assert what[1] == "solid" and what[2] == "4px", what
        if what[0] == "interest-vision":
            page.keyboard.press("Space")
        if what[0] == "email":
            page.keyboard.type("keys@example.org")
            page.wait_for_timeout(2100)
            page.keyboard.press("Enter")
            break
    assert "website" not in met and met.index("interest-gut") < met.index("email")
    page.get_by_role("heading", name="Look at your email").wait_for()


def test_at_twice_the_size_nothing_is_lost_sideways(site, fresh_context):
    page = fresh_context(viewport={"width": 640, "height": 480}, device_scale_factor=2).new_page()
    for path in ("/", "/links"):
        page.goto(site.url + path)
        page.evaluate("document.documentElement.style.fontSize = '225%'")
        assert not sideways(page), path


def test_a_scanner_that_runs_scripts_and_follows_every_link_changes_nothing(site, fresh_context):
    """Every link of an issue and of a confirmation mail, and every link of those pages, opened and left to run."""
    reader = site.add("scanned@example.org", cadence="quiet")
    site.post("/subscribe", {"email": "scan@example.org", "interest": "gut", "lang": "en", "stamp": site.stamp()})
    site.settled()
    mail = next(mail for mail in site.mails() if "scan@" in str(mail["To"]))
    first = [f"/u/{site.token('unsubscribe', reader.id)}", f"/p/{site.token('preferences', reader.id)}", *links(mail)]
    page = fresh_context(viewport=DESK).new_page()
    seen, waiting = set(), list(first)
    while waiting:
        path = waiting.pop(0).split("#")[0]
        if path in seen or not path.startswith("/"):
            continue
        seen.add(path)
        page.goto(site.url + path)
        page.wait_for_timeout(50)
        waiting += page.eval_on_selector_all("a[href]", "all => all.map((a) => a.getAttribute('href'))")
    assert len(seen) > 15
    assert site.reader("scanned@example.org") == reader
    assert not site.knows("scan@example.org")


def test_when_many_ask_a_browser_works_for_its_place_and_one_without_scripts_has_a_place_of_its_own(tmp_path, fresh_context):
    folder = make_site_folder(tmp_path / "busy", "pages: {budgets: {network_per_hour: 4, all_per_hour: 1000}}\n")
    with serving(folder) as site:
        stamp = site.stamp()

        def asks(address, scripts):
            page = fresh_context(viewport=PHONE, java_script_enabled=scripts).new_page()
            page.goto(f"{site.url}/links")
            page.get_by_label("Email address").fill(address)
            page.wait_for_timeout(2100)
            page.get_by_role("button", name="Mail me a new link").click()
            page.get_by_role("heading", name="Look at your email").or_(page.get_by_role("heading", name="Not sent yet")).wait_for()
            return page.url.rpartition("/links")[2].startswith("/sent")

        for n in range(3):
            assert site.post("/links", {"email": f"n{n}@example.org", "stamp": stamp}).status == 303
        assert asks("with1@example.org", True) and asks("with2@example.org", True)
        assert asks("without1@example.org", False) and not asks("without2@example.org", False)
        assert asks("with3@example.org", True)
        # Whoever presses the button before the work is done waits for it, and is told so.
        page = fresh_context(viewport=PHONE).new_page()
        held = []
        page.route("**/proof-worker.js*", lambda route: held.append(route))
        page.goto(f"{site.url}/?lang=en")
        page.get_by_label("Gut and diet").check()
        page.get_by_label("Email address").fill("quick@example.org")
        page.wait_for_timeout(2100)
        page.get_by_role("button", name="I agree").click()
        page.get_by_role("status").get_by_text("One moment, please.").wait_for()
        held[0].continue_()
        page.get_by_role("heading", name="Look at your email").wait_for()
        with site.open() as workspace, workspace.store.read() as tx:
            assert tx.exec_driver_sql("SELECT count(*) FROM throttle WHERE scope LIKE 'proof:%'").scalar() == 4


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_with_scripts_a_saved_form_stays_where_it_is_and_tells_what_happened(site, fresh_context, size):
    reader = site.add(f"stays{size['width']}@example.org", interests=("gut", "vision", "diet"))
    page = fresh_context(viewport=size).new_page()
    page.goto(site.url + f"/p/{site.token('preferences', reader.id)}")
    focused = "document.activeElement.id || document.activeElement.className"
    up = page.locator("#up-diet")
    up.focus()
    place = page.evaluate("scrollY")
    for expected in (("gut", "diet", "vision"), ("diet", "gut", "vision"), ("diet", "gut", "vision")):
        page.keyboard.press("Enter")
        page.get_by_text("Moved up.").wait_for()
        assert page.evaluate(focused) == "up-diet" and abs(page.evaluate("scrollY") - place) < 150
        assert site.reader(reader.email).interests == expected
        page.evaluate("document.querySelectorAll('.saved, .done').forEach((one) => one.remove())")  # what comes next says it anew
    page.get_by_label("Large print").check()
    place = page.evaluate("scrollY")
    page.get_by_role("button", name="Save").last.click()
    page.locator(".done").wait_for()
    assert page.evaluate(focused) == "save" and page.locator("#save").is_visible() and site.reader(reader.email).large_print
    assert page.evaluate("document.querySelector('.done').getBoundingClientRect().bottom <= innerHeight")
    # A mistake is shown and has the focus; the answer of a server in trouble is told, and nothing that was typed is lost.
    page.get_by_label("Your name").fill("Typed before")
    page.get_by_label("Send me nothing for a while").check()
    page.get_by_role("button", name="Save").last.click()
    page.get_by_role("heading", name="Something is missing").wait_for()
    page.wait_for_function(f"({focused}) === 'errors'")  # a moment after the heading is there
    assert page.get_by_label("Your name").input_value() == "Typed before"
    page.route("**/p/*", lambda route: route.fulfill(status=503, body="busy"))
    page.get_by_role("button", name="Save").last.click()
    page.get_by_role("alert").get_by_text("could not be saved just now").wait_for()
    assert page.get_by_label("Your name").input_value() == "Typed before" and not violations(page)


def test_nothing_that_has_the_focus_is_hidden_by_the_button_that_stays(site, fresh_context):
    reader = site.add("tabs@example.org", interests=("gut", "vision", "diet"))
    page = fresh_context(viewport={"width": 375, "height": 800}, reduced_motion="reduce").new_page()
    page.goto(site.url + f"/p/{site.token('preferences', reader.id)}")
    hidden = """() => { const at = document.activeElement.getBoundingClientRect(), bar = document.querySelector(".keep");
        const over = bar.getBoundingClientRect();
        return !bar.contains(document.activeElement) && at.height && at.top < over.bottom - 1 && at.bottom > over.top + 1 }"""
    seen = 0
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        assert not page.evaluate(hidden), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        seen += 1
    assert seen > 25
