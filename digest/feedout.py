"""The archive's pieces as RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, so that others, Digest among them, can follow."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.etree import ElementTree as ET

from digest.model import Notice, Summary

MOST = 50  # of a feed, the newest
_ATOM, _DC = "http://www.w3.org/2005/Atom", "http://purl.org/dc/elements/1.1/"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Channel:
    """A feed: its title, what it is about, its own address, the page it belongs to, its language, and when it last changed."""

    title: str
    about: str
    url: str
    page: str
    language: str
    changed_at: datetime
    pieces: tuple[Summary, ...]
    said: Callable[[Notice], str]  # what kind of later notice, of which day, in the feed's language


def id_of(piece: Summary) -> str:
    """A name that stays, whatever else changes."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, piece.id)}"


def text_of(channel: Channel, piece: Summary) -> str:
    """What the feed says of a piece: a later notice first, then the takeaway and the limits."""
    notice = f"{channel.said(piece.notice)}: {piece.notice.text}" if piece.notice else ""
    return "\n\n".join(filter(None, (notice, piece.takeaway, piece.limits)))


def rss(channel: Channel) -> bytes:
    """RSS 2.0."""
    ET.register_namespace("atom", _ATOM)
    ET.register_namespace("dc", _DC)
    root = ET.Element("rss", version="2.0")
    top = ET.SubElement(root, "channel")
    for name, text in (("title", channel.title), ("link", channel.page), ("description", channel.about), ("language", channel.language)):
        _add(top, name, text)
    _add(top, "lastBuildDate", format_datetime(channel.changed_at.replace(microsecond=0)))
    ET.SubElement(top, f"{{{_ATOM}}}link", href=channel.url, rel="self", type="application/rss+xml")
    for piece in channel.pieces:
        item = ET.SubElement(top, "item")
        _add(item, "title", piece.title)
        _add(item, "link", piece.url)
        _add(item, "guid", id_of(piece), isPermaLink="false")
        _add(item, "pubDate", format_datetime(piece.published_at.astimezone(UTC)))
        # RSS texts are HTML by custom.
        _add(item, "description", _html(text_of(channel, piece)))
        for tag in piece.tags:
            _add(item, "category", tag)
        for author in piece.authors:
            _add(item, f"{{{_DC}}}creator", author)
        if piece.doi:
            _add(item, f"{{{_DC}}}identifier", f"doi:{piece.doi}")
    return _bytes(root)


def atom(channel: Channel) -> bytes:
    """Atom."""
    ET.register_namespace("", _ATOM)
    root = ET.Element(f"{{{_ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": channel.language})
    _add(root, f"{{{_ATOM}}}id", channel.url)
    _add(root, f"{{{_ATOM}}}title", channel.title)
    _add(root, f"{{{_ATOM}}}subtitle", channel.about)
    _add(root, f"{{{_ATOM}}}updated", _instant(channel.changed_at))
    ET.SubElement(root, f"{{{_ATOM}}}link", href=channel.url, rel="self", type="application/atom+xml")
    ET.SubElement(root, f"{{{_ATOM}}}link", href=channel.page, rel="alternate", type="text/html")
    _author(root, channel.title)
    for piece in channel.pieces:
        entry = ET.SubElement(root, f"{{{_ATOM}}}entry")
        _add(entry, f"{{{_ATOM}}}id", id_of(piece))
        _add(entry, f"{{{_ATOM}}}title", piece.title)
        _add(entry, f"{{{_ATOM}}}published", _instant(piece.published_at))
        _add(entry, f"{{{_ATOM}}}updated", _instant(max(piece.published_at, piece.notice.at) if piece.notice else piece.published_at))
        ET.SubElement(entry, f"{{{_ATOM}}}link", href=piece.url, rel="alternate")
        _add(entry, f"{{{_ATOM}}}summary", text_of(channel, piece))
        for tag in piece.tags:
            ET.SubElement(entry, f"{{{_ATOM}}}category", term=_safe(tag))
        for author in piece.authors:
            _author(entry, author)
    return _bytes(root)


def json_feed(channel: Channel) -> bytes:
    """JSON Feed 1.1."""
    items = [
        {
            "id": id_of(piece),
            "url": piece.url,
            "title": piece.title,
            "content_text": text_of(channel, piece),
            "summary": piece.takeaway or piece.title,
            "date_published": _instant(piece.published_at),
            **({"tags": list(piece.tags)} if piece.tags else {}),
            **({"authors": [{"name": name} for name in piece.authors]} if piece.authors else {}),
            **({"language": piece.language} if piece.language else {}),
        }
        for piece in channel.pieces
    ]
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "description": channel.about,
        "home_page_url": channel.page,
        "feed_url": channel.url,
        "language": channel.language,
        "items": items,
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode()


def sitemap(urls: Sequence[str]) -> bytes:
    """sitemaps.org 0.9."""
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    ET.register_namespace("", space)
    root = ET.Element(f"{{{space}}}urlset")
    for url in urls:
        _add(ET.SubElement(root, f"{{{space}}}url"), f"{{{space}}}loc", url)
    return _bytes(root)


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _safe(text)


def _author(parent: ET.Element, name: str) -> None:
    _add(ET.SubElement(parent, f"{{{_ATOM}}}author"), f"{{{_ATOM}}}name", name)


def _safe(text: str) -> str:
    return _NOT_XML.sub("", text)


def _html(text: str) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"<p>{paragraph}</p>" for paragraph in safe.split("\n\n"))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _bytes(root: ET.Element) -> bytes:
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made
