"""Each rule lets a good letter pass and finds what breaks it."""

from __future__ import annotations

import pytest

from digest import lint
from digest.lint import Level, Piece
from digest.lint.edges import RULES as EDGES
from tests.support.letter import ADDRESS, HEADERS, HTML, PREHEADER, SUBJECT, TEXT, UNSUBSCRIBE, WORDS, make_letter, spoilt

LINK = 'href="https://letter.example.org/one">Read: walking and rest<'
IMAGE = '<img src="https://letter.example.org/a.png" alt="A chart of steps" width="560">'
HARD = (
    "Longitudinal investigation of neurodegenerative progression notwithstanding immunomodulatory pharmacotherapy demonstrates "
    "considerable heterogeneity, whereby multidimensional neuropsychological rehabilitation potentially ameliorates psychomotor "
    "performance irrespective of concomitantly administered corticosteroids, although limitations necessitate confirmatory replication. "
)


def body(html: str):
    """The letter with this before its end."""
    return spoilt("</td></tr></table></div>", f"{html}</td></tr></table></div>")


BROKEN = {
    "subject-missing": lambda: make_letter(headers={"Subject": " "}),
    "subject-length": lambda: make_letter(headers={"Subject": "News"}),
    "subject-shape": lambda: make_letter(headers={"Subject": "Re: walking and rest this May"}),
    "preheader-length": lambda: make_letter(preheader="Three short words"),
    "preheader-repeats": lambda: make_letter(preheader=SUBJECT + ", and more"),
    "unsubscribe-headers": lambda: make_letter(headers={"List-Unsubscribe": "<mailto:leave@letter.example.org>"}),
    "headers-whole": lambda: make_letter(headers={"List-Id": ""}),
    "sender-answers": lambda: make_letter(headers={"Reply-To": "no-reply@letter.example.org"}),
    "footer-unsubscribe": lambda: make_letter(text=TEXT.replace(UNSUBSCRIBE, "")),
    "footer-address": lambda: make_letter(html=HTML.replace(ADDRESS, "")),
    "text-whole": lambda: make_letter(text=f"See the HTML {UNSUBSCRIBE} {ADDRESS}"),
    "text-links": lambda: make_letter(text=TEXT.replace("https://letter.example.org/one", "")),
    "text-markup": lambda: make_letter(text=TEXT + "<br>Fish &amp; chips"),
    "remains": lambda: body("<p style='font-size:18px'>Hello {{ reader.name }},</p>"),
    "placeholder": lambda: body("<p style='font-size:18px'>Lorem ipsum dolor</p>"),
    "link-empty": lambda: spoilt(LINK, 'href="#">Read: walking and rest<'),
    "link-syntax": lambda: spoilt(LINK, 'href="https://localhost:8000/one">Read: walking and rest<'),
    "link-https": lambda: spoilt(LINK, 'href="http://letter.example.org/one">Read: walking and rest<'),
    "link-address": lambda: spoilt(LINK, 'href="https://letter.example.org/p?m=ana%40example.org">Read: walking and rest<'),
    "link-no-words": lambda: spoilt(LINK, 'href="https://letter.example.org/one"><'),
    "link-vague": lambda: spoilt(LINK, 'href="https://letter.example.org/one">Read more …<'),
    "link-same-words": lambda: body(
        '<p><a style="text-decoration:underline" href="https://letter.example.org/2">Read: walking and rest</a></p>'
    ),
    "link-underline": lambda: spoilt("text-decoration:underline", "text-decoration:none"),
    "link-target": lambda: spoilt("line-height:24px;padding:10px 0", "line-height:20px"),
    "image-alt": lambda: spoilt(' alt="A chart of steps"', ""),
    "image-https": lambda: spoilt(IMAGE, '<img src="data:image/png;base64,AAAA" alt="A chart" width="560">'),
    "image-width": lambda: spoilt(' width="560"', ' style="width:100%"'),
    "image-format": lambda: spoilt("/a.png", "/a.webp"),
    "image-pixel": lambda: body('<img src="https://letter.example.org/open.gif" alt="" width="1" height="1">'),
    "image-only": lambda: make_letter(html=HTML.replace(WORDS, "")),
    "contrast": lambda: spoilt("color:#1b2a30", "color:#999999"),
    "contrast-aim": lambda: spoilt("color:#1b2a30", "color:#666666"),
    "text-size": lambda: spoilt("font-size:18px", "font-size:12px"),
    "text-align": lambda: spoilt("font-size:18px", "text-align:justify;font-size:18px"),
    "paragraph-long": lambda: body(f'<p style="font-size:18px">{WORDS * 6}</p>'),
    "heading-first": lambda: body("<h1>Another</h1>"),
    "heading-order": lambda: spoilt("<h2", "<h4"),
    "language": lambda: make_letter(html=HTML.replace(' lang="en" dir="ltr"', "")),
    "title": lambda: spoilt("<title>Example Letter, May 2026</title>", "<title> </title>"),
    "table-role": lambda: spoilt(' role="presentation"', ""),
    "zoom": lambda: spoilt("initial-scale=1", "initial-scale=1, user-scalable=no"),
    "dark-declared": lambda: spoilt('<meta name="color-scheme" content="light dark">', ""),
    "active-content": lambda: body("<script>alert(1)</script>"),
    "reading-level": lambda: make_letter(pieces=(Piece("Hard", HARD * 4, "en"),)),
    "reading-piece": lambda: make_letter(pieces=(Piece("Hard", HARD * 4, "en"),)),
    "size-clip": lambda: body(f"<!--{'x' * 103 * 1024}-->"),
    "size-budget": lambda: body(f"<!--{'x' * 82 * 1024}-->"),
    "size-style": lambda: spoilt("</head>", f"<style>{'.a { color: #000000 } ' * 900}</style></head>"),
    "client-support": lambda: body('<div style="display:flex"></div>'),
    "client-extras": lambda: spoilt("</head>", "<style>@media (prefers-color-scheme: dark) { h1 { color: #ffffff } }</style></head>"),
}


def test_every_rule_has_an_example_here_and_an_id_of_its_own():
    ids = [rule.id for rule in (*lint.RULES, *EDGES)]
    assert len(ids) == len(set(ids))
    assert set(BROKEN) == {rule.id for rule in lint.RULES}


def test_every_rule_gives_its_reason_source_and_example():
    for rule in (*lint.RULES, *EDGES):
        assert rule.reason.endswith(".") and rule.source and rule.example, rule.id


def test_a_good_letter_breaks_no_rule():
    assert lint.check([make_letter()]) == ()


@pytest.mark.parametrize("id", BROKEN)
def test_a_rule_finds_what_breaks_it(id):
    found = lint.check([BROKEN[id]()], [lint.by_id()[id]])
    assert [finding.rule for finding in found][:1] == [id]
    assert all(finding.text and finding.level is lint.by_id()[id].level and finding.editions == ("edition",) for finding in found)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (LINK, 'href="javascript:alert(1)">Read: walking and rest<', "link-empty"),
        (LINK, 'href="">Read: walking and rest<', "link-empty"),
        (LINK, 'href="https://10.0.0.1/a">Read: walking and rest<', "link-syntax"),
        (LINK, 'href="https://a b.org/">Read: walking and rest<', "link-syntax"),
        (LINK, 'href="https://[::1/">Read: walking and rest<', "link-syntax"),
        (LINK, 'href="letter.example.org">Read: walking and rest<', "link-syntax"),
        (LINK, 'href="https://letter.example.org/one"><img src="https://letter.example.org/a.png" alt="" width="9"><', "link-no-words"),
        (LINK, 'href="https://letter.example.org/one">Weiterlesen<', "link-vague"),
        ("<h1", '<h1 onclick="x()"', "active-content"),
        ("</head>", "<link rel=stylesheet href=https://fonts.example.org/a.css></head>", "active-content"),
        ("</head>", "<style>@import url(https://fonts.example.org/a.css);</style></head>", "active-content"),
        ("<h1", "<p>@@WEB@@</p><h1", "remains"),
        ("<h1", "<p>None</p><h1", "remains"),
        ('alt="A chart of steps"', 'alt="{{ image.alt }}"', "remains"),
        ("initial-scale=1", "initial-scale=1, maximum-scale=1.0", "zoom"),
    ],
)
def test_other_ways_to_break_a_rule(old, new, rule):
    assert rule in {finding.rule for finding in lint.check([spoilt(old, new)])}


def test_what_a_summary_says_itself_is_no_template_s_remains():
    title = "How to write {{ name }} in Jinja"
    letter = make_letter(html=HTML.replace("Walking</h2>", f"{title}</h2>"), outside=(title,))
    assert lint.check([letter]) == ()


@pytest.mark.parametrize("mode", ["dark", "bare", "light"])
def test_contrast_is_found_where_it_is_lost(mode):
    css = {
        "dark": "@media (prefers-color-scheme: dark) { td { background-color: #102030 !important } }",
        "light": "h1 { color: #eeeeee !important }",
        "bare": "",
    }[mode]
    spoil = HTML.replace("</head>", f"<style>{css}</style></head>")
    if mode == "bare":  # readable only as long as its <style> is there
        spoil = spoil.replace("<h2 style=", "<h2 class=t style=").replace("line-height:1.3;color:#0b4656", "line-height:1.3;color:#dddddd")
        spoil = spoil.replace("<style>", "<style>.t { color: #000000 !important }")
    found = lint.check([make_letter(html=spoil)], [lint.by_id()["contrast"]])
    words = {"dark": "in dark mode", "light": "in light mode", "bare": "where <style> is thrown away"}[mode]
    assert any(words in finding.text for finding in found)
    if mode != "light":  # what is wrong in light is wrong in dark too, but not the other way round
        assert all(words in finding.text for finding in found)


def test_equal_faults_of_several_editions_are_told_once_and_errors_first():
    letters = [spoilt(LINK, 'href="#">Read: walking and rest<')]
    letters += [make_letter(name="other", html=letters[0].html, headers={"Subject": "News"})]
    found = lint.check(letters)
    assert found[0].rule == "link-empty" and found[0].level is Level.ERROR and found[0].editions == ("edition", "other")
    assert [finding.editions for finding in found if finding.rule == "subject-length"] == [("other",)]


def test_the_biggest_parts_are_named_where_a_letter_is_too_large():
    letter = make_letter(html=HTML + "x" * 110_000, sizes={"A long piece": 90_000, "frame": 5000})
    found = lint.check([letter], [lint.by_id()["size-clip"]])
    assert found[0].place.startswith("A long piece 87.9 KB")


def test_clinicians_may_be_given_harder_words():
    assert not lint.check([make_letter(pieces=(Piece("Hard", HARD * 2, "en", patients=False),))])


def test_headers_used_by_the_letter_are_all_there():
    assert make_letter().header("List-Id") == HEADERS["List-Id"] and make_letter().preheader == PREHEADER
