"""Rules about the document: headings, language, title, tables, what must not be in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule


@rule(
    "heading-first",
    Level.WARNING,
    reason="Screen reader users jump by headings; one h1 tells them what the letter is.",
    source="WCAG 2.2, 1.3.1 and 2.4.6",
    example="two <h1>, or none",
)
def heading_first(letter: Letter) -> Iterator[Found]:
    ones = [" ".join("".join(one.itertext()).split()) for one in letter.elements("h1")]
    if len(ones) != 1:
        yield Found(f"the letter has {len(ones)} first-level headings; it takes one <h1>", "; ".join(ones)[:60])


@rule(
    "heading-order",
    Level.WARNING,
    reason="A skipped level sounds as if something had been left out.",
    source="WCAG 2.2, 1.3.1; ARIA techniques G141",
    example="<h1>Letter</h1> … <h3>Piece</h3>",
)
def heading_order(letter: Letter) -> Iterator[Found]:
    before = 0
    for heading in letter.elements("h1", "h2", "h3", "h4", "h5", "h6"):
        level, words = int(heading.tag[1]), " ".join("".join(heading.itertext()).split())
        if level > before + 1:
            yield Found(f"<h{level}> follows {f'<h{before}>' if before else 'no heading'}; a level is skipped", words[:60])
        if not words:
            yield Found(f"<h{level}> is empty")
        before = level


@rule(
    "language",
    Level.WARNING,
    reason="Without lang a screen reader reads with the wrong voice; mail programs drop <html>, so it stands on the wrapper too.",
    source="WCAG 2.2, 3.1.1; Email Markup Consortium, accessibility report 2025 (missing in 96 % of letters)",
    example="<html> … <body><div>",
)
def language(letter: Letter) -> Iterator[Found]:
    html = letter.tree
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", html.get("lang") or "") or html.get("lang") == "und":
        yield Found('<html> names no language; write <mjml lang="…">')
    if html.get("dir") not in ("ltr", "rtl"):
        yield Found('<html> names no direction; write <mjml dir="ltr"> or "rtl"')
    if not any(div.get("lang") and div.get("dir") for div in letter.body.iter("div", "table")):
        yield Found("no element inside <body> names language and direction, and many programs drop <html>")


@rule(
    "title",
    Level.WARNING,
    reason="The title names the letter in a browser's tab and to screen readers of the web copy.",
    source="WCAG 2.2, 2.4.2",
    example="<title></title>",
)
def title(letter: Letter) -> Iterator[Found]:
    if not (letter.tree.findtext("head/title") or "").strip():
        yield Found("the letter has no <title>; write <mj-title>")


@rule(
    "table-role",
    Level.WARNING,
    reason="A screen reader announces rows and columns of a table that only lays out.",
    source="WCAG 2.2, 1.3.1; Email Markup Consortium, accessibility report 2025",
    example="<table><tr><td>Text</td></tr></table>",
)
def table_role(letter: Letter) -> Iterator[Found]:
    bad = [one for one in letter.elements("table") if one.get("role") not in ("presentation", "none") and one.find(".//th[@scope]") is None]
    if bad:
        words = " ".join("".join(bad[0].itertext()).split())
        yield Found(f'layout tables without role="presentation": {len(bad)}; a data table has <th scope>', words[:60])


@rule(
    "zoom",
    Level.WARNING,
    reason="People with poor sight pinch to enlarge; a viewport that forbids it takes that away.",
    source="WCAG 2.2, 1.4.4",
    example='<meta name="viewport" content="width=device-width, user-scalable=no">',
)
def zoom(letter: Letter) -> Iterator[Found]:
    content = next((meta.get("content") or "" for meta in letter.elements("meta") if meta.get("name") == "viewport"), "")
    if re.search(r"user-scalable\s*=\s*(?:no|0)|maximum-scale\s*=\s*[0-4](?:\.\d+)?\b", content):
        yield Found("the viewport forbids zooming", content)
    elif "width=device-width" not in content.replace(" ", ""):
        yield Found("there is no viewport of the device's width, so phones shrink the letter", content)


@rule(
    "dark-declared",
    Level.ADVICE,
    reason="Apple Mail and Outlook leave the colours of a letter alone that says it has dark ones of its own.",
    source="caniemail.com, html-meta-color-scheme",
    example='no <meta name="color-scheme" content="light dark">',
    file="templates/parts/styles.mjml.j2",
)
def dark_declared(letter: Letter) -> Iterator[Found]:
    metas = {meta.get("name"): meta.get("content") or "" for meta in letter.elements("meta")}
    if "dark" not in metas.get("color-scheme", ""):
        yield Found('the head has no <meta name="color-scheme" content="light dark">')


_ACTIVE = (
    "script",
    "form",
    "input",
    "button",
    "iframe",
    "object",
    "embed",
    "applet",
    "video",
    "audio",
    "base",
    "portal",
    "select",
    "textarea",
)


@rule(
    "active-content",
    Level.ERROR,
    reason="Scripts, forms and frames are stripped or flagged as an attack; what is fetched from elsewhere tells who reads.",
    source="caniemail.com; EMAIL checklist 22",
    example="<script>…</script>, onclick=, <link rel=stylesheet>, @import",
)
def active_content(letter: Letter) -> Iterator[Found]:
    for element in letter.elements(*_ACTIVE):
        yield Found(f"<{element.tag}> does not belong in a letter")
    for element in letter.elements("link"):
        if "stylesheet" in (element.get("rel") or ""):
            yield Found("a style sheet is fetched from elsewhere", (element.get("href") or "")[:80])
    for element in letter.tree.iter():
        if isinstance(element.tag, str):
            for name in element.keys():
                if name.lower().startswith("on"):
                    yield Found(f"<{element.tag} {name}=…> is a script")
    for _, sheet in letter.sheets:
        if re.search(r"@import|@font-face", sheet, re.I):
            yield Found("a style sheet fetches another or a font (@import, @font-face)")
        if re.search(r"expression\s*\(|behavior\s*:|-moz-binding", sheet, re.I):
            yield Found("a style sheet holds a script")


RULES = (heading_first, heading_order, language, title, table_role, zoom, dark_declared, active_content)
