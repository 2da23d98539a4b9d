"""From what a source says of one piece to a Summary: cleaned, checked, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urljoin, urlsplit

from pydantic import ValidationError

from digest import config
from digest.model import Evidence, Harvest, Refusal, Section, Summary, canonical_url, clean_doi, identifiers
from digest.sources import words

MAX_TITLE = 300  # grapheme clusters; the longest title in the feed corpora has 206
MAX_TAKEAWAY = 400
MAX_URL = 2000  # longer ones break in mail programs
MAX_TAGS = 40


class Unfit(ValueError):
    """This entry cannot be taken; the text says what it lacks and what would mend it."""


@dataclass(frozen=True)
class Draft:
    """One entry as a source gave it: texts are plain already, but not clean; ``published_at`` is aware."""

    title: str
    url: str
    published_at: datetime
    source_id: str = ""
    takeaway: str = ""
    sections: tuple[Section, ...] = ()
    limits: str = ""
    tags: Sequence[str] = ()
    authors: Sequence[str] = ()
    journal: str = ""
    doi: str = ""
    pmid: str = ""
    evidence: Evidence | None = None
    language: str = ""
    shared_url: bool = False  # several pieces stand at this address, so it names none of them


def finish(draft: Draft, source: config.SourceBase) -> Summary:
    """The Summary of a draft.

    Raises:
        Unfit: no title, or a link that cannot be used.
    """
    title = words.cut(words.clean_line(draft.title), MAX_TITLE)
    if not title:
        raise Unfit("has no title")
    url = web_url(draft.url)
    doi, pmid = valid_doi(draft.doi), valid_pmid(draft.pmid)
    sections = (Section(heading=words.clean_line(s.heading), text=words.clean_text(s.text)) for s in draft.sections)
    try:
        return Summary(
            identifiers=identifiers(
                doi=doi, pmid=pmid, url="" if draft.shared_url else url, source=source.name, source_id=words.clean_line(draft.source_id)
            ),
            title=title,
            published_at=draft.published_at,
            url=url,
            source=source.name,
            takeaway=words.cut(words.clean_line(draft.takeaway), MAX_TAKEAWAY),
            sections=tuple(section for section in sections if section.text),
            limits=words.cut(words.clean_line(draft.limits), MAX_TAKEAWAY),
            tags=tags_of([*source.tags, *draft.tags]),
            audience=source.audience,
            evidence=draft.evidence,
            authors=_each_once(words.cut(words.clean_line(name), 200) for name in draft.authors),
            journal=words.cut(words.clean_line(draft.journal), MAX_TITLE),
            doi=doi,
            pmid=pmid,
            language=words.clean_line(draft.language)[:35] or source.language or "",
        )
    except ValidationError as error:
        raise Unfit("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


def tags_of(values: Iterable[str]) -> tuple[str, ...]:
    """Tags in the spelling of ``words.clean_tag``, each once, the first ``MAX_TAGS``."""
    return _each_once(words.clean_tag(value)[:100] for value in values)[:MAX_TAGS]


def _each_once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def web_url(href: str, base: str = "") -> str:
    """An absolute http or https address fit for a link in an email, resolved against ``base``.

    Raises:
        Unfit: it is missing, of another scheme, has credentials, or is no address at all.
    """
    text = re.sub(r"[\x00-\x20\x7f]+", lambda run: "%20" if run.group() == " " else "", href.strip())
    if not text:
        raise Unfit("has no link")
    shown = words.clean_line(text)[:60]
    try:
        url = urljoin(base, text)
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Unfit(f'its link "{shown}" is not an address ({error})') from error
    if parts.scheme.lower() not in ("http", "https"):
        raise Unfit(f'its link "{shown}" must begin with https:// or http://')
    if not host or not re.fullmatch(r"[^\s<>\"'\\^`{|}%,()]+", host):
        raise Unfit(f'its link "{shown}" names no host')
    if parts.username is not None or parts.password is not None:
        raise Unfit(f"its link to {host} holds a user name or password")
    try:
        url = quote(url, safe="%/:=&?~#+!$,;'@()*[]-._")
        if len(url) > MAX_URL:
            raise Unfit(f"its link to {host} is longer than {MAX_URL} characters")
        canonical_url(url)
    except Unfit:
        raise
    except ValueError as error:
        raise Unfit(f'its link "{shown}" is not an address ({error})') from error
    return url


def valid_doi(text: str) -> str:
    """The bare DOI, or nothing where the text is none."""
    doi = clean_doi(words.clean_line(text)) if text else ""
    return doi if re.fullmatch(r"10\.\d{4,9}/\S{1,200}", doi) else ""


def valid_pmid(text: str) -> str:
    """The PubMed number, or nothing where the text is none."""
    return text.strip() if re.fullmatch(r"[1-9]\d{0,8}", text.strip()) else ""


_DOI = re.compile(
    r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*|info:doi/|urn:doi:)(10\.\d{4,9}/[^\s?#\"<>]+)|^(10\.\d{4,9}/[^\s?#\"<>]+)$",
    re.I,
)
_PMID = re.compile(
    r"^(?:https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed|ncbi\.nlm\.nih\.gov/m/pubmed)/|pmid:\s*|pubmed:\s*)(\d{1,9})\b",
    re.I,
)


def find_doi(texts: Iterable[str]) -> str:
    """The DOI in the first of these identifiers or links that is one."""
    return next((valid_doi(m.group(1) or m.group(2)) for text in texts if (m := _DOI.match(text.strip()))), "")


def find_pmid(texts: Iterable[str]) -> str:
    """The PubMed number in the first of these identifiers or links that is one."""
    return next((valid_pmid(m.group(1)) for text in texts if (m := _PMID.match(text.strip()))), "")


def takeaway_of(text: str) -> str:
    """What stands on the teaser where a source gives no takeaway: the first sentence, with the next if it is very short."""
    return words.cut(words.first_sentence(text, at_least=30), MAX_TAKEAWAY)


def title_of(text: str, limit: int = 90) -> str:
    """A title for a piece that has none: its first sentence, cut at ``limit`` clusters."""
    return words.cut(words.first_sentence(text), limit)


@dataclass
class Collected:
    """Summaries and refusals in the making; an entry that comes twice is kept once."""

    summaries: list[Summary] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)  # of every identifier taken

    def take(self, summary: Summary) -> None:
        """Keep it, unless it is here already.

        Raises:
            Unfit: another piece with another title has the same identifier, so one of them would be lost without a word.
        """
        same = next((name for name in summary.identifiers if name in self.titles), None)
        if same is not None:
            if self.titles[same] != summary.title:
                raise Unfit(
                    f'"{summary.title[:60]}" has the same {same.partition(":")[0]} as "{self.titles[same][:60]}"; one piece cannot be two'
                )
            return
        self.titles.update(dict.fromkeys(summary.identifiers, summary.title))
        self.summaries.append(summary)

    def refuse(self, ref: str, reason: str) -> None:
        """Note an entry that cannot be taken."""
        self.refused.append(Refusal(ref=words.clean_line(ref)[:300], reason=words.clean_line(reason)[:500]))

    def harvest(self, *, etag: str = "", last_modified: str = "", warning: str = "", salvaged: int = 0) -> Harvest:
        """The result. After a warning the server's validators are dropped, so that the next reading is a whole one."""
        return Harvest(
            summaries=tuple(self.summaries),
            refused=tuple(self.refused),
            salvaged=salvaged,
            etag="" if warning else etag,
            last_modified="" if warning else last_modified,
            warning=warning,
        )
