"""One composed edition as the rules see it: its message taken apart, its links, texts and colours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from functools import cached_property
from typing import Any, NamedTuple

from lxml import etree

from digest.lint import css
from digest.lint.css import BLACK, WHITE, Colour, StyleRule


class Piece(NamedTuple):
    """A summary's own words in an edition. ``patients``: written for everybody or for patients, not for clinicians alone."""

    title: str
    text: str
    language: str
    patients: bool = True


class Link(NamedTuple):
    """A link: where it leads, its words (with the alt texts in it), and the style of its element."""

    href: str
    words: str
    style: Mapping[str, str]
    element: Any


class Shown(NamedTuple):
    """A stretch of text as it is shown: in which colour, on which ground, how large (px), how bold."""

    words: str
    tag: str
    colour: Colour
    ground: Colour
    size_px: float
    bold: bool
    align: str


@dataclass(frozen=True)
class Letter:
    """One edition. ``message`` is the whole email as it would leave; the reader in it is imagined.

    ``sizes`` names the bytes of its parts; ``budget_bytes`` is selection.max_html_kb; ``outside`` are texts from summaries,
    in which nothing can be a template's remains.
    """

    name: str
    message: bytes
    preheader: str = ""
    language: str = "en"
    url: str = ""
    postal_address: str = ""
    budget_bytes: int = 80 * 1024
    pieces: tuple[Piece, ...] = ()
    outside: tuple[str, ...] = ()
    sizes: Mapping[str, int] | None = None
    readers: int = 0

    @cached_property
    def _parsed(self) -> Any:
        return message_from_bytes(self.message, policy=policy.compat32)

    def headers(self, name: str) -> list[str]:
        """All fields of that name, unfolded and decoded."""
        found = (re.sub(r"\r?\n(?=[ \t])", "", str(value)) for value in self._parsed.get_all(name, []))
        return [str(make_header(decode_header(value))) for value in found]

    def header(self, name: str) -> str:
        """The first field of that name, or nothing."""
        return next(iter(self.headers(name)), "")

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return self.header("Subject")

    def _part(self, kind: str) -> str:
        for part in self._parsed.walk():
            if part.get_content_type() == kind:
                return bytes(part.get_payload(decode=True)).decode("utf-8", "replace").replace("\r\n", "\n")
        return ""

    @cached_property
    def html(self) -> str:
        """The HTML, decoded."""
        return self._part("text/html")

    @cached_property
    def text(self) -> str:
        """The plain text, decoded."""
        return self._part("text/plain")

    @cached_property
    def tree(self) -> Any:
        """The HTML as a browser reads it; conditional comments are comments."""
        return etree.fromstring(self.html or "<html><body></body></html>", etree.HTMLParser(huge_tree=True))

    def elements(self, *tags: str) -> Iterator[Any]:
        """All elements of these kinds, in order."""
        return iter(self.tree.iter(*tags))

    @cached_property
    def body(self) -> Any:
        """The body, or what there is of the document where it has none."""
        found = self.tree.find("body")
        return self.tree if found is None else found

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Every ``<a>``."""
        found = []
        for a in self.elements("a"):
            alts = [image.get("alt") or "" for image in a.iter("img")]
            words = " ".join(" ".join([*a.itertext(), *alts, a.get("aria-label") or ""]).split())
            style = {one.name: one.value for one in css.declarations(a.get("style", ""))}
            found.append(Link((a.get("href") or "").strip(), words, style, a))
        return tuple(found)

    @cached_property
    def sheets(self) -> tuple[tuple[str, str], ...]:
        """Every ``<style>``: its media attribute and its text."""
        return tuple((style.get("media") or "", "".join(style.itertext())) for style in self.elements("style"))

    @cached_property
    def style_rules(self) -> tuple[StyleRule, ...]:
        """The rules of all of them."""
        found: list[StyleRule] = []
        for media, text in self.sheets:
            before = (f"@media {media}",) if media else ()
            found += [one._replace(conditions=(*before, *one.conditions)) for one in css.style_rules(text)]
        return tuple(found)

    def shown(self, mode: str) -> tuple[Shown, ...]:
        """Every text that is shown, in ``light``, in ``dark``, or ``bare``: with every ``<style>`` thrown away."""
        return {"light": self._light, "dark": self._dark, "bare": self._bare}[mode]

    @cached_property
    def _light(self) -> tuple[Shown, ...]:
        return tuple(_walk(self.body, self._styles(dark=False)))

    @cached_property
    def _dark(self) -> tuple[Shown, ...]:
        return tuple(_walk(self.body, self._styles(dark=True)))

    @cached_property
    def _bare(self) -> tuple[Shown, ...]:
        return tuple(_walk(self.body, {}))

    @cached_property
    def live_text(self) -> str:
        """All that is shown as text, with single spaces."""
        return " ".join(" ".join(one.words for one in self._bare).split())

    def _styles(self, *, dark: bool) -> dict[Any, dict[str, str]]:
        """What the cascade gives each element that a rule reaches: the more important, then the more specific, then the later."""
        won: dict[Any, dict[str, tuple[tuple[bool, tuple[int, int, int], int], str]]] = {}
        for order, one in enumerate(self.style_rules):
            if not _applies(one.conditions, dark=dark):
                continue
            for selector in one.selectors:
                found = css.matcher(selector)
                if found is None:
                    continue
                matched: Any = found[0](self.tree)
                for element in matched:
                    mine = won.setdefault(element, {})
                    for declared in one.declarations:
                        rank = (declared.important, found[1], order)
                        if declared.name not in mine or mine[declared.name][0] <= rank:
                            mine[declared.name] = (rank, declared.value)
        styles = {}
        for element, mine in won.items():
            inline = {one.name: one for one in css.declarations(element.get("style", ""))}
            kept = {name: value for name, (rank, value) in mine.items() if name not in inline or (rank[0] and not inline[name].important)}
            styles[element] = kept
        return styles


def _applies(conditions: tuple[str, ...], *, dark: bool) -> bool:
    """Whether rules under these conditions count, for a window of 640 px."""
    for condition in conditions:
        text = condition.lower()
        if not text.startswith("@media") or "print" in text or "-ms-" in text or "hover" in text:
            return False
        if "prefers-color-scheme" in text and ("dark" in text.split("prefers-color-scheme", 1)[1][:12]) is not dark:
            return False
        for bound, number in re.findall(r"(min|max)-width\s*:\s*(\d+)px", text):
            if (int(number) > 640) if bound == "min" else (int(number) < 640):
                return False
    return True


_FIRST = {"h1": "32px", "h2": "24px", "h3": "18.7px", "h4": "16px", "h5": "13.3px", "h6": "10.7px", "small": "13.3px"}
_BOLD = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "th"})


class _Look(NamedTuple):
    colour: Colour = BLACK
    ground: Colour = WHITE
    size_px: float = 16.0
    bold: bool = False
    align: str = "start"


def _walk(body: Any, styles: Mapping[Any, Mapping[str, str]]) -> Iterator[Shown]:
    """Each stretch of text that is shown, with the colours that reach it."""
    stack: list[tuple[Any, _Look, bool]] = [(body, _Look(), False)]
    while stack:
        element, look, only_tail = stack.pop()
        if only_tail:
            if element.tail and element.tail.strip():
                yield _shown(element.tail, element.getparent(), look)
            continue
        style = {one.name: one.value for one in css.declarations(element.get("style", ""))} | dict(styles.get(element, {}))
        if style.get("display") == "none" or style.get("visibility") == "hidden" or element.get("hidden") is not None:
            continue
        mine = _look(element, style, look)
        if element.text and element.text.strip():
            yield _shown(element.text, element, mine)
        after: list[tuple[Any, _Look, bool]] = []
        for child in element:
            if isinstance(child.tag, str) and child.tag not in ("style", "script", "title", "head"):
                after.append((child, mine, False))
            after.append((child, mine, True))
        stack += reversed(after)


def _shown(words: str, element: Any, look: _Look) -> Shown:
    return Shown(" ".join(words.split()), str(element.tag), look.colour.over(look.ground), look.ground, look.size_px, look.bold, look.align)


def _look(element: Any, style: Mapping[str, str], above: _Look) -> _Look:
    ground = above.ground
    for value in (element.get("bgcolor"), style.get("background"), style.get("background-color")):
        for word in (value or "").split() if value and "(" not in value else [value or ""]:
            found = css.colour(word)
            ground = found.over(above.ground) if found else ground
    size = css.pixels(style.get("font-size") or _FIRST.get(element.tag, ""), above.size_px)
    weight = style.get("font-weight", "")
    bold = weight in ("bold", "bolder", "600", "700", "800", "900") if weight else above.bold or element.tag in _BOLD
    return _Look(
        colour=css.colour(style.get("color", "")) or above.colour,
        ground=ground,
        size_px=above.size_px if size is None else size,
        bold=bold,
        align=style.get("text-align") or element.get("align") or above.align,
    )
