"""The data that templates lay out: everything decided, cut and cleaned; slots where a value differs between readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton

from digest.compose import clean, markers
from digest.compose.editorial import Editorial, shown
from digest.compose.look import Look
from digest.compose.teaser import cut, wrap
from digest.errors import RenderError
from digest.model import Interest, Selection, Slot, Summary

TITLE, TAKEAWAY, LIMITS, NOTICE, LABEL = 240, 200, 160, 700, 60  # grapheme clusters
HTML, TEXT = "digest.mjml.j2", "digest.txt.j2"
READER = {
    "greeting": markers.slot("GREETING"),
    "unsubscribe_url": markers.slot("UNSUBSCRIBE"),
    "preferences_url": markers.slot("PREFERENCES"),
    "web_url": markers.slot("WEB"),
}
View = dict[str, Any]


@dataclass(frozen=True)
class Lines:
    """The few lines of an edition that depend on its selection, as plain text. ``why`` is by summary id."""

    preheader: str
    intro: str
    overflow: str
    why: Mapping[str, str]


SLOTTED = Lines(markers.slot("PREHEADER"), markers.slot("INTRO"), markers.slot("OVERFLOW"), {})


@dataclass(frozen=True)
class Catalogue:
    """All that an issue could show, in an order of its own (by id), so that the caller's order changes nothing."""

    look: Look
    slot: Slot
    summaries: tuple[Summary, ...]
    interests: tuple[Interest, ...]
    editorial: Editorial = field(default_factory=Editorial)

    @classmethod
    def of(
        cls, look: Look, slot: Slot, summaries: Sequence[Summary], interests: Sequence[Interest], editorial: Editorial | None = None
    ) -> Catalogue:
        """Sorted, each id once."""
        by_id = {summary.id: summary for summary in summaries}
        pieces = tuple(by_id[key] for key in sorted(by_id))
        return cls(look, slot, pieces, tuple(sorted(interests, key=lambda interest: interest.id)), editorial or Editorial())

    def summary_part(self, kind: str, id: str) -> str:
        """The name of a summary's part: ``teaser:3``."""
        return f"{kind}:{next(n for n, summary in enumerate(self.summaries) if summary.id == id)}"


def _fit(text: str, limit: int) -> str:
    return markers.guard(cut(clean.clean(text), limit))


def common(look: Look, slot: Slot, note: str = "") -> View:
    """What every template knows: ``newsletter`` and ``issue``, with the editor's ``note`` (Markdown)."""
    rtl = look.dir == "rtl"
    return {
        "newsletter": {
            "name": _fit(look.name, LABEL),
            "tagline": _fit(look.tagline, 120),
            "notice": _fit(look.notice, NOTICE),
            "url": clean.link(look.url),
            "host": look.host,
            "language": look.language,
            "dir": look.dir,
            "start": "right" if rtl else "left",
            "end": "left" if rtl else "right",
            # Where they are not in the language of the words around them.
            "lang": other_language(look),
            "name_dir": _other_dir(look.name, look),
            "tagline_dir": _other_dir(look.tagline, look),
            "notice_dir": _other_dir(look.notice, look),
            "postal_address": [markers.guard(line) for line in clean.paragraphs(look.postal_address)],
        },
        "issue": {
            "name": slot.name,
            "cadence": slot.cadence,
            "date": format_date(slot.local_date, "long", locale=look.locale),
            "month": format_skeleton("yMMMM", slot.local_date, locale=look.locale),
            "note": shown(note, "the editor's note", look.dir, other_language(look)),
        },
    }


def compile_data(catalogue: Catalogue) -> View:
    """Everything at once: each heading, each teaser, each notice, every optional block.

    All teasers stand in a last section of its own, whose fields must not show in them (`markers.FOREIGN` would).
    """
    foreign: View = {"part": "section:999999", **dict.fromkeys(("label", "description", "lang", "dir"), markers.FOREIGN)}
    foreign |= {"intro": dict.fromkeys(("html", "text"), markers.FOREIGN)}
    teasers = [_teaser(catalogue, n, summary, markers.slot("WHY")) for n, summary in enumerate(catalogue.summaries)]
    return {
        "reader": READER,
        "edition": {"preheader": SLOTTED.preheader, "intro": SLOTTED.intro},
        "notices": [_notice(catalogue, n, summary) for n, summary in enumerate(catalogue.summaries) if summary.notice],
        "sections": [{**_section(catalogue, n, interest), "teasers": []} for n, interest in enumerate(catalogue.interests)]
        + [{**foreign, "teasers": teasers}],
        "highlights": {"part": "highlights:0", "teasers": []},
        "overflow": {"part": "overflow:0", "text": SLOTTED.overflow},
    }


def selection_data(catalogue: Catalogue, selection: Selection, lines: Lines, reader: Mapping[str, str], *, html: bool) -> View:
    """The same for one selection and one reader, as if no part had ever been prepared: what the joined result must equal."""

    def line(text: str) -> str:
        return markers.guard(text if html else wrap(text))

    def teaser(id: str) -> View:
        n = int(catalogue.summary_part("teaser", id).partition(":")[2])
        return _teaser(catalogue, n, catalogue.summaries[n], line(lines.why[id]))

    numbers = {interest.id: n for n, interest in enumerate(catalogue.interests)}
    shown = {summary.id: (n, summary) for n, summary in enumerate(catalogue.summaries)}
    return {
        "reader": {key: markers.guard(value) for key, value in reader.items()},
        "edition": {"preheader": line(lines.preheader), "intro": line(lines.intro)},
        "notices": [_notice(catalogue, *shown[id]) for id in selection.notices],
        "sections": [
            {
                **_section(catalogue, numbers[section.interest], catalogue.interests[numbers[section.interest]]),
                "teasers": [teaser(placed.summary) for placed in section.teasers],
            }
            for section in selection.sections
        ],
        "highlights": {"part": "highlights:0", "teasers": [teaser(id) for id in selection.highlights]} if selection.highlights else None,
        "overflow": {"part": "overflow:0", "text": line(lines.overflow)} if selection.left_out else None,
    }


def _section(catalogue: Catalogue, n: int, interest: Interest) -> View:
    look = catalogue.look
    label = _fit(label_of(look, interest), LABEL)
    return {
        "part": f"section:{n}",
        "label": label,
        "description": _fit(interest.description, TAKEAWAY),
        "intro": shown(catalogue.editorial.intros.get(interest.id, ""), f"the words under {interest.id}", look.dir, other_language(look)),
        "lang": "" if look.locale.language in interest.labels else other_language(look),
        "dir": _other_dir(label, look),
    }


def intros(catalogue: Catalogue) -> list[tuple[int, Mapping[str, str]]]:
    """The words that stand under headings, by the number of their section."""
    made = ((n, _section(catalogue, n, interest)["intro"]) for n, interest in enumerate(catalogue.interests))
    return [(n, words) for n, words in made if words]


def label_of(look: Look, interest: Interest) -> str:
    """What an interest is called in the language of the words."""
    return interest.label_in(look.locale.language)


def other_language(look: Look) -> str:
    """The newsletter's own language where the fixed words are in another one; else empty."""
    return "" if _same(look.texts_language, look.locale) else look.texts_language


def _teaser(catalogue: Catalogue, n: int, summary: Summary, why: str) -> View:
    takeaway = _fit(summary.takeaway or (summary.sections[0].text if summary.sections else ""), TAKEAWAY)
    limits = _fit(summary.limits, LIMITS)
    return {
        "part": f"teaser:{n}",
        "number": n,
        **_about(catalogue.look, summary),
        "takeaway": takeaway,
        "takeaway_dir": _other_dir(takeaway, catalogue.look),
        "limits": limits,
        "limits_dir": _other_dir(limits, catalogue.look),
        "evidence": summary.evidence.value if summary.evidence else "",
        "illustration": summary.illustration,
        "journal": _fit(summary.journal, 120),
        "image": _image(summary),
        "why": why,
    }


def _notice(catalogue: Catalogue, n: int, summary: Summary) -> View:
    notice = summary.notice
    if notice is None:
        raise RenderError(f"{summary.id}: there is no notice about it")
    at = notice.at.astimezone(ZoneInfo(catalogue.look.timezone)).date()
    return {
        "part": f"notice:{n}",
        **_about(catalogue.look, summary),
        "kind": notice.kind,
        "text": _fit(notice.text, NOTICE),
        "text_dir": _other_dir(notice.text, catalogue.look),
        "noticed": format_date(at, "long", locale=catalogue.look.locale),
    }


def _about(look: Look, summary: Summary) -> View:
    title = _fit(summary.title, TITLE)
    try:
        url = clean.link(summary.url)
    except ValueError as error:
        raise RenderError(f"{summary.id}: its link cannot be shown: {error}") from error
    date = summary.published_at.astimezone(ZoneInfo(look.timezone)).date()
    language = summary.language or look.texts_language
    return {
        "title": title,
        "url": url,
        "date": format_date(date, "long", locale=look.locale),
        # Empty where it is the newsletter's own: an attribute only where it says something.
        "lang": "" if _same(language, look.locale) else language,
        "dir": _other_dir(title, look),
    }


def _other_dir(text: str, look: Look) -> str:
    """The direction of ``text`` if it is not the newsletter's."""
    found = "rtl" if clean.runs_right_to_left(text) else "ltr"
    return found if text and found != look.dir else ""


def _same(language: str, locale: Locale) -> bool:
    return language.replace("_", "-").split("-")[0].lower() == locale.language


def _image(summary: Summary) -> View | None:
    if summary.image is None:
        return None
    try:
        source = clean.link(summary.image.src)
    except ValueError as error:
        raise RenderError(f"{summary.id}: its image cannot be shown: {error}") from error
    return {"src": source, "alt": _fit(summary.image.alt, TAKEAWAY)}
