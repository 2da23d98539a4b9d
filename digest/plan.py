"""Planning: who gets what of an issue, and why; one delivery for every reader, in pages that a crash can interrupt."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import NamedTuple

from sqlalchemy import Connection

from digest import between, hours, select
from digest.carry import LATER
from digest.compose import CompiledIssue, make_edition
from digest.errors import DigestError, IssueWaits
from digest.model import Audience, DeliveryState, Follower, Form, IssueState, Notice, form_of
from digest.readiness import Ready, require
from digest.store import now, parts, people, plans
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues
from digest.store.parts import Part
from digest.store.plans import NewEdition, Plan
from digest.workspace import Workspace

PAGE = 4000  # subscribers planned in one transaction
_LEASE = timedelta(seconds=60)  # of a part, which takes a second or two
_LOOK_S = 0.2
_REMEMBERED = 50_000  # kinds of readers, of about half a kilobyte each


def costs_of(compiled: CompiledIssue) -> select.Costs:
    """What the composed parts weigh, as selection counts it."""
    return select.Costs(
        frame=compiled.frame_bytes,
        teaser={id: size + compiled.teaser_extra_bytes for id, size in compiled.teaser_bytes.items()},
        section=compiled.section_bytes,
        notice=compiled.notice_bytes,
    )


class Kind(NamedTuple):
    """The part of a reader that the selection depends on: readers of one kind get one selection. ``seen`` and ``owed`` are rows."""

    interests: tuple[str, ...]
    audience: tuple[str, ...]
    seen: frozenset[int]
    owed: tuple[int, ...]
    fewer: frozenset[str] = frozenset()
    most: int | None = None
    form: Form = ""
    language: str = ""


class _Kept(NamedTuple):
    """What a kind of readers gets, as the ledger has it. ``edition`` is None where that is nothing."""

    edition: int | None
    problem: str = ""


_NOTHING: frozenset[int] = frozenset()


class Planner:
    """Chooses for readers, working out each distinct selection once, as long as it is remembered."""

    def __init__(self, workspace: Workspace, ready: Ready) -> None:
        self._workspace, self._ready = workspace, ready
        self._carried: dict[int, frozenset[int]] | None = None  # by reader's row; not looked at yet
        self._costs = costs_of(ready.compiled)
        self._known = {interest.id for interest in ready.material.interests.all}
        self._news = {interest: interest for interest in select.with_news(ready.material.catalogue)}
        self._carries = frozenset(stored.row for stored in ready.material.carried)
        self._members = [*(stored.row for stored in ready.material.members), *sorted(self._carries)]
        self._notices = {stored.row: stored.summary.notice for stored in ready.material.notices}
        self._kept: dict[Kind, _Kept] = {}
        self._kinds: dict[tuple[object, ...], Kind] = {}  # by what readers wish

    @property
    def issue(self) -> IssueRow:
        """What is planned."""
        return self._ready.row

    def plan_part(self, part: Part, progress: Callable[[int], None]) -> int:
        """Plan all readers of a part who are not planned yet, a page in each transaction. ``progress`` is told of each how many it has.

        Returns how many it were together.

        Raises:
            IssueWaits: it is no longer planned, or by others who have begun anew.
        """
        store, row, done = self._workspace.store, self.issue, 0
        with store.read() as tx:
            term, last = parts.term(tx, row.id), parts.planned_up_to(tx, row.id, part)
        if store.shared and not term:
            raise IssueWaits(f"{row.name}: planning of another issue was begun since; nothing more was done here")
        while True:
            with store.read() as tx:
                readers = self.page(tx, last, part.up_to)
            new = self.news_for(readers)
            with store.write(together=True) as tx:
                require(tx, row.name, IssueState.PLANNING)
                if parts.term(tx, row.id) != term:
                    raise IssueWaits(f"{row.name}: planning was begun anew elsewhere; nothing more was done here")
                self.write(tx, readers, new, format_datetime(now(tx).replace(microsecond=0)))
                if len(readers) < PAGE:
                    parts.finish(tx, row.id, part)
            done += len(readers)
            progress(len(readers))
            if len(readers) < PAGE:
                return done
            last = readers[-1][0].row

    def page(self, tx: Connection, last: int, up_to: int | None = None) -> list[tuple[people.Reader, Kind]]:
        """The next readers, as selection sees them."""
        row = self._ready.row
        readers = people.readers_after(tx, row.cadence, last, PAGE, up_to)
        if not readers:
            return []
        first, end = readers[0].row, readers[-1].row
        seen = plans.seen(tx, row.id, first, end, self._members)
        owed = plans.owed_notices(tx, row.slot.due_at, first, end)
        self._look_between(tx)
        return [(reader, self._kind(reader, seen, owed)) for reader in readers]

    def kind_of(self, tx: Connection, reader: int) -> Kind | None:
        """One reader, as selection sees them; None for who gets no issue of this cadence now."""
        row = self._ready.row
        found = people.readers_after(tx, row.cadence, reader - 1, 1)
        if not found or found[0].row != reader:
            return None
        self._look_between(tx)
        seen = plans.seen(tx, row.id, reader, reader, self._members)
        return self._kind(found[0], seen, plans.owed_notices(tx, row.slot.due_at, reader, reader))

    def _look_between(self, tx: Connection) -> None:
        """Once: which readers get what the issue carries. Who joined the cadence since the draft may be owed more than it has."""
        if self._carried is None:
            ready = self._ready
            found = between.load(tx, self._workspace, ready.row.slot)
            own = frozenset(stored.row for stored in ready.material.members)
            self._carried = {one.row: between.carried_for(found, ready.row.slot, own, one) for one in found.readers}

    def _withheld(self, reader: int) -> frozenset[int]:
        """What the issue carries, but not for this reader."""
        theirs = (self._carried or {}).get(reader)
        return self._carries - theirs if theirs else self._carries

    def _later(self, reader: int) -> bool:
        """Whether the reader is owed what the issue does not have."""
        theirs = (self._carried or {}).get(reader, _NOTHING)
        return not theirs <= self._carries

    def _kind(self, reader: people.Reader, seen: Mapping[int, frozenset[int]], owed: Mapping[int, list[tuple[int, str]]]) -> Kind:
        """Readers whose wishes are the same, and to whom nothing else happened, are of one kind, which is worked out once."""
        if reader.row in seen or reader.row in owed or reader.row in (self._carried or ()):
            return self._work_out(reader, seen, owed)
        wishes = reader[1:]
        kind = self._kinds.get(wishes)
        if kind is None:
            if len(self._kinds) > _REMEMBERED:
                self._kinds.clear()
            kind = self._kinds[wishes] = self._work_out(reader, seen, owed)
        return kind

    def _work_out(self, reader: people.Reader, seen: Mapping[int, frozenset[int]], owed: Mapping[int, list[tuple[int, str]]]) -> Kind:
        return Kind(
            interests=tuple([self._news[interest] for interest in reader.interests if interest in self._news]),
            audience=reader.audience if self._ready.material.rules.by_audience else (),
            seen=seen.get(reader.row, _NOTHING) | self._withheld(reader.row),
            # A notice that came after the draft was frozen waits for the next issue.
            owed=tuple(row for row, _ in owed[reader.row] if row in self._notices) if reader.row in owed else (),
            fewer=reader.fewer,
            most=reader.max_teasers,
            form=form_of(reader.plain_text, reader.large_print),
            language=self._ready.compiled.spoken(reader.language),
        )

    def choose(self, kind: Kind) -> NewEdition | None:
        """The edition for this kind of reader; None when there is nothing for them."""
        material = self._ready.material
        follower = Follower(
            interests=kind.interests,
            audience=tuple(map(Audience, kind.audience)),
            seen=frozenset(material.ids[row] for row in kind.seen),
            owed=tuple(material.ids[row] for row in kind.owed),
            fewer=kind.fewer,
            most=kind.most,
            form=kind.form,
            language=kind.language,
        )
        selection = select.select(material.catalogue, follower, material.rules, self._costs).selection
        if selection.empty:
            return None
        body = selection.model_dump_json()
        html_bytes, problem = 0, ""
        try:
            html_bytes = make_edition(self._ready.compiled, selection).html_bytes
        except DigestError as error:
            problem = str(error)
        return NewEdition(
            hash=hashlib.sha256(body.encode()).hexdigest(),
            selection=body,
            html_bytes=html_bytes,
            problem=problem,
            summaries=tuple(material.rows[id] for id in selection.teasers),
            notices=tuple((row, _digest(self._notices[row])) for row in kind.owed),
        )

    def news_for(self, readers: Sequence[tuple[people.Reader, Kind]]) -> dict[Kind, NewEdition | None]:
        """What the kinds of readers among these get that are not remembered."""
        if len(self._kept) > _REMEMBERED:  # where nearly everybody differs, remembering them all would only take memory
            self._kept.clear()
        return {kind: self.choose(kind) for kind in dict.fromkeys(kind for _, kind in readers) if kind not in self._kept}

    def write(
        self, tx: Connection, readers: Sequence[tuple[people.Reader, Kind]], new: Mapping[Kind, NewEdition | None], date_header: str
    ) -> None:
        """The deliveries of a page, and the editions that are new with them."""
        rows = plans.put_editions(tx, self._ready.row.id, [edition for edition in new.values() if edition is not None])
        for kind, edition in new.items():
            self._kept[kind] = _Kept(rows[edition.hash], edition.problem) if edition is not None else _Kept(None)
        plans.put_plans(tx, self._ready.row.id, [self._plan(reader, self._kept[kind]) for reader, kind in readers], date_header)

    def _plan(self, reader: people.Reader, kept: _Kept) -> Plan:
        if self._later(reader.row):
            return Plan(reader.row, reader.interests, None, DeliveryState.SKIPPED, LATER)
        if kept.edition is None:
            reason = "no interests" if self._known.isdisjoint(reader.interests) else "nothing new"
            return Plan(reader.row, reader.interests, None, DeliveryState.SKIPPED, reason)
        state = DeliveryState.QUARANTINED if kept.problem else DeliveryState.PLANNED
        return Plan(reader.row, reader.interests, kept.edition, state, kept.problem)


def _digest(notice: Notice | None) -> str:
    assert notice is not None
    return notice.digest()


def plan(
    workspace: Workspace,
    ready: Ready,
    progress: Callable[[int], None] = lambda _: None,
    others: Callable[[], object] = lambda: None,
    halt: threading.Event | None = None,
) -> int:
    """A delivery for every reader of the cadence who may be written to. Resumes where a crash left it. The caller holds the workspace.

    With a database that machines share it is cut in parts, ``others`` is called, and whoever comes (``lend_a_hand``) takes some.

    Returns the number planned.

    Raises:
        IssueWaits: ``halt`` was set; what is planned stays so.
    """
    row, store = ready.row, workspace.store
    if row.state is not IssueState.PLANNING:
        return row.planned or 0
    planner, done, halt = Planner(workspace, ready), 0, halt or threading.Event()

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done)

    def count_on(more: int) -> None:  # after each page; a part of others' is ended first, or its lease would keep it from them
        count(more)
        _go_on(row.name, halt)

    if store.shared:
        _plan_with_others(workspace, planner, count, others, halt)
        with store.write(together=True) as tx:  # apart from what follows, and beside others' claims: it may take a while
            plans.analyse_planned(tx)
    else:
        with store.read() as tx:
            begun = plans.planned_up_to(tx, row.id)
        planner.plan_part(Part(begun, None), count_on)
    with store.write() as tx:
        require(tx, row.name, IssueState.PLANNING)
        if parts.left(tx, row.id):
            raise IssueWaits(f"{row.name}: not all of it is planned; somebody else began to")
        parts.remove(tx, row.id)
        hours.set_own_hours(tx, workspace, row)
        return plans.open_for_dispatch(tx, row.id, doubtful=row.name in doubtful_issues(tx), who=workspace.who)


def _go_on(name: str, halt: threading.Event) -> None:
    if halt.is_set():
        raise IssueWaits(f"{name}: ended while it was being planned; what is planned stays so, and the next run goes on from there")


def _plan_with_others(
    workspace: Workspace, planner: Planner, progress: Callable[[int], None], others: Callable[[], object], halt: threading.Event
) -> None:
    number, name, cadence = planner.issue.id, planner.issue.name, planner.issue.cadence
    with workspace.store.write() as tx:
        require(tx, name, IssueState.PLANNING)
        parts.begin_term(tx, number)
        parts.cut(tx, number, cadence, plans.planned_up_to(tx, number), PAGE)
        several = parts.left(tx, number) > 1
    if several:
        others()
    while True:
        _take_parts(workspace, planner, progress, halt)
        _go_on(name, halt)
        with workspace.store.read() as tx:
            if not parts.left(tx, number):
                return
        halt.wait(_LOOK_S)  # somebody has the last ones in hand; if they died, their lease ends


def lend_a_hand(workspace: Workspace, ready: Ready, halt: threading.Event | None = None) -> int:
    """Plan parts of an issue that somebody else plans, until there is none left. Returns how many readers that were.

    Raises:
        IssueWaits: whoever had begun does so no longer; what was not written is left to others.
    """
    return _take_parts(workspace, Planner(workspace, ready), lambda _: None, halt)


def _take_parts(workspace: Workspace, planner: Planner, progress: Callable[[int], None], halt: threading.Event | None = None) -> int:
    done = 0
    while halt is None or not halt.is_set():
        with workspace.store.write(together=True) as tx:
            part = parts.take(tx, planner.issue.id, f"{socket.gethostname()}:{os.getpid()}", _LEASE)
        if part is None:
            break
        done += planner.plan_part(part, progress)
    return done
