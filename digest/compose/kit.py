"""What the editions of one issue are put together from, looked up by the ids in a selection and made at its first use.

Where every reader has a selection of their own, an edition is made for each message: then every lookup counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from digest.compose import phrases
from digest.compose.compiled import CompiledIssue
from digest.compose.parts import Body, Piece, Run, Spot
from digest.compose.phrases import Phrases
from digest.compose.trial import alone, piece_of
from digest.model import Selection

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
_KEPT = 4096  # of each kind that there may be many of: a line takes up to 4 KB


class Sides(NamedTuple, Generic[T]):
    """The same in HTML and in plain text."""

    html: T
    text: T


class Joined(NamedTuple):
    """What `Kit.join` puts together of an edition."""

    subject: str
    preheader: str
    html: Body
    text: Body
    teasers: int


class Frame:
    """A document's own parts, and where among them an edition's lines and teasers belong, when it has nothing else."""

    def __init__(self, layout: Sequence[Run | str]) -> None:
        kept = [one for one in layout if isinstance(one, Run) or one not in ("notices", "highlights")]
        self._spots: list[Spot] = [(one if isinstance(one, Run) else Run(()), None) for one in kept]
        self._lines = {slot: [at for at, one in enumerate(kept) if one == slot] for slot in ("PREHEADER", "INTRO")}
        self._sections, self._overflow = kept.index("sections"), kept.index("overflow")

    def laid(self, preheader: Spot, intro: Spot, sections: list[Spot], overflow: tuple[Spot, ...]) -> Body:
        """One side of an edition."""
        spots = self._spots.copy()
        for at in self._lines["PREHEADER"]:
            spots[at] = preheader
        for at in self._lines["INTRO"]:
            spots[at] = intro
        first, second = self._sections, self._overflow
        if first < second:  # the later one first: what stands before it stays where it is
            spots[second : second + 1] = overflow
            spots[first : first + 1] = sections
        else:
            spots[first : first + 1] = sections
            spots[second : second + 1] = overflow
        return Body(spots)


class Kit:
    """One language and form of an issue."""

    def __init__(self, compiled: CompiledIssue) -> None:
        self._compiled = compiled
        self.greetings = Phrases({name: compiled.phrases.words[name] for name in ("greeting", "greeting_plain")})
        self.newsletter, self.issue_hash = compiled.look.name, compiled.content_hash
        self.bounds = compiled.slot_bytes
        self._html, self._text = Frame(compiled.html.layout), Frame(compiled.text.layout)
        self._sections = {id: Sides(*[(run, None) for run in self._part(f"section:{n}")]) for id, n in compiled.section_numbers.items()}
        self._teasers = {id: self._part(f"teaser:{n}") for id, n in compiled.numbers.items()}
        self._whys: dict[tuple[str, tuple[str, ...]], Sides[Piece]] = {}
        self._subjects: dict[str, str] = {}
        self._preheaders: dict[tuple[str, ...], tuple[str, Sides[Spot]]] = {}
        self._intros: dict[tuple[int, int], Sides[Spot]] = {}

    def _part(self, name: str) -> Sides[Run]:
        return Sides(self._compiled.html.parts[name].plain, self._compiled.text.parts[name].plain)

    def join(self, selection: Selection) -> Joined:
        """An edition that has neither notices nor editors' picks.

        Raises:
            KeyError: the issue was compiled without something that is in it.
        """
        html: list[Spot] = []
        text: list[Spot] = []
        headings, teasers, whys = self._sections, self._teasers, self._whys
        sections = selection.sections
        for section in sections:
            interest = section.interest
            heading = headings[interest]
            html.append(heading[0])
            text.append(heading[1])
            for placed in section.teasers:
                also = placed.also_in
                teaser, why = teasers[placed.summary], whys.get((interest, also)) or self._why(interest, also)
                html.append((teaser[0], why[0]))
                text.append((teaser[1], why[1]))
        count = len(html) - len(sections)
        subject, preheader, opening = self._opening(selection)
        intro = self._intro(count, len(sections))
        over_html, over_text = self._overflow(len(selection.left_out)) if selection.left_out else ((), ())
        return Joined(
            subject,
            preheader,
            self._html.laid(opening[0], intro[0], html, over_html),
            self._text.laid(opening[1], intro[1], text, over_text),
            count,
        )

    def _why(self, interest: str, also_in: tuple[str, ...]) -> Sides[Piece]:
        compiled = self._compiled
        labels = compiled.known.labels
        also = tuple([labels[id] for id in also_in])
        line = phrases.why_line(compiled.phrases, compiled.known.language, labels[interest], also[: phrases.ALSO])
        return _keep(self._whys, (interest, also_in), Sides(piece_of(line, html=True), piece_of(line, html=False)))

    def _opening(self, selection: Selection) -> tuple[str, str, Sides[Spot]]:
        """Subject and preheader, decided by the first three teasers and, where there are fewer, by how many."""
        first = selection.sections[0].teasers
        shown = [placed.summary for placed in first[:3]]
        if len(shown) < 3:
            shown += [placed.summary for section in selection.sections[1:3] for placed in section.teasers]
        words, known = self._compiled.phrases, self._compiled.known
        subject = self._subjects.get(shown[0])
        if subject is None:
            subject = _keep(self._subjects, shown[0], phrases.subject(words, known, selection))
        key = (shown[1], shown[2]) if len(shown) > 2 else (shown[0], shown[1] if len(shown) > 1 else "", "few")
        opening = self._preheaders.get(key)
        if opening is None:
            line = phrases.preheader(words, known, selection)
            opening = _keep(self._preheaders, key, (line, _alone(line)))
        return subject, *opening

    def _intro(self, summaries: int, interests: int) -> Sides[Spot]:
        found = self._intros.get((summaries, interests))
        if found is None:
            line = phrases.intro(self._compiled.phrases, summaries, interests)
            found = self._intros[summaries, interests] = _alone(line)
        return found

    def _overflow(self, left_out: int) -> tuple[tuple[Spot, ...], tuple[Spot, ...]]:
        line = self._compiled.phrases.count("overflow", left_out)
        html, text = self._part("overflow:0")
        return ((html, piece_of(line, html=True)),), ((text, piece_of(line, html=False)),)


def _alone(line: str) -> Sides[Spot]:
    return Sides(alone(line, html=True), alone(line, html=False))


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
