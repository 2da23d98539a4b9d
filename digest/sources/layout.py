"""How a listing is laid out: the selectors of one piece and of its parts, found from elements of the page. Pure.

The same parser and the same selectors as in ``page``: what is proposed here is what gathering finds.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from digest.model import Frozen
from digest.sources import fetch, words
from digest.sources.dates import parse_date
from digest.sources.page import first, node_line, pieces, select, written_date
from digest.sources.selectors import part_selectors

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

Role = Literal["title", "date", "link", "takeaway"]
Piece = Sequence["LexborNode"]
NEEDED: tuple[Role, ...] = ("title", "date", "link")
_SAMPLE = 12  # pieces that selectors are tried on; all of them are counted at the end
_ESTIMATED = 60  # pieces that a likely layout is tried on
_NO_PAGE = fetch.Page(200, "")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SPEAKING = 12  # characters from which on a link's text can be a title; "Read more" is none
_LONGER = 20
_TELLING = 40
_LOOKED_AT = 400  # elements of a piece that a part may be guessed among
MOST_ELEMENTS = 30_000  # of a page that is worked out; the largest listings met have about half of it


class Layout(Frozen):
    """Selectors as ``config.yaml`` has them for a source of kind ``page``; a part that was not found is empty."""

    item: str
    title: str = ""
    link: str = ""
    date: str = ""
    takeaway: str = ""
    with_following: bool = False


class Found(Frozen):
    """A layout, how many pieces it finds on the page, and of how many it finds title, link and date; the first such title."""

    layout: Layout
    pieces: int
    complete: int
    sample: str = ""
    titles: Annotated[frozenset[str], Field(exclude=True)] = frozenset()  # of the pieces that were looked at


@dataclass(frozen=True)
class Shape:
    """Where pieces might begin and end; ``mine`` is the one that somebody pointed at."""

    item: str
    with_following: bool
    found: list[list[LexborNode]]
    mine: list[LexborNode]


# --- elements ------------------------------------------------------------------------------------------------------------


def elements(html: LexborHTMLParser) -> list[LexborNode]:
    """All elements in the order of the document: an element's place in it names it."""
    return list(under([html.root])) if html.root is not None else []


def under(piece: Piece) -> Iterator[LexborNode]:
    """The elements of a piece and all below them, in their order."""
    for node in piece:
        yield from (one for one in node.traverse(include_text=False) if one.is_element_node)  # comments are no text either


def above(node: LexborNode) -> Iterator[LexborNode]:
    """The element and those around it, up to the page's body, without it."""
    here: LexborNode | None = node
    while here is not None and here.tag not in ("body", "html", "-undef"):
        yield here
        here = here.parent


@functools.lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """Whether the whole text is a date that can be read, whichever way round."""
    if not text or len(text) > 60 or not any(c.isdigit() for c in text):
        return False
    for order in ("mdy", "dmy"):
        try:
            parse_date(text, "UTC", "mdy" if order == "mdy" else "dmy")
        except ValueError:
            continue
        return True
    return False


def is_link(node: LexborNode) -> bool:
    """Whether it leads to a page."""
    href = (node.attributes.get("href") or "").strip()
    try:
        return bool(href) and not href.startswith("#") and urlsplit(href).scheme in ("", "http", "https")
    except ValueError:
        return False


def says(node: LexborNode | None, role: Role) -> bool:
    """Whether an element is good for that part."""
    if node is None:
        return False
    return is_link(node) if role == "link" else is_date(written_date(node)) if role == "date" else bool(node_line(node))


# --- shapes --------------------------------------------------------------------------------------------------------------


def shape(html: LexborHTMLParser, item: str, *, with_following: bool, mine: Sequence[LexborNode] = ()) -> Shape | None:
    """The pieces that an item selector gives, if there are several and none lies within another, and the one with ``mine`` in it."""
    nodes = select(html, item, "item", _NO_PAGE)
    if not 2 <= len(nodes) <= MOST_ELEMENTS:
        return None
    begins = {node.mem_id for node in nodes}
    if any(outer.mem_id in begins for node in nodes[:_SAMPLE] for outer in itertools.islice(above(node), 1, None)):
        return None
    found = pieces(nodes, with_following=with_following)
    around = [{one.mem_id for one in above(node)} for node in mine]
    for piece in found:
        if all(any(part.mem_id in ids for part in piece) for ids in around):
            return Shape(item, with_following, found, piece)
    return None


def _piece_with(node: LexborNode, of: Shape) -> Piece | None:
    """The piece that an element is in."""
    around = {one.mem_id for one in above(node)}
    return next((piece for piece in (of.mine, *of.found) if any(part.mem_id in around for part in piece)), None)


def _some(found: list[list[LexborNode]], most: int) -> list[list[LexborNode]]:
    """Some of the pieces, from everywhere."""
    return found[:: max(1, len(found) // most)][:most]


def read_off(of: Shape, chosen: Mapping[Role, LexborNode]) -> Found | None:
    """The layout of a shape: each part where somebody chose it, be it in another piece, else where it seems to be.

    None where a chosen one is in no piece.
    """
    samples = _some(of.found, _SAMPLE)
    parts: dict[Role, str] = {}
    mine: dict[Role, LexborNode] = {**chosen}
    for role in ("date", "title", "link", "takeaway"):
        node = chosen.get(role) or _seems(role, of.mine, mine)
        if node is None:
            continue
        around = _piece_with(node, of) if role in chosen else of.mine
        if around is not None and (selector := _selector(node, around, samples, role)) is not None:
            parts[role], mine[role] = selector, node
        elif role in chosen:
            return None
    if "title" not in parts:
        return None
    layout = Layout(item=of.item, with_following=of.with_following, **parts)
    return count(of, layout, _ESTIMATED)


def count(of: Shape, layout: Layout, most: int) -> Found:
    """How many pieces have all that is needed, reckoned from ``most`` of them. Pieces that are all called the same are none."""
    titles, tried = [], _some(of.found, most)
    for piece in tried:
        parts = {role: first(piece, selector, role, _NO_PAGE) for role in NEEDED if (selector := getattr(layout, role))}
        if all(says(parts.get(role), role) for role in NEEDED):
            titles.append(node_line(parts["title"]) if parts["title"] is not None else "")
    complete = len(titles) * len(of.found) // len(tried) if len(set(titles)) * 2 > len(titles) else 0
    return Found(
        layout=layout, pieces=len(of.found), complete=complete, sample=words.cut(titles[0], 80) if titles else "", titles=frozenset(titles)
    )


def counted(html: LexborHTMLParser, found: Found) -> Found:
    """The same with every piece counted."""
    made = shape(html, found.layout.item, with_following=found.layout.with_following)
    return found if made is None or len(made.found) <= _ESTIMATED else count(made, found.layout, len(made.found))


def _selector(node: LexborNode, mine: Piece, samples: Sequence[Piece], role: Role) -> str | None:
    """What finds this element in its piece, and the same part in most of the others."""
    best, most = None, -1
    for candidate in part_selectors(node, mine):
        met = first(mine, candidate, role, _NO_PAGE)
        if met is None or met.mem_id != node.mem_id:
            continue
        fits = sum(says(first(piece, candidate, role, _NO_PAGE), role) for piece in samples)
        if fits > most:
            best, most = candidate, fits
        if fits == len(samples):
            break
    return best


def places(html: LexborHTMLParser, layout: Layout) -> dict[str, list[int]]:
    """Where on the page the pieces and their parts are, as places among `elements`.

    Raises:
        SourceError: a selector is none.
    """
    place = {node.mem_id: n for n, node in enumerate(elements(html))}
    items = pieces(select(html, layout.item, "item", _NO_PAGE), with_following=layout.with_following)
    found: dict[str, list[int]] = {"item": [place[node.mem_id] for piece in items for node in piece if node.mem_id in place]}
    for role in (*NEEDED, "takeaway"):
        if selector := getattr(layout, role):
            nodes = (first(piece, selector, role, _NO_PAGE) for piece in items)
            found[role] = [place[node.mem_id] for node in nodes if node is not None and node.mem_id in place]
    return found


# --- guessing ------------------------------------------------------------------------------------------------------------


def _seems(role: Role, mine: Piece, known: Mapping[Role, LexborNode]) -> LexborNode | None:
    if role == "date":
        return _date(mine)
    if role == "title":
        return _title(mine, known)
    if role == "link":
        return link_of(known["title"], mine) if "title" in known else None
    return _takeaway(mine, known)


def _inside(mine: Piece) -> list[LexborNode]:
    return list(itertools.islice(under(mine), _LOOKED_AT))


def _date(mine: Piece) -> LexborNode | None:
    nodes = [node for node in _inside(mine) if is_date(written_date(node) if node.attributes.get("datetime") else _short(node))]
    telling = [node for node in nodes if node.tag == "time" or node.attributes.get("datetime")]
    return telling[0] if telling else _innermost(nodes) if nodes else None


def _innermost(nodes: Sequence[LexborNode]) -> LexborNode:
    """The first of them, or what lies within it with the same words."""
    here = nodes[0]
    for node in nodes[1:]:
        if not any(one.mem_id == here.mem_id for one in above(node)):
            break
        here = node
    return here


def _short(node: LexborNode) -> str:
    """The text of an element that might be a date."""
    text = node.text(deep=True)
    return node_line(node) if len(text) <= 200 else ""


def _title(mine: Piece, known: Mapping[Role, LexborNode]) -> LexborNode | None:
    nodes = [node for node in _inside(mine) if not _touches(node, known.get("date"))]
    for wanted in (
        lambda node: node.tag in _HEADINGS,
        lambda node: re.search(r"title|headline|heading", f"{node.attributes.get('class') or ''} {node.attributes.get('itemprop') or ''}"),
    ):
        if met := next((node for node in nodes if wanted(node) and node_line(node)), None):
            return met
    links = [node for node in nodes if node.tag == "a" and is_link(node) and len(node_line(node)) >= _SPEAKING]
    if links:
        return max(links, key=lambda node: len(node_line(node)))
    leaves = [node for node in nodes if node.tag in ("p", "div", "span", "td", "dd", "dt", "li", "strong", "b") and not _holds_blocks(node)]
    leaves = [node for node in leaves if len(node_line(node)) >= _SPEAKING]
    long = (node for node in leaves if len(node_line(node)) >= _LONGER)  # shorter ones may be the name of a section
    return next(long, max(leaves, key=lambda node: len(node_line(node)), default=None))


def link_of(node: LexborNode, mine: Piece = ()) -> LexborNode | None:
    """The link of an element: itself, what is around it, what is in it; else the first of its piece."""
    around = next((one for one in above(node) if one.tag == "a" and is_link(one)), None)
    if around is not None:
        return around
    return next((one for one in itertools.chain(under([node]), under(mine)) if one.tag == "a" and is_link(one)), None)


def _takeaway(mine: Piece, known: Mapping[Role, LexborNode]) -> LexborNode | None:
    nodes = [node for node in _inside(mine) if node.tag in ("p", "dd", "blockquote") or (node.tag == "div" and not _holds_blocks(node))]
    nodes = [node for node in nodes if not any(_touches(node, known.get(role)) for role in ("title", "date"))]
    return next((node for node in nodes if len(node_line(node)) >= _TELLING), None)


def _touches(node: LexborNode, other: LexborNode | None) -> bool:
    """Whether one lies in the other."""
    if other is None:
        return False
    return any(one.mem_id == other.mem_id for one in above(node)) or any(one.mem_id == node.mem_id for one in above(other))


def _holds_blocks(node: LexborNode) -> bool:
    return any(
        inner.tag in ("p", "div", "ul", "ol", "table", "tr", "td", "h2", "h3", "h4", "dl")
        for inner in itertools.islice(under([node]), 1, None)
    )
