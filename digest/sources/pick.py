"""From elements that somebody clicked in a page, or from none, to the selectors that gather its pieces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from digest.sources.layout import (
    MOST_ELEMENTS,
    NEEDED,
    Found,
    Layout,
    Role,
    Shape,
    above,
    counted,
    elements,
    link_of,
    read_off,
    shape,
)
from digest.sources.selectors import item_selectors

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_LEVELS = 12  # elements around what was clicked that may be the piece
_BACK = 4  # elements before it that the piece may begin with
_GROUPS = 30  # groups of like elements that are looked at
_FLAT = ("h1", "h2", "h3", "h4", "h5", "h6", "dt", "p", "time", "div", "span", "strong")
_HEADINGS = _FLAT[:6]


class NoLayout(ValueError):
    """No selectors follow from what was clicked; the text says what to click instead."""


def propose(html: LexborHTMLParser, clicked: Mapping[Role, int]) -> Found:
    """The layout in which each clicked element is that part of its piece, and the other pieces have the same parts.

    The clicks may be in one piece or in several.

    Args:
        clicked: for each part the place of an element among ``layout.elements(html)``. Parts that were not clicked are guessed.
    Raises:
        NoLayout: nothing was clicked, or it is nowhere repeated.
    """
    every = elements(html)
    if len(every) > MOST_ELEMENTS:
        raise NoLayout("the page is too large to be picked in; type selectors")
    chosen: dict[Role, LexborNode] = {}
    for role, place in clicked.items():
        if not 0 <= place < len(every):
            raise NoLayout("what was clicked is not on the page")
        chosen[role] = _meant(role, every[place])
    if not chosen:
        raise NoLayout("click the title of one piece first")
    found = best(read_off(one, chosen) for one in _shapes(html, list(chosen.values())))
    if len(chosen) > 1 and (found is None or found.complete < 2):  # the parts of several pieces were clicked
        each = (read_off(one, chosen) for node in chosen.values() for one in _shapes(html, [node]))
        found = best([found, *each])
    if found is None:
        raise NoLayout("nothing else on the page is like that; click the parts of one and the same piece, the title first")
    return counted(html, found)


def complete(html: LexborHTMLParser, layout: Layout) -> Layout:
    """The layout with each part that it does not name where it seems to be, if the item is found several times."""
    if all(getattr(layout, role) for role in NEEDED):
        return layout
    made = shape(html, layout.item, with_following=layout.with_following)
    found = read_off(Shape(made.item, made.with_following, made.found, made.found[1]), {}) if made else None
    if found is None:
        return layout
    return Layout(**{**found.layout.model_dump(), **{key: value for key, value in layout.model_dump().items() if value}})


def _meant(role: Role, node: LexborNode) -> LexborNode:
    """What somebody means who clicked there: the link around the words, the heading around the link."""
    if role == "link":
        inside = [one for one in node.traverse(include_text=False) if one.tag == "a"]
        found = link_of(node) if len(inside) < 2 else None
        if found is None:
            raise NoLayout("there is no link there; click the words that lead to the piece")
        return found
    if role == "title":
        return next((one for one in list(above(node))[:4] if one.tag in _HEADINGS), node)
    if role == "date":
        return next((one for one in list(above(node))[:3] if one.tag == "time" or one.attributes.get("datetime")), node)
    return node


def repeated(html: LexborHTMLParser, most: int = 6) -> list[Found]:
    """What on the page is repeated and has titles, links and dates, the likeliest first; without dates where nothing has any."""
    found: dict[tuple[str, ...], Found] = {}
    seen: set[tuple[str, bool]] = set()
    for node in _like_others(html):
        for one in _shapes_at(html, [node], [node], seen):
            made = read_off(one, {})
            if made is None:
                continue
            key = tuple(str(piece[0].mem_id) for piece in one.found[:50])
            if key not in found or _rank(made) < _rank(found[key]):
                found[key] = made
    ranked = sorted(found.values(), key=_rank)
    whole = [one for one in ranked if one.complete >= 2]
    chosen: list[Found] = []
    for likely in whole or [one for one in ranked if one.layout.link]:
        if not any(likely.titles and likely.titles <= other.titles for other in chosen):
            chosen.append(likely)
    return [counted(html, one) for one in chosen[:most]]


def best(found: Iterable[Found | None]) -> Found | None:
    """The one that finds most whole pieces and fewest others, by the simplest selector."""
    return min((one for one in found if one is not None), key=_rank, default=None)


def _rank(found: Found) -> tuple[float, ...]:
    layout = found.layout
    parts = sum(bool(getattr(layout, role)) for role in (*NEEDED, "takeaway"))
    odd = found.pieces - found.complete
    return (-found.complete + 0.5 * odd, odd, -parts, layout.with_following, layout.item.count(">"), len(layout.item))


def _shapes(html: LexborHTMLParser, nodes: list[LexborNode]) -> Iterator[Shape]:
    """Everything that a piece with these elements in it may be."""
    common = [one for one in above(nodes[0]) if all(one.mem_id in {up.mem_id for up in above(node)} for node in nodes[1:])]
    yield from _shapes_at(html, common[:_LEVELS], nodes)
    # Side by side: a piece begins with the first element that holds one of them, or a little before.
    for level in common[:_LEVELS] if len(nodes) > 1 else [one.parent for one in common[:_LEVELS] if one.parent is not None]:
        yield from _side_by_side(html, level, nodes)
    if len(nodes) > 1 and (top := common[-1].parent if common else _body(nodes[0])) is not None:
        yield from _side_by_side(html, top, nodes)


def _body(node: LexborNode) -> LexborNode | None:
    last = list(above(node))[-1:]
    return last[0].parent if last else None


def _shapes_at(
    html: LexborHTMLParser, items: Iterable[LexborNode], nodes: list[LexborNode], seen: set[tuple[str, bool]] | None = None
) -> Iterator[Shape]:
    """Pieces that begin with one of these; of what was ``seen`` already none."""
    met: set[tuple[int, ...]] = set()
    for item in items:
        for selector in item_selectors(item):
            for following in (False, True):
                if following and item.tag not in _FLAT:
                    continue
                if seen is not None:
                    if (selector, following) in seen:
                        continue
                    seen.add((selector, following))
                made = shape(html, selector, with_following=following, mine=nodes)
                if made is None:
                    continue
                key = (following, *(piece[0].mem_id for piece in made.found))
                if key not in met:
                    met.add(key)
                    yield made


def _side_by_side(html: LexborHTMLParser, parent: LexborNode, nodes: list[LexborNode]) -> Iterator[Shape]:
    holding = [next((one for one in above(node) if one.parent is not None and one.parent.mem_id == parent.mem_id), None) for node in nodes]
    branches = {one.mem_id for one in holding if one is not None}
    if not branches or None in holding:
        return
    children = [child for child in parent.iter(include_text=False) if child.is_element_node]
    start = next(place for place, child in enumerate(children) if child.mem_id in branches)
    begins = children[max(0, start - _BACK) : start + 1]
    yield from (one for one in _shapes_at(html, begins, nodes) if one.with_following)


def _like_others(html: LexborHTMLParser) -> list[LexborNode]:
    """One element of each group of like ones beside each other, those with most to say first."""
    groups: dict[tuple[int, str], list[LexborNode]] = {}
    every = elements(html)
    for node in every if len(every) <= MOST_ELEMENTS else ():
        if node.parent is not None and node.tag not in (
            "head",
            "body",
            "html",
            "script",
            "style",
            "link",
            "meta",
            "option",
            "br",
            "td",
            "th",
        ):
            groups.setdefault((node.parent.mem_id, f"{node.tag} {node.attributes.get('class') or ''}"), []).append(node)
            groups.setdefault((node.parent.mem_id, node.tag or ""), []).append(node)
    ranked = sorted((some for some in groups.values() if len(some) > 1), key=lambda some: -_weight(some))
    chosen: dict[int, LexborNode] = {}
    for some in ranked:
        # The first of a list is often its head; of paragraphs side by side each may begin a piece.
        for one in [some[1], *(some[:1] + some[2:3] if some[0].tag in _FLAT else [])]:
            chosen[one.mem_id] = one
    return list(chosen.values())[:_GROUPS]


def _weight(some: list[LexborNode]) -> int:
    return sum(min(300, len(node.text(deep=True))) for node in some[:50])
