"""As much of CSS as judging an email needs: rules out of ``<style>``, declarations, colours, contrast."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from cssselect import SelectorError
from cssselect import parse as parse_selector
from lxml.cssselect import CSSSelector


class Declaration(NamedTuple):
    """``name: value``, and whether it is !important."""

    name: str
    value: str
    important: bool = False

    def __str__(self) -> str:
        return f"{self.name}:{self.value}{' !important' if self.important else ''}"


class StyleRule(NamedTuple):
    """A rule with the conditions (``@media …``) it stands in, outermost first."""

    conditions: tuple[str, ...]
    selectors: tuple[str, ...]
    declarations: tuple[Declaration, ...]


class Colour(NamedTuple):
    """Red, green and blue from 0 to 255, and how opaque it is, from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, ground: Colour) -> Colour:
        """What one sees where this lies on an opaque ground."""
        return Colour(*(top * self.alpha + below * (1 - self.alpha) for top, below in zip(self[:3], ground[:3], strict=True)))


BLACK, WHITE = Colour(0, 0, 0), Colour(255, 255, 255)


@functools.lru_cache(4096)
def declarations(css: str) -> tuple[Declaration, ...]:
    """What stands in a ``style`` attribute or between braces."""
    found = []
    for item in _pieces(css, ";"):
        name, colon, value = item.partition(":")
        important = bool(re.search(r"!\s*important\s*$", value, re.I))
        value = re.sub(r"!\s*important\s*$", "", value, flags=re.I).strip()
        if colon and value and name.strip():
            found.append(Declaration(name.strip().lower(), value, important))
    return tuple(found)


def _pieces(css: str, separator: str) -> Iterator[str]:
    """Parted at a separator that stands in no quotes and no brackets."""
    depth, quote, begin = 0, "", 0
    for at, char in enumerate(css):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == separator and depth <= 0:
            yield css[begin:at]
            begin = at + 1
    yield css[begin:]


@functools.lru_cache(64)
def style_rules(css: str) -> tuple[StyleRule, ...]:
    """All rules of a style sheet in order; at-rules without a block are left out."""
    return tuple(_rules(re.sub(r"/\*.*?\*/|<!--|-->", "", css, flags=re.S), ()))


def _rules(css: str, conditions: tuple[str, ...]) -> Iterator[StyleRule]:
    at = 0
    while (opened := css.find("{", at)) >= 0:
        head = css[at:opened].rpartition(";")[2].strip()
        closed = _closing(css, opened)
        inside = css[opened + 1 : closed]
        if head.startswith("@"):
            if re.match(r"@(?:media|supports|layer|container)\b", head, re.I):
                yield from _rules(inside, (*conditions, head))
            else:
                yield StyleRule((*conditions, head), (), declarations(inside) if "{" not in inside else ())
        elif head:
            yield StyleRule(conditions, tuple(one.strip() for one in _pieces(head, ",") if one.strip()), declarations(inside))
        at = closed + 1


def _closing(css: str, opened: int) -> int:
    depth = 0
    for at in range(opened, len(css)):
        depth += (css[at] == "{") - (css[at] == "}")
        if depth == 0:
            return at
    return len(css)


@functools.lru_cache(2048)
def matcher(selector: str) -> tuple[CSSSelector, tuple[int, int, int]] | None:
    """What finds the elements of a selector, and its specificity; None where it depends on more than the document."""
    try:
        found = parse_selector(selector)
        return CSSSelector(selector, translator="html"), found[0].specificity()
    except (SelectorError, ValueError, IndexError):
        return None


@functools.lru_cache(1024)
def colour(value: str) -> Colour | None:
    """A colour as CSS spells it; None for what is not one, or not one that can be told here."""
    text = value.strip().lower()
    if found := re.fullmatch(r"#([0-9a-f]{3,8})", text):
        digits = found.group(1)
        if len(digits) in (3, 4):
            digits = "".join(digit * 2 for digit in digits)
        if len(digits) not in (6, 8):
            return None
        red, green, blue, *alpha = (int(digits[at : at + 2], 16) for at in range(0, len(digits), 2))
        return Colour(red, green, blue, alpha[0] / 255 if alpha else 1.0)
    if found := re.fullmatch(r"rgba?\(([^()]*)\)", text):
        parts = [part for part in re.split(r"[\s,/]+", found.group(1).strip()) if part]
        try:
            numbers = [float(part[:-1]) * 2.55 if part.endswith("%") else float(part) for part in parts[:3]]
            opaque = 1.0 if len(parts) < 4 else float(parts[3][:-1]) / 100 if parts[3].endswith("%") else float(parts[3])
            return Colour(numbers[0], numbers[1], numbers[2], opaque)
        except (ValueError, IndexError):
            return None
    named = _named().get(text)
    return Colour(*named) if named else None


@functools.cache
def _named() -> dict[str, tuple[float, float, float, float]]:
    from cssutils.css.colors import COLORS

    return dict(COLORS)


def contrast(one: Colour, other: Colour) -> float:
    """The ratio of WCAG 2.2, 1 to 21, of two opaque colours. Source: WCAG 2.2, "contrast ratio", "relative luminance"."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(shade: Colour) -> float:
    red, green, blue = (c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in shade[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def pixels(value: str, of: float = 16.0) -> float | None:
    """A length in CSS pixels; ``of`` is what a share or an em counts from."""
    found = re.fullmatch(r"([\d.]+)(px|pt|em|rem|%|)", value.strip().lower())
    if found is None:
        return None
    try:
        number = float(found.group(1))
    except ValueError:
        return None
    return number * {"px": 1.0, "pt": 4 / 3, "em": of, "rem": 16.0, "%": of / 100, "": 1.0 if number == 0 else of}[found.group(2)]
