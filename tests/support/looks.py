"""Looks that the templates of a newsletter could have, made by changing what was compiled.

That a template can be joined from its parts is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from digest.compose import CompiledIssue
from digest.compose.parts import Document, Part
from digest.compose.phrases import Phrases

Change = Callable[[str, Part], Part]


def changed(compiled: CompiledIssue, html: Change | None = None, text: Change | None = None, **words: tuple[str, ...]) -> CompiledIssue:
    """The issue with another look. A change is given the kind of a part (``frame`` for what stands between) and the part."""

    def look(document: Document, change: Change | None) -> Document:
        if change is None:
            return document
        frame = tuple(change("frame", item) if isinstance(item, Part) else item for item in document.frame)
        return Document(frame, {name: change(name.partition(":")[0], part) for name, part in document.parts.items()})

    said = {**compiled.phrases.words, **{name: (Part(pieces),) for name, pieces in words.items()}}
    return replace(compiled, html=look(compiled.html, html), text=look(compiled.text, text), phrases=Phrases(said))


def only(kind: str, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Change:
    return lambda here, part: Part(change(part.pieces)) if here == kind else part


def without_why(pieces: tuple[str, ...]) -> tuple[str, ...]:
    at = pieces.index("WHY")
    return (*pieces[: at - 1], pieces[at - 1] + pieces[at + 1], *pieces[at + 2 :])


def moved(compiled: CompiledIssue, group: str, *, text: bool = True) -> CompiledIssue:
    """That group before all others."""

    def turn(document: Document) -> Document:
        rest = [item for item in document.frame if item != group]
        return Document((rest[0], group, *rest[1:]), document.parts)

    return replace(compiled, html=turn(compiled.html), text=turn(compiled.text) if text else compiled.text)


def middle(document: Document, *pieces: str) -> Document:
    """With that before what did not fit."""
    at = document.frame.index("overflow")
    return Document((*document.frame[:at], Part(pieces), *document.frame[at:]), document.parts)


TWICE = only("teaser", lambda pieces: (*pieces, "WHY", "\nmore of it\n", "WEB", "{"))
AT_ONCE = only("teaser", lambda pieces: (*pieces, "WHY", "", "WHY", "\n"))
LINKS = only("teaser", lambda pieces: (*pieces, "PREFERENCES", "\nor\n", "UNSUBSCRIBE", "\n"))
LOOKS: dict[str, Callable[[CompiledIssue], CompiledIssue]] = {
    "why twice, and a link of the reader in each teaser": lambda it: changed(it, TWICE, TWICE),
    "why twice without anything between": lambda it: changed(it, AT_ONCE, AT_ONCE),
    "links of the reader in each teaser, with nothing after them": lambda it: changed(it, LINKS, LINKS),
    "a link to leave in each heading": lambda it: changed(it, *[only("section", lambda pieces: (*pieces, "UNSUBSCRIBE", "\n"))] * 2),
    "why at the end of a heading, too, as what follows many": lambda it: changed(
        it, *[only("teaser", lambda pieces: (pieces[0] + "x", "WHY", "the same for all\n"))] * 2
    ),
    "preheader, greeting and counts once more in the middle": lambda it: replace(
        it,
        html=middle(it.html, "<p>", "PREHEADER", " {", "GREETING", "}</p>"),
        text=middle(it.text, "\n", "INTRO", "\n ", "GREETING", "\n"),
    ),
    "why only in HTML": lambda it: changed(it, text=only("teaser", without_why)),
    "why only in text": lambda it: changed(it, only("teaser", without_why)),
    "no why at all": lambda it: changed(it, only("teaser", without_why), only("teaser", without_why)),
    "no preheader": lambda it: changed(it, lambda _, part: Part(("-",)) if "PREHEADER" in part.slots else part),
    "the preheader in text, too": lambda it: replace(
        it, text=Document((Part(("{", "PREHEADER", "}\n")), *it.text.frame[1:]), it.text.parts)
    ),
    "picks before sections": lambda it: moved(it, "highlights"),
    "what did not fit comes first": lambda it: moved(it, "overflow"),
    "braces in the words": lambda it: changed(
        it, why=("{{ \\", "INTEREST", "\\}} {"), also=("}{{{", "INTERESTS", "\\"), greeting=("{{", "NAME", "}}")
    ),
    "words of many lines": lambda it: changed(it, why=("You " * 30, "INTEREST", " too" * 30), also=("And " * 25, "INTERESTS", " as" * 25)),
}
