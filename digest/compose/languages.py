"""Which languages an issue's fixed words can be in, and the templates as one of them sees them.

``templates/phrases.de.txt.j2`` holds the words in German. ``phrases.txt.j2`` holds those of the newsletter's own language,
or English ones where that language has a file of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PHRASES = "phrases.txt.j2"
_FILE = re.compile(r"phrases\.([a-z]{2,3})\.txt\.j2")


def code_of(tag: str) -> str:
    """The language of a tag without its region: ``de`` of ``de-AT``; empty for nonsense."""
    found = re.match(r"[A-Za-z]{2,3}(?=$|[-_])", tag)
    return found[0].lower() if found else ""


def available(sources: Mapping[str, str], newsletter: str) -> tuple[str, ...]:
    """The languages besides the newsletter's own that there are words in.

    Args:
        sources: name below ``templates/`` → text.
        newsletter: the newsletter's language tag.
    """
    found = {match[1] for name in sources if (match := _FILE.fullmatch(name))}
    own = code_of(newsletter)
    return tuple(sorted((found | ({"en"} if own in found else set())) - {own}))


def file_of(sources: Mapping[str, str], language: str) -> str:
    """The file with the words of a language."""
    name = f"phrases.{code_of(language)}.txt.j2"
    return name if name in sources else PHRASES


def sources_in(sources: Mapping[str, str], language: str) -> dict[str, str]:
    """The templates with the words of that language as the ones that they import; the words of others are left out."""
    words = sources.get(file_of(sources, language))
    kept = {name: text for name, text in sources.items() if not _FILE.fullmatch(name)}
    return kept if words is None else {**kept, PHRASES: words}
