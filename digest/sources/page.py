"""A listing on a web site, read with CSS selectors over several pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from digest import config
from digest.errors import LaidOutOtherwise, SourceError
from digest.model import Harvest
from digest.sources import Context, entry, fetch, words
from digest.sources.charset import decode
from digest.sources.dates import parse_date
from digest.sources.text import CUT_AT, whole

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

ACCEPT = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"


def read(source: config.PageSource, context: Context) -> Harvest:
    """The items of the listing, the pages of ``next`` included.

    If a later page fails, what the earlier ones gave is kept and the failure is the Harvest's warning.

    Raises:
        SourceError: the first page cannot be read, or a selector is invalid or matches nothing.
    """
    first = fetch.get(source.url, context.fetch, context.etag, context.last_modified, ACCEPT)
    if first.status == 304:
        return Harvest(unchanged=True, etag=first.etag or context.etag, last_modified=first.last_modified or context.last_modified)
    return harvest(first, source, context)


def harvest(opening: fetch.Page, source: config.PageSource, context: Context) -> Harvest:
    """The items of a page that came, and of those that it says follow.

    Raises:
        SourceError: a selector is invalid or matches nothing.
    """
    collected, found = entry.Collected(), {"title": 0, "link": 0, "date": 0, "takeaway": 0}
    warnings = []
    page, seen, items = opening, {source.url, opening.url}, 0
    for number in range(1, source.pages + 1):
        html, base = parse(page)
        here = pieces(select(html, source.item, "item", page), with_following=source.with_following)
        if not here and number == 1:
            raise LaidOutOtherwise(f'{fetch.shown(page.url)}: the selector item: "{source.item}" matches nothing; look at the page\'s HTML')
        items += len(here)
        cut = are_cut([node_line(node) if (node := first(piece, source.title, "title", page)) is not None else "" for piece in here])
        for piece in here:
            _take(piece, base, source, context, collected, found, ref(piece, number), cut=cut)
        if number == 1:
            _all_found(source, found, page)
        following = next_page(html, source, base, page)
        if page.truncated:
            warnings.append(f"page {number} broke off before its end")
        if not following or following in seen or number == source.pages:
            break
        seen.add(following)
        try:
            page = fetch.get(following, context.fetch, accept=ACCEPT)
        except SourceError as error:
            warnings.append(f"page {number + 1}: {error}")
            break
        seen.add(page.url)
    if source.takeaway and not found["takeaway"]:
        warnings.append(f'the selector takeaway: "{source.takeaway}" matches nothing in any of {items} items')
    return collected.harvest(etag=opening.etag, last_modified=opening.last_modified, warning="; ".join(warnings))


def pieces(items: Sequence[LexborNode], *, with_following: bool) -> list[list[LexborNode]]:
    """The elements of each piece: the item itself, and ``with_following`` those beside it up to the next item."""
    if not with_following:
        return [[item] for item in items]
    begins = {item.mem_id for item in items}
    found = []
    for item in items:
        piece, beside = [item], item.next
        while beside is not None and beside.mem_id not in begins:
            if beside.is_element_node:
                piece.append(beside)
            beside = beside.next
        found.append(piece)
    return found


def parse(page: fetch.Page) -> tuple[LexborHTMLParser, str]:
    """The document, and what its links count from.

    Raises:
        SourceError: it is empty, or nested so deep that parsing it would take minutes.
    """
    from selectolax.lexbor import LexborHTMLParser

    text = decode(page.content, page.content_type)
    if not text.strip():
        raise SourceError(f"{fetch.shown(page.url)} is empty")
    if words.too_deep(text):
        raise SourceError(f"{fetch.shown(page.url)} nests its elements more than {words.MAX_DEPTH} deep and is not read")
    html = LexborHTMLParser(text)
    base = html.css_first("base[href]")
    try:
        return html, urljoin(page.url, (base.attributes.get("href") or "") if base else "")
    except ValueError:
        return html, page.url


def select(node: LexborHTMLParser | LexborNode, selector: str, name: str, page: fetch.Page) -> list[LexborNode]:
    """What ``selector`` matches under ``node``.

    Raises:
        SourceError: it is no CSS selector.
    """
    from selectolax.lexbor import SelectolaxError

    try:
        return list(node.css(selector))
    except (SelectolaxError, ValueError) as error:
        raise SourceError(f'{fetch.shown(page.url)}: {name}: "{selector}" is not a CSS selector that can be used') from error


def first(piece: Sequence[LexborNode], selector: str, name: str, page: fetch.Page) -> LexborNode | None:
    """The first match in the elements of a piece, or the first of them that itself matches.

    Raises:
        SourceError: it is no CSS selector.
    """
    for node in piece:
        inside = select(node, selector, name, page)
        if inside:
            return inside[0]
        if node.css_matches(selector):
            return node
    return None


def node_line(node: LexborNode) -> str:
    """The visible text of an element as one line."""
    return words.clean_line(words.node_text(node))


def ref(piece: Sequence[LexborNode], number: int) -> str:
    """What an entry that is refused is called."""
    return f"page {number}: {words.cut(words.clean_line(node_line(piece[0])), 60)}"


def are_cut(titles: Sequence[str]) -> bool:
    """Whether the site cuts its titles, most likely within words: several are of one length, about 100 characters, and hardly another."""
    length, count = Counter(map(len, titles)).most_common(1)[0] if titles else (0, 0)
    return length in CUT_AT and count >= 3 and count >= 0.8 * len(titles)


def written_date(node: LexborNode) -> str:
    """What an element says when something was: its ``datetime``, else its text."""
    return (node.attributes.get("datetime") or "").strip() or node_line(node)


def _take(
    piece: Sequence[LexborNode],
    base: str,
    source: config.PageSource,
    context: Context,
    collected: entry.Collected,
    found: dict[str, int],
    ref: str,
    *,
    cut: bool,
) -> None:
    page = fetch.Page(200, base)
    title, link, date = (first(piece, getattr(source, name), name, page) for name in ("title", "link", "date"))
    takeaway = first(piece, source.takeaway, "takeaway", page) if source.takeaway else None
    for name, part in (("title", title), ("link", link), ("date", date), ("takeaway", takeaway)):
        found[name] += part is not None
    try:
        href = (link.attributes.get("href") or "") if link is not None else ""
        when = written_date(date) if date is not None else ""
        if not when:
            raise entry.Unfit("has no date, so no issue could know when it belongs")
        draft = entry.Draft(
            title="" if title is None else whole(node_line(title)) if cut else node_line(title),
            url=entry.web_url(href, base),
            published_at=parse_date(when, source.timezone or context.timezone, source.date_order),
            takeaway=node_line(takeaway) if takeaway is not None else "",
            doi=entry.find_doi([href]),
            pmid=entry.find_pmid([href]),
        )
        collected.take(entry.finish(draft, source))
    except ValueError as error:  # Unfit, and dates that cannot be read
        collected.refuse(ref, str(error))


def _all_found(source: config.PageSource, found: dict[str, int], page: fetch.Page) -> None:
    for name in ("title", "link", "date"):
        if not found[name]:
            raise LaidOutOtherwise(
                f'{fetch.shown(page.url)}: the selector {name}: "{getattr(source, name)}" matches nothing in the items of "{source.item}";'
                " look at the page's HTML"
            )


def next_page(html: LexborHTMLParser, source: config.PageSource, base: str, page: fetch.Page) -> str:
    """The address of the following page; empty where there is none."""
    if not source.next:
        return ""
    matches = select(html, source.next, "next", page)
    if not matches:
        return ""
    try:
        return entry.web_url((matches[0].attributes.get("href") or "").partition("#")[0], base)
    except entry.Unfit:
        return ""
