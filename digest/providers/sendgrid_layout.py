"""An issue as one dynamic template of SendGrid's, and a reader's edition of it as data; pure.

What every email begins and ends with (greeting, counts, the links to leave, to choose and to the web copy) stands outside of any list,
its values by their plain names. Between, every text of the compiled issue stands once, behind a flag of its own, inside one
``{{#each p}}``. The list ``p`` says which texts, in which order: an item shows what it flags in the order of the template, so a new item
begins where an edition has something that stands earlier there. A teaser's flag shows what is before its line and what is after it.

Used are ``{{#each p}}``, ``{{#if x}}``, ``{{else}}``, ``{{{x}}}`` (which does not escape; all values come escaped) and ``this.x``
inside the list, as the page about Handlebars shows them, and one name that it does not: ``{{{@root.P}}}``, the end of the link
"fewer like this" in each teaser, which else would be said once for every teaser. It is plain Handlebars, and two people report that it
works in what is sent (github.com/sendgrid/docs/issues/6237). Were it nothing there, the link would read ``https://HOST/p//ISSUE/NUMBER``,
where `digest.web.preferences` says what to do; no other link depends on it. ``../`` is told to behave differently in the editor and in
what is sent (issues 6237 and 6584), and so are helpers such as ``equals``: there are none.

Source: twilio.com/docs/sendgrid/for-developers/sending-email/using-handlebars; handlebarsjs.com/api-reference/data-variables.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from digest.compose import CompiledIssue, Edition
from digest.compose.edition import lines_of
from digest.compose.parts import escape
from digest.compose.teaser import wrap
from digest.compose.view import Lines
from digest.errors import RenderError
from digest.model import Selection
from digest.providers.sendgrid_joints import NOTHING, Joint, gaps_of, groups_of, lines_shown, make_joint
from digest.providers.sendgrid_lines import GROUPED, PreheaderLines, WhyLines
from digest.providers.sendgrid_order import Order, Place, Steps, Tables
from digest.providers.sendgrid_source import Source, beginnings, named
from digest.providers.sendgrid_subject import Subject

MAX_CONTENT_BYTES = 1_048_576  # of a version's HTML, and of its text

Item = dict[str, Any]


class Skeleton(NamedTuple):
    """What all readers of an edition share: the outermost names, and the list ``p`` without the readers' own values."""

    top: Item
    items: list[Item]


@dataclass(frozen=True)
class Layout:
    """``subject``, ``html`` and ``plain`` are the version of the template; `data` makes what one reader's request holds."""

    subject: str
    html: str
    plain: str
    compiled: CompiledIssue
    groups: tuple[str, ...]
    outside: tuple[str, ...]  # names of the lines outside of the list
    steps: Mapping[str, Steps]  # by part, for those inside the list
    tables: Tables
    literals: Mapping[str, str]  # by name
    needs: Mapping[str, Sequence[str]]  # what texts outside of the list need, by flag, "" for what stands behind none
    inside: Mapping[str, frozenset[str]]  # the flags whose texts inside the list need a value, by its name
    subjects: Subject
    begins: Mapping[str, str]

    @property
    def content_hash(self) -> str:
        """Of all of the version: its name, by which a run knows that what is there is what it would make."""
        return hashlib.sha256("\0".join((self.subject, self.html, self.plain)).encode()).hexdigest()[:32]

    @staticmethod
    def shows(edition: Edition) -> bool:
        """Whether the template is for such an edition: with both bodies, in letters of the usual size, in the newsletter's own words."""
        return not (edition.selection.form or edition.selection.language)

    def skeleton(self, edition: Edition) -> Skeleton:
        """What all readers of an edition share.

        Raises:
            RenderError: the edition says something that the template cannot.
        """
        selection, lines = edition.selection, lines_of(self.compiled, edition.selection, edition.preheader)
        preheader = self.tables.preheader.flags(lines.preheader, selection.teasers) if self.tables.preheader else ()
        given = {**self.literals, **_shared("I", lines.intro), **_shared("O", lines.overflow)}
        top: Item = dict(self.subjects.data(edition))
        flags = [flag for line in self.outside if line == "PREHEADER" for flag in preheader]
        top.update(dict.fromkeys(flags, 1))
        for flag in ("", *flags):
            top.update((name, given[name]) for name in self.needs.get(flag, ()) if name in given)
        items: list[Item] = []
        at = 0
        for name, why in self._walk(selection, lines):
            own, after = self.steps[name]
            if own is not None:
                at = _flag(items, at, own)
            for line, stands_at, follows in after:
                shown = why if line == "WHY" else preheader
                if shown:
                    at = _flag(items, at, Place(shown[0], stands_at))
                    items[-1].update(dict.fromkeys(shown, 1))
                if follows is not None:
                    at = _flag(items, at, follows)
        return Skeleton(top, self._filled(items, given))

    def _filled(self, items: list[Item], given: Mapping[str, str]) -> list[Item]:
        """The list, each item with those of the values that its texts need."""
        for name, flags in self.inside.items():
            if name in given:
                items = [item if flags.isdisjoint(item) else {**item, name: given[name]} for item in items]
        return items

    def data(self, skeleton: Skeleton, values: Mapping[str, str]) -> Item:
        """``dynamic_template_data`` for one reader, whose ``values`` are plain and by slot."""
        own = named(values, self.begins)
        return {**skeleton.top, **own, "p": self._filled(skeleton.items, own)}

    def _walk(self, selection: Selection, lines: Lines) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The parts between the first and the last in order, each with the flags of its line."""
        numbers, sections, why = self.compiled.numbers, self.compiled.section_numbers, self.tables.why
        for n, group in enumerate(self.groups, 1):
            if group == "notices":
                yield from ((f"notice:{numbers[id]}", ()) for id in selection.notices)
            elif group == "sections":
                for section in selection.sections:
                    yield f"section:{sections[section.interest]}", ()
                    for placed in section.teasers:
                        id = placed.summary
                        yield f"teaser:{numbers[id]}", why.flags(lines.why[id], placed, section.interest) if why else ()
            elif group == "highlights" and selection.highlights:
                yield "highlights:0", ()
                for id in selection.highlights:
                    yield f"teaser:{numbers[id]}", why.flags(lines.why[id], None, "") if why else ()
            elif group == "overflow" and selection.left_out:
                yield "overflow:0", ()
            if n < len(self.groups):
                yield f"gap:{n}", ()


def _shared(name: str, line: str) -> dict[str, str]:
    """A line that all readers of an edition share, as the template has it: escaped, and for plain text where that breaks."""
    if not line:
        return {}
    html, text = escape(line), wrap(line)
    return {name: html} if html == text else {name: html, f"{name}T": text}


def _flag(items: list[Item], at: int, place: Place) -> int:
    """Flag it in the last item, or in a new one if it stands before what that one has; where it stands."""
    if place.at <= at or not items:
        items.append({})
    items[-1][place.flag] = 1
    return place.at


def make_layout(compiled: CompiledIssue) -> Layout:
    """The template of an issue.

    Raises:
        RenderError: it cannot be one; the text names what to do.
    """
    groups = groups_of(compiled.html)
    if groups != groups_of(compiled.text):
        raise RenderError(f"templates: HTML and text show their parts in another order, which one template cannot; {GROUPED}")
    gaps = zip(gaps_of(compiled.html), gaps_of(compiled.text), strict=True)
    first, *between = [make_joint(a, b, late=True) for a, b in gaps]
    last = between.pop() if between else Joint((NOTHING,), ())
    joints = {name: make_joint(part, compiled.text.parts[name]) for name, part in compiled.html.parts.items()}
    joints |= {f"gap:{n}": joint for n, joint in enumerate(between, 1)}
    lines = {line for joint in (first, last, *joints.values()) for line in joint.lines}
    shown = lines_shown(compiled)
    tables = Tables(
        WhyLines.of(compiled, in_text="WHY" in shown[False]) if "WHY" in lines else None,
        PreheaderLines.of(compiled, in_text="PREHEADER" in shown[False]) if "PREHEADER" in lines else None,
    )
    order = Order.of(joints)
    source = Source(beginnings(compiled.look.url))
    written = [
        "".join(
            (
                *_outside(source, first, tables, shown[html], html=html),
                "{{#if p}}{{#each p}}",
                *order.blocks(source, tables, shown[html], html=html),
                "{{/each}}{{/if}}",
                *_outside(source, last, tables, shown[html], html=html),
            )
        )
        for html in (True, False)
    ]
    subjects = Subject.of(compiled)
    layout = Layout(
        subjects.text,
        written[0],
        written[1],
        compiled,
        groups,
        (*first.lines, *last.lines),
        order.steps(),
        tables,
        {name: text for text, name in source.literals.items()},
        source.outside,
        {name: frozenset(flags) for name, flags in source.inside.items()},
        subjects,
        source.begins,
    )
    for name, content in (("HTML", layout.html), ("plain text", layout.plain)):
        if len(content.encode()) > MAX_CONTENT_BYTES:
            size = f"{len(content.encode()):,} bytes"
            raise RenderError(f"{compiled.name}: its {name} takes {size} as a template, SendGrid takes {MAX_CONTENT_BYTES:,}; {GROUPED}")
    return layout


def _outside(source: Source, joint: Joint, tables: Tables, shown: set[str], *, html: bool) -> Iterator[str]:
    """What stands before or after the list: all of it shows, and of its lines what the data flags."""
    for line, side in zip(("", *joint.lines), joint.sides, strict=True):
        if line in shown:
            yield from source.fragments(tables.of(line), html=html, inside=False)
        yield source.part("", side.html if html else side.text, html=html, inside=False)
