"""A published piece as a source gave it, and what one reading of a source gave."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from digest.model.base import Frozen, Instant, Slug, Text


class Evidence(StrEnum):
    """What kind of study a summary tells of; the word on the teaser's badge."""

    LABORATORY = "laboratory"
    ANIMAL = "animal"
    REVIEW = "review"
    OBSERVATIONAL = "observational"
    TRIAL = "trial"
    GUIDELINE = "guideline"


class Audience(StrEnum):
    """Whom a summary is written for, and what a subscriber says they are."""

    PATIENTS = "patients"
    CAREGIVERS = "caregivers"
    CLINICIANS = "clinicians"


class Section(Frozen):
    """One part of a summary: its heading and its text, as plain paragraphs parted by blank lines."""

    heading: Text
    text: Text


class Image(Frozen):
    """A picture beside a teaser; ``alt`` is what stands for it where it is not shown."""

    src: str
    alt: str


class Notice(Frozen):
    """A correction or retraction of a summary that may already be in somebody's inbox."""

    kind: Literal["correction", "retraction"]
    at: Instant
    text: Text

    def digest(self) -> str:
        """Hash of what it says: another wording or kind is another notice."""
        return hashlib.sha256(f"{self.kind}\0{self.at.isoformat()}\0{self.text}".encode()).hexdigest()


class Summary(Frozen):
    """One published piece, as a source gave it.

    ``identifiers`` are what it is known by, the strongest first: ``doi:…``, ``pmid:…``, ``url:…``, ``source:NAME:ID``.
    A link that several pieces share (a listing page) is a ``url`` without being an identifier.
    """

    identifiers: Annotated[tuple[str, ...], Field(min_length=1)]
    title: Annotated[Text, Field(min_length=1)]
    published_at: Instant
    url: Annotated[Text, Field(min_length=1)]
    source: Slug
    takeaway: Text = ""
    sections: tuple[Section, ...] = ()
    limits: Text = ""
    tags: tuple[str, ...] = ()
    audience: tuple[Audience, ...] = ()
    evidence: Evidence | None = None
    authors: tuple[str, ...] = ()
    journal: str = ""
    doi: str = ""
    pmid: str = ""
    image: Image | None = None
    language: str = ""
    illustration: bool = False  # a made-up piece, marked as such wherever it is shown
    weight: int = 0
    highlight: bool = False
    hold: bool = False
    notice: Notice | None = None

    @property
    def id(self) -> str:
        """The identifier it is listed under: the strongest one it has."""
        return self.identifiers[0]

    def digest(self) -> str:
        """Hash of everything in it: two revisions are the same exactly if this is."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()


class Refusal(Frozen):
    """An entry of a source that could not be taken, with the reason; ``ref`` says which (file and line, link, number)."""

    ref: str
    reason: str


class Harvest(Frozen):
    """What one reading of one source gave.

    ``salvaged`` counts accepted entries that came out of a broken document. ``unchanged`` is a server's "304 Not
    Modified". ``etag`` and ``last_modified`` go back to the server next time.
    """

    summaries: tuple[Summary, ...] = ()
    refused: tuple[Refusal, ...] = ()
    salvaged: int = 0
    unchanged: bool = False
    etag: str = ""
    last_modified: str = ""
    warning: str = ""
