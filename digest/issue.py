"""An issue from draft to plan: which summaries it has, what it is composed from, who gets what, and why.

A draft freezes what was known. Its content hash covers the composed parts, the rules and the members; approval is bound to
it. Planning freezes the composed parts too, so that everybody gets what was approved even if a template changes meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection

from digest import calendar, interests, select
from digest.compose import CompiledIssue, compile_issue, look_of, make_edition
from digest.config import SelectionRules
from digest.errors import DigestError, IssueError, IssueWaits
from digest.interests import Interests
from digest.model import Audience, DeliveryState, Follower, Frozen, IssueState, Selection, Slot
from digest.store import catalogue, issues, now, people, plans
from digest.store.catalogue import Stored
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues
from digest.store.plans import Plan
from digest.workspace import Workspace

PAGE = 1000  # subscribers planned in one transaction


@dataclass(frozen=True)
class Material:
    """Everything an issue is made of, before it is composed."""

    slot: Slot
    members: tuple[Stored, ...]
    notices: tuple[Stored, ...]
    interests: Interests
    rules: SelectionRules

    @cached_property
    def catalogue(self) -> select.Catalogue:
        """The members with the interests that take each."""
        return select.catalogue((stored.summary for stored in self.members), self.interests)

    @cached_property
    def rows(self) -> dict[str, int]:
        """The catalogue's row of every summary, by id."""
        return {stored.summary.id: stored.row for stored in (*self.members, *self.notices)}

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
        }

    def compile(self, workspace: Workspace) -> CompiledIssue:
        """Compose all its parts.

        Raises:
            RenderError: a template is wrong.
        """
        shown = {stored.summary.id: stored.summary for stored in (*self.notices, *self.members)}
        look = look_of(workspace.config)
        return compile_issue(workspace.path / "templates", look, self.slot, tuple(shown.values()), self.interests.all)

    def content_hash(self, compiled: CompiledIssue) -> str:
        """Changes whenever anything changes that a reader could see, or who sees it."""
        basis = {**self.frozen(), "members": [stored.seq for stored in self.members], "compiled": compiled.content_hash}
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


def slot_of(workspace: Workspace, cadence: str) -> Slot:
    """The cadence's last issue not after the date acted as of.

    Raises:
        IssueError: there is no such cadence.
    """
    rule = workspace.config.cadences.get(cadence)
    if rule is None:
        raise IssueError(f'"{cadence}" is no cadence of this newsletter ({", ".join(workspace.config.cadences)})')
    return calendar.latest_slot(cadence, rule, workspace.zone, workspace.on)


def draft(workspace: Workspace, cadence: str, *, again: bool = False) -> DraftReport:
    """Draft the issue due last, or say what has become of it; ``again`` draws a draft anew that nobody has been planned for.

    Raises:
        IssueError: no such cadence, or ``again`` for an issue that is going out.
        RenderError: a template is wrong; nothing was drafted.
    """
    slot = slot_of(workspace, cadence)
    with workspace.store.read() as tx:
        existing = issues.named(tx, slot.name)
        found = fates(tx, workspace, slot, existing)
        notices = catalogue.load(tx, rows=plans.owed_summaries(tx, slot.due_at))
        known_seq = catalogue.highest_seq(tx)
    fresh = existing is None or (again and existing.state in (IssueState.DRAFTED, IssueState.APPROVED))
    if existing is not None and again and not fresh:
        raise IssueError(f"{slot.name} is {existing.state}; what has begun to go out is not drafted again")
    members = tuple(stored for stored, fate in found if fate is select.Fate.MEMBER)
    material = Material(slot, members, tuple(notices), interests.load(workspace.path), workspace.config.selection)
    if fresh:
        content_hash = material.content_hash(material.compile(workspace))
        _write_draft(workspace, material, known_seq, content_hash, found)
    with workspace.store.read() as tx:
        row = issues.named(tx, slot.name)
        assert row is not None
        count = len(issues.members(tx, row.id))
        unsent = tuple(
            other.name
            for other in issues.every(tx)
            if other.cadence == cadence and other.due_at < slot.due_at and other.state in (IssueState.DRAFTED, IssueState.APPROVED)
        )
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
        approval=approval_of(workspace, cadence),
        existed=not fresh,
        unsent=unsent,
    )


def approval_of(workspace: Workspace, cadence: str) -> str:
    """``automatic`` or ``required``; required for a cadence that the configuration no longer has."""
    rule = workspace.config.cadences.get(cadence)
    return rule.approval if rule else "required"


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
        )
        names = {stored.source for stored, _ in found} | set(catalogue.sources(tx))
        # A source that could not be read yet takes part, too: what it brings late is late, not backlog.
        names |= {source.name for source in workspace.config.sources}
        members = [(stored.row, stored.seq) for stored in material.members]
        issues.put_members(tx, row, material.slot.cadence, members, sorted(names))


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
    return row.state not in (IssueState.DRAFTED, IssueState.APPROVED)


def material_of(tx: Connection, workspace: Workspace, row: IssueRow) -> Material:
    """What the issue is made of: frozen members and notices; interests and rules as frozen once planning began, else today's."""
    seqs = [seq for _, seq in issues.members(tx, row.id)]
    members = tuple(catalogue.load(tx, seqs))
    notices = tuple(catalogue.load(tx, row.frozen["notices"]))
    if is_frozen(row):
        kept = Interests.model_validate({"all": row.frozen["interests"]})
        rules = SelectionRules.model_validate(row.frozen["selection"])
    else:
        kept, rules = interests.load(workspace.path), workspace.config.selection
    return Material(row.slot, members, notices, kept, rules)


def compiled_of(workspace: Workspace, row: IssueRow, material: Material) -> CompiledIssue:
    """What the issue is composed from: as frozen, or compiled now where nothing is frozen yet."""
    with workspace.store.read() as tx:
        blob = issues.content(tx, row.id)
    return material.compile(workspace) if blob is None else CompiledIssue.from_json(zlib.decompress(blob).decode())


class Ready(NamedTuple):
    """An issue with what it is composed from, in the state it may leave in."""

    row: IssueRow
    material: Material
    compiled: CompiledIssue


def approve(workspace: Workspace, name: str) -> str:
    """Bind an editor's approval to the issue's content as it is now. Returns the content hash.

    Raises:
        IssueError: no such issue, or it has begun to go out.
    """
    with workspace.store.read() as tx:
        row = find(tx, name)
        material = material_of(tx, workspace, row)
    if is_frozen(row):
        raise IssueError(f"{name} is {row.state}; approval comes before sending")
    content_hash = material.content_hash(material.compile(workspace))
    with workspace.store.write() as tx:
        issues.move_issue(
            tx,
            row.id,
            IssueState.APPROVED,
            content_hash=content_hash,
            frozen=json.dumps(material.frozen(), ensure_ascii=False, sort_keys=True),
            approved_hash=content_hash,
            approved_at=now(tx),
        )
    return content_hash


def make_ready(workspace: Workspace, name: str) -> Ready:
    """The issue as it may leave now, its content frozen from here on.

    Raises:
        IssueError: not due yet, not approved, or changed since it was approved.
    """
    with workspace.store.read() as tx:
        row = find(tx, name)
        material = material_of(tx, workspace, row)
        blob = issues.content(tx, row.id)
    if is_frozen(row) and blob is not None:
        return Ready(row, material, CompiledIssue.from_json(zlib.decompress(blob).decode()))
    if not workspace.is_due(row.slot):
        raise IssueWaits(f"{name} is due at {row.due_at:%Y-%m-%d %H:%M} UTC; wait, or act as of its date with --on {row.local_date}")
    _check_still_wanted(workspace, material)
    with workspace.store.read() as tx:
        if not people.readers_after(tx, row.cadence, 0, 1):
            raise IssueWaits(f"nobody who may be written to gets {row.cadence} issues yet; {name} stays a draft")
    compiled = material.compile(workspace)
    content_hash = material.content_hash(compiled)
    _check_approval(workspace, row, content_hash)
    with workspace.store.write() as tx:
        _require(tx, name, row.state)
        issues.put_content(tx, row.id, zlib.compress(compiled.to_json().encode()))
        issues.move_issue(
            tx,
            row.id,
            IssueState.PLANNING,
            content_hash=content_hash,
            frozen=json.dumps(material.frozen(), ensure_ascii=False, sort_keys=True),
            send_not_after=_send_not_after(workspace, row, now(tx)),
        )
        row = find(tx, name)
    return Ready(row, material, compiled)


def _check_still_wanted(workspace: Workspace, material: Material) -> None:
    """What was held back or retracted since the draft must not leave."""
    with workspace.store.read() as tx:
        newest = catalogue.load(tx, rows=[stored.row for stored in material.members])
    for stored in newest:
        unwanted = select.unwanted(stored.summary, material.slot.due_at)
        if unwanted:
            cadence = material.slot.cadence
            raise IssueWaits(
                f'"{stored.summary.title}" has been {unwanted} since {material.slot.name} was drafted; '
                f"`digest draft {cadence} --on {material.slot.local_date} --again` drafts it without"
            )


def _send_not_after(workspace: Workspace, row: IssueRow, at: datetime) -> datetime | None:
    """By the database's clock; what of the limit has passed already is counted from the date acted as of."""
    limit = workspace.config.delivery.late_limit_h
    return None if limit is None else at + timedelta(hours=limit) - (workspace.at - row.due_at)


def _require(tx: Connection, name: str, state: IssueState) -> None:
    """The issue is still what it was when this step began: somebody may have cancelled it meanwhile."""
    found = find(tx, name).state
    if found is not state:
        raise IssueWaits(f"{name} was {state} when this began and is {found} now; nothing more was done")


def _check_approval(workspace: Workspace, row: IssueRow, content_hash: str) -> None:
    if approval_of(workspace, row.cadence) == "automatic":
        return
    if row.approved_hash is None:
        raise IssueWaits(f"{row.name} waits for approval: look at it, then `digest approve {row.name}`")
    if row.approved_hash != content_hash:
        raise IssueWaits(
            f"{row.name} has changed since it was approved (a template, interest or rule): look again, then `digest approve {row.name}`"
        )


# --- planning ------------------------------------------------------------------------------------------------------------


def costs_of(compiled: CompiledIssue) -> select.Costs:
    """What the composed parts weigh, as selection counts it."""
    return select.Costs(
        frame=compiled.frame_bytes,
        teaser={id: size + compiled.teaser_extra_bytes for id, size in compiled.teaser_bytes.items()},
        section=compiled.section_bytes,
        notice=compiled.notice_bytes,
    )


class Composed(NamedTuple):
    hash: str
    selection: str
    html_bytes: int
    problem: str


class Planner:
    """Chooses for readers, working out each distinct selection and edition once."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._costs = costs_of(ready.compiled)
        self._known = {interest.id for interest in ready.material.interests.all}
        self._outcomes: dict[Follower, tuple[Selection, Composed | None]] = {}
        self._rows: dict[str, int] = {}

    def page(self, tx: Connection, last: int) -> list[tuple[people.Reader, Follower]]:
        """The next readers, as selection sees them."""
        slot, material = self._ready.row.slot, self._ready.material
        readers = people.readers_after(tx, slot.cadence, last, PAGE)
        if not readers:
            return []
        first, end = readers[0].row, readers[-1].row
        seen = plans.seen(tx, self._ready.row.id, first, end, [stored.row for stored in material.members])
        owed = plans.owed_notices(tx, slot.due_at, first, end)
        return [(reader, self._follower(reader, seen, owed)) for reader in readers]

    def _follower(self, reader: people.Reader, seen: Mapping[int, frozenset[int]], owed: Mapping[int, list[tuple[int, str]]]) -> Follower:
        ids = self._ready.material.ids
        follower = Follower(
            interests=reader.interests,
            audience=tuple(Audience(word) for word in reader.audience),
            seen=frozenset(ids[row] for row in seen.get(reader.row, frozenset())),
            # A notice that came after the draft was frozen waits for the next issue.
            owed=tuple(ids[row] for row, _ in owed.get(reader.row, []) if row in ids),
        )
        return select.group_key(self._ready.material.catalogue, follower)

    def choose(self, follower: Follower) -> tuple[Selection, Composed | None]:
        """The selection for this kind of reader, and its edition; None when it is empty."""
        if follower not in self._outcomes:
            material = self._ready.material
            selection = select.select(material.catalogue, follower, material.rules, self._costs).selection
            self._outcomes[follower] = (selection, None if selection.empty else self._compose(selection))
        return self._outcomes[follower]

    def _compose(self, selection: Selection) -> Composed:
        body = selection.model_dump_json()
        key = hashlib.sha256(body.encode()).hexdigest()
        try:
            edition = make_edition(self._ready.compiled, selection)
        except DigestError as error:
            return Composed(key, body, 0, str(error))
        return Composed(key, body, edition.html_bytes, "")

    def write(self, tx: Connection, readers: Sequence[tuple[people.Reader, Follower]], date_header: str) -> None:
        """The deliveries of a page."""
        chosen = []
        for reader, follower in readers:
            selection, edition = self.choose(follower)
            chosen.append(self._plan(tx, reader, selection, edition))
        plans.put_plans(tx, self._ready.row.id, chosen, date_header)

    def _plan(self, tx: Connection, reader: people.Reader, selection: Selection, edition: Composed | None) -> Plan:
        material = self._ready.material
        if edition is None:
            reason = "nothing new" if set(reader.interests) & self._known else "no interests"
            return Plan(reader.row, reader.interests, None, DeliveryState.SKIPPED, reason, (), ())
        if edition.hash not in self._rows:
            self._rows[edition.hash] = plans.put_edition(tx, self._ready.row.id, *edition)
        state = DeliveryState.QUARANTINED if edition.problem else DeliveryState.PLANNED
        return Plan(
            subscriber=reader.row,
            interests=reader.interests,
            edition=self._rows[edition.hash],
            state=state,
            reason=edition.problem,
            summaries=tuple(material.rows[id] for id in selection.teasers),
            notices=tuple((material.rows[id], _notice(material, id)) for id in selection.notices),
        )


def _notice(material: Material, id: str) -> str:
    notice = next(stored.summary.notice for stored in material.notices if stored.summary.id == id)
    assert notice is not None
    return notice.digest()


def plan(workspace: Workspace, ready: Ready, progress: Callable[[int], None] = lambda _: None) -> int:
    """A delivery for every reader of the cadence who may be written to. Resumes where a crash left it.

    Returns the number planned.
    """
    if ready.row.state is not IssueState.PLANNING:
        return ready.row.planned or 0
    planner = Planner(ready)
    done = 0
    with workspace.store.read() as tx:
        last = plans.planned_up_to(tx, ready.row.id)
    while True:
        with workspace.store.read() as tx:
            readers = planner.page(tx, last)
        if not readers:
            break
        for _, follower in readers:
            planner.choose(follower)
        with workspace.store.write() as tx:
            _require(tx, ready.row.name, IssueState.PLANNING)
            planner.write(tx, readers, format_datetime(now(tx).replace(microsecond=0)))
        last = readers[-1][0].row
        done += len(readers)
        progress(done)
    with workspace.store.write() as tx:
        _require(tx, ready.row.name, IssueState.PLANNING)
        return plans.open_for_dispatch(tx, ready.row.id, doubtful=ready.row.name in doubtful_issues(tx))
