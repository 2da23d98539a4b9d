"""Which mail programs understand what a letter uses, and how many readers have each."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import NamedTuple

from digest.lint import css
from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

# Percent of opens, Litmus, April 2022: the last month that could be read with a table. Apple's is swollen by its privacy
# proxy, which opens everything; your own readers may differ. How a family's share falls to its programs is an estimate.
SHARES = {
    "apple-mail.ios": 42.0, "apple-mail.macos": 15.2, "gmail.desktop-webmail": 12.0, "gmail.ios": 6.0, "gmail.android": 11.0,
    "gmail.mobile-webmail": 0.5, "outlook.windows": 3.4, "outlook.macos": 0.8, "outlook.outlook-com": 0.9, "outlook.ios": 0.3,
    "outlook.android": 0.3, "yahoo.desktop-webmail": 3.4, "samsung-email.android": 0.4, "thunderbird.macos": 0.1,
}  # fmt: skip

# What makes a letter nicer where it is understood and harms nothing where it is not.
GRACEFUL = frozenset(
    """
    css-accent-color css-at-media css-at-media-prefers-color-scheme css-at-media-prefers-reduced-motion css-at-media-hover
    css-animation css-at-keyframes css-border-radius css-box-shadow css-box-sizing css-color-scheme css-cursor css-direction
    css-hyphens css-letter-spacing css-list-style css-max-width css-min-width css-opacity css-outline css-overflow
    css-overflow-wrap css-pseudo-class-active css-pseudo-class-focus css-pseudo-class-hover css-pseudo-class-visited
    css-selector-attribute css-text-decoration-color css-text-decoration-thickness css-text-overflow css-text-shadow
    css-text-underline-offset css-transition css-unit-initial css-white-space css-word-break css-word-spacing css-word-wrap
    html-aria-hidden html-aria-label html-aria-describedby html-aria-labelledby html-lang html-dir html-meta-color-scheme
    html-role html-comments html-doctype html-target html-loading-attribute css-max-height css-important css-vertical-align
    css-font css-font-weight css-height html-body html-style
    """.split()
)


class Support(NamedTuple):
    """The table: for each feature a letter (y, a, n, u) for each program."""

    version: str
    clients: tuple[str, ...]
    features: Mapping[str, str]

    def of(self, feature: str, client: str) -> str:
        """``y`` understood, ``a`` in part, ``n`` not, ``u`` not known."""
        return self.features.get(feature, "u" * len(self.clients))[self.clients.index(client)]

    def without(self, feature: str) -> tuple[str, ...]:
        """The programs that do not understand it."""
        return tuple(client for client, letter in zip(self.clients, self.features.get(feature, ""), strict=False) if letter == "n")


@functools.cache
def support() -> Support:
    """Data of caniemail.com (MIT), as `benchmarks/caniemail.py` shortened it."""
    data = json.loads(resources.files("digest.lint").joinpath("data", "caniemail.json").read_text("utf-8"))
    return Support(data["version"], tuple(data["clients"]), data["features"])


_SHORT = {
    "margin": "css-margin", "padding": "css-padding", "border": "css-border", "background": "css-background", "font": "css-font",
    "text-decoration": "css-text-decoration", "list-style": "css-list-style", "flex": "css-display-flex", "grid": "css-display-grid",
    "animation": "css-animation", "transition": "css-transition", "overflow": "css-overflow", "outline": "css-outline",
    "border-collapse": "css-border-collapse", "columns": "css-column-layout-properties", "column": "css-column-layout-properties",
}  # fmt: skip
_SIDES = ("top", "right", "bottom", "left")


def features_of(declaration: css.Declaration) -> frozenset[str]:
    """What a declaration asks a program to understand, in caniemail's words."""
    name, value, known = declaration.name, declaration.value.lower(), support().features
    found = set()
    if name.startswith("--") or "var(" in value:
        found.add("css-variables")
    if name in _SIDES:
        found.add("css-left-right-top-bottom")
    if name == "display" and value in ("flex", "inline-flex"):
        found.add("css-display-flex")
    elif name == "display" and value in ("grid", "inline-grid"):
        found.add("css-display-grid")
    elif name == "display" and value == "none":
        found.add("css-display-none")
    elif f"css-{name}" in known:
        found.add(f"css-{name}")
    else:
        head = name.partition("-")[0]
        if name.startswith("border") and name.endswith("radius"):
            found.add("css-border-radius")
        elif head in _SHORT and not name.startswith(("-", "mso")):
            found.add(_SHORT[head])
    if re.search(r"url\s*\(", value) and name.startswith("background"):
        found.add("css-background-image")
    for function, slug in (("calc(", "css-unit-calc"), ("clamp(", "css-function-clamp"), ("linear-gradient(", "css-linear-gradient")):
        if function in value:
            found.add(slug)
    for unit in re.findall(r"\d(vh|vw|vmin|vmax|rem|ch)\b", value):
        found.add(f"css-unit-{unit}")
    return frozenset(found & known.keys())


_SEMANTIC = frozenset(
    {"header", "main", "nav", "section", "article", "footer", "aside", "figure", "figcaption", "time", "mark", "details", "summary"}
)


def used(letter: Letter) -> dict[str, str]:
    """Everything the letter uses, with the first place that does."""
    known = support().features
    found: dict[str, str] = {}
    for element in letter.tree.iter():
        if not isinstance(element.tag, str):
            continue
        tag = element.tag.lower()
        slug = "html-semantics" if tag in _SEMANTIC else "html-h1-h6" if re.fullmatch(r"h[1-6]", tag) else f"html-{tag}"
        names = [slug] + [
            f"html-{name}" for name in element.keys() if name.startswith(("aria-", "role", "srcset", "background", "popover"))
        ]
        if tag == "img":
            names += _picture(element.get("src") or "")
        for name in names:
            if name in known:
                found.setdefault(name, f"<{tag}>")
        for declared in css.declarations(element.get("style", "")):
            for name in features_of(declared):
                found.setdefault(name, f"<{tag} style> {declared.name}: {declared.value}"[:70])
    for one in letter.style_rules:
        for condition in one.conditions:
            for name in condition_features(condition):
                found.setdefault(name, condition[:70])
        for selector in one.selectors:
            for name in selector_features(selector):
                found.setdefault(name, selector[:70])
        for declared in one.declarations:
            for name in features_of(declared):
                found.setdefault(name, f"{', '.join(one.selectors)[:30]} {declared.name}: {declared.value}"[:70])
    return found


def _picture(src: str) -> list[str]:
    if src.startswith("data:"):
        return ["image-base64"]
    suffix = re.search(r"\.([a-z]+)(?:$|\?)", src.lower())
    return [f"image-{suffix.group(1).replace('jpeg', 'jpg')}"] if suffix else []


def condition_features(condition: str) -> frozenset[str]:
    """What an at-rule asks for."""
    text = condition.lower()
    names = {f"css-at-{word}" for word in re.findall(r"@([a-z-]+)", text)}
    names |= {f"css-at-media-{word}" for word in ("prefers-color-scheme", "prefers-reduced-motion", "hover", "orientation") if word in text}
    return frozenset(names & support().features.keys())


def selector_features(selector: str) -> frozenset[str]:
    """What a selector asks for."""
    names = {f"css-pseudo-class-{word}" for word in re.findall(r"(?<!:):([a-z-]+)", selector)}
    names |= {f"css-pseudo-element-{word}" for word in re.findall(r"::([a-z-]+)", selector)}
    names |= {"css-selector-attribute"} if "[" in selector else set()
    names |= {"css-selector-child"} if ">" in selector else set()
    return frozenset(names & support().features.keys())


def _lost(feature: str) -> tuple[float, str]:
    """How many percent of readers go without, and which programs they have."""
    without = support().without(feature)
    lost = sum(SHARES.get(client, 0.0) for client in without)
    words = ", ".join(client.replace(".", " ").replace("-", " ") for client in without)
    return lost, words


def _missing(letter: Letter, *, graceful: bool) -> Iterator[Found]:
    for feature, place in sorted(used(letter).items()):
        lost, words = _lost(feature)
        if lost >= 1 and (feature in GRACEFUL) is graceful:
            yield Found(f"{feature}: not in {words} (about {lost:.0f} % of readers)", place)


@rule(
    "client-support",
    Level.WARNING,
    reason="What a mail program does not understand falls apart there: columns collapse, pictures vanish.",
    source="caniemail.com (data in digest/lint/data); shares: Litmus, April 2022, to be read with care",
    example='<div style="display:flex">',
)
def client_support(letter: Letter) -> Iterator[Found]:
    yield from _missing(letter, graceful=False)


@rule(
    "client-extras",
    Level.ADVICE,
    reason="Harmless where it is missing, but good to know who sees the letter without it: dark colours, round corners.",
    source="caniemail.com (data in digest/lint/data); shares: Litmus, April 2022, to be read with care",
    example="@media (prefers-color-scheme: dark) { … }",
)
def client_extras(letter: Letter) -> Iterator[Found]:
    yield from _missing(letter, graceful=True)


RULES = (client_support, client_extras)
