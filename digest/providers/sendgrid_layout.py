"""An issue as one dynamic template of SendGrid's, and a reader's edition of it as data; pure.

Every text of the compiled issue stands in the template once, behind a flag of its own, inside one ``{{#each p}}``. An edition is
the list ``p``: which flags, in which order, with the few values that are the reader's own. Only constructs that the page about
Handlebars shows are used: ``{{#each p}}``, ``{{#if this.x}}``, ``{{else}}``, ``{{{this.x}}}`` and ``{{{x}}}`` (which does not
escape; all values come escaped). Helpers such as ``equals`` and names from outside a block behave differently in the
editor and in what is sent (github.com/sendgrid/docs/issues/6237 and 6584), so there are none.

Source: twilio.com/docs/sendgrid/for-developers/sending-email/using-handlebars.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from digest.compose import CompiledIssue, Edition, phrases
from digest.compose.clean import clean_header
from digest.compose.edition import lines_of
from digest.compose.parts import Part, escape
from digest.compose.teaser import wrap
from digest.compose.view import Lines
from digest.errors import RenderError
from digest.model import Placed, Selection
from digest.providers.sendgrid_joints import BRACES, NOTHING, Joint, Side, gaps_of, groups_of, lift_ends, lines_shown, make_joint
from digest.providers.sendgrid_lines import GROUPED, Fragments, PreheaderLines, Ref, WhyLines

MAX_CONTENT_BYTES = 1_048_576  # of a version's HTML, and of its text
MAX_SUBJECT = 255  # characters of a version's subject
_LETTER = {"WHY": "f", "PREHEADER": "a"}
_VALUES = {"GREETING": "G", "UNSUBSCRIBE": "U", "PREFERENCES": "P", "WEB": "W", "INTRO": "I", "OVERFLOW": "O"}
_BREAK = "r"

Item = dict[str, Any]
Skeleton = tuple[dict[str, Any], list[Item]]


@dataclass
class _Source:
    """The template while it is written. ``needs`` tells which values go with a flag."""

    literals: dict[str, str] = field(default_factory=dict)  # by text
    needs: dict[str, dict[str, None]] = field(default_factory=dict)

    def block(self, key: str, body: str) -> str:
        return f"{{{{#if this.{key}}}}}{body}{{{{/if}}}}" if body else ""

    def part(self, key: str, part: Part, *, html: bool) -> str:
        out = []
        for n, piece in enumerate(part.pieces):
            if n % 2 == 0:
                out.append(self.literal(key, piece))
                continue
            name = _VALUES[piece]
            self._need(key, name)
            plain = f"{{{{{{this.{name}}}}}}}"
            out.append(plain if html else f"{{{{#if this.{name}T}}}}{{{{{{this.{name}T}}}}}}{{{{else}}}}{plain}{{{{/if}}}}")
        return "".join(out)

    def literal(self, key: str, text: str) -> str:
        """Text as it is: braces that could mean something come in as values."""

        def value(run: re.Match[str]) -> str:
            name = self.literals.setdefault(run.group(), f"l{len(self.literals)}")
            self._need(key, name)
            return f"{{{{{{this.{name}}}}}}}"

        return BRACES.sub(value, text)

    def breaking(self, key: str, text: str) -> str:
        """Text each of whose blanks may be told to be a line break."""
        words = text.split(" ")
        out, at = [self.literal(key, words[0])], len(words[0])
        for word in words[1:]:
            out.append(f"{{{{#if this.{_BREAK}{at}}}}}\n{{{{else}}}} {{{{/if}}}}{self.literal(key, word)}")
            at += 1 + len(word)
        return "".join(out)

    def _need(self, key: str, name: str) -> None:
        self.needs.setdefault(key, {})[name] = None


@dataclass(frozen=True)
class Layout:
    """``subject``, ``html`` and ``plain`` are the version of the template; `data` makes what one reader's request holds."""

    subject: str
    html: str
    plain: str
    compiled: CompiledIssue
    groups: tuple[str, ...]
    joints: Mapping[str, Joint]  # by part, `gap:0` is what stands before the first group
    keys: Mapping[Side, str]  # of the stretches after a line
    why: WhyLines | None
    preheaders: PreheaderLines | None
    literals: Mapping[str, str]  # by name
    needs: Mapping[str, tuple[str, ...]]
    subjects: tuple[str, str] | None  # the usual one and that of notices alone, where the template has both

    @property
    def content_hash(self) -> str:
        """Of all of the version: its name, by which a run knows that what is there is what it would make."""
        return hashlib.sha256("\0".join((self.subject, self.html, self.plain)).encode()).hexdigest()[:32]

    def skeleton(self, edition: Edition) -> Skeleton:
        """What all readers of an edition share: the outermost names, and the list ``p`` without the readers' own values.

        Raises:
            RenderError: the edition says something that the template cannot.
        """
        selection, lines = edition.selection, lines_of(self.compiled, edition.selection)
        top: dict[str, Any] = {}
        if self.subjects is None:
            top["subject"] = clean_header(edition.subject)
        elif clean_header(edition.subject) == self.subjects[1] and not selection.teasers:
            top["q"] = True
        elif clean_header(edition.subject) != self.subjects[0]:
            raise RenderError(f"the subject of this edition is not the issue's; {GROUPED}")
        items = _Items(self.needs)
        for name, refs in self._walk(selection, lines):
            joint = self.joints[name]
            items.start(_key(name) if joint.sides[0] != NOTHING else "")
            for line, side in zip(joint.lines, joint.sides[1:], strict=True):
                items.line(_LETTER[line], refs[line])
                items.end(self.keys.get(side, ""))
        shared = {"I": escape(lines.intro), "IT": wrap(lines.intro), "O": escape(lines.overflow), "OT": wrap(lines.overflow)}
        return top, [_with_values(item, names, shared, self.literals) for item, names in items.done()]

    def data(self, skeleton: Skeleton, values: Mapping[str, str]) -> dict[str, Any]:
        """``dynamic_template_data`` for one reader, whose ``values`` are plain and by slot."""
        top, shared = skeleton
        own = {_VALUES[slot]: escape(value) for slot, value in values.items()}
        own |= {f"{_VALUES[slot]}T": value for slot, value in values.items() if escape(value) != value}
        items = [item if item.keys().isdisjoint(own) else {**item, **_own(item, own)} for item in shared]
        return {**top, "p": items}

    def _walk(self, selection: Selection, lines: Lines) -> Iterator[tuple[str, Mapping[str, tuple[Ref, ...]]]]:
        """The parts of an edition in order, each with its lines."""
        numbers, sections = self.compiled.numbers, self.compiled.section_numbers
        gap: dict[str, tuple[Ref, ...]] = {}
        if self.preheaders is not None:
            gap["PREHEADER"] = self.preheaders.refs(lines.preheader, selection)

        def teaser(id: str, placed: Placed | None, interest: str = "") -> tuple[str, Mapping[str, tuple[Ref, ...]]]:
            return f"teaser:{numbers[id]}", {"WHY": self.why.refs(lines.why[id], placed, interest)} if self.why else {}

        yield "gap:0", gap
        for n, group in enumerate(self.groups, 1):
            if group == "notices":
                yield from ((f"notice:{numbers[id]}", {}) for id in selection.notices)
            elif group == "sections":
                for section in selection.sections:
                    yield f"section:{sections[section.interest]}", {}
                    yield from (teaser(placed.summary, placed, section.interest) for placed in section.teasers)
            elif group == "highlights" and selection.highlights:
                yield "highlights:0", {}
                yield from (teaser(id, None) for id in selection.highlights)
            elif group == "overflow" and selection.left_out:
                yield "overflow:0", {}
            yield f"gap:{n}", gap


def _own(item: Item, own: Mapping[str, str]) -> Item:
    found: Item = {}
    for name in item.keys() & set(_VALUES.values()):
        if name in own:
            found[name] = own[name]
            if f"{name}T" in own:
                found[f"{name}T"] = own[f"{name}T"]
    return found


def _with_values(item: Item, names: Sequence[str], shared: Mapping[str, str], literals: Mapping[str, str]) -> Item:
    """The item with what its texts need; the readers' own values stand empty until they are filled in."""
    for name in names:
        if name in literals:
            item[name] = literals[name]
        else:
            item[name] = shared.get(name, "")
            if shared.get(f"{name}T", item[name]) != item[name]:
                item[f"{name}T"] = shared[f"{name}T"]
    return item


class _Items:
    """The list ``p`` while it is made. Inside an item the template writes: the part's text, a fragment, what follows the line."""

    def __init__(self, needs: Mapping[str, Sequence[str]]) -> None:
        self._needs, self._items, self._stage = needs, list[tuple[Item, list[str]]](), 9

    def start(self, key: str) -> None:
        """Begin a part, in an item of its own."""
        self._stage = 9
        if key:
            self._put(key, 1)

    def line(self, letter: str, refs: Sequence[Ref]) -> None:
        """A line, fragment by fragment."""
        for ref in refs:
            self._put(f"{letter}{ref.number}", 2)
            self._items[-1][0].update((f"{_BREAK}{at}", True) for at in ref.breaks)

    def end(self, key: str) -> None:
        """What follows a line."""
        if key:
            self._put(key, 3)

    def _put(self, key: str, stage: int) -> None:
        if stage <= self._stage:
            self._items.append(({}, []))
        item, names = self._items[-1]
        item[key] = True
        names.extend(self._needs.get(key, ()))
        self._stage = stage

    def done(self) -> list[tuple[Item, list[str]]]:
        return self._items


def _key(part: str) -> str:
    kind, _, number = part.partition(":")
    return f"{'g' if kind == 'gap' else kind[0]}{number}"


def make_layout(compiled: CompiledIssue) -> Layout:
    """The template of an issue.

    Raises:
        RenderError: it cannot be one; the text names what to do.
    """
    groups = groups_of(compiled.html)
    if groups != groups_of(compiled.text):
        raise RenderError(f"templates: HTML and text show their parts in another order, which one template cannot; {GROUPED}")
    joints = {
        f"gap:{n}": make_joint(a, b, late=True) for n, (a, b) in enumerate(zip(gaps_of(compiled.html), gaps_of(compiled.text), strict=True))
    }
    joints |= {name: make_joint(part, compiled.text.parts[name]) for name, part in compiled.html.parts.items()}
    head, tail = lift_ends(joints, f"gap:{len(groups)}")
    lines = {line for joint in joints.values() for line in joint.lines}
    shown = lines_shown(compiled)
    why = WhyLines.of(compiled, in_text="WHY" in shown[False]) if "WHY" in lines else None
    preheaders = PreheaderLines.of(compiled, in_text="PREHEADER" in shown[False]) if "PREHEADER" in lines else None
    after = dict.fromkeys(side for joint in joints.values() for side in joint.sides[1:] if side != NOTHING)
    keys = {side: f"u{n}" for n, side in enumerate(after)}
    source = _Source()
    written = []
    for html in (True, False):
        first = [(_key(name), joint.sides[0]) for name, joint in joints.items()]
        blocks = [source.block(key, source.part(key, side.html if html else side.text, html=html)) for key, side in first]
        for line, table in (("WHY", why and why.fragments), ("PREHEADER", preheaders and preheaders.fragments)):
            if table and line in shown[html]:
                blocks += _fragments(source, _LETTER[line], table, html=html)
        blocks += [source.block(key, source.part(key, side.html if html else side.text, html=html)) for side, key in keys.items()]
        begin, end = (side.html if html else side.text for side in (head, tail))
        written.append(f"{begin.pieces[0]}{{{{#if p}}}}{{{{#each p}}}}{''.join(blocks)}{{{{/each}}}}{{{{/if}}}}{end.pieces[0]}")
    subject, subjects = _subject(compiled)
    layout = Layout(
        subject,
        written[0],
        written[1],
        compiled,
        groups,
        joints,
        keys,
        why,
        preheaders,
        {name: text for text, name in source.literals.items()},
        {key: tuple(names) for key, names in source.needs.items()},
        subjects,
    )
    for name, content in (("HTML", layout.html), ("plain text", layout.plain)):
        if len(content.encode()) > MAX_CONTENT_BYTES:
            size = f"{len(content.encode()):,} bytes"
            raise RenderError(f"{compiled.name}: its {name} takes {size} as a template, SendGrid takes {MAX_CONTENT_BYTES:,}; {GROUPED}")
    return layout


def _fragments(source: _Source, letter: str, table: Fragments, *, html: bool) -> Iterator[str]:
    whole = set(table.wholes.values())
    for n, text in enumerate(table.texts):
        key = f"{letter}{n}"
        if html:
            yield source.block(key, source.literal(key, escape(text)))
        else:
            yield source.block(key, source.literal(key, wrap(text)) if n in whole else source.breaking(key, text))


def _subject(compiled: CompiledIssue) -> tuple[str, tuple[str, str] | None]:
    """The version's subject. Its 255 characters cannot hold the titles of an issue, so a subject that names one travels
    with the reader; one that names none stands in the template.
    """
    if "FIRST" not in compiled.phrases.words["subject"][0].slots:
        id = next(iter(compiled.numbers))
        usual, notices = (
            phrases.subject(compiled.phrases, compiled.known, selection) for selection in (Selection(highlights=(id,)), Selection())
        )
        text = f"{{{{#if q}}}}{notices}{{{{else}}}}{usual}{{{{/if}}}}"
        if len(text) <= MAX_SUBJECT and not re.search(r"[\\{}]", usual + notices):
            return text, (usual, notices)
    return "{{{subject}}}", None
