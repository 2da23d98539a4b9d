"""A source tried before it is added: what stands at an address, how it could be read, and what would be gathered."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from pydantic import TypeAdapter, ValidationError

from digest import config
from digest.errors import ConfigError, SourceError
from digest.model import Harvest
from digest.sources import Context, feed, fetch, pick, text, words
from digest.sources import page as listing
from digest.sources.charset import decode
from digest.sources.layout import Found, Layout

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

Kind = Literal["feed", "page", "text", "json"]
DateOrder = Literal["mdy", "dmy"]
ACCEPT = f"text/html, {feed.ACCEPT}"
SAVED = "saved"  # the folder of a workspace where the text of a page is kept
_FEEDS = {"application/rss+xml": "RSS", "application/atom+xml": "Atom", "application/feed+json": "JSON Feed"}
_MOST_FEEDS = 8


class Feed(NamedTuple):
    """A feed that a page names."""

    title: str
    url: str


def get(url: str, context: Context) -> fetch.Page:
    """What stands there, read once, under the same rules as any source. An address without a scheme is taken for https.

    Raises:
        SourceError: it may not be read, or cannot be.
    """
    asked = url.strip()
    if asked and not re.match(r"^[a-z][a-z0-9+.-]*:", asked, re.I):
        asked = f"https://{asked}"
    if not asked:
        raise SourceError("give the address of a page or a feed")
    return fetch.get(asked, context.fetch, accept=ACCEPT)


def kind_of(page: fetch.Page) -> Kind:
    """What the document is, by what is in it before what it is called.

    Raises:
        SourceError: it is empty, or neither text nor markup.
    """
    if not page.content.strip():
        raise SourceError(f"{fetch.shown(page.url)} is empty")
    if feed.is_json(page):
        return "feed" if b"jsonfeed.org" in page.content[:2000] else "json"
    if b"\0" in page.content[:1000] and not page.content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(
            f"{fetch.shown(page.url)} is neither a page nor a feed ({page.content_type.partition(';')[0] or 'of no known type'})"
        )
    start = decode(page.content[:300_000], page.content_type).lstrip("\ufeff \t\r\n")[:5000].lower()
    if re.search(r"<(?:html|!doctype html)", start):
        return "page"
    if re.search(r"<(?:rss|feed|rdf:rdf|channel)[\s>]", start):
        return "feed"
    if page.content_type.lower().startswith("text/plain") or not words.looks_like_html(start):
        return "text"
    return "page"


def feeds_of(page: fetch.Page) -> tuple[Feed, ...]:
    """The feeds that a page names in its head."""
    html, base = listing.parse(page)
    found: dict[str, Feed] = {}
    for link in html.css("link[rel~=alternate][href]"):
        kind = (link.attributes.get("type") or "").strip().lower()
        try:
            url = urljoin(base, link.attributes.get("href") or "")
            usable = urlsplit(url).scheme in ("http", "https") and len(url) <= 2000
        except ValueError:
            continue
        if kind in _FEEDS and usable:
            found.setdefault(url, Feed(words.cut(words.clean_line(link.attributes.get("title") or _FEEDS[kind]), 100), url))
    return tuple(found.values())[:_MOST_FEEDS]


def parsed(page: fetch.Page) -> LexborHTMLParser:
    """The page as selectors see it.

    Raises:
        SourceError: it cannot be parsed.
    """
    return listing.parse(page)[0]


def proposals(page: fetch.Page) -> list[Found]:
    """What is repeated on a page and may be its pieces, the likeliest first."""
    return pick.repeated(parsed(page))


def name_for(url: str, taken: Collection[str]) -> str:
    """A name for a source: that of its host, with a number where another has it."""
    host = re.sub(r"^www\.", "", urlsplit(url).hostname or "source")
    name = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:50].strip("-") or "source"
    return next(one for one in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)


def make(page: fetch.Page, kind: Kind, name: str, layout: Layout | None = None, date_order: DateOrder = "mdy") -> config.Source:
    """The source as ``config.yaml`` would have it.

    Raises:
        ConfigError: the name is none, or a kind that cannot be made so.
    """
    given: dict[str, Any] = {"name": name, "kind": kind, "url": page.url, "date_order": date_order}
    if kind == "page":
        if layout is None or not (layout.item and layout.title):
            raise ConfigError("say where the pieces are on the page: at least item and title")
        given |= {key: value for key, value in layout.model_dump().items() if value}
        if parsed(page).css_first("a[rel~=next][href]") is not None:
            given["next"] = "a[rel~=next]"
    elif kind == "text":
        given["path"] = f"{SAVED}/{name}.txt"
    elif kind == "json":
        raise ConfigError("this is an API; write it into config.yaml with kind: json and its fields (docs/sources.md)")
    try:
        made: config.Source = TypeAdapter[config.Source](config.Source).validate_python(given)
    except ValidationError as error:
        if any(problem["loc"][-1:] == ("name",) for problem in error.errors()):
            raise ConfigError(f'"{name}" is not a name; take small letters, digits and hyphens, at most 63') from error
        raise ConfigError("; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())) from error
    return made


def harvest(page: fetch.Page, source: config.Source, context: Context) -> Harvest:
    """What would be gathered from the document that came; pages that follow are left alone.

    Raises:
        SourceError: nothing can be read in that way.
    """
    if isinstance(source, config.FeedSource):
        if feed.is_json(page):
            from digest.sources import jsonfeed

            return jsonfeed.harvest(page, source, context)
        return feed.harvest(page, feed.parse_in_child(page), source, context)
    if isinstance(source, config.PageSource):
        return listing.harvest(page, source.model_copy(update={"next": None}), context)
    if isinstance(source, config.TextSource):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / source.path
            file.parent.mkdir(parents=True)
            file.write_bytes(page.content)
            return text.read(source, replace(context, workspace=Path(folder)))
    raise SourceError("only feeds, pages and texts can be tried")


def likely_order(page: fetch.Page, kind: Kind, layout: Layout | None, context: Context) -> DateOrder:
    """How dates such as 5/1/2026 are meant there: the other way round only where more of them can be read so."""
    refused: dict[DateOrder, int] = {}
    orders: tuple[DateOrder, ...] = ("mdy", "dmy")
    for order in orders:
        try:
            refused[order] = len(harvest(page, make(page, kind, "tried", layout, order), context).refused)
        except (SourceError, ConfigError):
            return "mdy"
    return "dmy" if refused["dmy"] < refused["mdy"] else "mdy"


def written(source: config.Source) -> dict[str, Any]:
    """The keys of a source as somebody would write them: without what is the default anyway."""
    values = source.model_dump(mode="json", exclude_defaults=True)
    return {key: values[key] for key in _in_order(values)}


def _in_order(values: dict[str, Any]) -> Iterator[str]:
    first = ("name", "kind", "path", "url", "item", "with_following", "title", "link", "date", "takeaway", "next")
    yield from (key for key in first if key in values)
    yield from (key for key in values if key not in first)
