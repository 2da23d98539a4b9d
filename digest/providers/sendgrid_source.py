"""The text of an issue's dynamic template, as it is written: stretches behind flags, values, and what the values are called.

A reader's links begin alike (``https://HOST/u/``), so that beginning stands in the template and the data has the rest, under
``U``, ``P`` and ``W``. A link that begins in another way comes whole, under ``UH`` for HTML and ``UT`` for plain text. Other values come
escaped, and with a ``T`` once more for plain text where that is another text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from digest.compose.parts import Part, escape
from digest.compose.teaser import wrap
from digest.providers.sendgrid_joints import BRACES
from digest.providers.sendgrid_lines import Fragments
from digest.tokens import PATHS

NAMES = {"GREETING": "G", "UNSUBSCRIBE": "U", "PREFERENCES": "P", "WEB": "W", "INTRO": "I", "OVERFLOW": "O"}
_PURPOSES = {"UNSUBSCRIBE": PATHS["unsubscribe"], "PREFERENCES": PATHS["preferences"], "WEB": PATHS["web"]}
# What an item of the list takes from outside of it, by @root: see `digest.providers.sendgrid_layout`. Never the link to leave.
_FROM_OUTSIDE = "PREFERENCES"
_PLAIN_URL = re.compile(r"https://[A-Za-z0-9.:/_~-]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def beginnings(site: str) -> dict[str, str]:
    """How readers' links begin, by slot, on the web site at that address; empty where that cannot stand in a template."""
    found = {slot: f"{site}/{path}/" for slot, path in _PURPOSES.items()}
    return {slot: begin if _PLAIN_URL.fullmatch(begin) else "" for slot, begin in found.items()}


def named(values: Mapping[str, str], begins: Mapping[str, str]) -> dict[str, str]:
    """A reader's values, plain and by slot, by the names that the template has for them."""
    found: dict[str, str] = {}
    for slot, value in values.items():
        name, begin = NAMES[slot], begins.get(slot, "")
        if begin and value.startswith(begin) and _TOKEN.fullmatch(value, len(begin)):
            found[name] = value[len(begin) :]
            continue
        html = escape(value)
        if slot in begins:
            found[f"{name}H"], found[f"{name}T"] = html, value
            continue
        found[name] = html
        if html != value:
            found[f"{name}T"] = value
    return found


def names_of(slot: str, begins: Mapping[str, str], *, inside: bool) -> tuple[str, ...]:
    """What a place of the slot may need of `named`; ``inside`` the list, where some is taken from outside."""
    name = NAMES[slot]
    if slot not in begins:
        return name, f"{name}T"
    return (*(() if inside and slot == _FROM_OUTSIDE else (name,)), f"{name}H", f"{name}T")


@dataclass
class Source:
    """The template while it is written, and which values its texts need: ``outside`` of the list by flag, "" being what stands
    behind none, ``inside`` the flags by value.
    """

    begins: Mapping[str, str]
    literals: dict[str, str] = field(default_factory=dict)  # name by text
    outside: dict[str, list[str]] = field(default_factory=dict)
    inside: dict[str, set[str]] = field(default_factory=dict)

    def block(self, flag: str, body: str, *, inside: bool) -> str:
        """Text behind a flag."""
        return f"{{{{#if {_at(inside)}{flag}}}}}{body}{{{{/if}}}}" if body else ""

    def part(self, flag: str, part: Part, *, html: bool, inside: bool) -> str:
        """A part with its values."""
        out = []
        for n, piece in enumerate(part.pieces):
            out.append(self._value(flag, piece, html=html, inside=inside) if n % 2 else self.literal(flag, piece, inside=inside))
        return "".join(out)

    def _value(self, flag: str, slot: str, *, html: bool, inside: bool) -> str:
        at, name, begin = _at(inside), NAMES[slot], self.begins.get(slot)
        for one in names_of(slot, self.begins, inside=inside):
            self._need(flag, one, inside=inside)
        if begin is None:
            return _raw(at + name) if html else _either(f"{at}{name}T", _raw(at + name))
        whole = f"{at}{name}{'H' if html else 'T'}"
        if not begin:
            return _raw(whole)
        rest = f"@root.{name}" if inside and slot == _FROM_OUTSIDE else at + name
        return _either(whole, begin + _raw(rest))

    def literal(self, flag: str, text: str, *, inside: bool) -> str:
        """Text as it is: braces that could mean something come in as values."""

        def value(run: re.Match[str]) -> str:
            name = self.literals.setdefault(run.group(), f"l{len(self.literals)}")
            self._need(flag, name, inside=inside)
            return _raw(_at(inside) + name)

        return BRACES.sub(value, text)

    def fragments(self, table: Fragments, *, html: bool, inside: bool) -> Iterator[str]:
        """All that lines of a kind are made of."""
        for flag, text, breaks in table:
            if html:
                body = self.literal(flag, escape(text), inside=inside)
            elif breaks:
                body = self._breaking(flag, text, breaks, inside=inside)
            else:
                body = self.literal(flag, wrap(text), inside=inside)
            yield self.block(flag, body, inside=inside)

    def _breaking(self, flag: str, text: str, breaks: str, *, inside: bool) -> str:
        """Text each of whose blanks may be told to be a line break."""
        words = text.split(" ")
        out, at = [self.literal(flag, words[0], inside=inside)], len(words[0])
        for word in words[1:]:
            out.append(f"{{{{#if {_at(inside)}{breaks}{at}}}}}\n{{{{else}}}} {{{{/if}}}}{self.literal(flag, word, inside=inside)}")
            at += 1 + len(word)
        return "".join(out)

    def _need(self, flag: str, name: str, *, inside: bool) -> None:
        if inside:
            self.inside.setdefault(name, set()).add(flag)
        else:
            self.outside.setdefault(flag, []).append(name)


def _at(inside: bool) -> str:
    return "this." if inside else ""


def _raw(name: str) -> str:
    return f"{{{{{{{name}}}}}}}"


def _either(name: str, other: str) -> str:
    """That value where there is one, else what is given."""
    return f"{{{{#if {name}}}}}{_raw(name)}{{{{else}}}}{other}{{{{/if}}}}"
