"""A JSON API: items at one dotted path, their fields at others, page after page."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from digest import config
from digest.errors import LaidOutOtherwise, SourceError
from digest.model import Evidence, Harvest, Section
from digest.sources import Context, entry, fetch, words
from digest.sources.dates import parse_date, parse_timestamp
from digest.sources.jsonfeed import load_json

ACCEPT = "application/json, */*;q=0.5"


def read(source: config.JsonSource, context: Context) -> Harvest:
    """The items of the API, its later pages included.

    If a later page fails, what the earlier ones gave is kept and the failure is the Harvest's warning.

    Raises:
        SourceError: the first page cannot be read or is not JSON, or a path of the configuration leads nowhere.
    """
    first = fetch.get(_numbered(source, source.first_page), context.fetch, context.etag, context.last_modified, ACCEPT)
    if first.status == 304:
        return Harvest(unchanged=True, etag=first.etag or context.etag, last_modified=first.last_modified or context.last_modified)
    collected, warnings = entry.Collected(), list[str]()
    page, data = first, load_json(first)
    items = _items(data, source, page)
    _check_fields(items, source, page)
    seen, contents = {source.url, first.url}, {first.content}
    for number in range(1, source.pages + 1):
        for position, item in enumerate(items, 1):
            _take(item, page.url, source, context, collected, warnings, f"page {number}, item {position}")
        following = _next(source, data, page, number) if items and number < source.pages else ""
        if not following or following in seen:
            break
        seen.add(following)
        try:
            page = fetch.get(following, context.fetch, accept=ACCEPT)
            data = load_json(page)
            items = _items(data, source, page)
        except SourceError as error:
            if not (source.page_param and isinstance(error, fetch.HttpStatus) and error.status in (400, 404, 416)):
                warnings.append(f"page {number + 1}: {error}")  # those three are how APIs say that the pages are over
            break
        if page.content in contents:  # an API that does not know the parameter gives its first page again and again
            break
        contents.add(page.content)
        seen.add(page.url)
    return collected.harvest(etag=first.etag, last_modified=first.last_modified, warning="; ".join(dict.fromkeys(warnings)))


def at(data: Any, path: str) -> Any:
    """What stands at a dotted path; None where it leads nowhere.

    A number picks from a list; a name on a list picks from each of its objects (``tags.name`` gives a list of names).
    """
    here = data
    for step in path.split(".") if path else []:
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list) and re.fullmatch(r"-?\d{1,6}", step):
            here = here[int(step)] if -len(here) <= int(step) < len(here) else None
        elif isinstance(here, list):
            here = [value[step] for value in here if isinstance(value, dict) and step in value]
        else:
            return None
    return here


def _items(data: Any, source: config.JsonSource, page: fetch.Page) -> list[Any]:
    items = at(data, source.items)
    if isinstance(items, list):
        return items
    where = f'items: "{source.items}"' if source.items else "the answer (items is not set)"
    has = f"; it has {_names(data)}" if isinstance(data, dict) else ""
    raise SourceError(f"{fetch.shown(page.url)}: {where} is not a list{has}")


def _names(value: Any) -> str:
    return ", ".join(words.clean_line(str(key))[:40] for key in list(value)[:12]) if isinstance(value, dict) else "no fields"


def _check_fields(items: list[Any], source: config.JsonSource, page: fetch.Page) -> None:
    if not items:
        return
    for name, path in source.fields.items():
        if name in ("title", "published", "url") and all(at(item, path) is None for item in items):
            raise LaidOutOtherwise(
                f'{fetch.shown(page.url)}: fields.{name}: "{path}" is in none of the {len(items)} items; the first has {_names(items[0])}'
            )


def _numbered(source: config.JsonSource, number: int) -> str:
    if not source.page_param:
        return source.url
    parts = urlsplit(source.url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != source.page_param]
    return urlunsplit(parts._replace(query=urlencode([*query, (source.page_param, str(number))])))


def _next(source: config.JsonSource, data: Any, page: fetch.Page, number: int) -> str:
    if source.page_param:
        return _numbered(source, source.first_page + number)
    target = at(data, source.next) if source.next else None
    if not isinstance(target, str) or not target.strip():
        return ""
    try:
        return entry.web_url(urljoin(page.url, target))
    except ValueError:
        return ""


def _take(
    item: Any, base: str, source: config.JsonSource, context: Context, collected: entry.Collected, warnings: list[str], ref: str
) -> None:
    try:
        if not isinstance(item, dict):
            raise entry.Unfit("is not an object")
        collected.take(entry.finish(draft(item, base, source, context, warnings), source))
    except ValueError as error:  # Unfit, and dates that cannot be read
        collected.refuse(ref, str(error))


def draft(item: dict[str, Any], base: str, source: config.JsonSource, context: Context, warnings: list[str]) -> entry.Draft:
    """One item as a Draft.

    Raises:
        ValueError: no link, or no date that can be read.
    """
    value = {name: at(item, path) for name, path in source.fields.items()}
    body = words.plain(_string(value.get("body")))
    url = _string(value["url"])
    doi, pmid = _string(value.get("doi")), _string(value.get("pmid"))
    takeaway = words.plain_line(_string(value.get("takeaway"))) or entry.takeaway_of(body)
    return entry.Draft(
        title=words.plain_line(_string(value["title"])),
        url=entry.web_url(url, base),
        published_at=_date(value["published"], source, context),
        source_id=_string(value.get("id")),
        takeaway=takeaway,
        sections=(Section(heading="Summary", text=body),) if len(body) > len(takeaway) else (),
        limits=words.plain_line(_string(value.get("limits"))),
        tags=_strings(value.get("tags")),
        authors=[words.plain_line(name) for name in _strings(value.get("authors"))],
        journal=words.plain_line(_string(value.get("journal"))),
        doi=doi or entry.find_doi([url]),
        pmid=pmid or entry.find_pmid([url]),
        evidence=_evidence(_string(value.get("evidence")), warnings),
        language=_string(value.get("language")),
    )


def _date(value: Any, source: config.JsonSource, context: Context) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return parse_timestamp(value)
    text = _string(value).strip()
    if not text:
        raise entry.Unfit("has no date, so no issue could know when it belongs")
    if re.fullmatch(r"\d{9,13}", text):
        return parse_timestamp(int(text))
    return parse_date(text, source.timezone or context.timezone, source.date_order)


def _evidence(text: str, warnings: list[str]) -> Evidence | None:
    """The badge, if the API uses our word for it: another word gets none, because a badge is never guessed."""
    word = words.clean_line(text).lower()
    if not word:
        return None
    if word in {kind.value for kind in Evidence}:
        return Evidence(word)
    if len(warnings) < 20:
        warnings.append(f'evidence "{word[:40]}" is none of {", ".join(Evidence)}; no badge is shown')
    return None


def _string(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, list):
        return next((_string(part) for part in value if part), "")
    return str(value) if isinstance(value, str | int | float) else ""


def _strings(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for text in (_string(part) for part in value[:200]) if text]
    return [part for part in re.split(r"[,;]", _string(value)) if part.strip()]
