"""Rules about links."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

_WEB = ("http", "https")
_VAGUE = frozenset(
    re.split(
        r",\s*",
        "click, click here, click this, here, this, this link, link, more, read, read more, read on, learn more, find out more, details, "
        "see more, continue, go, open, view, website, hier, hier klicken, mehr, weiterlesen, mehr lesen, weiter lesen, mehr erfahren, ici, "
        "cliquez ici, lire la suite, en savoir plus, plus, aquí, haz clic aquí, leer más, más, qui, clicca qui, leggi di più, lees meer, "
        "meer, klik hier, läs mer, mer, klicka här, tutaj, kliknij tutaj, czytaj więcej, więcej",
    )
)


def _quoted(text: str) -> str:
    return f'"{text[:60]}"' if text else "without words"


@rule(
    "link-empty",
    Level.ERROR,
    reason="A link that leads nowhere costs a reader with a tremor a careful tap for nothing.",
    source="HTML Living Standard, the a element; WCAG 2.2, 2.4.4",
    example='<a href="#">Read: a title</a>',
)
def link_empty(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.element.get("name") and link.element.get("href") is None:
            continue  # an anchor that others point to
        if not link.href or link.href.startswith("#") or link.href.lower().startswith(("javascript:", "data:", "vbscript:")):
            yield Found(f"the link {_quoted(link.words)} leads nowhere; give it the address of a page", link.href[:80])


@rule(
    "link-syntax",
    Level.ERROR,
    reason="An address that is not one, or that only this machine or network knows, opens for nobody.",
    source="RFC 3986; RFC 6761 (localhost, .test, .invalid, .local)",
    example='<a href="https://localhost:8000/w/x">View in browser</a>',
)
def link_syntax(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.href and not link.href.startswith("#") and (why := _not_an_address(link.href)):
            yield Found(f"the link {_quoted(link.words)} {why}", link.href[:80])


def _not_an_address(href: str) -> str:
    if re.search(r"[\s<>\"\\]", href):
        return "holds a character that no address may have"
    try:
        parts = urlsplit(href)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme in ("mailto", "tel"):
        return "" if parts.path else "has nobody to write to"
    if parts.scheme not in (*_WEB, "javascript", "data", "vbscript"):
        return "does not begin with https://"
    if parts.scheme in _WEB and not host:
        return "names no host"
    return _not_public(host)


def _not_public(host: str) -> str:
    if not host:
        return ""
    try:
        return "" if ipaddress.ip_address(host).is_global else "leads into a private network"
    except ValueError:
        pass
    if "." not in host or host.rsplit(".", 1)[1] in ("local", "internal", "invalid", "localhost", "test", "lan"):
        return f"leads to {host}, which only your own network knows"
    return ""


@rule(
    "link-https",
    Level.WARNING,
    reason="Who shares the network can read and change what comes over http; that somebody reads about an illness is private.",
    source="RFC 9110, 17; EMAIL checklist 17",
    example='<a href="http://example.org/a">Read: a title</a>',
)
def link_https(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.href.lower().startswith("http://"):
            yield Found(f"the link {_quoted(link.words)} is http; most sites answer on https too", link.href[:80])


@rule(
    "link-address",
    Level.WARNING,
    reason="An email address in a link ends up in logs of servers along the way; for a letter about an illness that is health data.",
    source="GDPR article 9; OWASP, information exposure through query strings",
    example='<a href="https://example.org/p?mail=ana%40example.org">Preferences</a>',
)
def link_address(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.href.startswith(("http:", "https:")) and re.search(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", link.href, re.I):
            yield Found(f"the link {_quoted(link.words)} holds what looks like an email address", urlsplit(link.href).netloc[:80])


@rule(
    "link-no-words",
    Level.ERROR,
    reason="A screen reader spells out the address of a link that has neither words nor a picture with alt text.",
    source="WCAG 2.2, 2.4.4 and 4.1.2",
    example='<a href="https://example.org/a"><img src="https://example.org/a.png" alt="" width="20"></a>',
)
def link_no_words(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.href and not link.words:
            yield Found("a link has no words; put what it leads to between its tags, or into the alt of its picture", link.href[:80])


@rule(
    "link-vague",
    Level.WARNING,
    reason="People who jump from link to link, by screen reader or to save strength, hear only the link's own words.",
    source="WCAG 2.2, 2.4.4 and 2.4.9",
    example='<a href="https://example.org/a">Read more</a>',
)
def link_vague(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if re.sub(r"[^\w\s]", "", link.words).strip().lower() in _VAGUE:
            yield Found(f"the link {_quoted(link.words)} does not say where it leads; name the piece in it", link.href[:80])


@rule(
    "link-same-words",
    Level.WARNING,
    reason="Two links that read the same but lead to different pages cannot be told apart in a list of links.",
    source="WCAG 2.2, 2.4.9 and 3.2.4",
    example='<a href="https://example.org/a">The study</a> <a href="https://example.org/b">The study</a>',
)
def link_same_words(letter: Letter) -> Iterator[Found]:
    first: dict[str, str] = {}
    for link in letter.links:
        words = link.words.lower()
        if words and first.setdefault(words, link.href) != link.href:
            yield Found(f"links that read {_quoted(link.words)} lead to different pages", link.href[:80])


@rule(
    "link-underline",
    Level.WARNING,
    reason="A link told by its colour alone is lost on people who see few colours, and in dark mode.",
    source="WCAG 2.2, 1.4.1",
    example='<a href="https://example.org/a" style="text-decoration:none">Read: a title</a>',
    file="templates/parts/styles.mjml.j2",
)
def link_underline(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        style = link.style
        decoration = style.get("text-decoration") or style.get("text-decoration-line") or "underline"
        button = "background-color" in style or "background" in style or style.get("border", "none") not in ("none", "0")
        if "underline" not in decoration and not button and link.element.find(".//img") is None:
            yield Found(f"the link {_quoted(link.words)} is not underlined")


@rule(
    "link-target",
    Level.ADVICE,
    reason="Fingers that shake miss small targets; a link on a line of its own can be as high as a finger is wide.",
    source="WCAG 2.2, 2.5.8 (24 px) and 2.5.5 (44 px)",
    example='<p><a href="https://example.org/a" style="font-size:12px;line-height:14px">Read: a title</a></p>',
    file="templates/parts/styles.mjml.j2",
)
def link_target(letter: Letter) -> Iterator[Found]:
    from digest.lint.css import pixels

    for link in letter.links:
        parent = link.element.getparent()
        alone = parent is not None and " ".join("".join(parent.itertext()).split()) == " ".join("".join(link.element.itertext()).split())
        if not alone or not link.words or link.element.find(".//img") is not None:
            continue  # WCAG exempts links within a sentence
        size = pixels(link.style.get("font-size", "16px")) or 16.0
        line = link.style.get("line-height", "1.2")
        height = float(line) * size if re.fullmatch(r"[\d.]+", line) else pixels(line, size) or size
        pads = [pixels(one) or 0.0 for one in link.style.get("padding", "0").split()]
        height += (pads[0] + pads[min(2, len(pads) - 1) if len(pads) > 2 else 0]) if pads else 0.0
        if height < 44:
            yield Found(f"the link {_quoted(link.words)} is {height:.0f} px high; 44 px is a finger's width")


RULES = (
    link_empty, link_syntax, link_https, link_address, link_no_words, link_vague, link_same_words, link_underline, link_target,
)  # fmt: skip
