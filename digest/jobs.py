"""The steps in their order, run inline: what `digest run` does, and how the whole workspace stands."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Connection

from digest import check, dispatch, gather, interests, issue, subscribe
from digest.dispatch import SendReport
from digest.errors import IssueWaits
from digest.gather import GatherReport
from digest.handover import Progress
from digest.issue import DraftReport
from digest.model import DeliveryState, Frozen, IssueState
from digest.store import catalogue, issues, outcomes, people, workers
from digest.store.workers import Worker
from digest.subscribe import Import
from digest.workspace import Workspace


class RunReport(Frozen):
    """What a run did. ``sent`` is None where the issue waits for something; ``waits`` says for what."""

    imported: tuple[Import, ...] = ()
    gathered: GatherReport
    draft: DraftReport
    sent: SendReport | None = None
    waits: str = ""

    @property
    def nothing_new(self) -> bool:
        """The issue had been finished before, and nothing came in."""
        return self.sent is not None and self.sent.finished_before and not (self.gathered.new or self.gathered.changed)


def run(workspace: Workspace, cadence: str, progress: Callable[[Progress], None] = lambda _: None) -> RunReport:
    """Gather, draft, compose, dispatch, report. Safe to repeat: what is done already stays as it is."""
    return send(prepare(workspace, cadence, progress), lambda name: dispatch.send(workspace, name, progress))


def prepare(workspace: Workspace, cadence: str, progress: Callable[[Progress], None] = lambda _: None) -> RunReport:
    """Gather and draft: all of a run but the sending."""
    issue.slot_of(workspace, cadence)  # a wrong cadence is told before anything is touched
    imported = first_subscribers(workspace)
    total = len(workspace.config.sources)
    read = itertools.count(1)
    progress(Progress("gather", 0, total))
    gathered = gather.gather(workspace, lambda _: progress(Progress("gather", next(read), total)))
    progress(Progress("draft", 0, None))
    return RunReport(imported=imported, gathered=gathered, draft=draft_anew(workspace, cadence))


def send(prepared: RunReport, dispatch_: Callable[[str], SendReport]) -> RunReport:
    """Send what was prepared: here, or by the workers."""
    try:
        return prepared.model_copy(update={"sent": dispatch_(prepared.draft.issue)})
    except IssueWaits as error:
        return prepared.model_copy(update={"waits": str(error)})


def draft_anew(workspace: Workspace, cadence: str) -> DraftReport:
    """Draft the cadence's issue due last, with what is known now where nobody looks at it before it leaves."""
    report = issue.draft(workspace, cadence)
    if report.existed and report.state is IssueState.DRAFTED and report.approval == "automatic":
        report = issue.draft(workspace, cadence, again=True)
    return report


def first_subscribers(workspace: Workspace) -> tuple[Import, ...]:
    """A workspace without a single subscriber takes those that lie in ``subscribers/*.csv``; later they come by import only,
    so that a file never overrules what a reader has chosen since.
    """
    lists = interests.load(workspace.path)
    with workspace.store.read() as tx:
        if people.count_by_status(tx):
            return ()
    return tuple(subscribe.import_file(workspace, file, lists) for file in check.subscriber_files(workspace.path))


class SourceHealth(Frozen):
    """How a source does. ``failures`` counts those in a row, ``refused`` the entries its last reading could not take."""

    name: str
    kind: str
    read_at: datetime | None = None
    read_well_at: datetime | None = None
    failures: int = 0
    error: str = ""
    warning: str = ""
    taken: int = 0
    refused: int = 0
    salvaged: int = 0
    refusals: tuple[str, ...] = ()


class IssueLine(Frozen):
    """An issue in one line."""

    issue: str
    state: str
    planned: int
    accepted: int
    due_at: datetime


class Overview(Frozen):
    """The whole workspace."""

    sources: tuple[SourceHealth, ...]
    summaries: int
    subscribers: dict[str, int]
    issues: tuple[IssueLine, ...]
    workers: tuple[Worker, ...] = ()
    warnings: tuple[str, ...] = ()


def overview(workspace: Workspace) -> Overview:
    """Sources and how they do, readers by status, issues, the newest first."""
    with workspace.store.read() as tx:
        states = catalogue.sources(tx)
        health = []
        for source in workspace.config.sources:
            state = states.get(source.name)
            known = {} if state is None else {k: v for k, v in state._asdict().items() if k in SourceHealth.model_fields}
            refusals = tuple(f"{ref}: {reason}" for ref, reason in catalogue.refusals(tx, source.name))
            health.append(SourceHealth.model_validate({"name": source.name, "kind": source.kind, **known, "refusals": refusals}))
        lines = []
        for row in issues.every(tx):
            counts = outcomes.counts(tx, row.id)
            accepted = counts[DeliveryState.ACCEPTED]
            lines.append(IssueLine(issue=row.name, state=row.state, planned=sum(counts.values()), accepted=accepted, due_at=row.due_at))
        return Overview(
            sources=tuple(health),
            summaries=catalogue.count(tx),
            subscribers=people.count_by_status(tx),
            issues=tuple(lines),
            workers=tuple(workers.every(tx)),
            warnings=tuple(_warnings(tx, workspace)),
        )


def _warnings(tx: Connection, workspace: Workspace) -> Iterator[str]:
    """Readers who wait for something that is no longer there."""
    lists, _ = interests.examine(workspace.path)
    known = {interest.id for interest in lists.all}
    for interest, count in sorted(people.count_by_interest(tx).items()):
        if known and interest not in known:
            yield f"{count} active readers follow {interest}, which is no interest any more"
    for cadence, count in sorted(people.count_by_cadence(tx).items()):
        if cadence not in workspace.config.cadences:
            yield f"{count} active readers are to get {cadence} issues, and there is no such cadence"
