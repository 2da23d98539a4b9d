"""JSON Feed 1.0 and 1.1 (jsonfeed.org)."""

from __future__ import annotations

import json
from typing import Any

from digest import config
from digest.errors import SourceError
from digest.model import Harvest, Section
from digest.sources import Context, entry, fetch, words
from digest.sources.dates import parse_date


def load_json(page: fetch.Page) -> Any:
    """The document as JSON.

    Raises:
        SourceError: it is not JSON, breaks off, or is nested beyond reason.
    """
    place = fetch.shown(page.url)
    try:
        return json.loads(page.content)
    except RecursionError as error:
        raise SourceError(f"{place} is nested too deeply to be read") from error
    except ValueError as error:
        if page.truncated:
            raise SourceError(f"{place} broke off before its end; try again later") from error
        if page.content.lstrip()[:1] == b"<":
            raise SourceError(f"{place} is not JSON but a web page or XML; check url") from error
        raise SourceError(f"{place} is not JSON ({str(error)[:120]})") from error


def harvest(page: fetch.Page, source: config.FeedSource, context: Context) -> Harvest:
    """The items of a JSON Feed.

    Raises:
        SourceError: not JSON, or JSON that is no JSON Feed.
    """
    data = load_json(page)
    place = fetch.shown(page.url)
    if not isinstance(data, dict) or not isinstance(data.get("items"), list) or "jsonfeed.org" not in str(data.get("version"))[:100]:
        raise SourceError(f"{place} is JSON but no JSON Feed (version and items); read an API with kind: json")
    collected = entry.Collected()
    for number, item in enumerate(data["items"], 1):
        ref = f"item {number}"
        try:
            if not isinstance(item, dict):
                raise entry.Unfit("is not an object")
            ref = _string(item, "url") or _string(item, "id") or ref
            collected.take(entry.finish(draft(item, page.url, _string(data, "language"), source, context), source))
        except entry.Unfit as error:
            collected.refuse(ref, str(error))
    return collected.harvest(etag=page.etag, last_modified=page.last_modified)


def draft(item: dict[str, Any], base: str, language: str, source: config.FeedSource, context: Context) -> entry.Draft:
    """One item as a Draft.

    Raises:
        Unfit: no link or no date.
    """
    body = words.plain(_string(item, "content_html"), markup=True) or words.clean_text(_string(item, "content_text"))
    short = words.plain(_string(item, "summary")) or body
    takeaway = entry.takeaway_of(short)
    links = [_string(item, "url"), _string(item, "external_url"), _string(item, "id")]
    url = next((link for link in links[:2] if link), links[2] if links[2].startswith("http") else "")
    return entry.Draft(
        title=words.plain_line(_string(item, "title")) or entry.title_of(short),
        url=entry.web_url(url, base),
        published_at=_date(item, source.timezone or context.timezone, source),
        source_id=links[2],
        takeaway=takeaway,
        sections=(Section(heading="Summary", text=body),) if len(body) > len(takeaway) else (),
        tags=[tag for tag in _list(item, "tags") if isinstance(tag, str)],
        authors=[_string(author, "name") for author in [*_list(item, "authors"), item.get("author")] if isinstance(author, dict)],
        doi=entry.find_doi(links),
        pmid=entry.find_pmid(links),
        language=_string(item, "language") or language,
    )


def _date(item: dict[str, Any], zone: str, source: config.FeedSource) -> Any:
    reasons = []
    for key in ("date_published", "date_modified"):
        if text := _string(item, key):
            try:
                return parse_date(text, zone, source.date_order)
            except ValueError as error:
                reasons.append(str(error))
    raise entry.Unfit("; ".join(reasons) or "has no date_published, so no issue could know when it belongs")


def _string(item: dict[str, Any], key: str) -> str:
    """The text at ``key``; ids are numbers in some feeds."""
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return value if isinstance(value, str) else f"{value}"[:100]


def _list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    return value[:200] if isinstance(value, list) else []
