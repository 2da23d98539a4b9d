"""The issue that lies on the desk: as it was drafted, or as a draft would have it with the files as they are saved now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

from sqlalchemy import Connection

from digest import between, calendar, interests, issue, select, sources
from digest.approval import rule_of
from digest.config import FolderSource, TextSource
from digest.desk.cautions import cautions
from digest.edits import fold
from digest.errors import IssueError, SourceError
from digest.issue import Material
from digest.model import UNPLANNED, IssueState, Slot, Summary
from digest.store import catalogue, edits, issues, people, plans
from digest.store.catalogue import Stored
from digest.store.issues import IssueRow
from digest.workspace import Workspace

_SOME = 50  # differences that are named; the rest is counted


@dataclass(frozen=True)
class Saved:
    """What the folders of the workspace hold now; ``troubles`` are files and sources that cannot be read, in words."""

    summaries: tuple[Summary, ...] = ()
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """One issue. ``row`` has the id 0 where nobody has drafted it yet. ``new``, ``changed`` and ``gone`` are titles by which the
    files differ from what was drafted; ``live`` says that ``material`` is made from the files and not from the draft.
    """

    row: IssueRow
    material: Material
    approval: str
    live: bool = False
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the issue is called."""
        return self.row.name

    @property
    def drafted(self) -> bool:
        """Whether it is in the ledger."""
        return self.row.id != 0

    @property
    def differs(self) -> bool:
        """Whether the files say something else than the draft."""
        return bool(self.new or self.changed or self.gone)

    @property
    def editable(self) -> bool:
        """Whether it may still be changed."""
        return self.drafted and self.row.state in UNPLANNED

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """Everything it could show, by id."""
        return self.material.shown


def slot_named(workspace: Workspace, name: str) -> Slot:
    """The slot of an issue's name, ``monthly-2026-05-01``.

    Raises:
        IssueError: no such cadence, no date, or no issue on that date.
    """
    cadence, on = name[:-11], name[-10:]
    rule = workspace.config.cadences.get(cadence)
    try:
        day = date.fromisoformat(on)
    except ValueError:
        rule = None
        day = date.min
    if rule is None or name[-11:-10] != "-" or not 2000 <= day.year <= 2999:
        raise IssueError(f'there is no issue "{name[:80]}"; names are like monthly-2026-05-01 ({", ".join(workspace.config.cadences)})')
    return calendar.slot_on(cadence, rule, workspace.zone, day)


def saved(workspace: Workspace) -> Saved:
    """Read what lies on this machine: folders and saved pages. Nothing is kept and nobody else is asked."""
    found: list[Summary] = []
    troubles: list[str] = []
    context = sources.Context(workspace.path, workspace.zone, workspace.config.fetch, datetime.now(UTC))
    for source in workspace.config.sources:
        if not isinstance(source, FolderSource | TextSource):
            continue
        try:
            harvest = sources.read(source, context)
        except SourceError as error:
            troubles.append(f"{source.name}: {error}; what it last brought stands here")
            continue
        found += harvest.summaries
        troubles += [f"{refusal.ref}: {refusal.reason}" for refusal in harvest.refused]
    return Saved(tuple(found), tuple(troubles))


def draft_of(workspace: Workspace, name: str, files: Saved | None) -> Draft:
    """The issue of that name. ``files`` is what lies on disk, None where only the database counts.

    Raises:
        IssueError: there cannot be such an issue. ConfigError: interests.yaml is wrong.
    """
    found = _draft_of(workspace, name, files)
    said = tuple(one.text for one in cautions(workspace, name, found.material)) if found.drafted else ()
    return replace(found, troubles=(*said, *found.troubles, *(files.troubles if files else ())))


def _draft_of(workspace: Workspace, name: str, files: Saved | None) -> Draft:
    with workspace.store.read() as tx:
        row = issues.named(tx, name)
        slot = row.slot if row is not None else slot_named(workspace, name)
        approval = rule_of(workspace, slot.cadence)
        if row is not None and (issue.is_frozen(row) or files is None):
            return Draft(row, issue.material_of(tx, workspace, row), approval)
        known = catalogue.load(tx)
        laid = _laid_over(known, files.summaries, workspace) if files else known
        material = _material(tx, workspace, slot, row, laid)
        if row is None:
            return Draft(_undrafted(slot), material, approval, live=True, troubles=tuple(_down(tx)))
        as_drafted = issue.material_of(tx, workspace, row)
    before = {one.row: one for one in as_drafted.members}
    after = {one.row: one for one in material.members}
    both = after.keys() & before.keys()
    new = _titles(after[key] for key in after.keys() - before.keys())
    gone = _titles(before[key] for key in before.keys() - after.keys())
    changed = _titles(after[key] for key in both if after[key].summary.digest() != before[key].summary.digest())
    # Nobody has looked at a draft yet: it is shown as drafting it again would make it. What is in review or approved stands.
    live = row.state is IssueState.DRAFTED and bool(new or gone or changed)
    return Draft(row, material if live else as_drafted, approval, live, new, changed, gone)


def _titles(pieces: Iterable[Stored]) -> tuple[str, ...]:
    titles = sorted(one.summary.title for one in pieces)
    return (*titles[:_SOME], f"and {len(titles) - _SOME} more") if len(titles) > _SOME else tuple(titles)


def _down(tx: Connection) -> list[str]:
    """Sources that could not be read the last time."""
    return [
        f"{state.name}: {state.error}; "
        + (
            f"what it brought on {state.read_well_at:%Y-%m-%d} and before stands here"
            if state.read_well_at
            else "it has brought nothing yet"
        )
        for state in catalogue.sources(tx).values()
        if state.error
    ]


def _laid_over(known: Sequence[Stored], files: Sequence[Summary], workspace: Workspace) -> list[Stored]:
    """The catalogue as gathering the files would leave it. A piece that is new has a row below zero."""
    configured = {source.name for source in workspace.config.sources}
    rows = {one.row: one for one in known}
    by_key = {key: one.row for one in known for key in reversed(one.summary.identifiers)}
    for n, piece in enumerate(files, start=1):
        own = [key for key in piece.identifiers if key.startswith(f"source:{piece.source}:")]
        at = next((by_key[key] for key in (*own, *piece.identifiers) if key in by_key), None)
        if at is None:
            rows[-n] = Stored(-n, -n, piece.source, piece)
            by_key |= dict.fromkeys(piece.identifiers, -n)
        elif rows[at].source == piece.source or rows[at].source not in configured:
            rows[at] = rows[at]._replace(source=piece.source, summary=piece)
    return list(rows.values())


def _material(tx: Connection, workspace: Workspace, slot: Slot, row: IssueRow | None, laid: Sequence[Stored]) -> Material:
    """What drafting now would freeze."""
    ends, taken = issues.archive_ends(tx, slot), issues.taken_by(tx, slot.cadence)
    members = []
    for one in laid:
        holder = taken.get(one.row)
        known = select.Known(one.summary, ends.get(one.source, slot.opens_after), None if holder == slot.name else holder)
        if select.fate(known, slot.due_at) is select.Fate.MEMBER:
            members.append(one)
    told = workspace.config.selection.corrections == "mail"
    notices = catalogue.load(tx, rows=plans.owed_summaries(tx, slot.due_at)) if told else []
    found = between.load(tx, workspace, slot)
    own = frozenset(one.row for one in members)
    wanted = frozenset[int]().union(*(between.carried_for(found, slot, own, reader) for reader in found.readers))
    extra = tuple(one for one in found.sendable if one.row in wanted)
    languages = tuple(people.languages_used(tx, slot.cadence))
    lists, rules = interests.load(workspace.path), workspace.config.selection
    made = fold(edits.steps(tx, row.id) if row is not None else ())
    return Material(slot, tuple(members), tuple(notices), lists, rules, extra, languages, made.edits, made.version)


def _undrafted(slot: Slot) -> IssueRow:
    """A row such as the ledger does not have: its id is nobody's."""
    return IssueRow(
        id=0, name=slot.name, cadence=slot.cadence, local_date=slot.local_date, opens_after=slot.opens_after, due_at=slot.due_at,
        state=IssueState.DRAFTED, drafted_at=slot.due_at, known_seq=0, content_hash="", frozen={}, approved_hash=None, approved_at=None,
        uncertain="hold", send_not_after=None, planned=None, planned_at=None, finished_at=None, paused_at=None, pause_reason="",
    )  # fmt: skip


def in_one_language(material: Material) -> Material:
    """The same for readers of the newsletter's own language: composed in a fraction of the time."""
    return replace(material, languages=())
