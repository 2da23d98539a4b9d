"""An issue as composed for one selection; everyone with the same selection shares it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from digest.compose import phrases
from digest.compose.compiled import CompiledIssue
from digest.compose.kit import Joined, kit_of
from digest.compose.parts import Body
from digest.compose.phrases import Phrases
from digest.compose.trial import joined
from digest.compose.view import Lines
from digest.errors import RenderError
from digest.model import Selection


@dataclass  # and not frozen: where every reader has an edition of their own, that alone costs a fifth of making it
class Edition:
    """Subject, preheader, and both bodies with slots for what is the reader's own; nobody changes one.

    ``bounds`` is what each slot takes at most in bytes of decoded HTML. ``selection`` is what it was composed for, by which a
    provider may say the same in another way.
    """

    subject: str
    preheader: str
    html: Body
    text: Body
    bounds: Mapping[str, int]
    teasers: int
    newsletter: str
    greetings: Phrases
    plain_text: bool = False  # only the text leaves
    selection: Selection = Selection()
    issue_hash: str = ""  # of the issue it is an edition of
    moulds: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # what `digest.compose.mould` keeps

    @property
    def html_bytes(self) -> int:
        """The most that the decoded HTML of any reader takes."""
        return 0 if self.plain_text else self.html.size + sum([self.bounds[slot] for slot in self.html.slots])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all that its readers have in common."""
        alone = "plain text alone" if self.plain_text else ""
        fields = (alone.encode(), self.newsletter.encode(), self.subject.encode(), self.html.digest, self.text.digest)
        return hashlib.sha256(b"\0".join(fields)).hexdigest()

    @property
    def boundary(self) -> str:
        """What parts the two bodies; empty where there is one alone. "=_" never stands in quoted-printable, whatever follows."""
        return "" if self.plain_text else f"=_{(self.issue_hash or self.content_hash)[:32]}"

    @property
    def part_heads(self) -> tuple[bytes, bytes, bytes]:
        """The lines before the text, before the HTML, and after both."""
        return _part_heads(self.boundary)


@functools.lru_cache(64)
def _part_heads(boundary: str) -> tuple[bytes, bytes, bytes]:
    mark = f"\r\n--{boundary}".encode("ascii")
    kind = b"%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return kind % (mark, b"plain"), kind % (mark, b"html"), mark + b"--\r\n"


def lines_of(compiled: CompiledIssue, selection: Selection, said: str | None = None) -> Lines:
    """The lines of an edition that its selection decides: preheader (``said``, where that was made before), counts, "You follow …",
    what did not fit.
    """
    compiled = compiled.others.get(selection.language, compiled)
    return phrases.lines(compiled.phrases, compiled.known, selection, said)


def make_edition(compiled: CompiledIssue, selection: Selection) -> Edition:
    """Join the prepared parts of what was selected; no template runs.

    Raises:
        RenderError: the selection is empty or names what the issue was not compiled with.
    """
    compiled = compiled.others.get(selection.language, compiled)
    if selection.form == "large":
        compiled = compiled.large
    kit = kit_of(compiled)
    try:
        if selection.sections and not (selection.notices or selection.highlights):
            made = kit.join(selection)
        else:
            made = _join_any(compiled, selection)
    except KeyError:
        _require_known(compiled, selection)
        raise
    return Edition(
        made.subject,
        made.preheader,
        made.html,
        made.text,
        kit.bounds,
        made.teasers,
        kit.newsletter,
        kit.greetings,
        selection.form == "plain",
        selection,
        kit.issue_hash,
    )


def _join_any(compiled: CompiledIssue, selection: Selection) -> Joined:
    """The same for a selection with anything in it."""
    _require_known(compiled, selection)
    lines = lines_of(compiled, selection)
    html, text = (
        joined(document, selection, lines, compiled.numbers, compiled.section_numbers, html=is_html)
        for document, is_html in ((compiled.html, True), (compiled.text, False))
    )
    subject = phrases.subject(compiled.phrases, compiled.known, selection)
    return Joined(subject, lines.preheader, html, text, len(selection.teasers))


def _require_known(compiled: CompiledIssue, selection: Selection) -> None:
    if selection.empty:
        raise RenderError(f"{compiled.name}: an empty selection has no edition")
    summaries = (*selection.teasers, *selection.notices)
    unknown = [id for id in summaries if id not in compiled.numbers]
    unknown += [section.interest for section in selection.sections if section.interest not in compiled.section_numbers]
    also = [id for section in selection.sections for placed in section.teasers for id in placed.also_in]
    unknown += [id for id in also if id not in compiled.section_numbers]
    unknown += [id for id in selection.notices if id in compiled.numbers and id not in compiled.notice_bytes]
    if unknown:
        raise RenderError(f"{compiled.name}: was composed without {unknown[0]}; draft it again")
