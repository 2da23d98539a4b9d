"""What an element of a page may be called in CSS: by itself, as the beginning of a piece, as a part of one. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,40}$")
_PLACES = re.compile(r"^(first|last|odd|even|active|current|selected|featured|sticky)$|\d{3}|-\d+$|^(is|has)-", re.I)
_MADE_UP = re.compile(r"^(css|sc|jsx?|_)-?[A-Za-z0-9]{5,}$|[a-z]\d[a-z]\d|__[A-Za-z0-9]{5}$")


def _classes(node: LexborNode) -> list[str]:
    """Classes that name a kind of element, those that look made by a machine at the end."""
    names = [name for name in (node.attributes.get("class") or "").split()[:12] if _NAME.match(name) and not _PLACES.search(name)]
    return sorted(names, key=lambda name: bool(_MADE_UP.search(name)))[:4]


def called(node: LexborNode) -> list[str]:
    """Selectors for an element by itself, the most telling first."""
    tag = node.tag or ""
    names = [f"{tag}.{name}" for name in _classes(node)]
    if len(names) > 1:
        names.append(f"{tag}.{'.'.join(_classes(node)[:2])}")
    if (prop := node.attributes.get("itemprop") or "") and _NAME.match(prop):
        names.append(f'{tag}[itemprop="{prop}"]')
    return [*names, tag]


def _place(node: LexborNode) -> int:
    """Which child of its parent it is, from 1."""
    count, before = 1, node.prev
    while before is not None:
        count += before.is_element_node
        before = before.prev
    return count


def _before(node: LexborNode) -> LexborNode | None:
    before = node.prev
    while before is not None and not before.is_element_node:
        before = before.prev
    return before


def _after(node: LexborNode) -> LexborNode | None:
    after = node.next
    while after is not None and not after.is_element_node:
        after = after.next
    return after


def _around(node: LexborNode) -> list[str]:
    """Selectors for a parent, its id first."""
    name = node.attributes.get("id") or ""
    return [*([f"{node.tag}#{name}"] if _NAME.match(name) and not re.search(r"\d{3}", name) else []), *called(node)]


def item_selectors(node: LexborNode) -> list[str]:
    """Selectors for an element that begins a piece, the simplest first."""
    own, parent = called(node), node.parent
    found = list(own)
    if node.tag == "tr":
        found.insert(0, "tr:has(td)")
    if (after := _after(node)) is not None:  # where all of a list are alike, what begins a piece is told by what comes next
        found.append(f"{node.tag}:has(+ {after.tag})")
    if parent is not None and parent.tag not in (None, "html", "-undef"):
        found += [f"{around} > {one}" for around in _around(parent) for one in (own if len(own) < 3 else own[:1] + own[-1:])]
        outer = parent.parent
        if outer is not None and outer.tag not in (None, "html", "-undef"):
            found += [f"{around} > {parent.tag} > {own[0]}" for around in _around(outer)[:2]]
    return list(dict.fromkeys(found))[:16]


def part_selectors(node: LexborNode, mine: Sequence[LexborNode]) -> list[str]:
    """Selectors for a part within its piece, the simplest first."""
    tag, found = node.tag or "", list[str]()
    if tag == "time" or node.attributes.get("datetime"):
        found.append("time" if tag == "time" else f"{tag}[datetime]")
    found += called(node)
    ends = {one.mem_id for one in mine}
    parent = node.parent if node.mem_id not in ends else None
    if parent is not None:
        found += [f"{around} > {tag}" for around in called(parent)]
    if (before := _before(node)) is not None and parent is None:
        found += [f"{one} + {tag}" for one in called(before)]
        if (farther := _before(before)) is not None:
            found.append(f"{farther.tag} + {before.tag} + {tag}")
    else:
        found.append(f"{tag}:nth-child({_place(node)})")
        if parent is not None:
            found.append(f"{parent.tag} > {tag}:nth-child({_place(node)})")
            if parent.mem_id not in ends:
                found.append(f"{parent.tag}:nth-child({_place(parent)}) > {tag}:nth-child({_place(node)})")
    return list(dict.fromkeys(found))
