"""The lines of an edition that name interests and titles, as flags of fragments that the issue's template holds.

"You follow X. Also in Y." and the preheader say what a reader's health may be about. The template has every word of them; a
reader's data says only which fragments, and where plain text breaks. A line is whole, or of pieces: all that can be first stand in
the template before all that can be second, and so on, so that the flags of one line need no order of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from digest.compose import CompiledIssue, phrases
from digest.compose.parts import escape
from digest.compose.phrases import Known
from digest.compose.teaser import clusters, cut, wrap
from digest.errors import RenderError
from digest.model import Placed, SelectedSection, Selection

_WIDEST_WORD = 60  # characters; plain text breaks longer words inside, where no fragment can be told to break
_SENTINELS = "\ue010\ue011\ue012\ue013"  # private characters that no text from outside has (`compose.clean`)
GROUPED = "set delivery.sendgrid.mode: grouped"


_REMEMBERED = 4096  # lines
BREAK = "r"


class Fragment(NamedTuple):
    """A text of a line, and the flag it stands behind. ``breaks`` begins the flags of its breaks, empty where it breaks by itself."""

    flag: str
    text: str
    breaks: str


@dataclass
class Fragments:
    """What an issue's lines of one kind are made of. ``letters`` begin the flags of whole lines, of first, of second pieces, …;
    ``in_text``: plain text shows the lines.
    """

    letters: str
    in_text: bool
    tables: list[dict[str, str]] = field(default_factory=list)  # flag by text, for each letter
    made: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = [{} for _ in self.letters]

    def add_whole(self, line: str) -> None:
        """A line that is said as it is."""
        self._add(0, line)

    def add_pieces(self, texts: Sequence[str], first: int = 0) -> None:
        """Texts that lines are put together from, the first of them in that place of a line."""
        for place, text in enumerate(texts, first + 1):
            self._add(place, text)

    def _add(self, table: int, text: str) -> None:
        if text and text not in self.tables[table]:
            self.tables[table][text] = f"{self.letters[table]}{len(self.tables[table])}"

    def __iter__(self) -> Iterator[Fragment]:
        """All, in the order in which the template must have them."""
        for letter, table in zip(self.letters, self.tables, strict=True):
            yield from (Fragment(flag, text, "" if letter == self.letters[0] else BREAK + letter) for text, flag in table.items())

    def flags(self, line: str, *ways: Sequence[str]) -> tuple[str, ...]:
        """The line as flags; ``ways`` are the splits of it that may be right.

        Raises:
            RenderError: none of them gives the line.
        """
        found = self.made.get(line)
        if found is None:
            if len(self.made) >= _REMEMBERED:
                self.made.clear()
            found = self.made[line] = self._flags(line, ways)
        return found

    def _flags(self, line: str, ways: Iterable[Sequence[str]]) -> tuple[str, ...]:
        if not line:
            return ()
        if line in self.tables[0]:
            return (self.tables[0][line],)
        wrapped = wrap(line) if self.in_text else line
        for way in ways:
            places = list(zip(self.letters[1:], self.tables[1:], way, strict=False))
            known = len(places) == len(way) and all(piece in table for _, table, piece in places)
            if known and "".join(way) == line and _only_breaks(line, wrapped):
                found, at = [], 0
                for letter, table, piece in places:
                    found.append(table[piece])
                    found += [f"{BREAK}{letter}{n}" for n, blank in enumerate(piece) if blank != wrapped[at + n]]
                    at += len(piece)
                return tuple(found)
        raise RenderError(f"a line of this issue cannot be put together by a template; {GROUPED}")


def _units(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """A line in as few pieces as there are names: each with the words before it, the last with those after it, too."""
    found = [text + name for text, name in zip(texts, names, strict=False)] or [""]
    found[-1] += texts[-1]
    return found


def _only_breaks(line: str, wrapped: str) -> bool:
    return len(line) == len(wrapped) and all(a == b or (a, b) == (" ", "\n") for a, b in zip(line, wrapped, strict=True))


@dataclass(frozen=True)
class WhyLines:
    """What a teaser can say about why it is there. ``forms`` are the words around so many names."""

    fragments: Fragments
    forms: tuple[tuple[str, ...], ...]
    labels: dict[str, str]

    @classmethod
    def of(cls, compiled: CompiledIssue, *, in_text: bool) -> WhyLines:
        """All of an issue.

        Raises:
            RenderError: an interest's label has a word too long to be broken as plain text breaks it.
        """
        known = compiled.known
        labels = {id: known.labels[id] for id in compiled.section_numbers}
        fragments = Fragments("feijk", in_text)
        pick = next(iter(compiled.numbers))
        fragments.add_whole(phrases.lines(compiled.phrases, known, Selection(highlights=(pick,))).why[pick])
        forms = tuple(_form(compiled, count) for count in range(phrases.ALSO + 1))
        for label in labels.values():
            if any(len(word) > _WIDEST_WORD for word in label.split(" ")):
                raise RenderError(f"the label of an interest has a word of more than {_WIDEST_WORD} characters; {GROUPED}")
            fragments.add_whole(label.join(forms[0]))
            for form in forms[1 : len(labels)]:
                fragments.add_pieces(_units(form, [label] * (len(form) - 1)))
        return cls(fragments, forms, labels)

    def flags(self, line: str, placed: Placed | None, interest: str) -> tuple[str, ...]:
        """A teaser's line as flags; ``placed`` is None for one of the editors' picks."""
        known = self.fragments.made.get(line)
        if known is not None or placed is None:
            return self.fragments.flags(line) if known is None else known
        also = placed.also_in[: phrases.ALSO]
        return self.fragments.flags(line, _units(self.forms[len(also)], [self.labels[id] for id in (interest, *also)]))


def _form(compiled: CompiledIssue, count: int) -> tuple[str, ...]:
    """The words of a line with one name and ``count`` further ones, around the names."""
    ids = [f"i{n}" for n in range(count + 1)]
    known = Known({"x": ""}, {"x": ""}, dict(zip(ids, _SENTINELS, strict=False)), compiled.known.language)
    placed = Placed(summary="x", also_in=tuple(ids[1:]))
    line = phrases.lines(compiled.phrases, known, Selection(sections=(SelectedSection(interest="i0", teasers=(placed,)),))).why["x"]
    found = []
    for sentinel in _SENTINELS[: count + 1]:
        before, met, line = line.partition(sentinel)
        if not met or any(other in before for other in _SENTINELS):
            raise RenderError(f"templates/phrases.txt.j2: why and also must name each interest once, in order; {GROUPED}")
        found.append(before)
    return (*found, line)


@dataclass(frozen=True)
class PreheaderLines:
    """What the preheader can be. ``more`` are the words around the second and the third title, ``end`` what fills a short one."""

    fragments: Fragments
    more: tuple[str, ...]
    end: str
    titles: dict[str, str]

    @classmethod
    def of(cls, compiled: CompiledIssue, *, in_text: bool) -> PreheaderLines:
        """All of an issue.

        Raises:
            RenderError: two titles together can be too long for one line.
        """
        words, known = compiled.phrases, compiled.known
        fragments = Fragments("abcd", in_text)
        ids = list(compiled.numbers)
        for id in ids:
            shown = [Selection(highlights=(id,)), *(Selection(highlights=(other, id)) for other in ids[:2] if other != id)]
            shown += [Selection(notices=(id,))] if id in compiled.notice_bytes else []
            for selection in shown:
                fragments.add_whole(phrases.lines(words, known, selection).preheader)
        pieces = words.words["preheader_more"][0].pieces
        end = " " + words.say("preheader_end")
        titles = {id: cut(known.titles[id], 55) for id in ids}
        if len(ids) > 2:
            _require_room(pieces, titles)
            for title in titles.values():
                fragments.add_pieces(_units(pieces[::2], [title] * (len(pieces) // 2)))
            fragments.add_pieces((end,), len(_units(pieces[::2], pieces[1::2])))
        return cls(fragments, pieces, end, titles)

    def flags(self, line: str, teasers: Sequence[str]) -> tuple[str, ...]:
        """The preheader as flags; ``teasers`` are the ids of all that are shown."""
        if len(teasers) < 3:
            return self.fragments.flags(line)
        named = dict(zip(("SECOND", "THIRD"), teasers[1:3], strict=True))
        way = _units(self.more[::2], [self.titles[named[slot]] for slot in self.more[1::2]])
        return self.fragments.flags(line, way, [*way, self.end])


def _require_room(pieces: Sequence[str], titles: dict[str, str]) -> None:
    """No two titles make a line that would be cut: where it is cut depends on both of them."""
    longest = sum(sorted((len(clusters(title)) for title in titles.values()), reverse=True)[:2])
    heaviest = sum(sorted((len(escape(title).encode()) for title in titles.values()), reverse=True)[:2])
    words = "".join(pieces[::2])
    too_long = longest + len(clusters(words)) > phrases.PREHEADER_MAX
    if too_long or heaviest + len(escape(words).encode()) > phrases.PREHEADER_BYTES:
        raise RenderError(
            f"templates/phrases.txt.j2: preheader_more is too long to be put together by a template; shorten it, or {GROUPED}"
        )
