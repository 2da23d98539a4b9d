"""Where summaries come from: one model for every kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from digest.config.values import Language, WebUrl, WrittenDate, Zone
from digest.model import Audience, Frozen, Slug


class SourceBase(Frozen):
    """What every source has. ``date_order`` tells how ``5/1/2026`` is meant: ``mdy`` is 1 May, ``dmy`` is 5 January."""

    name: Slug
    timezone: Zone | None = None
    date_order: Literal["mdy", "dmy"] = "mdy"
    language: Language | None = None
    tags: tuple[str, ...] = ()
    audience: tuple[Audience, ...] = ()


class FolderSource(SourceBase):
    """Markdown files with front matter (DESIGN section 12)."""

    kind: Literal["folder"]
    path: Path


class FeedSource(SourceBase):
    """RSS, RDF, Atom or JSON Feed over HTTP."""

    kind: Literal["feed"]
    url: WebUrl


class PageSource(SourceBase):
    """A listing on a web site, read with CSS selectors.

    Inside each element that ``item`` selects: ``title``, ``link`` (its ``href``), ``date`` (its ``datetime`` or its text),
    ``takeaway``. ``next`` selects the link to the following page; at most ``pages`` are read. Where the parts of a piece stand
    side by side without an element around them, ``item`` selects the first of them, and ``with_following`` takes those after it.
    """

    kind: Literal["page"]
    url: WebUrl
    item: str
    title: str
    link: str = "a"
    date: str = "time"
    takeaway: str | None = None
    with_following: bool = False
    next: str | None = None
    pages: Annotated[int, Field(ge=1, le=100)] = 5


class TextSource(SourceBase):
    """The saved text of a page: one full summary, dated teasers that end with "Read More", a standing notice.

    ``url`` is where the page stands; teasers whose own links the text lost point to ``teasers_url``, else there too.
    """

    kind: Literal["text"]
    path: Path
    url: WebUrl
    teasers_url: WebUrl | None = None
    title: str | None = None
    published: WrittenDate | None = None
    read_more: str = "Read More"
    journal: str = r"journals like (.+?) often"


class JsonSource(SourceBase):
    """A JSON API. ``items`` and the values of ``fields`` are dotted paths (``data.posts``, ``links.0.href``).

    ``fields`` names where each part of a summary stands; ``title``, ``published`` and ``url`` are needed. The next page is
    found at ``next`` (an address in the answer), or by counting ``page_param`` up from ``first_page``.
    """

    kind: Literal["json"]
    url: WebUrl
    items: str = ""
    fields: dict[
        Literal[
            "id",
            "title",
            "published",
            "url",
            "takeaway",
            "body",
            "limits",
            "tags",
            "evidence",
            "authors",
            "journal",
            "doi",
            "pmid",
            "language",
        ],
        str,
    ]
    next: str | None = None
    page_param: str | None = None
    first_page: int = 1
    pages: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _complete(self) -> JsonSource:
        missing = [name for name in ("title", "published", "url") if name not in self.fields]
        if missing:
            raise ValueError(f"fields needs {', '.join(missing)}: the path at which each item has it")
        return self


Source = Annotated[FolderSource | FeedSource | PageSource | TextSource | JsonSource, Field(discriminator="kind")]


class Fetch(Frozen):
    """Limits for everything that is read over HTTP, per document.

    ``allow`` names hosts (``127.0.0.1:8080``, ``intranet.example.org``) that may be reached although they are not on the
    public internet; nothing else inside your network ever is.
    """

    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20
    max_bytes: Annotated[int, Field(ge=1024, le=100_000_000)] = 5 * 1024 * 1024
    allow: tuple[str, ...] = ()
    parallel: Annotated[int, Field(ge=1, le=64)] = 16
    parallel_per_host: Annotated[int, Field(ge=1, le=64)] = 4
