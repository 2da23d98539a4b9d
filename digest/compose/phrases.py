"""The short lines of an edition, put together from the words in ``templates/phrases.txt.j2``.

The words are rendered once per issue, with a slot where a title or a label goes and once for every count (so that a
language may have as many plurals as it likes); here they are only filled.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from babel import Locale
from babel.lists import format_list

from digest.compose import clean, markers, wire
from digest.compose.parts import Part, escape
from digest.compose.teaser import clusters, count, cut
from digest.compose.view import Lines
from digest.errors import RenderError
from digest.model import Selection

SUBJECT, PREHEADER_MIN, PREHEADER_MAX, NAME = 60, 40, 130, 50  # grapheme clusters; EMAIL section 1, 4 and 14
PREHEADER_BYTES, NAME_BYTES, URL_BYTES = 1000, 600, 500  # of escaped HTML, each the most that is ever filled in
ALSO = 3  # how many further interests a teaser names: a list of ten helps nobody

_SLOTTED: tuple[tuple[str, ...], ...] = (
    ("greeting", "NAME"),
    ("intro", "SUMMARIES", "INTERESTS"),
    ("why", "INTEREST"),
    ("also", "INTERESTS"),
    ("subject", "FIRST"),
    ("preheader_one", "TAKEAWAY"),
    ("preheader_two", "SECOND"),
    ("preheader_more", "SECOND", "THIRD"),
    ("preheader_notices", "TITLE"),
)
_PLAIN = ("intro_highlights", "intro_notices", "picked", "subject_notices", "preheader_end")


def calls(summaries: int, interests: int) -> list[tuple[str | int, ...]]:
    """What to ask of the phrases file for an issue of so many summaries and interests: macro names and arguments."""
    found: list[tuple[str | int, ...]] = [(name, *map(markers.slot, slots)) for name, *slots in _SLOTTED]
    found += [(name,) for name in _PLAIN]
    found += [("greeting", "")]
    found += [("count_summaries", n) for n in range(summaries + 1)]
    found += [("count_interests", n) for n in range(interests + 1)]
    found += [("overflow", n) for n in range(summaries + 1)]
    return found


@dataclass(frozen=True)
class Phrases:
    """The words, each as a part with slots; those by count in a row that begins with 0."""

    words: Mapping[str, tuple[Part, ...]]

    @classmethod
    def of(cls, asked: Sequence[Sequence[str | int]], given: Sequence[str]) -> Phrases:
        """From what `calls` asked and what the templates gave."""
        found: dict[str, list[Part]] = {}
        for (name, *arguments), text in zip(asked, given, strict=True):
            key = "greeting_plain" if arguments == [""] else str(name)
            found.setdefault(key, []).append(Part.of(text))
        for name, *slots in _SLOTTED:
            unknown = sorted(set(found[name][0].slots) - set(slots))
            if unknown:
                raise RenderError(f"templates/phrases.txt.j2: {name} uses @@{unknown[0]}@@, which nothing fills")
        return cls({name: tuple(parts) for name, parts in found.items()})

    @functools.cached_property
    def kept(self) -> dict[tuple[str, str, tuple[str, ...]], str]:
        """The "You follow …" lines made so far, by language and labels: few, and each stands in many editions."""
        return {}

    def say(self, name: str, **values: str) -> str:
        """A phrase with its slots filled."""
        return self.words[name][0].fill(values)

    def count(self, name: str, n: int) -> str:
        """A phrase that depends on a number."""
        row = self.words[name]
        return row[min(n, len(row) - 1)].fill({})

    def greeting(self, name: str) -> str:
        """How a reader of this name, which may be empty or anything at all, is addressed."""
        known = within_bytes(clean.clean(name), NAME, NAME_BYTES)
        return self.say("greeting", NAME=known) if known else self.say("greeting_plain")

    def largest(self, name: str) -> int:
        """Bytes of escaped HTML that a phrase takes at most, its slots not counted."""
        return max(sum(wire.size(escape(piece)) for piece in part.pieces[::2]) for part in self.words[name])


def within_bytes(text: str, limit: int, max_bytes: int) -> str:
    """``text`` cut to ``limit`` clusters, and further until it takes at most ``max_bytes`` of escaped HTML."""
    short = cut(text, limit)
    while len(escape(short).encode()) > max_bytes:
        limit = min(limit, len(clusters(short))) * 3 // 4
        short = cut(text, limit)
    return short


@functools.lru_cache(4096)
def _enumerate(language: str, labels: tuple[str, ...]) -> str:
    return str(format_list(labels, "standard", locale=Locale.parse(language, sep="-")))


@dataclass(frozen=True)
class Known:
    """What the lines need of summaries and interests: title and takeaway by summary id, label by interest id, all clean."""

    titles: Mapping[str, str]
    takeaways: Mapping[str, str]
    labels: Mapping[str, str]
    language: str
    subject: str = ""  # the editors' own, for every email with teasers
    preheader: str = ""


def subject(phrases: Phrases, known: Known, selection: Selection) -> str:
    """One line of about 60 clusters that names the newsletter and, where the words want it, the first piece."""
    if not selection.teasers:
        return clean.clean_header(phrases.say("subject_notices"))
    if known.subject:
        return clean.clean_header(known.subject)
    room = SUBJECT - count(phrases.say("subject", FIRST=""))
    return clean.clean_header(phrases.say("subject", FIRST=cut(known.titles[selection.teasers[0]], max(room, 24))))


def lines(phrases: Phrases, known: Known, selection: Selection, said: str | None = None) -> Lines:
    """The lines that depend on a selection; ``said`` is its preheader, where that was made before."""
    return Lines(
        preheader=preheader(phrases, known, selection) if said is None else said,
        intro=_intro(phrases, selection),
        overflow=phrases.count("overflow", len(selection.left_out)) if selection.left_out else "",
        why=_why(phrases, known, selection),
    )


def preheader(phrases: Phrases, known: Known, selection: Selection) -> str:
    """A sentence about what the subject does not name already: the second piece on, or what the only one found."""
    shown = selection.teasers
    if shown and known.preheader:
        return within_bytes(clean.clean(known.preheader), PREHEADER_MAX, PREHEADER_BYTES)
    if not shown:
        text = phrases.say("preheader_notices", TITLE=cut(known.titles[selection.notices[0]], 90))
    elif len(shown) == 1:
        takeaway = cut(known.takeaways[shown[0]], 110)
        text = phrases.say("preheader_one", TAKEAWAY=takeaway) if takeaway else phrases.say("preheader_end")
    elif len(shown) == 2:
        text = phrases.say("preheader_two", SECOND=cut(known.titles[shown[1]], 100))
    else:
        text = phrases.say("preheader_more", SECOND=cut(known.titles[shown[1]], 55), THIRD=cut(known.titles[shown[2]], 55))
    if count(text) < PREHEADER_MIN:
        text = f"{text} {phrases.say('preheader_end')}".strip()
    return within_bytes(clean.clean(text), PREHEADER_MAX, PREHEADER_BYTES)


def _intro(phrases: Phrases, selection: Selection) -> str:
    if selection.sections:
        return intro(phrases, sum(len(section.teasers) for section in selection.sections), len(selection.sections))
    return phrases.say("intro_highlights" if selection.highlights else "intro_notices")


def intro(phrases: Phrases, summaries: int, interests: int) -> str:
    """How many summaries there are, of how many interests."""
    return phrases.say(
        "intro", SUMMARIES=phrases.count("count_summaries", summaries), INTERESTS=phrases.count("count_interests", interests)
    )


def _why(phrases: Phrases, known: Known, selection: Selection) -> dict[str, str]:
    found = {id: phrases.say("picked") for id in selection.highlights}
    for section in selection.sections:
        for placed in section.teasers:
            key = (known.language, known.labels[section.interest], tuple([known.labels[id] for id in placed.also_in[:ALSO]]))
            line = phrases.kept.get(key)
            if line is None:
                line = phrases.kept[key] = why_line(phrases, *key)
            found[placed.summary] = line
    return found


def why_line(phrases: Phrases, language: str, interest: str, also: Sequence[str]) -> str:
    """Why a teaser is there: the interest's label, and those of others it fits."""
    why = phrases.say("why", INTEREST=interest)
    more = phrases.say("also", INTERESTS=_enumerate(language, tuple(also))) if also else ""
    return f"{why} {more}" if more else why
