"""What the editions of one issue are put together from, looked up by the ids in a selection and made at its first use.

Where every reader has a selection of their own, an edition is made for each message: then every lookup counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from digest.compose import phrases
from digest.compose.compiled import CompiledIssue
from digest.compose.parts import Body, Run
from digest.compose.phrases import Phrases
from digest.compose.trial import alone, laid, line_of
from digest.model import Placed, Selection

K = TypeVar("K")
V = TypeVar("V")
_KEPT = 4096  # of each kind: a teaser with its line takes 1 to 2 KB besides the issue's own texts, a preheader up to 4


class Sides(NamedTuple):
    """The same in HTML and in plain text. ``html_bytes`` is the most that the HTML takes with any reader's values in it."""

    html: Run
    text: Run
    html_bytes: int


class Joined(NamedTuple):
    """What `Kit.join` puts together of an edition."""

    subject: str
    preheader: str
    html: Body
    text: Body
    html_bytes: int
    teasers: int


class Kit:
    """One language and form of an issue."""

    def __init__(self, compiled: CompiledIssue) -> None:
        self._compiled = compiled
        self.greetings = Phrases({name: compiled.phrases.words[name] for name in ("greeting", "greeting_plain")})
        self.newsletter, self.issue_hash = compiled.look.name, compiled.content_hash
        self._bounds = compiled.slot_bytes
        frame = [run for run in compiled.html.layout if isinstance(run, Run)]
        self._frame_bytes = sum(run.size + sum(self._bounds[slot] for _, slot in run.places) for run in frame)
        self._sections = {id: self._part(f"section:{n}") for id, n in compiled.section_numbers.items()}
        self._placed: dict[tuple[str, str, tuple[str, ...]], Sides] = {}
        self._subjects: dict[str, str] = {}
        self._preheaders: dict[tuple[str, ...], tuple[str, Sides]] = {}
        self._intros: dict[tuple[int, int], Sides] = {}

    def _part(self, name: str) -> Sides:
        return self._sides(self._compiled.html.parts[name].plain, self._compiled.text.parts[name].plain)

    def _sides(self, html: Run, text: Run) -> Sides:
        return Sides(html, text, html.size + sum([self._bounds[slot] for _, slot in html.places]))

    def _alone(self, line: str) -> Sides:
        return self._sides(alone(line, html=True), alone(line, html=False))

    def _spoken(self, name: str, slot: str, line: str) -> Sides:
        """A part with its line."""
        html, text = self._compiled.html.parts[name], self._compiled.text.parts[name]
        return self._sides(html.with_line(slot, line, line_of(html=True)), text.with_line(slot, line, line_of(html=False)))

    def join(self, selection: Selection) -> Joined:
        """An edition that has neither notices nor editors' picks.

        Raises:
            KeyError: the issue was compiled without something that is in it.
        """
        sections: list[Sides] = []
        headings, kept = self._sections, self._placed
        for section in selection.sections:
            interest = section.interest
            sections.append(headings[interest])
            for placed in section.teasers:
                found = kept.get((placed.summary, interest, placed.also_in))
                sections.append(found if found is not None else self._place(placed, interest))
        teasers = len(sections) - len(selection.sections)
        subject, preheader, first = self._opening(selection)
        intro = self._intro(teasers, len(selection.sections))
        rest = self._overflow(len(selection.left_out)) if selection.left_out else ()
        html = {"PREHEADER": first.html, "INTRO": intro.html}
        text = {"PREHEADER": first.text, "INTRO": intro.text}
        return Joined(
            subject,
            preheader,
            laid(self._compiled.html, html, {**_NOTHING, "sections": [one[0] for one in sections], "overflow": [one[0] for one in rest]}),
            laid(self._compiled.text, text, {**_NOTHING, "sections": [one[1] for one in sections], "overflow": [one[1] for one in rest]}),
            self._frame_bytes + sum([one[2] for one in (first, intro, *sections, *rest)]),
            teasers,
        )

    def _place(self, placed: Placed, interest: str) -> Sides:
        compiled = self._compiled
        labels = compiled.known.labels
        also = tuple([labels[id] for id in placed.also_in])
        line = phrases.why_line(compiled.phrases, compiled.known.language, labels[interest], also[: phrases.ALSO])
        found = self._spoken(f"teaser:{compiled.numbers[placed.summary]}", "WHY", line)
        return _keep(self._placed, (placed.summary, interest, placed.also_in), found)

    def _opening(self, selection: Selection) -> tuple[str, str, Sides]:
        """Subject and preheader, decided by the first three teasers and, where there are fewer, by how many."""
        shown = [placed.summary for section in selection.sections[:3] for placed in section.teasers]
        words, known = self._compiled.phrases, self._compiled.known
        subject = self._subjects.get(shown[0])
        if subject is None:
            subject = _keep(self._subjects, shown[0], phrases.subject(words, known, selection))
        key = (shown[1], shown[2]) if len(shown) > 2 else (shown[0], shown[1] if len(shown) > 1 else "", "few")
        opening = self._preheaders.get(key)
        if opening is None:
            line = phrases.preheader(words, known, selection)
            opening = _keep(self._preheaders, key, (line, self._alone(line)))
        return subject, *opening

    def _intro(self, summaries: int, interests: int) -> Sides:
        found = self._intros.get((summaries, interests))
        if found is None:
            line = phrases.intro(self._compiled.phrases, summaries, interests)
            found = self._intros[summaries, interests] = self._alone(line)
        return found

    def _overflow(self, left_out: int) -> tuple[Sides]:
        return (self._spoken("overflow:0", "OVERFLOW", self._compiled.phrases.count("overflow", left_out)),)


_NOTHING: Mapping[str, Sequence[Run]] = {"notices": (), "highlights": ()}


def _keep(kept: dict[K, V], key: K, value: V) -> V:
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = value
    return value


def kit_of(compiled: CompiledIssue) -> Kit:
    """The issue's kit, kept with it."""
    kit: Kit | None = compiled.__dict__.get("_kit")
    if kit is None:
        kit = compiled.__dict__["_kit"] = Kit(compiled)
    return kit
