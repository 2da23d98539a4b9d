"""An email as other programs would change it before they show it: a simulation from published tables, not those programs.

What a program does not understand is taken away, by the table of caniemail.com and the notes beside it; the rest is left to the
browser that shows the result. Word's own layout and Gmail's recolouring in dark mode are not imitated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lxml import etree

from digest.lint import css
from digest.lint.css import Declaration
from digest.lint.support import condition_features, features_of, selector_features, support
from digest.lint.weight import STYLE_BYTES


class Program(NamedTuple):
    """A mail program to imitate: its column in the table and its own rules."""

    name: str
    client: str
    mso: bool = False
    styles: bool = True


PROGRAMS: Mapping[str, Program] = {
    "gmail": Program("Gmail in a browser", "gmail.desktop-webmail"),
    "gmail-bare": Program("Gmail's app with an account of another provider", "gmail.android", styles=False),
    "outlook": Program("Outlook for Windows (Word)", "outlook.windows", mso=True),
}


class Simulated(NamedTuple):
    """The changed HTML, and a line that says what it is: a picture of it must never pass for the program's own."""

    html: str
    label: str

    @property
    def marked(self) -> str:
        """The HTML with the line on top, for pictures."""
        style = "background:#ffe08a;color:#1b2a30;font:16px/1.5 sans-serif;margin:0;padding:8px 16px"
        return re.sub(r"<body[^>]*>", lambda found: f'{found.group()}<p style="{style}">{self.label}</p>', self.html, count=1)


_GONE = ("script", "link", "base", "iframe", "object", "embed", "applet", "noscript", "template")
_EMPTIED = ("form", "input", "button", "select", "textarea", "label", "fieldset")


def simulate(html: str, program: str) -> Simulated:
    """The email as ``gmail``, ``gmail-bare`` or ``outlook`` would have it.

    Raises:
        KeyError: there is no such program in `PROGRAMS`.
    """
    asked = PROGRAMS[program]
    doctype = re.match(r"\s*<!doctype[^>]*>", html, re.I)
    tree = etree.fromstring(conditionals(html, mso=asked.mso), etree.HTMLParser(huge_tree=True, remove_comments=True))
    for element in list(tree.iter(*_GONE)):
        _drop(element)
    etree.strip_tags(tree, *_EMPTIED)
    for style in list(tree.iter("style")):
        _sheet(style, asked)
    if support().of("html-meta-color-scheme", asked.client) == "n":
        for meta in list(tree.iter("meta")):
            if meta.get("name") in ("color-scheme", "supported-color-schemes"):
                _drop(meta)
    keeps = _outlook_keeps if asked.mso else _gmail_keeps
    for element in tree.iter():
        if isinstance(element.tag, str):
            _attributes(element, asked, keeps)
    text = etree.tostring(tree, encoding="unicode", method="html")
    label = f"Simulation of {asked.name}, from caniemail.com ({support().version}); the program itself may differ"
    return Simulated((doctype.group().strip() + "\n" if doctype else "") + text, label)


def _drop(element: Any) -> None:
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    if element.tail:
        if before is not None:
            before.tail = (before.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _sheet(style: Any, program: Program) -> None:
    """Rules that the program understands; Gmail takes no sheet in the body and none above 16 KB."""
    text = "".join(style.itertext())
    in_head = any(above.tag == "head" for above in style.iterancestors())
    gmail = program.client.startswith("gmail")
    if not program.styles or (gmail and (not in_head or len(text.encode()) > STYLE_BYTES)):
        _drop(style)
        return
    lines = []
    media = f"@media {style.get('media')}" if style.get("media") else ""
    for one in css.style_rules(text):
        conditions = ((media,) if media else ()) + one.conditions
        if any(support().of(feature, program.client) == "n" for condition in conditions for feature in condition_features(condition)):
            continue
        selectors = [selector for selector in one.selectors if _selects(selector, program)]
        kept = [str(declared) for declared in one.declarations if understood(declared, program.client)]
        if kept and (selectors or one.conditions):
            body = f"{', '.join(selectors)} {{ {'; '.join(kept)} }}" if selectors else "; ".join(kept)
            lines.append(_wrapped(one.conditions, body))
    style.text = "\n".join(lines)
    for child in list(style):
        style.remove(child)


def _wrapped(conditions: tuple[str, ...], body: str) -> str:
    for condition in reversed(conditions):
        body = f"{condition} {{ {body} }}"
    return body


def _selects(selector: str, program: Program) -> bool:
    if program.client.startswith("gmail") and re.search(r"\[(?!class~=)", selector):
        return False
    return not any(support().of(feature, program.client) == "n" for feature in selector_features(selector))


def understood(declared: Declaration, client: str) -> bool:
    """Whether the program takes the declaration at all."""
    return not any(support().of(feature, client) == "n" for feature in features_of(declared))


def _attributes(element: Any, program: Program, keeps: Callable[[str, Declaration], bool]) -> None:
    for name in list(element.keys()):
        if name.lower().startswith("on") or (f"html-{name}" in support().features and support().of(f"html-{name}", program.client) == "n"):
            del element.attrib[name]
    written = element.get("style")
    if written is not None:
        kept = [one for one in css.declarations(written) if understood(one, program.client) and keeps(element.tag, one)]
        element.set("style", ";".join(map(str, kept)))
    if element.tag == "img" and program.mso and (element.get("width") or "").isdigit():
        # Word goes by the attribute and by nothing else.
        element.set("style", f"{element.get('style') or ''};width:{element.get('width')}px !important;max-width:none".lstrip(";"))


def _gmail_keeps(tag: str, declared: Declaration) -> bool:
    """caniemail, css-margin, note 1: no negative margins."""
    return not (declared.name.startswith("margin") and re.search(r"(?:^|\s)-", declared.value))


_NO_BOX = frozenset({"body", "span", "div", "p", "img"})


def _outlook_keeps(tag: str, declared: Declaration) -> bool:
    """caniemail's notes on Outlook for Windows: which elements take which boxes (css-padding, css-width, css-height, css-margin,
    css-max-width, css-display).
    """
    name, value = declared.name, declared.value.lower()
    if name.startswith("padding"):
        return tag in ("td", "th")
    if name in ("width", "height"):
        return tag not in _NO_BOX
    if name in ("max-width", "min-width"):
        return tag == "table"
    if name.startswith("margin"):
        return tag not in ("span", "body") and "auto" not in value and not re.search(r"(?:^|\s)-", value)
    if name == "display":
        return value == "none" and tag != "img"
    return not (name == "background" and "url(" in value)


# --- conditional comments ------------------------------------------------------------------------------------------------

_REVEALED = re.compile(r"<!--\[if ([^\]]+)\]><!-->(.*?)<!--<!\[endif\]-->", re.S)
_HIDDEN = re.compile(r"<!--\[if ([^\]]+)\]>(.*?)<!\[endif\]-->", re.S)
_MSO = 16.0


def conditionals(html: str, *, mso: bool) -> str:
    """Microsoft's conditional comments as Outlook for Windows reads them (``mso``), or as all others do."""
    if not mso:
        return _HIDDEN.sub("", _REVEALED.sub(lambda found: found.group(2), html))
    revealed = _REVEALED.sub(lambda found: found.group(2) if holds(found.group(1)) else "", html)
    return _HIDDEN.sub(lambda found: found.group(2) if holds(found.group(1)) else "", revealed)


def holds(condition: str) -> bool:
    """Whether a condition such as ``gte mso 9 | IE`` holds in Outlook for Windows."""
    text = condition.strip()
    for operator, combine in (("|", any), ("&", all)):
        parts = _parted(text, operator)
        if len(parts) > 1:
            return combine(holds(part) for part in parts)
    if text.startswith("!"):
        return not holds(text[1:])
    if text.startswith("(") and text.endswith(")"):
        return holds(text[1:-1])
    found = re.fullmatch(r"(?:(lte?|gte?)\s+)?(\w+)(?:\s+([\d.]+))?", text)
    if found is None or found.group(2).lower() != "mso":
        return text.lower() == "true"
    if found.group(3) is None:
        return True
    number = float(found.group(3))
    return {"lt": number > _MSO, "lte": number >= _MSO, "gt": number < _MSO, "gte": number <= _MSO, None: number == _MSO}[found.group(1)]


def _parted(text: str, operator: str) -> list[str]:
    depth, parts, begin = 0, [], 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == operator and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
