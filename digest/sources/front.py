"""The front matter of a summary file, key by key, and what is wrong with a value (DESIGN section 12)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from digest.model import Audience, Evidence, Frozen, Image, Instant, Notice
from digest.sources import entry, words
from digest.sources.dates import parse_date


def _scalar(value: Any) -> Any:
    """YAML reads ``pmid: 123`` and ``title: 2026`` as numbers."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _listed(value: Any) -> Any:
    """One value may stand without brackets; commas part several."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return [_scalar(part) for part in value] if isinstance(value, list) else value


def _named(value: Any) -> Any:
    """One author may stand without brackets; a comma belongs to the name."""
    return [value] if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _instant(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | int):
        raise ValueError("must be a date such as 2026-05-01, or an instant such as 2026-05-01T09:00:00+02:00")
    context = info.context or {}
    return parse_date(str(value), context.get("zone", "UTC"), context.get("date_order", "mdy"))


def _link(value: str) -> str:
    try:
        return entry.web_url(value)
    except entry.Unfit as error:
        raise ValueError(str(error).replace("its link", "the address")) from error


def _secure(value: str) -> str:
    if not value.lower().startswith("https://"):
        raise ValueError(f'"{value[:60]}" must begin with https://; mail programs show nothing else')
    return _link(value)


def _doi(value: str) -> str:
    found = entry.valid_doi(value)
    if not found:
        raise ValueError(f'"{value[:60]}" is not a DOI; one looks like 10.1002/smll.202401234')
    return found


def _pmid(value: str) -> str:
    if not entry.valid_pmid(value):
        raise ValueError(f'"{value[:60]}" is not a PubMed number; one looks like 38765432')
    return value.strip()


def _language(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError(f'"{value[:40]}" is not a language; write a tag such as en, en-GB or de')
    return value


def _present(value: str) -> str:
    line = words.clean_line(value)
    if not line:
        raise ValueError("is empty")
    return line


Line = Annotated[str, BeforeValidator(_scalar), AfterValidator(words.clean_line)]
Present = Annotated[str, BeforeValidator(_scalar), AfterValidator(_present)]
When = Annotated[Instant, BeforeValidator(_instant)]
Lower = BeforeValidator(_lower)


class FrontImage(Frozen):
    """``image: {src: https://…, alt: …}``."""

    src: Annotated[str, AfterValidator(_secure)]
    alt: Present

    def model(self) -> Image:
        """The same as the summary keeps it."""
        return Image(src=self.src, alt=self.alt)


class FrontNotice(Frozen):
    """``notice: {kind: correction, at: 2026-06-01, text: …}``."""

    kind: Annotated[Literal["correction", "retraction"], Lower]
    at: When
    text: Present

    def model(self) -> Notice:
        """The same as the summary keeps it."""
        return Notice(kind=self.kind, at=self.at, text=self.text)


class FrontMatter(Frozen):
    """The keys of a summary file."""

    title: Present
    published: When
    url: Annotated[str, AfterValidator(_link)]
    takeaway: Line = ""
    tags: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    audience: Annotated[tuple[Annotated[Audience, Lower], ...], BeforeValidator(_listed)] = ()
    evidence: Annotated[Evidence, Lower] | None = None
    journal: Line = ""
    doi: Annotated[str, BeforeValidator(_scalar), AfterValidator(_doi)] = ""
    pmid: Annotated[str, BeforeValidator(_scalar), AfterValidator(_pmid)] = ""
    authors: Annotated[tuple[str, ...], BeforeValidator(_named)] = ()
    image: FrontImage | None = None
    language: Annotated[str, AfterValidator(_language)] = ""
    weight: Annotated[int, Field(ge=-1000, le=1000)] = 0
    highlight: bool = False
    hold: bool = False
    illustration: bool = False
    limits: Line = ""
    notice: FrontNotice | None = None
