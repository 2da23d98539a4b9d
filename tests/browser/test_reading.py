"""The archive, the web copy and what was left out, in a real browser: axe, widths, light and dark, and a language from the right."""

import os
from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe

from digest import jobs
from digest.store import outcomes, people
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.site import serving

NAME = "monthly-2026-05-01"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    more = "selection: {max_teasers: 3}\npages: {languages: [en, de, ar]}\n"
    folder = make_workspace(tmp_path_factory.mktemp("reading") / "w", config=CONFIG + more)
    for n in range(5):
        write_summary(folder, f"p{n}", f"2026-04-{10 + n}", "gut", evidence="trial", limits="A small study.")
    with serving(folder) as site:
        for code in ("en", "ar"):
            site.add(f"{code}@example.org", language=code)
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        notice = "{kind: correction, at: 2026-05-02, text: A number was wrong.}"
        for n in (1, 4):  # one that was left out, one that was shown
            write_summary(folder, f"p{n}", f"2026-04-{10 + n}", "gut", evidence="trial", limits="A small study.", notice=notice)
        from digest.gather import gather

        with site.open() as workspace, workspace.store.alone():
            gather(workspace)
        yield site


def paths(site, code):
    from digest.addresses import parse
    from digest.store import issues

    with site.open() as workspace, workspace.store.read() as tx:
        person = people.find(tx, workspace.store.vault, parse(f"{code}@example.org"))
        did = outcomes.delivery_of(tx, issues.named(tx, NAME).id, person.row).did
    copy = f"/w/{site.token('web', did)}"
    return [copy, f"{copy}/more", f"/archive?lang={code}", f"/archive/issues/{NAME}?lang={code}", f"/archive/subjects/gut?lang={code}"]


@pytest.mark.parametrize("code", ["en", "ar"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(site, browser, code, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale=code)
    page = context.new_page()
    for n, path in enumerate(paths(site, code)):
        page.goto(site.url + path)
        found = [(one["id"], [node["target"] for node in one["nodes"]]) for one in Axe().run(page).response["violations"]]
        assert found == [], path
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), path
        assert page.evaluate("document.documentElement.dir") == ("rtl" if code == "ar" else "ltr")
        if folder := os.environ.get("DIGEST_TEST_PICTURES"):
            page.screenshot(path=f"{folder}/reading-{code}-{scheme}-{width}-{n}.png", full_page=True)
    context.close()


def test_every_text_of_an_arabic_copy_runs_from_the_right_unless_it_is_english(site, browser):
    context = browser.new_context(locale="ar")
    page = context.new_page()
    page.goto(site.url + paths(site, "ar")[0])
    found = page.evaluate(
        """() => [...document.querySelectorAll("p, h1, h2, h3")]
        .filter((el) => el.getClientRects().length && !el.matches("[dir=ltr]"))
        .map((el) => [el.innerText, getComputedStyle(el).direction])"""
    )
    assert len(found) > 15 and [text for text, direction in found if direction != "rtl"] == []
    context.close()


def test_the_note_on_top_leads_to_the_piece(site, browser):
    context = browser.new_context(locale="en")
    page = context.new_page()
    page.goto(site.url + paths(site, "en")[0])
    page.get_by_role("link", name="Corrected on").click()
    assert page.url.rpartition("#")[2].startswith("piece-")
    assert page.get_by_text("A number was wrong.").count() == 1
    context.close()
