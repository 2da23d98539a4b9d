"""An issue from draft to what may leave: which summaries it has, what it is composed from, whether it is approved.

A draft freezes what was known. Its content hash covers the composed parts, the rules and the members; approval is bound to
it. Planning freezes the composed parts too, so that everybody gets what was approved even if a template changes meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from digest import approval, audit, between, calendar, interests, life, select
from digest.compose import CompiledIssue, Editorial, Look, look_of
from digest.compose.compiled import compile_sources
from digest.compose.render import read_templates
from digest.config import SelectionRules
from digest.edits import Edits, fold
from digest.errors import IssueError
from digest.interests import Interests
from digest.model import UNPLANNED, Frozen, IssueState, Slot, Summary
from digest.store import carried, catalogue, edits, issues, people, plans
from digest.store.catalogue import Stored
from digest.store.issues import IssueRow
from digest.workspace import Workspace

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Material:
    """Everything an issue is made of, before it is composed."""

    slot: Slot
    members: tuple[Stored, ...]
    notices: tuple[Stored, ...]
    interests: Interests
    rules: SelectionRules
    carried: tuple[Stored, ...] = ()
    languages: tuple[str, ...] = ()  # that its readers chose
    edits: Edits = Edits()
    version: int = 0  # of the edits

    @cached_property
    def catalogue(self) -> select.Catalogue:
        """The members, and what is carried for some readers, with the interests that take each."""
        return select.catalogue((stored.summary for stored in (*self.members, *self.carried)), self.interests, self.edits)

    @cached_property
    def shown(self) -> dict[str, Summary]:
        """Everything that anybody could be shown, by id, in the words that it is shown in."""
        everything = (stored.summary for stored in (*self.notices, *self.carried, *self.members))
        return {summary.id: self.edits.shown(summary) for summary in everything}

    @cached_property
    def rows(self) -> dict[str, int]:
        """The catalogue's row of every summary, by id."""
        return {stored.summary.id: stored.row for stored in (*self.members, *self.carried, *self.notices)}

    @cached_property
    def ids(self) -> dict[int, str]:
        """The id of every summary, by the catalogue's row."""
        return {row: id for id, row in self.rows.items()}

    def frozen(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {
            "interests": self.interests.model_dump(mode="json", by_alias=True)["all"],
            "selection": self.rules.model_dump(mode="json"),
            "notices": [stored.seq for stored in self.notices],
            "languages": list(self.languages),
            # Only where there are any: what was approved before there could be keeps its hash.
            **({} if self.edits.empty else {"edits": self.edits.model_dump(mode="json")}),
        }

    def compile(self, workspace: Workspace) -> CompiledIssue:
        """Compose all its parts.

        Raises:
            RenderError: a template is wrong.
        """
        return self.compile_with(read_templates(workspace.path / "templates"), look_of(workspace.config))

    def compile_with(self, templates: Mapping[str, str], look: Look) -> CompiledIssue:
        """The same with these templates, by name below ``templates/``."""
        own = self.edits
        editorial = Editorial(own.note, own.intros, own.subject, own.preheader)
        return compile_sources(templates, look, self.slot, tuple(self.shown.values()), self.interests.all, self.languages, editorial)

    def content_hash(self, compiled: CompiledIssue) -> str:
        """Changes whenever anything changes that a reader could see, or who sees it."""
        basis = {**self.frozen(), "members": [stored.seq for stored in self.members], "compiled": compiled.content_hash}
        if self.carried:
            basis["carried"] = [stored.seq for stored in self.carried]
        return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()


# --- drafting ------------------------------------------------------------------------------------------------------------


class DraftReport(Frozen):
    """A draft: its slot, how many summaries it has and how many wait, and whether it is new."""

    issue: str
    state: IssueState
    due_at: datetime
    opens_after: datetime
    members: int
    future: int = 0
    held: int = 0
    archive: int = 0
    content_hash: str
    approval: str
    existed: bool = False
    unsent: tuple[str, ...] = ()
    carried: int = 0
    expired: tuple[str, ...] = ()


def slot_of(workspace: Workspace, cadence: str) -> Slot:
    """The cadence's last issue not after the date acted as of.

    Raises:
        IssueError: there is no such cadence.
    """
    rule = workspace.config.cadences.get(cadence)
    if rule is None:
        raise IssueError(f'"{cadence}" is no cadence of this newsletter ({", ".join(workspace.config.cadences)})')
    return calendar.latest_slot(cadence, rule, workspace.zone, workspace.on)


def draft(workspace: Workspace, cadence: str, *, again: bool = False, slot: Slot | None = None) -> DraftReport:
    """Draft the issue due last, or that of ``slot``, or say what has become of it; ``again`` draws a draft anew that nobody has
    been planned for. Earlier issues of the cadence that were never sent and are too late give their summaries to it.

    Raises:
        IssueError: no such cadence, or ``again`` for an issue that is going out.
        RenderError: a template is wrong; nothing was drafted.
    """
    slot = slot or slot_of(workspace, cadence)
    expired = life.give_up_before(workspace, slot)
    with workspace.store.read() as tx:
        existing = issues.named(tx, slot.name)
        made = fold(edits.steps(tx, existing.id) if existing is not None else ())
        found = fates(tx, workspace, slot, existing)
        told = workspace.config.selection.corrections == "mail"
        notices = catalogue.load(tx, rows=plans.owed_summaries(tx, slot.due_at)) if told else []
        known_seq = catalogue.highest_seq(tx)
        languages = tuple(people.languages_used(tx, cadence))
    fresh = existing is None or (again and existing.state in UNPLANNED)
    if existing is not None and again and not fresh:
        raise IssueError(f"{slot.name} is {existing.state}; what has begun to go out is not drafted again")
    members = tuple(stored for stored, fate in found if fate is select.Fate.MEMBER)
    if fresh:
        with workspace.store.read() as tx:
            extra = _carried(tx, workspace, slot, members)
        lists, rules = interests.load(workspace.path), workspace.config.selection
        material = Material(slot, members, tuple(notices), lists, rules, extra, languages, made.edits, made.version)
        content_hash = material.content_hash(material.compile(workspace))
        _write_draft(workspace, material, known_seq, content_hash, found)
    with workspace.store.read() as tx:
        row = issues.named(tx, slot.name)
        assert row is not None
        count = len(issues.members(tx, row.id))
        extras = len(carried.carried(tx, row.id))
        unsent = life.unsent_before(tx, slot)
    tally = [fate for _, fate in found]
    return DraftReport(
        issue=slot.name,
        state=row.state,
        due_at=slot.due_at,
        opens_after=slot.opens_after,
        members=count,
        future=tally.count(select.Fate.FUTURE),
        held=tally.count(select.Fate.HELD),
        archive=tally.count(select.Fate.ARCHIVE),
        content_hash=row.content_hash,
        approval=approval.rule_of(workspace, cadence),
        existed=not fresh,
        unsent=unsent,
        carried=extras,
        expired=expired,
    )


def _carried(tx: Connection, workspace: Workspace, slot: Slot, members: Sequence[Stored]) -> tuple[Stored, ...]:
    """What the issue offers besides its members to the few readers who would else miss it."""
    found = between.load(tx, workspace, slot)
    own = frozenset(stored.row for stored in members)
    wanted = frozenset[int]().union(*(between.carried_for(found, slot, own, one) for one in found.readers))
    return tuple(stored for stored in found.sendable if stored.row in wanted)


def carried_for(tx: Connection, workspace: Workspace, row: IssueRow, material: Material, reader: int) -> frozenset[int]:
    """The rows that the issue has for this reader besides its members."""
    found = between.load(tx, workspace, row.slot, {reader})
    own = frozenset(stored.row for stored in material.members)
    return frozenset[int]().union(*(between.carried_for(found, row.slot, own, one) for one in found.readers))


def fates(tx: Connection, workspace: Workspace, slot: Slot, existing: IssueRow | None) -> list[tuple[Stored, select.Fate]]:
    """What becomes of every summary in the catalogue, were the issue drafted now."""
    ends = issues.archive_ends(tx, slot)
    taken = issues.taken_by(tx, slot.cadence)
    found = []
    for stored in catalogue.load(tx):
        holder = taken.get(stored.row)
        known = select.Known(
            summary=stored.summary,
            archive_until=ends.get(stored.source, slot.opens_after),
            taken_by=None if holder == slot.name else holder,
        )
        found.append((stored, select.fate(known, slot.due_at)))
    return found


def _write_draft(
    workspace: Workspace, material: Material, known_seq: int, content_hash: str, found: Sequence[tuple[Stored, select.Fate]]
) -> None:
    with workspace.store.write() as tx:
        row = issues.put_issue(
            tx,
            material.slot,
            known_seq=known_seq,
            content_hash=content_hash,
            frozen=material.frozen(),
            uncertain=workspace.config.delivery.uncertain,
            who=workspace.who,
        )
        names = {stored.source for stored, _ in found} | set(catalogue.sources(tx))
        # A source that could not be read yet takes part, too: what it brings late is late, not backlog.
        names |= {source.name for source in workspace.config.sources}
        members = [(stored.row, stored.seq) for stored in material.members]
        issues.put_members(tx, row, material.slot.cadence, members, sorted(names))
        carried.put_carried(tx, row, [(stored.row, stored.seq) for stored in material.carried])
        carried.arrived(tx, material.slot.cadence)
        audit.record(tx, workspace, "issue.draft", material.slot.name, content=content_hash[:12], pieces=len(members))


def put_missed(tx: Connection, workspace: Workspace, slot: Slot) -> None:
    """Note an issue that nobody was there to draft: it has expired, and the sources that took part keep what they brought."""
    if issues.named(tx, slot.name) is not None:
        return
    frozen = {"interests": [], "selection": workspace.config.selection.model_dump(mode="json"), "notices": []}
    row = issues.put_issue(
        tx, slot, known_seq=0, content_hash="", frozen=frozen, uncertain=workspace.config.delivery.uncertain, who=workspace.who
    )
    names = set(catalogue.sources(tx)) | {source.name for source in workspace.config.sources}
    issues.put_members(tx, row, slot.cadence, (), sorted(names))
    missed = issues.named(tx, slot.name)
    assert missed is not None
    life.release(tx, missed, workspace.who, "missed: no scheduler ran when it was due")


# --- what an issue is made of, now and as it was frozen ------------------------------------------------------------------


def find(tx: Connection, name: str) -> IssueRow:
    """The issue of that name.

    Raises:
        IssueError: there is none; the text lists the newest.
    """
    row = issues.named(tx, name)
    if row is None:
        known = ", ".join(issue.name for issue in issues.every(tx)[:5]) or "none yet; `digest draft CADENCE` makes one"
        raise IssueError(f'there is no issue "{name}" ({known})')
    return row


def is_frozen(row: IssueRow) -> bool:
    """Whether planning has begun, so that its content no longer changes."""
    return row.state not in UNPLANNED


def material_of(tx: Connection, workspace: Workspace, row: IssueRow) -> Material:
    """What the issue is made of: frozen members and notices; interests and rules as frozen once planning began, else today's."""
    seqs = [seq for _, seq in issues.members(tx, row.id)]
    members = tuple(catalogue.load(tx, seqs))
    notices = tuple(catalogue.load(tx, row.frozen["notices"]))
    extra = tuple(catalogue.load(tx, [seq for _, seq in carried.carried(tx, row.id)]))
    if is_frozen(row):
        kept = Interests.model_validate({"all": row.frozen["interests"]})
        rules = SelectionRules.model_validate(row.frozen["selection"])
    else:
        kept, rules = interests.load(workspace.path), workspace.config.selection
    # Somebody who joins in a new language must not void an approval; that issue comes to them in the newsletter's own.
    settled = is_frozen(row) or row.state is IssueState.APPROVED
    languages = row.frozen.get("languages", ()) if settled else people.languages_used(tx, row.cadence)
    made = fold(edits.steps(tx, row.id))
    own = Edits.model_validate(row.frozen.get("edits", {})) if is_frozen(row) else made.edits
    return Material(row.slot, members, notices, kept, rules, extra, tuple(languages), own, made.version)


def compiled_of(workspace: Workspace, row: IssueRow, material: Material) -> CompiledIssue:
    """What the issue is composed from: as frozen, or compiled now where nothing is frozen yet."""
    with workspace.store.read() as tx:
        blob = issues.content(tx, row.id)
    return material.compile(workspace) if blob is None else CompiledIssue.from_json(zlib.decompress(blob).decode())
