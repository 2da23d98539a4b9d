"""The default look in a real browser: no sideways scrolling, axe finds nothing, contrast and targets as measured there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from digest.compose import CompiledIssue, compile_issue, html_of, make_edition, sample
from digest.model import Interest, Placed, SelectedSection, Selection
from tests.support.compose import TEMPLATES, reader

# Ratios and heights as the browser has them. Each text is measured against the nearest ground that is painted behind it.
MEASURE = """() => {
  const number = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => { const [r, g, b] = rgb.map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
                           return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (el) => { for (; el; el = el.parentElement) { const c = number(getComputedStyle(el).backgroundColor);
                           if (c.length === 3 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const el = node.parentElement, style = getComputedStyle(el);
    if (!node.data.trim() || el.closest('[style*="display:none"]') || !el.getClientRects().length) continue;
    const [a, b] = [light(number(style.color).slice(0, 3)), light(ground(el))].sort((x, y) => y - x);
    texts.push({ text: node.data.trim().slice(0, 40), ratio: (a + 0.05) / (b + 0.05), px: parseFloat(style.fontSize),
                 line: parseFloat(style.lineHeight) / parseFloat(style.fontSize), align: style.textAlign });
  }
  const links = [...document.querySelectorAll("a")].map((a) => ({ text: a.innerText.slice(0, 40), footer: !!a.closest(".foot"),
    height: a.getBoundingClientRect().height, underline: getComputedStyle(a).textDecorationLine }));
  const wide = [...document.querySelectorAll("body *")].filter((el) => el.getBoundingClientRect().right > innerWidth + 1)
    .map((el) => el.outerHTML.slice(0, 80));
  return { texts, links, wide, scroll: document.documentElement.scrollWidth, inner: innerWidth };
}"""

# An email is shown inside a mail program's page, whose landmarks it must not double: these two ask for a page's own.
NO_PAGE = {"rules": {"landmark-one-main": {"enabled": False}, "region": {"enabled": False}}}


@pytest.fixture(scope="module")
def compiled() -> CompiledIssue:
    look = replace(sample.LOOK, name="MS Research Digest", tagline="New multiple sclerosis research, in plain words")
    interests = (*sample.INTERESTS, Interest(id="long", label="Neuromyelitisopticaspektrumerkrankungen und Verwandtes"))
    return compile_issue(TEMPLATES, look, sample.SLOT, sample.summaries(), interests)


@pytest.fixture(scope="module")
def html(compiled) -> str:
    ids = list(compiled.numbers)
    sections = (
        SelectedSection(interest="gut", teasers=tuple(Placed(summary=id, also_in=("symptoms",)) for id in ids[:3])),
        SelectedSection(interest="long", teasers=tuple(Placed(summary=id) for id in ids[3:6])),
    )
    selection = Selection(sections=sections, left_out=(ids[6],), notices=(ids[3], ids[4]), highlights=(ids[6],))
    return html_of(make_edition(compiled, selection), reader("Ana Överström"))


@pytest.fixture(
    params=[(width, scheme) for width in (320, 600, 1200) for scheme in ("light", "dark")], ids=lambda param: f"{param[0]}px-{param[1]}"
)
def page(request, browser: Browser, html: str) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    opened = context.new_page()
    opened.set_content(html)
    yield opened
    context.close()


def require_readable(found: dict, *, ratio: float) -> None:
    assert found["scroll"] <= found["inner"] and not found["wide"]
    assert len(found["texts"]) > 40
    assert not [text for text in found["texts"] if text["ratio"] < ratio]
    assert not [text for text in found["texts"] if text["px"] < 16 or text["line"] < 1.2 or text["align"] in ("justify", "center")]
    assert not [link for link in found["links"] if link["underline"] != "underline"]
    assert not [link for link in found["links"] if link["height"] < 44]


def test_it_reads_well_at_every_width_in_light_and_dark(page):
    require_readable(page.evaluate(MEASURE), ratio=7)


def test_axe_finds_nothing(page):
    results = Axe().run(page, options=NO_PAGE)
    assert [violation["id"] for violation in results.response["violations"]] == []


def test_dark_mode_is_dark(browser, html):
    context = browser.new_context(color_scheme="dark", offline=True)
    page = context.new_page()
    page.set_content(html)
    ground = page.evaluate("getComputedStyle(document.querySelector('.sheet')).backgroundColor")
    context.close()
    assert ground == "rgb(24, 36, 42)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_outlook_s_own_dark_marks_read_well(browser, html, scheme):
    """Outlook.com puts data-ogsc and data-ogsb on what it recolours; our rules then decide text and ground."""
    context = browser.new_context(viewport={"width": 600, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_content(html.replace("<body ", '<body data-ogsc="" data-ogsb="" ', 1))
    require_readable(page.evaluate(MEASURE), ratio=7)
    context.close()


@pytest.mark.parametrize("width", [320, 600])
def test_it_reads_well_with_its_styles_thrown_away(browser, html, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    page.set_content(re.sub(r"<style.*?</style>", "", html, flags=re.S))
    require_readable(page.evaluate(MEASURE), ratio=7)
    context.close()


def test_a_control_that_must_fail(browser):
    context = browser.new_context(viewport={"width": 320, "height": 900}, offline=True)
    page = context.new_page()
    page.set_content('<p style="color:#999;width:900px">faint and wide</p><a href="https://x.org" style="text-decoration:none">x</a>')
    found = page.evaluate(MEASURE)
    assert found["texts"][0]["ratio"] < 4.5 and found["wide"] and found["links"][0]["height"] < 24
    assert Axe().run(page).response["violations"]
    context.close()
