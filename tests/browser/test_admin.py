"""The admin in a real browser: by keyboard alone from the log-in to somebody added, and each page without fault by day and by night."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from digest import api_keys, audit, staff, totp
from digest.accounts import Role
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add, code_of

BUDGETS = "admin: {budgets: {try_per_hour: 1000, name_per_hour: 1000, network_per_hour: 1000, all_per_hour: 1000}}\n"
PHONE, DESK = {"width": 320, "height": 640}, {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(make_site_folder(tmp_path_factory.mktemp("admin") / "w", BUDGETS)) as site:
        add(site, "nora")
        add(site, "ben", Role.EDITOR)
        with site.open() as workspace:
            api_keys.add(workspace, "crm", ["readers:read", "lists:write"])
            for n in range(60):
                audit.note(workspace, "issue.approve", f"monthly-2026-{n % 12 + 1:02}-01", content="3bc2b4e04a24")
        yield site


@pytest.fixture
def fresh_page(browser):
    """Pages that complain about anything the policy refused."""
    opened, complaints = [], []

    def make(**settings):
        context = browser.new_context(**{"locale": "en-GB", **settings})
        context.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
        opened.append(context)
        return context.new_page()

    yield make
    for context in opened:
        context.close()
    assert complaints == []


def violations(page):
    return [(found["id"], [node["target"] for node in found["nodes"]]) for found in Axe().run(page).response["violations"]]


def sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def small_targets(page):
    return page.evaluate(
        """() => [...document.querySelectorAll("button, input:not([type=hidden]), select, summary, .tick, main a, nav a")]
        .filter((el) => el.getClientRects().length && !el.closest(".unseen") && !el.matches("p:not(:has(> a:only-child)) > a"))
        .map((el) => [el.outerHTML.slice(0, 80), (el.closest(".tick") || el).getBoundingClientRect().height]).filter(([, h]) => h < 43.9)"""
    )


def test_by_keyboard_from_the_log_in_to_somebody_added(site, fresh_page):
    page = fresh_page(viewport=DESK, java_script_enabled=True)
    page.goto(site.url + "/admin/people")
    page.locator("#name:focus").wait_for()
    page.keyboard.type("nora")
    page.keyboard.press("Tab")
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("not right").wait_for()
    page.locator("#name:focus").wait_for()
    assert page.locator("#name").input_value() == "nora"
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="People", exact=True).wait_for()  # where they wanted to go
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    met = []
    for _ in range(30):
        page.keyboard.press("Tab")
        what = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
                       return [e.id || e.innerText, s.outlineStyle, s.outlineWidth]; }"""
        )
        assert what[1:] == ["solid", "4px"], what
        met.append(what[0])
        if what[0] == "name":
            page.keyboard.type("caro")
        if what[0].startswith("role-"):
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            break
    page.get_by_role("heading", name="A password for caro").wait_for()
    assert met[:2] == ["Test Letter", "Log out"] and "Audit log" in met
    with site.open() as workspace:
        assert {one.name: one.role for one in staff.everybody(workspace)}["caro"] is Role.APPROVER


def test_a_second_factor_is_set_up_and_asked_for(site, fresh_page):
    add(site, "dora", Role.VIEWER)
    page = fresh_page(viewport=PHONE, java_script_enabled=False)
    page.goto(site.url + "/admin")
    page.get_by_label("Name").fill("dora")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Set up a second factor").click()
    assert page.locator(".picture svg").bounding_box()["width"] > 150
    secret = totp.read(page.locator("code.key").inner_text())
    page.get_by_label("Code").fill(code_of(secret, -1))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    spare = page.locator(".codes code").first.inner_text()
    page.get_by_role("link", name="I have them").click()
    page.get_by_role("button", name="Log out").click()
    for typed in (code_of(secret), spare):
        page.get_by_label("Name").fill("dora")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Code").fill(typed)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Hello dora").wait_for()
        page.get_by_role("button", name="Log out").click()


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_a_key_is_made_shown_once_and_revoked(site, fresh_page, how):
    """By a finger on a phone, and by keyboard alone at a desk; each time without scripts."""
    with site.open() as workspace:
        nora = next(one for one in staff.everybody(workspace) if one.name == "nora")
    page = fresh_page(viewport=PHONE if how == "mouse" else DESK, java_script_enabled=False)
    page.context.add_cookies([{"name": "digest", "value": Browser(site).enter(nora).cookies["digest"], "url": site.url}])
    page.goto(site.url + "/admin/keys")

    def press(target):
        if how == "mouse":
            target.click()
        else:
            target.focus()
            page.keyboard.press("Space" if target.get_attribute("type") == "checkbox" else "Enter")

    page.get_by_label("Name").fill(f"by-{how}")
    press(page.get_by_label("reports:read"))
    press(page.get_by_role("button", name="Make the key"))
    token = page.locator("code.key").inner_text()
    shown = {"Authorization": f"Bearer {token}"}
    assert site.get("/api/v1/reports", **shown).status == 200 and site.get("/api/v1/lists", **shown).status == 403
    assert sideways(page) is False
    press(page.get_by_role("link", name="Back to keys"))
    page.get_by_role("heading", name="Keys for programs").wait_for()
    assert token not in page.content()
    press(page.get_by_role("link", name=f"Revoke by-{how}"))
    press(page.get_by_role("button", name=f"Revoke by-{how}"))
    page.get_by_role("status").get_by_text("opens nothing any more").wait_for()
    assert site.get("/api/v1/reports", **shown).status == 401


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_without_fault_on_a_phone_and_at_a_desk(site, fresh_page, scheme):
    with site.open() as workspace:
        nora, ben = (next(one for one in staff.everybody(workspace) if one.name == name) for name in ("nora", "ben"))
    session = Browser(site).enter(nora)
    for size in (PHONE, DESK):
        page = fresh_page(viewport=size, color_scheme=scheme)
        page.goto(site.url + "/admin/login")
        check(page, ("login", size))
        page.get_by_label("Name").fill("nora")
        page.get_by_label("Password").fill("wrong wrong wrong")
        page.get_by_role("button", name="Log in").click()
        check(page, ("wrong password", size))
        page.context.add_cookies([{"name": "digest", "value": session.cookies["digest"], "url": site.url}])
        paths = (
            "",
            "/people",
            f"/people/{ben.id}",
            "/keys",
            "/keys/crm/revoke",
            "/hooks",
            "/audit",
            "/audit?who=nora",
            "/settings",
            "/account",
            "/account/password",
        )
        for path in (*paths, "/account/second-factor", "/again", "/people/nobody"):
            page.goto(site.url + "/admin" + path)
            check(page, (path, size))
        page.goto(site.url + "/admin/audit")
        page.get_by_role("button", name="Check every record").click()
        page.get_by_role("status").get_by_text("as they were written").wait_for()
        check(page, ("verdict", size))


def check(page, where):
    assert violations(page) == [], where
    assert not sideways(page), where
    assert small_targets(page) == [], where
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 18, where
    assert re.search(r" – Test Letter$", page.title()), where
