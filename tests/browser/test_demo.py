"""The demo as somebody sees it who ran `make run`: the outbox page, and real messages out of it."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.make import REPOSITORY
from tests.support.person import Person

ISSUE = "monthly-2026-05-01"


@pytest.fixture(scope="module")
def outbox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "workspace"
    folder.mkdir()
    for name in ("config.yaml", "templates", "subscribers", "summaries"):
        source = REPOSITORY / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    assert Person(folder).types("run", "monthly", "--on", "2026-05-01").returncode == 0
    return folder / "var" / "outbox" / ISSUE


def violations(page, *without):
    return [found["id"] for found in Axe().run(page).response["violations"] if found["id"] not in without]


def sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_the_outbox_page_opens_well_and_shows_the_chosen_message(browser, outbox, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto((outbox / "index.html").as_uri())
    assert not sideways(page)
    assert violations(page, "frame-tested") == []
    page.locator("nav a").nth(3).click()
    frame = page.frame(name="message")
    frame.wait_for_load_state()
    assert frame.locator("h1").inner_text() == "MS Research Digest"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 600, 1200])
def test_the_largest_and_the_smallest_message_open_well(browser, outbox, width, scheme):
    files = sorted((outbox / "view").glob("*.html"), key=lambda file: file.stat().st_size)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for file in (files[0], files[-1]):
        page = context.new_page()
        page.goto(file.as_uri())
        assert not sideways(page)
        # An email sits inside another page, which has the landmarks.
        assert violations(page, "landmark-one-main", "region") == []
    context.close()
