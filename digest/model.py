"""The nouns of DESIGN section 2, as frozen pydantic models.

Instants end in ``_at`` and are aware, in UTC; dates end in ``_date``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


class Frozen(BaseModel):
    """A value: it never changes, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True)]


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


def identifiers(*, doi: str = "", pmid: str = "", url: str = "", source: str, source_id: str = "") -> tuple[str, ...]:
    """What a summary is known by, the strongest first (DESIGN section 4, rule 1). Empty parts are left out."""
    found = []
    if doi:
        found.append(f"doi:{clean_doi(doi)}")
    if pmid:
        found.append(f"pmid:{pmid.strip()}")
    if url:
        found.append(f"url:{canonical_url(url)}")
    if source_id:
        found.append(f"source:{source}:{source_id}")
    return tuple(found)


def clean_doi(doi: str) -> str:
    """The bare, lower-case DOI (they compare without case), whether given bare, as ``doi:…`` or as a link."""
    return re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", unquote(doi.strip()), flags=re.I).lower()


# Parameters that say how a reader came, not what the page is.
_TRACKING = re.compile(r"^(?:utm_.*|mc_[ce]id|fbclid|gclid|dclid|msclkid|yclid|igshid|ref_src|_hs(?:enc|mi)|at_[a-z]+)$", re.I)


def canonical_url(url: str) -> str:
    """One spelling for the addresses of one page: lower-case host, no default port, fragment, tracking or final slash.

    ``http`` and ``https`` of one address count as the same page.
    """
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").rstrip(".")
    port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    query = urlencode(sorted((k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(k)))
    path = quote(unquote(parts.path), safe="/:@!$&'()*+,;=~-._").rstrip("/")
    return urlunsplit(("https", host + port, path, query, ""))


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


# --- interests ---------------------------------------------------------------------------------------------------------


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Rule(Frozen):
    """Which summaries an interest takes. Every key given must hold; within one key any of its values will do.

    ``any``, ``all`` and ``not`` hold rules of the same shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    tag: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    journal: tuple[str, ...] = ()
    audience: tuple[Audience, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    any: tuple[Rule, ...] = ()
    all: tuple[Rule, ...] = ()
    none: tuple[Rule, ...] = Field(default=(), alias="not")


_LISTS = ("tag", "words", "source", "journal", "audience", "evidence", "any", "all", "not")


def loosen_rule(data: Any) -> Any:
    """The same rule with every single value put in a list, at every depth."""
    if not isinstance(data, dict):
        return data
    loose = {key: list(_as_tuple(value)) if key in _LISTS else value for key, value in data.items()}
    for key in ("any", "all", "not"):
        if key in loose:
            loose[key] = [loosen_rule(rule) for rule in loose[key]]
    return loose


class Interest(Frozen):
    """A subject people can follow. A parent takes what its children take too."""

    id: Slug
    label: Annotated[Text, Field(min_length=1)]
    labels: dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], Annotated[Text, Field(min_length=1)]] = {}  # by language
    description: Text = ""
    match: Rule = Rule()
    pin: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    parent: Slug | None = None
    was: tuple[Slug, ...] = ()  # ids it had, or that were merged into it: who names one of them means this
    retired: bool = False  # offered to nobody new; who follows it goes on getting what it takes
    successor: Slug | None = None  # what is named in place of a retired one

    def label_in(self, language: str) -> str:
        """What it is called in a language (``de``), or as it is where nobody translated it."""
        return self.labels.get(language, self.label)


# --- people ------------------------------------------------------------------------------------------------------------


class Status(StrEnum):
    """Whether a subscriber may be written to: only ``active`` may."""

    ACTIVE = "active"
    PENDING = "pending"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"  # the row stays for the ledger's sums; nothing in it says who it was


class Subscriber(Frozen):
    """A person who confirmed an address. ``id`` is opaque; address and name are the only parts that say who it is."""

    id: str
    email: str
    name: str = ""
    interests: tuple[Slug, ...] = ()
    cadence: Slug = "monthly"
    zone: str = ""
    language: str = ""
    audience: tuple[Audience, ...] = ()
    status: Status = Status.ACTIVE
    consent_at: Instant | None = None
    consent_source: str = ""
    fewer: tuple[Slug, ...] = ()  # interests of which one teaser is enough
    plain_text: bool = False
    large_print: bool = False
    max_teasers: Annotated[int, Field(ge=1, le=60)] | None = None
    paused_until: date | None = None  # the first day on which they want to be written to again
    catch_up: bool = False  # then list what they missed

    @property
    def form(self) -> Form:
        """How the email is set for them."""
        return form_of(self.plain_text, self.large_print)


def form_of(plain_text: bool, large_print: bool) -> Form:
    """Plain text wins: its letters are as large as the reader's own program makes them."""
    return "plain" if plain_text else "large" if large_print else ""


class Placed(Frozen):
    """A teaser in its place: whose section it stands in is the section's; ``also_in`` are the reader's other interests it fits."""

    summary: str
    also_in: tuple[Slug, ...] = ()


class SelectedSection(Frozen):
    """The teasers under one interest the reader follows, in order. Never empty."""

    interest: Slug
    teasers: Annotated[tuple[Placed, ...], Field(min_length=1)]


Form = Literal["", "plain", "large"]  # how the email is set: as designed, plain text alone, or in large print


class Selection(Frozen):
    """What one reader gets of an issue; everyone with an equal one shares an edition.

    ``left_out`` are summaries that fitted their interests but not the email; ``notices`` summaries they were sent before
    that have been corrected or retracted since. ``highlights`` are the editor's picks, for a reader whose interests had no news.
    """

    sections: tuple[SelectedSection, ...] = ()
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    highlights: tuple[str, ...] = ()
    form: Form = ""
    language: str = ""  # of the fixed words, where it is not the newsletter's own

    @property
    def teasers(self) -> tuple[str, ...]:
        """The ids of everything shown as a teaser, in order, each once."""
        return tuple(placed.summary for section in self.sections for placed in section.teasers) + self.highlights

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.sections or self.notices or self.highlights)


class Follower(Frozen):
    """What selection needs to know of a subscriber: everything but who it is.

    ``seen`` holds the members of this issue that the subscriber was given before; ``owed`` the notices about summaries
    they were sent and have not been told of. Of the interests in ``fewer`` one teaser is enough; ``most`` is the most teasers
    they want in one email.
    """

    interests: tuple[Slug, ...]
    audience: tuple[Audience, ...] = ()
    seen: frozenset[str] = frozenset()
    owed: tuple[str, ...] = ()
    fewer: frozenset[str] = frozenset()
    most: int | None = None
    form: Form = ""
    language: str = ""


# --- issues ------------------------------------------------------------------------------------------------------------


class IssueState(StrEnum):
    """How far an issue has come."""

    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PLANNING = "planning"
    SENDING = "sending"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


# Nothing of an issue in one of these states has been planned for anybody: it can be drawn anew, approved, or given up.
UNPLANNED = (IssueState.DRAFTED, IssueState.IN_REVIEW, IssueState.APPROVED)
# An issue in one of these is done: nothing more of it leaves by itself.
DONE = (IssueState.FINISHED, IssueState.CANCELLED, IssueState.EXPIRED)


class Slot(Frozen):
    """One appearance of a cadence: its window is (``opens_after``, ``due_at``]."""

    cadence: Slug
    local_date: date
    opens_after: Instant
    due_at: Instant

    @property
    def name(self) -> str:
        """``monthly-2026-05-01``: what the issue is called everywhere."""
        return f"{self.cadence}-{self.local_date.isoformat()}"


class DeliveryState(StrEnum):
    """RELIABILITY section 1.2."""

    PLANNED = "planned"
    READY = "ready"
    INFLIGHT = "inflight"
    UNCERTAIN = "uncertain"
    HELD = "held"
    ACCEPTED = "accepted"
    FAILED = "failed"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    EXPIRED = "expired"


# A delivery in one of these states has given its reader nothing, and will not.
NOT_GIVEN = (DeliveryState.SKIPPED.value, DeliveryState.FAILED.value, DeliveryState.EXPIRED.value, DeliveryState.QUARANTINED.value)


def uncanonical(values: Iterable[str]) -> frozenset[str]:
    """Identifiers as an editor writes them (a DOI, a link, an id) in the form that summaries carry."""
    found = set()
    for value in values:
        text = value.strip()
        if re.match(r"^(?:doi|pmid|url|source):", text):
            kind, _, rest = text.partition(":")
            found.add(f"doi:{clean_doi(rest)}" if kind == "doi" else f"url:{canonical_url(rest)}" if kind == "url" else text)
        elif re.match(r"^10\.\d{4,9}/", text):
            found.add(f"doi:{clean_doi(text)}")
        elif re.match(r"^https?://(?:dx\.)?doi\.org/", text):
            found.add(f"doi:{clean_doi(text)}")
        elif "://" in text:
            found.add(f"url:{canonical_url(text)}")
        else:
            found.add(text)
    return frozenset(found)
