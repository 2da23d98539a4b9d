"""The editions of an issue that are looked at: those that readers get, an imagined reader's, and what no other shows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from digest.compose import CompiledIssue, Edition, Envelope, Look, Reader, make_edition, make_message
from digest.errors import DigestError
from digest.lint import RULES, check
from digest.lint.letter import Letter, Piece
from digest.lint.rule import Finding, Level
from digest.model import Audience, Placed, SelectedSection, Selection, Summary

PER_SHEET = 8  # summaries on one of the sheets that show what no reader's edition does


class Looked(NamedTuple):
    """An edition to look at: what it is called, how many readers it has, what it holds."""

    name: str
    readers: int
    selection: Selection


def imagined_reader(url: str, unsubscribe_mailto: str = "") -> Reader:
    """Somebody with links of the usual form and length, who is nobody."""
    return Reader(
        email="imagined.reader@example.org",
        name="Imagined Reader",
        unsubscribe_url=f"{url}/u/{'imagined-' * 5}",
        preferences_url=f"{url}/p/{'imagined-' * 5}",
        web_url=f"{url}/w/{'imagined-' * 5}",
        unsubscribe_mailto=unsubscribe_mailto,
    )


def imagined_envelope(look: Look, cadence: str) -> Envelope:
    """What stands around a letter to nobody."""
    return Envelope(
        message_id=f"<imagined@{look.list_domain}>",
        date="Fri, 01 May 2026 09:00:00 +0000",  # any will do: it is the hand-over's, not the edition's
        sender=look.sender,
        reply_to=look.reply_to,
        list_id=f"{cadence}.{look.list_domain}",
    )


def sheets(compiled: CompiledIssue, shown: Iterable[Selection] = ()) -> Iterator[Looked]:
    """Made-up editions with every summary, interest and notice that the editions ``shown`` leave out, so that nothing goes unseen."""
    seen = list(shown)
    teasers = {id for selection in seen for id in selection.teasers}
    headings = {section.interest for selection in seen for section in selection.sections}
    told = {id for selection in seen for id in selection.notices}
    left = [id for id in sorted(compiled.numbers, key=lambda id: compiled.numbers[id]) if id not in teasers]
    notices = [id for id in sorted(compiled.notice_bytes) if id not in told]
    interests = [id for id in compiled.section_numbers if id not in headings] or list(compiled.section_numbers)[:1]
    if not interests:  # nothing can stand under a heading
        left = []
    number = 0
    while left or notices:
        number += 1
        here, left = left[:PER_SHEET], left[PER_SHEET:]
        by_interest: dict[str, list[Placed]] = {}
        for place, id in enumerate(here):
            by_interest.setdefault(interests[(number * PER_SHEET + place) % len(interests)], []).append(Placed(summary=id))
        sections = [SelectedSection(interest=interest, teasers=tuple(placed)) for interest, placed in by_interest.items()]
        told_here, notices = tuple(notices[:PER_SHEET]), notices[PER_SHEET:]
        yield Looked(f"sheet {number}", 0, Selection(sections=tuple(sections), notices=told_here))


def letter(
    compiled: CompiledIssue, looked: Looked, summaries: Mapping[str, Summary], budget_bytes: int, cadence: str, mailto: str = ""
) -> Letter:
    """The edition as an imagined reader would get it.

    Raises:
        RenderError: it cannot be composed.
    """
    edition = make_edition(compiled, looked.selection)
    ids = (*looked.selection.teasers, *looked.selection.notices)
    known = [summaries[id] for id in ids if id in summaries]
    look = compiled.look
    return Letter(
        name=looked.name,
        message=make_message(edition, imagined_reader(look.url, mailto), imagined_envelope(look, cadence)),
        preheader=edition.preheader,
        language=look.language,
        url=look.url,
        postal_address=look.postal_address,
        budget_bytes=budget_bytes,
        pieces=tuple(_piece(summaries[id]) for id in looked.selection.teasers if id in summaries),
        outside=tuple(_outside(known, compiled)),
        sizes=_sizes(compiled, edition, summaries),
        readers=looked.readers,
    )


def _piece(summary: Summary) -> Piece:
    patients = not summary.audience or any(one is not Audience.CLINICIANS for one in summary.audience)
    return Piece(summary.title, f"{_sentence(summary.takeaway)} {_sentence(summary.limits)}".strip(), summary.language, patients)


def _sentence(text: str) -> str:
    return text if not text or text.rstrip()[-1:] in ".!?…" else f"{text.rstrip()}."


def _outside(summaries: Sequence[Summary], compiled: CompiledIssue) -> Iterator[str]:
    for one in summaries:
        yield from (one.title, one.takeaway, one.limits, one.journal, one.url)
        if one.image:
            yield from (one.image.src, one.image.alt)
        if one.notice:
            yield one.notice.text
    yield from compiled.known.labels.values()
    yield from (compiled.look.name, compiled.look.tagline, compiled.look.notice, compiled.look.postal_address)


def _sizes(compiled: CompiledIssue, edition: Edition, summaries: Mapping[str, Summary]) -> dict[str, int]:
    title = {id: summaries[id].title if id in summaries else id for id in edition.selection.teasers}
    found = {title[id]: compiled.teaser_bytes[id] for id in edition.selection.teasers}
    found |= {compiled.known.labels[one.interest]: compiled.section_bytes[one.interest] for one in edition.selection.sections}
    return {"header, intro and footer": compiled.frame_bytes, **found}


# What stops an issue that nobody approves by hand: faults of the whole letter. A fault of one piece must not keep all from the rest.
STOPPING = frozenset(
    {
        "active-content",
        "contrast",
        "footer-address",
        "footer-unsubscribe",
        "headers-whole",
        "remains",
        "size-clip",
        "subject-missing",
        "text-whole",
        "unsubscribe-headers",
    }
)


def errors(compiled: CompiledIssue, summaries: Mapping[str, Summary], budget_bytes: int, cadence: str) -> tuple[Finding, ...]:
    """The errors in sheets that show everything the issue has, whoever its readers are: what approval and sending ask.

    A sheet that cannot be composed is left to planning, which keeps such editions back one by one.
    """
    letters = []
    for sheet in sheets(compiled):
        with contextlib.suppress(DigestError):
            letters.append(letter(compiled, sheet, summaries, budget_bytes, cadence))
    return check(letters, [rule for rule in RULES if rule.level is Level.ERROR])
