"""The web copy of an edition: composed again from what was frozen, with what turned out to be wrong since said on top and at the piece."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from digest import addressing, compose, issue, readers, select
from digest.compose import CompiledIssue, clean
from digest.compose.parts import Document, Part, escape
from digest.errors import DigestError, LinkError
from digest.issue import Material
from digest.model import Notice, Selection, Subscriber, Summary
from digest.store import catalogue, outcomes
from digest.tongue import Tongue
from digest.workspace import Workspace


@dataclass(frozen=True)
class Copy:
    """What one delivery gave its reader. ``later`` are corrections and retractions that came after it was composed, by summary id."""

    issue: str
    reader: Subscriber
    selection: Selection
    material: Material
    date_header: str
    later: Mapping[str, Notice]

    @property
    def left_out(self) -> tuple[Summary, ...]:
        """The pieces left out for length, as they were frozen, in the order in which they would have come."""
        return tuple(self.material.shown[id] for id in self.selection.left_out)


def find(workspace: Workspace, did: str) -> Copy:
    """The copy of a delivery.

    Raises:
        LinkError: there is no such delivery, it gave nothing, or its reader is erased.
    """
    with workspace.store.read() as tx:
        sent = outcomes.sent(tx, did)
        if sent is None:
            raise LinkError("this link is not one of ours")
        material = issue.material_of(tx, workspace, issue.find(tx, sent.issue))
        selection = Selection.model_validate_json(sent.selection)
        shown = [material.rows[id] for id in (*selection.teasers, *selection.notices, *selection.left_out)]
        newest = catalogue.newest(tx, shown)
    reader = readers.find(workspace, sent.sid)
    if reader is None:
        raise LinkError("this link is not one of ours")
    return Copy(sent.issue, reader, selection, material, sent.date_header, _later(workspace, material, newest))


def _later(workspace: Workspace, material: Material, newest: Mapping[int, Summary]) -> dict[str, Notice]:
    """The notices that the email could not have."""
    frozen = {stored.row: stored.summary.notice for stored in (*material.members, *material.notices)}
    found = {}
    at = max(workspace.at, datetime.now(UTC))  # a server runs for weeks
    for row, piece in newest.items():
        notice, had = piece.notice, frozen[row]
        if notice is None or not select.told(notice, at):
            continue
        if had is None or had.digest() != notice.digest() or notice.at > material.slot.due_at:
            found[material.ids[row]] = notice
    return found


def html(workspace: Workspace, copy: Copy, did: str, spoken: Tongue) -> str:
    """The email once more, as a page of its own. It names nobody: a link travels further than a mailbox.

    Raises:
        LinkError: the issue cannot be read any more.
    """
    try:
        with workspace.store.read() as tx:
            row = issue.find(tx, copy.issue)
        compiled = issue.compiled_of(workspace, row, copy.material)
        compiled = compiled.others.get(copy.selection.language, compiled)
        numbers = {id: compiled.numbers[id] for id in (*copy.selection.notices, *copy.selection.teasers) if id in copy.later}
        parts = {id: f"{'notice' if id in copy.selection.notices else 'teaser'}:{n}" for id, n in numbers.items()}
        noted = _with_notes(compiled, {parts[id]: _note(copy, id, numbers[id], spoken, workspace.zone) for id in numbers})
        form = "" if copy.selection.form == "plain" else copy.selection.form
        edition = compose.make_edition(noted, copy.selection.model_copy(update={"form": form}))
        reader = addressing.slots(workspace, did, copy.reader.id, copy.reader.email, "", copy.date_header)
        page = compose.html_of(edition, reader)
    except DigestError as error:
        raise LinkError("this link leads to an issue that cannot be read") from error
    top = _top(copy, numbers, spoken, workspace.zone) if numbers else ""
    page = re.sub(r"<body[^>]*>", lambda tag: f'{tag[0]}<div role="main">{top}', page, count=1)
    page = page.replace("<head>", '<head><meta name="robots" content="noindex" />', 1)
    return "</div></body>".join(page.rsplit("</body>", 1))


def _with_notes(compiled: CompiledIssue, notes: Mapping[str, str]) -> CompiledIssue:
    """The same issue with a note before each of these parts."""
    parts = dict(compiled.html.parts)
    for name, note in notes.items():
        first, *rest = parts[name].pieces
        parts[name] = Part((note + first, *rest))
    return replace(compiled, html=Document(compiled.html.frame, parts))


_BOX = (
    '<div class="alert" style="background-color:#fff6dd;margin:0 auto;max-width:640px;"{more}><div class="text" style="padding:18px 28px;'
    'font-family:Verdana, Geneva, Tahoma, sans-serif;font-size:18px;line-height:1.5;color:#1b2a30;text-align:start;">{inside}</div></div>'
)
_LINK = "display:inline-block;padding:10px 0;font-weight:bold;color:#0b4f8a;text-decoration:underline;"


def said(notice: Notice, spoken: Tongue, zone: str) -> str:
    """What kind of change, and of which day."""
    day = spoken.day(notice.at.astimezone(ZoneInfo(zone)).date())
    return spoken.t("Retracted on {date}", date=day) if notice.kind == "retraction" else spoken.t("Corrected on {date}", date=day)


def _note(copy: Copy, id: str, n: int, spoken: Tongue, zone: str) -> str:
    notice = copy.later[id]
    inside = f'<p style="margin:0"><strong>{_plain(said(notice, spoken, zone))}.</strong> <bdi>{_plain(notice.text)}</bdi></p>'
    return _box(inside, spoken, f' id="piece-{n}"')


def _top(copy: Copy, numbers: Mapping[str, int], spoken: Tongue, zone: str) -> str:
    heading = spoken.t("Changed since this email was sent:")
    lines = [f'<p style="margin:0"><strong>{_plain(heading)}</strong></p>']
    for id, n in numbers.items():
        text = f"{said(copy.later[id], spoken, zone)}: {copy.material.shown[id].title}"
        lines.append(f'<p style="margin:0"><a style="{_LINK}" href="#piece-{n}">{_plain(text)}</a></p>')
    return _box("".join(lines), spoken)


def _box(inside: str, spoken: Tongue, more: str = "") -> str:
    return _BOX.format(inside=inside, more=f' lang="{spoken.code}" dir="{spoken.dir}"{more}')


def _plain(text: str) -> str:
    return escape(clean.clean(text))
