"""Two small emails rendered whole beside every compiled issue: the proof that this look can be put together from parts.

A heading that shows "first" differently, a line around all notices, a slot inside an attribute: each would make the
joined email differ from the rendered one, for some reader, some day. So every compilation joins two selections full of
awkward values and compares them, byte for byte, with what the whole chain makes of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from digest.compose import view
from digest.compose.markers import unguard, without_marks
from digest.compose.parts import Body, Document, Piece, Run, Spot, escape
from digest.compose.rich import bare
from digest.compose.teaser import wrap
from digest.compose.view import Catalogue, Lines, View
from digest.errors import RenderError
from digest.model import Placed, SelectedSection, Selection

_AWKWARD = "A \"line\" & <b>'more'</b> @@WEB@@ {{ x }} --> \\ \u00a0 👩\u200d🔬 سؤال"
_READER = {
    "greeting": f"Hello {_AWKWARD},",
    "unsubscribe_url": "https://example.org/u/x?a=1&b=2",
    "preferences_url": "https://example.org/p/x?a=1&b=2",
    "web_url": "https://example.org/w/x?a=1&b=2",
}
SLOT_OF = {"greeting": "GREETING", "unsubscribe_url": "UNSUBSCRIBE", "preferences_url": "PREFERENCES", "web_url": "WEB"}


@dataclass(frozen=True)
class Trial:
    """A selection with lines that no real one would have."""

    selection: Selection
    lines: Lines

    def data(self, catalogue: Catalogue, *, html: bool) -> View:
        """What the templates are given for it."""
        return view.selection_data(catalogue, self.selection, self.lines, _READER, html=html)


def trials(catalogue: Catalogue) -> tuple[Trial, ...]:
    """One with several of everything, in an order unlike the compiled one, and one with as little as there can be."""
    ids = [summary.id for summary in catalogue.summaries]
    interests = [interest.id for interest in catalogue.interests][:3][::-1]
    placed = ids[:6][::-1]
    sections = []
    for n, interest in enumerate(interests):
        teasers = placed[n::3]
        if teasers:
            sections.append(SelectedSection(interest=interest, teasers=tuple(Placed(summary=id) for id in teasers)))
    notices = [summary.id for summary in catalogue.summaries if summary.notice][:2][::-1]
    full = Selection(
        sections=tuple(sections), left_out=tuple(ids[:2]), notices=tuple(notices), highlights=tuple(ids[-2:] if not sections else ids[6:8])
    )
    small = Selection(sections=tuple(sections[:1]))
    return tuple(Trial(selection, _lines(selection)) for selection in (full, small))


def _lines(selection: Selection) -> Lines:
    why = {id: f"{_AWKWARD} {n}" for n, id in enumerate(selection.teasers)}
    return Lines(_AWKWARD, _AWKWARD, _AWKWARD if selection.left_out else "", why)


def joined(
    document: Document,
    selection: Selection,
    lines: Lines,
    numbers: Mapping[str, int],
    section_numbers: Mapping[str, int],
    *,
    html: bool,
) -> Body:
    """A selection put together from prepared parts, slots of the reader left open."""
    parts, why = document.parts, lines.why

    def part(name: str, line: str | None = None) -> Spot:
        return parts[name].plain, None if line is None else piece_of(line, html=html)  # a phrase may be empty

    def teaser(id: str) -> Spot:
        return part(f"teaser:{numbers[id]}", why[id])

    groups: dict[str, Sequence[Spot]] = {
        "notices": [part(f"notice:{numbers[id]}") for id in selection.notices],
        "sections": [
            spot
            for section in selection.sections
            for spot in (
                part(f"section:{section_numbers[section.interest]}"),
                *(teaser(placed.summary) for placed in section.teasers),
            )
        ],
        "highlights": [part("highlights:0"), *map(teaser, selection.highlights)] if selection.highlights else (),
        "overflow": [part("overflow:0", lines.overflow)] if selection.left_out else (),
        "PREHEADER": [alone(lines.preheader, html=html)],
        "INTRO": [alone(lines.intro, html=html)],
    }
    return Body([spot for item in document.layout for spot in (((item, None),) if isinstance(item, Run) else groups[item])])


def alone(line: str, *, html: bool) -> Spot:
    """A line by itself."""
    return _html_alone(line) if html else _text_alone(line)


def piece_of(line: str, *, html: bool) -> Piece:
    """A line as it stands in a part."""
    return _html_line(line) if html else _text_line(line)


# "You follow Gut." stands in many editions of an issue: prepared once, as its teasers are.


@functools.lru_cache(4096)
def _html_line(text: str) -> Piece:
    return Piece(escape(text))


@functools.lru_cache(4096)
def _text_line(text: str) -> Piece:
    return Piece(wrap(text))


@functools.lru_cache(4096)
def _html_alone(text: str) -> Spot:
    return Run((_html_line(text),)), None


@functools.lru_cache(4096)
def _text_alone(text: str) -> Spot:
    return Run((_text_line(text),)), None


def require_independence(html: Document, text: Document, tried: Sequence[Trial], catalogue: Catalogue, rendered: Sequence[str]) -> None:
    """Compare each trial, joined, with ``rendered`` (HTML and text of each trial in turn).

    Raises:
        RenderError: they differ; names the template and shows the place.
    """
    numbers = {summary.id: n for n, summary in enumerate(catalogue.summaries)}
    section_numbers = {interest.id: n for n, interest in enumerate(catalogue.interests)}
    whole = iter(rendered)
    for trial in tried:
        for name, document, is_html in ((view.HTML, html, True), (view.TEXT, text, False)):
            body = joined(document, trial.selection, trial.lines, numbers, section_numbers, html=is_html)
            values = {SLOT_OF[key]: escape(value) if is_html else value for key, value in _READER.items()}
            have, want = body.fill(values), without_marks(next(whole), html=is_html)
            if have != want:
                raise RenderError(f"templates/{name}: {_difference(have, want)}")


def require_shown(html: Document, text: Document, catalogue: Catalogue) -> None:
    """What an editor wrote must not vanish because a workspace's templates are older than the place for it.

    Raises:
        RenderError: it stands nowhere; names the template and what to put there.
    """
    note = view.common(catalogue.look, catalogue.slot, catalogue.editorial.note)["issue"]["note"]
    wanted = [("the editor's note", "issue.note", note, "")] if note else []
    wanted += [
        (f"the words under {catalogue.interests[n].id}", "section.intro", words, f"section:{n}") for n, words in view.intros(catalogue)
    ]
    for what, name, words, part in wanted:
        for file, document, field in ((view.HTML, html, "html"), (view.TEXT, text, "text")):
            parts = (document.parts[part],) if part else document.frame_parts
            have = "".join(piece for one in parts for piece in one.pieces[::2])
            if bare(unguard(words[field])) not in bare(have):
                put = f"{name}.{field}|safe" if field == "html" else f"{name}.{field}"
                raise RenderError(f"templates/{file}: {what} is not shown; put {{{{ {put} }}}} where it belongs (docs/templates.md)")


def _difference(have: str, want: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(have, want, strict=False)) if a != b), min(len(have), len(want)))
    place = " ".join(want[max(at - 60, 0) : at + 20].split())
    return (
        "its parts depend on what stands beside them (loop.first, a condition around a part, text in a loop, or a value of "
        f"the reader in an attribute other than href), near: {place}"
    )
