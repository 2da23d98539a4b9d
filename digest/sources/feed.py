"""Feeds over HTTP: RSS 0.9x to 2.0, RDF and Atom by feedparser in a limited process of its own; JSON Feed by jsonfeed.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from digest import config
from digest.errors import SourceError
from digest.model import Harvest, Section, canonical_url
from digest.sources import Context, entry, feedpool, fetch, words
from digest.sources.charset import decode
from digest.sources.dates import parse_date

ACCEPT = (
    "application/atom+xml, application/rss+xml, application/rdf+xml, application/feed+json, application/json;q=0.9, application/xml;q=0.9,"
    " text/xml;q=0.9, */*;q=0.5"
)


def read(source: config.FeedSource, context: Context) -> Harvest:
    """The entries of the feed; ``unchanged`` if its server says so.

    Raises:
        SourceError: it cannot be fetched, or is no feed.
    """
    page = fetch.get(source.url, context.fetch, context.etag, context.last_modified, ACCEPT)
    if page.status == 304:
        return Harvest(unchanged=True, etag=page.etag or context.etag, last_modified=page.last_modified or context.last_modified)
    if is_json(page):
        from digest.sources import jsonfeed

        return jsonfeed.harvest(page, source, context)
    return harvest(page, parse_in_child(page), source, context)


def is_json(page: fetch.Page) -> bool:
    """Whether the document is JSON by its first character, whatever it is called."""
    return page.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))


def parse_in_child(page: fetch.Page) -> dict[str, Any]:
    """What feedchild makes of the bytes, or SourceError if they make it take too much time or memory."""
    place = fetch.shown(page.url)
    try:
        return feedpool.POOL.parse(page.content, page.url, page.content_type)
    except feedpool.TooSlow as error:
        raise SourceError(f"{place} took longer than {error.after_s:g} s to parse; it is too large or made to hurt") from error
    except feedpool.NotParsed as error:
        raise SourceError(
            f"{place} could not be parsed within the limits of time and memory ({error}); it is too large or made to hurt"
        ) from error
    except OSError as error:
        raise SourceError(f"{place} could not be parsed: no process could be started ({error})") from error


def harvest(page: fetch.Page, parsed: dict[str, Any], source: config.FeedSource, context: Context) -> Harvest:
    """The Harvest of a parsed feed (the value of ``feedchild.reduce``).

    Raises:
        SourceError: it is no feed at all.
    """
    if "failed" in parsed:
        raise SourceError(f"{fetch.shown(page.url)} is too mangled to be parsed ({words.clean_line(parsed['failed'])}); tell its publisher")
    if not parsed["version"] and not parsed["entries"]:
        raise SourceError(not_a_feed(page))
    collected = entry.Collected()
    last = len(parsed["entries"]) - 1
    shared = shared_links(parsed["entries"], page.url)
    for number, item in enumerate(parsed["entries"]):
        ref = item["link"] or item["id"] or f"entry {number + 1}"
        if number == last and parsed["cut_entry"]:
            collected.refuse(ref, "the feed breaks off inside this entry; it is taken when the feed is whole again")
            continue
        try:
            collected.take(
                entry.finish(draft(item, page.url, parsed["language"], source, context, shared_url=item["link"] in shared), source)
            )
        except entry.Unfit as error:
            collected.refuse(ref, str(error))
    salvaged = len(collected.summaries) if parsed["broken"] or page.truncated else 0
    return collected.harvest(etag=page.etag, last_modified=page.last_modified, salvaged=salvaged, warning=_warning(page, parsed, salvaged))


def _warning(page: fetch.Page, parsed: dict[str, Any], salvaged: int) -> str:
    found = []
    if page.truncated:
        found.append(f"the answer broke off; entries salvaged: {salvaged}")
    elif parsed["broken"]:
        found.append(f"the feed is not well-formed ({words.clean_line(parsed['broken'])}); entries salvaged: {salvaged}")
    if parsed["total"] > len(parsed["entries"]):
        found.append(f"only the first {len(parsed['entries'])} of {parsed['total']} entries were read")
    return "; ".join(found)


def not_a_feed(page: fetch.Page) -> str:
    """What the document is instead of a feed, and where the feed is if a web page says so."""
    place = fetch.shown(page.url)
    if not page.content.strip():
        return f"{place} is empty"
    text = decode(page.content[:300_000], page.content_type)
    if "<html" not in text[:5000].lower() and "<!doctype html" not in text[:5000].lower():
        return f"{place} is not a feed: neither RSS, RDF, Atom nor JSON Feed"
    feeds = [] if words.too_deep(text) else list(_feeds_named(text, page.url))
    where = f"; the page names its feed: {feeds[0]}" if feeds else "; look on the page for its feed, or read it with kind: page"
    return f"{place} is a web page (HTML), not a feed{where}"


def _feeds_named(text: str, base: str) -> Iterator[str]:
    from selectolax.lexbor import LexborHTMLParser

    for link in LexborHTMLParser(text).css("link[rel~=alternate][href]"):
        if (link.attributes.get("type") or "").lower() in ("application/rss+xml", "application/atom+xml", "application/feed+json"):
            yield fetch.shown(urljoin(base, link.attributes.get("href") or ""))


def shared_links(items: list[dict[str, Any]], base: str) -> frozenset[str]:
    """Links that several pieces of one feed have, told apart by id and title: such a link names none of them.

    Links that differ only in the part after ``#`` are one.
    """
    pieces: dict[str, dict[str, set[str]]] = {}
    for item in items:
        if item["link"] and item["id"]:
            here = pieces.setdefault(_canonical(item["link"], base), {"ids": set(), "titles": set(), "links": set()})
            for key, value in (("ids", item["id"]), ("titles", item["title"]["value"]), ("links", item["link"])):
                here[key].add(value)
    found = [here["links"] for url, here in pieces.items() if url and len(here["ids"]) > 1 and len(here["titles"]) > 1]
    return frozenset(link for links in found for link in links)


def _canonical(link: str, base: str) -> str:
    try:
        return canonical_url(entry.web_url(link, base))
    except entry.Unfit:
        return ""


def draft(
    item: dict[str, Any], base: str, language: str, source: config.FeedSource, context: Context, *, shared_url: bool = False
) -> entry.Draft:
    """One entry of ``feedchild.reduce`` as a Draft.

    Raises:
        Unfit: no link or no date.
    """
    url = entry.web_url(item["feedburner_origlink"] or _linked(item), base)
    texts = [plain_of(part) for part in [*item["content"], item["summary"]]]
    body = max(texts, key=len)
    short = plain_of(item["summary"]) or body
    title = words.plain_line(item["title"]["value"], markup=True if _is_markup(item["title"]) else False)
    links = [link["href"] for link in item["links"]]
    takeaway = entry.takeaway_of(short)
    return entry.Draft(
        title=title or entry.title_of(body),
        url=url,
        published_at=_published(item, source.timezone or context.timezone, source.date_order),
        source_id=item["id"],
        takeaway=takeaway,
        sections=(Section(heading="Summary", text=body),) if len(body) > len(takeaway) else (),
        tags=item["tags"],
        authors=[words.plain_line(name) for name in item["authors"]],
        journal=words.plain_line(item["journal"]),
        doi=entry.find_doi([*item["identifiers"], *links]),
        pmid=entry.find_pmid([*item["identifiers"], *links]),
        language=language,
        shared_url=shared_url,
    )


def _linked(item: dict[str, Any]) -> str:
    """The link; feedparser gives an id for it where there is none, which only helps if it is an address."""
    if item["link"] and (item["link"] != item["id"] or ":" not in item["link"]):
        return str(item["link"])
    pages = [link["href"] for link in item["links"] if link["rel"] in ("alternate", "") and link["href"]]
    return str(pages[0]) if pages else str(item["id"]) if item["id"].lower().startswith(("http://", "https://")) else ""


def _is_markup(part: dict[str, str]) -> bool:
    return "html" in part["type"] and (words.looks_like_html(part["value"]) or "&" in part["value"])


def plain_of(part: dict[str, str]) -> str:
    """The plain paragraphs of a text construct. RSS does not say whether a text is HTML, so its looks decide."""
    return words.plain(part["value"], markup=True if _is_markup(part) else None)


def _published(item: dict[str, Any], zone: str, order: Any) -> datetime:
    """When the entry appeared: its own words by our rules first, then whatever feedparser could make of them."""
    reasons = []
    for key in ("published", "updated", "created"):
        if not item[key]:
            continue
        try:
            return parse_date(item[key], zone, order)
        except ValueError as error:
            reasons.append(str(error))
        if item[f"{key}_parsed"]:
            year, month, day, hour, minute, second = item[f"{key}_parsed"]
            try:
                return parse_date(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{min(second, 59):02}Z", zone)
            except ValueError:
                continue  # the reason is noted already, in the words of the feed
    raise entry.Unfit("; ".join(reasons) or "has no date, so no issue could know when it belongs")
