"""An issue compiled once: every part of every email it can become, ready to be joined."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from digest.compose import clean, languages, markers, phrases, view
from digest.compose.editorial import Editorial
from digest.compose.look import Look
from digest.compose.parts import Document, Part, escape, split
from digest.compose.phrases import Known, Phrases
from digest.compose.render import limits_for, read_templates, render
from digest.compose.teaser import cut
from digest.compose.trial import require_independence, require_shown, trials
from digest.errors import RenderError
from digest.model import Interest, Slot, Summary

_VERSION = 1  # of `to_json`
_NEEDED = {"UNSUBSCRIBE": "reader.unsubscribe_url", "PREFERENCES": "reader.preferences_url", "WEB": "reader.web_url"}


@dataclass(frozen=True)
class CompiledIssue:
    """An issue's parts, HTML and text, and its words. Equal inputs give equal bytes, and so an equal ``content_hash``."""

    look: Look
    name: str
    numbers: Mapping[str, int]  # summary id → the number in its parts' names
    section_numbers: Mapping[str, int]  # interest id → the same
    known: Known
    phrases: Phrases
    html: Document
    text: Document
    others: Mapping[str, CompiledIssue] = field(default_factory=dict)  # the same in other languages, by code

    def spoken(self, language: str) -> str:
        """The code under which `others` has a reader's language; empty where the newsletter's own words serve."""
        code = languages.code_of(language)
        return code if code in self.others else ""

    def to_json(self) -> str:
        """All of it, in one spelling; `from_json` reads it back."""
        return json.dumps(self._data(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def _data(self) -> dict[str, Any]:
        words = {name: [list(part.pieces) for part in row] for name, row in self.phrases.words.items()}
        return {
            "version": _VERSION,
            "look": asdict(self.look),
            "name": self.name,
            "numbers": dict(self.numbers),
            "section_numbers": dict(self.section_numbers),
            # What no editor has set is left out: an issue without it keeps the hash that it was approved with.
            "known": {key: value for key, value in asdict(self.known).items() if value or key not in ("subject", "preheader")},
            "phrases": words,
            "html": self.html.as_json(),
            "text": self.text.as_json(),
            "others": {code: other._data() for code, other in self.others.items()},
        }

    @classmethod
    def from_json(cls, text: str) -> CompiledIssue:
        """What `to_json` wrote.

        Raises:
            RenderError: it is of another version or not whole.
        """
        try:
            return cls._of(json.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RenderError("a stored issue cannot be read; draft it again") from error

    @classmethod
    def _of(cls, data: Any) -> CompiledIssue:
        if data["version"] != _VERSION:
            raise RenderError("the stored issue was composed by another version of digest; draft it again")
        words = {name: tuple(Part(tuple(pieces)) for pieces in row) for name, row in data["phrases"].items()}
        html, text = Document.from_json(data["html"]), Document.from_json(data["text"])
        try:
            _require_lines(view.HTML, html)
            _require_lines(view.TEXT, text)
        except RenderError as error:  # it was drafted before this was looked at
            raise RenderError(f"{error}; mend it and draft it again") from error
        return cls(
            look=Look(**data["look"]),
            name=data["name"],
            numbers=data["numbers"],
            section_numbers=data["section_numbers"],
            known=Known(**data["known"]),
            phrases=Phrases(words),
            html=html,
            text=text,
            others={code: cls._of(other) for code, other in data.get("others", {}).items()},
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of everything in it: what an approval is bound to."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @cached_property
    def large(self) -> CompiledIssue:
        """The same in large print: every size of letter and line in its HTML is a third larger."""
        frame = tuple(_enlarged(item) if isinstance(item, Part) else item for item in self.html.frame)
        return replace(self, html=Document(frame, {name: _enlarged(part) for name, part in self.html.parts.items()}))

    # Sizes are upper bounds in bytes of decoded HTML: an email never has more than the frame and the sum of its parts. They
    # hold in every language, so that what somebody gets does not depend on theirs.

    @cached_property
    def teaser_bytes(self) -> Mapping[str, int]:
        """Size of each summary's teaser, without its "You follow …" line (`teaser_extra_bytes`)."""
        own = {id: self._bytes(self.html.parts[f"teaser:{n}"]) for id, n in self.numbers.items()}
        return _largest([own, *(other.teaser_bytes for other in self.others.values())])

    @cached_property
    def section_bytes(self) -> Mapping[str, int]:
        """Size of each interest's heading."""
        own = {id: self._bytes(self.html.parts[f"section:{n}"]) for id, n in self.section_numbers.items()}
        return _largest([own, *(other.section_bytes for other in self.others.values())])

    @cached_property
    def notice_bytes(self) -> Mapping[str, int]:
        """Size of each notice, by the id of the summary that it is about."""
        found = {id: self.html.parts.get(f"notice:{n}") for id, n in self.numbers.items()}
        own = {id: self._bytes(part) for id, part in found.items() if part is not None}
        return _largest([own, *(other.notice_bytes for other in self.others.values())])

    @cached_property
    def teaser_extra_bytes(self) -> int:
        """What "You follow X. Also in Y, Z." takes at most in one teaser."""
        labels = sorted((len(escape(label).encode()) for label in self.known.labels.values()), reverse=True)
        separators = 16 * phrases.ALSO
        why = self.phrases.largest("why") + self.phrases.largest("also") + sum(labels[:1]) + sum(labels[: phrases.ALSO]) + separators + 1
        times = max((part.slots.count("WHY") for name, part in self.html.parts.items() if name.startswith("teaser:")), default=1)
        own = times * max(why, self.phrases.largest("picked"))
        return max(own, *(other.teaser_extra_bytes for other in self.others.values()), 0)

    @cached_property
    def frame_bytes(self) -> int:
        """Header, intro, footer, with the heading of the editors' picks and the line about what did not fit."""
        optional = [self.html.parts[name] for name in ("highlights:0", "overflow:0")]
        own = sum(self._bytes(part) for part in (*self.html.frame_parts, *optional))
        return max(own, *(other.frame_bytes for other in self.others.values()), 0)

    @cached_property
    def slot_bytes(self) -> Mapping[str, int]:
        words = self.phrases
        counted = words.largest("intro") + words.largest("count_summaries") + words.largest("count_interests")
        return {
            "PREHEADER": phrases.PREHEADER_BYTES,
            "INTRO": max(counted, words.largest("intro_highlights"), words.largest("intro_notices")),
            "OVERFLOW": words.largest("overflow"),
            "WHY": 0,  # counted by `teaser_extra_bytes`
            "GREETING": words.largest("greeting") + words.largest("greeting_plain") + phrases.NAME_BYTES,
            **dict.fromkeys(("UNSUBSCRIBE", "PREFERENCES", "WEB"), phrases.URL_BYTES),
        }

    def _bytes(self, part: Part) -> int:
        return part.size + sum(self.slot_bytes[slot] for slot in part.slots)


def _largest(sizes: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {id: max(each[id] for each in sizes) for id in sizes[0]}


_SIZES = re.compile(r"(?<![\w-])((?:font-size|line-height)\s*:\s*)(\d+(?:\.\d+)?)px")


def _enlarged(part: Part) -> Part:
    """A part with its letters a third larger; what stands in a slot takes the size of what is around it."""

    def larger(found: re.Match[str]) -> str:
        return f"{found[1]}{round(float(found[2]) * 4 / 3)}px" if float(found[2]) >= 10 else found[0]  # what is hidden stays so

    return Part(tuple(piece if n % 2 else _SIZES.sub(larger, piece) for n, piece in enumerate(part.pieces)))


def compile_issue(
    templates: Path,
    look: Look,
    slot: Slot,
    summaries: Sequence[Summary],
    interests: Sequence[Interest],
    spoken: Sequence[str] = (),
    editorial: Editorial | None = None,
) -> CompiledIssue:
    """Render, compile and inline everything an issue can show, once for each language.

    Args:
        templates: the folder with ``digest.mjml.j2``, ``digest.txt.j2`` and ``phrases.txt.j2``.
        summaries: all that anybody could get, as a teaser or as a notice; their order changes nothing.
        interests: those whose headings may be needed.
        spoken: language tags that readers chose; those without words of their own get the newsletter's.
        editorial: what the editors add to this issue.
    Raises:
        RenderError: a template is wrong (one line for each mistake, with its file and line), or its parts depend on each other.
    """
    return compile_sources(read_templates(templates), look, slot, summaries, interests, spoken, editorial)


def compile_sources(
    sources: Mapping[str, str],
    look: Look,
    slot: Slot,
    summaries: Sequence[Summary],
    interests: Sequence[Interest],
    spoken: Sequence[str] = (),
    editorial: Editorial | None = None,
) -> CompiledIssue:
    """The same for templates already read: name below ``templates/`` → text."""
    wanted = {languages.code_of(tag) for tag in spoken}
    others = [code for code in languages.available(sources, look.language) if code in wanted]
    looks = [look, *(look.spoken_in(code) for code in others)]

    def compile_one(one: Look) -> CompiledIssue:
        catalogue = view.Catalogue.of(one, slot, summaries, interests, editorial)
        return _compile(languages.sources_in(sources, one.language), languages.file_of(sources, one.language), catalogue)

    with ThreadPoolExecutor(max_workers=min(len(looks), 4)) as pool:  # each waits for a process of its own
        own, *rest = pool.map(compile_one, looks)
    return replace(own, others=dict(zip(others, rest, strict=True)))


def _compile(sources: Mapping[str, str], words: str, catalogue: view.Catalogue) -> CompiledIssue:
    """In the one language of the catalogue's look, whose words come from the file ``words``."""
    try:
        return _compile_one(sources, catalogue)
    except RenderError as error:
        raise RenderError(str(error).replace(f"templates/{languages.PHRASES}", f"templates/{words}")) from error


def _compile_one(sources: Mapping[str, str], catalogue: view.Catalogue) -> CompiledIssue:
    look, slot, note = catalogue.look, catalogue.slot, catalogue.editorial.note
    for name in (view.HTML, view.TEXT, "phrases.txt.j2"):
        if name not in sources:
            raise RenderError(f"templates/{name}: is not there")
    whole = view.compile_data(catalogue)
    tried = trials(catalogue)
    asked = phrases.calls(len(catalogue.summaries), len(catalogue.interests))
    documents: list[tuple[str, Any]] = [(view.HTML, whole), (view.TEXT, whole)]
    for trial in tried:
        documents += [(view.HTML, trial.data(catalogue, html=True)), (view.TEXT, trial.data(catalogue, html=False))]
    limits = limits_for(len(catalogue.summaries) + len(catalogue.interests))
    rendered = render(sources, view.common(look, slot, note), documents, asked, limits)
    if rendered.problems:
        raise RenderError("\n".join(str(problem) for problem in rendered.problems))
    compiled = _assemble(catalogue, Phrases.of(asked, rendered.phrases), rendered.documents[0], rendered.documents[1])
    require_independence(compiled.html, compiled.text, tried, catalogue, rendered.documents[2:])
    require_shown(compiled.html, compiled.text, catalogue)
    return compiled


def _assemble(catalogue: view.Catalogue, words: Phrases, html: str, text: str) -> CompiledIssue:
    documents = {}
    for name, rendered, is_html in ((view.HTML, html, True), (view.TEXT, text, False)):
        document = split(name, rendered, html=is_html)
        documents[name] = _complete(name, document, catalogue)
    known = Known(
        titles={summary.id: clean.clean(summary.title) for summary in catalogue.summaries},
        takeaways={summary.id: clean.clean(summary.takeaway) for summary in catalogue.summaries},
        labels={interest.id: cut(clean.clean(view.label_of(catalogue.look, interest)), view.LABEL) for interest in catalogue.interests},
        language=catalogue.look.language,
        subject=catalogue.editorial.subject,
        preheader=catalogue.editorial.preheader,
    )
    return CompiledIssue(
        look=catalogue.look,
        name=catalogue.slot.name,
        numbers={summary.id: n for n, summary in enumerate(catalogue.summaries)},
        section_numbers={interest.id: n for n, interest in enumerate(catalogue.interests)},
        known=known,
        phrases=words,
        html=documents[view.HTML],
        text=documents[view.TEXT],
    )


def _complete(name: str, document: Document, catalogue: view.Catalogue) -> Document:
    """The document without the section that only held the teasers, once nothing is missing in it."""
    file = f"templates/{name}"
    wanted = {
        "section": [f"section:{n}" for n in range(len(catalogue.interests))],
        "teaser": [f"teaser:{n}" for n in range(len(catalogue.summaries))],
        "notice": [f"notice:{n}" for n, summary in enumerate(catalogue.summaries) if summary.notice],
        "highlights": ["highlights:0"],
        "overflow": ["overflow:0"],
    }
    for kind, names in wanted.items():
        missing = [part for part in names if part not in document.parts]
        if missing:
            raise RenderError(f"{file}: the {kind} part is missing; put what shows it between {{% part {kind} %}} and {{% endpart %}}")
    _require_lines(name, document)
    slots = {slot for part in document.frame_parts for slot in part.slots}
    for slot, wanted_field in _NEEDED.items():
        if slot not in slots:
            raise RenderError(f"{file}: {{{{ {wanted_field} }}}} is missing outside of the parts; every email needs that link")
    for kept, part in document.parts.items():
        if kept.startswith("teaser:") and any(markers.FOREIGN in piece for piece in part.pieces):
            raise RenderError(f"{file}: a teaser must not use fields of its section, for it is prepared once for all; teaser.why names it")
    parts = {kept: part for kept, part in document.parts.items() if kept != "section:999999"}
    return Document(document.frame, parts)


# The lines of an edition, each with the field that shows it and the kind of part that it belongs in ("": outside of all).
_LINES = {
    "PREHEADER": ("edition.preheader", ""),
    "INTRO": ("edition.intro", ""),
    "OVERFLOW": ("overflow.text", "overflow"),
    "WHY": ("teaser.why", "teaser"),
}


def _require_lines(name: str, document: Document) -> None:
    """Each where an edition fills it in.

    Raises:
        RenderError: one stands elsewhere; names the template and where it belongs.
    """
    placed = [("", part) for part in document.frame_parts]
    placed += [(kept.partition(":")[0], part) for kept, part in document.parts.items()]
    for kind, part in placed:
        for slot in set(part.slots) & _LINES.keys():
            shown, belongs = _LINES[slot]
            if kind != belongs:
                here, there = (f"in the {one} part" if one else "outside of all parts" for one in (kind, belongs))
                said = f"{{{{ {shown} }}}} stands {here}, where it would not be filled in; it belongs {there}"
                raise RenderError(f"templates/{name}: {said}")
