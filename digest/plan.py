"""Planning: who gets what of an issue, and why; one delivery for every reader, in pages that a crash can interrupt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from email.utils import format_datetime
from typing import NamedTuple

from sqlalchemy import Connection

from digest import select
from digest.compose import CompiledIssue, make_edition
from digest.errors import DigestError
from digest.issue import Material, Ready, require
from digest.model import Audience, DeliveryState, Follower, IssueState, Selection, form_of
from digest.store import now, people, plans
from digest.store.mark import doubtful_issues
from digest.store.plans import Plan
from digest.workspace import Workspace

PAGE = 1000  # subscribers planned in one transaction


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
            fewer=reader.fewer,
            most=reader.max_teasers,
            form=form_of(reader.plain_text, reader.large_print),
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
            require(tx, ready.row.name, IssueState.PLANNING)
            planner.write(tx, readers, format_datetime(now(tx).replace(microsecond=0)))
        last = readers[-1][0].row
        done += len(readers)
        progress(done)
    with workspace.store.write() as tx:
        require(tx, ready.row.name, IssueState.PLANNING)
        return plans.open_for_dispatch(tx, ready.row.id, doubtful=ready.row.name in doubtful_issues(tx))
