"""HTML and text of an issue taken together, part by part and cut at the same lines: one list of flags then serves both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from digest.compose import CompiledIssue
from digest.compose.parts import Document, Part
from digest.errors import RenderError
from digest.providers.sendgrid_lines import GROUPED

LINES = ("WHY", "PREHEADER")  # slots made of fragments; the others are values
# What the template's own braces could be taken together with, and what would switch them off.
BRACES = re.compile(r"[\\{}]{2,}|^[\\{}]|[\\{}]$")
EMPTY = Part(("",))


class Side(NamedTuple):
    """The same stretch in HTML and in text."""

    html: Part
    text: Part


@dataclass(frozen=True)
class Joint:
    """A part cut at its line slots: one more of ``sides`` than of ``lines``."""

    sides: tuple[Side, ...]
    lines: tuple[str, ...]


NOTHING = Side(EMPTY, EMPTY)


def groups_of(document: Document) -> tuple[str, ...]:
    return tuple(item for item in document.frame if isinstance(item, str))


def gaps_of(document: Document) -> list[Part]:
    """What stands before, between and after the groups, empty where nothing does."""
    found = [EMPTY]
    for item in document.frame:
        if isinstance(item, str):
            found.append(EMPTY)
        else:
            found[-1] = item
    return found


def lines_shown(compiled: CompiledIssue) -> dict[bool, set[str]]:
    """Which lines HTML (True) and text (False) show.

    Raises:
        RenderError: one of them shows a line in some places where the other does, and not in others.
    """
    found: dict[bool, set[str]] = {}
    for html, document, other in ((True, compiled.html, compiled.text), (False, compiled.text, compiled.html)):
        pairs = [
            *zip(gaps_of(document), gaps_of(other), strict=True),
            *((part, other.parts[name]) for name, part in document.parts.items()),
        ]
        found[html] = {slot for part, _ in pairs for slot in part.slots if slot in LINES}
        for line in found[html]:
            if any(part.slots.count(line) < that.slots.count(line) for part, that in pairs):
                raise RenderError(
                    f"templates: HTML and text show the {line.lower()} line in other places, which one template cannot; {GROUPED}"
                )
    return found


def make_joint(html: Part, text: Part, *, late: bool = False) -> Joint:
    """Both sides of a part, cut at the same lines. At a line that only one of them shows the other has all its text before it,
    or with ``late`` after it.
    """
    cuts = _cut(html), _cut(text)
    lines = max((lines for _, lines in cuts), key=len)
    step = -1 if late else 1
    sides = [_spread(parts[::step], shown[::step], lines[::step])[::step] for parts, shown in cuts]
    return Joint(tuple(Side(a, b) for a, b in zip(*sides, strict=True)), lines)


def _cut(part: Part) -> tuple[list[Part], tuple[str, ...]]:
    parts, here, lines = [], [part.pieces[0]], []
    for slot, text in zip(part.pieces[1::2], part.pieces[2::2], strict=True):
        if slot in LINES:
            parts.append(Part(tuple(here)))
            lines.append(slot)
            here = [text]
        else:
            here += (slot, text)
    return [*parts, Part(tuple(here))], tuple(lines)


def _spread(parts: Sequence[Part], shown: Sequence[str], lines: Sequence[str]) -> list[Part]:
    found, at = [parts[0]], 0
    for line in lines:
        if at < len(shown) and shown[at] == line:
            at += 1
            found.append(parts[at])
        else:
            found.append(EMPTY)
    if at != len(shown):
        raise RenderError(f"templates: HTML and text show their lines in another order, which one template cannot; {GROUPED}")
    return found
