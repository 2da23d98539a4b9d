"""What a summary is known by, in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit


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
