"""The lines of an edition that name interests and titles, as numbers of fragments that the issue's template holds.

"You follow X. Also in Y." and the preheader say what a reader's health may be about. The template has every word of them
once; a reader's data says only which fragments, in which order, and where plain text breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Ref(NamedTuple):
    """One fragment of a line; ``breaks`` are those of its blanks, by place, that plain text breaks at."""

    number: int
    breaks: tuple[int, ...] = ()


@dataclass
class Fragments:
    """Texts by number: ``whole`` ones are a line by themselves, the others are put together. ``in_text``: plain text shows them."""

    in_text: bool
    texts: list[str] = field(default_factory=list)
    wholes: dict[str, int] = field(default_factory=dict)
    pieces: dict[str, int] = field(default_factory=dict)

    def add_whole(self, line: str) -> None:
        """A line that is said as it is."""
        self._add(self.wholes, line)

    def add_pieces(self, texts: Iterable[str]) -> None:
        """Texts that lines are put together from."""
        for text in texts:
            self._add(self.pieces, text)

    def _add(self, kind: dict[str, int], text: str) -> None:
        if text and text not in kind:
            kind[text] = len(self.texts)
            self.texts.append(text)

    def refs(self, line: str, *ways: Sequence[str]) -> tuple[Ref, ...]:
        """The line as fragments; ``ways`` are the splits of it that may be right.

        Raises:
            RenderError: none of them gives the line.
        """
        if not line:
            return ()
        if line in self.wholes:
            return (Ref(self.wholes[line]),)
        wrapped = wrap(line) if self.in_text else line
        for way in ways:
            if "".join(way) == line and all(piece in self.pieces for piece in way) and _only_breaks(line, wrapped):
                return tuple(self._broken(way, wrapped))
        raise RenderError(f"a line of this issue cannot be put together by a template; {GROUPED}")

    def _broken(self, way: Sequence[str], wrapped: str) -> Iterable[Ref]:
        at = 0
        for piece in way:
            there = wrapped[at : at + len(piece)]
            yield Ref(self.pieces[piece], tuple(n for n, (a, b) in enumerate(zip(piece, there, strict=True)) if a != b))
            at += len(piece)


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
        fragments = Fragments(in_text)
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

    def refs(self, line: str, placed: Placed | None, interest: str) -> tuple[Ref, ...]:
        """A teaser's line as fragments; ``placed`` is None for one of the editors' picks."""
        if placed is None:
            return self.fragments.refs(line)
        also = placed.also_in[: phrases.ALSO]
        return self.fragments.refs(line, _units(self.forms[len(also)], [self.labels[id] for id in (interest, *also)]))


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
        fragments = Fragments(in_text)
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
            fragments.add_pieces((end,))
            for title in titles.values():
                fragments.add_pieces(_units(pieces[::2], [title] * (len(pieces) // 2)))
        return cls(fragments, pieces, end, titles)

    def refs(self, line: str, selection: Selection) -> tuple[Ref, ...]:
        """The preheader as fragments."""
        if len(selection.teasers) < 3:
            return self.fragments.refs(line)
        named = dict(zip(("SECOND", "THIRD"), selection.teasers[1:3], strict=True))
        way = _units(self.more[::2], [self.titles[named[slot]] for slot in self.more[1::2]])
        return self.fragments.refs(line, way, [*way, self.end])


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
