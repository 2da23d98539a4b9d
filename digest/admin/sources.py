"""The sources as somebody looks after them: how each does, what it gave last, what was refused, and reading one now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from digest import audit
from digest.admin import source_health
from digest.admin.source_health import Sign
from digest.config import Source, TextSource, load
from digest.config.sources import FolderSource
from digest.gather import SourceReport, gather, no_source
from digest.model import Frozen, Instant
from digest.sources import Context
from digest.store import catalogue, readings
from digest.store.readings import Reading
from digest.workspace import Workspace

_LOOKED_BACK = 40  # readings, for what used to be
_YEARS = timedelta(days=3 * 366)  # for what gap is usual
_ITEMS = 20
_READINGS = 30


class Line(Frozen):
    """One source in short. ``pieces`` are all that came from it, ``published_at`` the date of its newest."""

    name: str
    kind: str
    place: str
    read_at: Instant | None = None
    result: str = ""
    taken: int = 0
    refused: int = 0
    pieces: int = 0
    published_at: Instant | None = None
    arrived_at: Instant | None = None
    silent_days: int | None = None
    usual_days: float | None = None
    limit_days: float | None = None
    signs: tuple[Sign, ...] = ()

    @property
    def well(self) -> bool:
        """Whether there is nothing to be told."""
        return not self.signs


class Item(Frozen):
    """A piece that a source gave."""

    title: str
    url: str
    published_at: Instant
    arrived_at: Instant


class About(Frozen):
    """One source at length: its readings, the newest first, its last pieces, and what the last whole reading refused."""

    line: Line
    readings: tuple[Reading, ...]
    items: tuple[Item, ...]
    refused: tuple[tuple[str, str], ...]


def current(workspace: Workspace) -> Workspace:
    """The workspace by what ``config.yaml`` says now: a server that runs for weeks has opened it long ago.

    Raises:
        ConfigError: it is wrong.
    """
    return replace(workspace, config=load(workspace.path))


def context(workspace: Workspace) -> Context:
    """What trying an address needs."""
    return Context(workspace.path, workspace.zone, workspace.config.fetch, workspace.at)


def lines(workspace: Workspace) -> tuple[Line, ...]:
    """Every source that is configured, in that order."""
    with workspace.store.read() as tx:
        states, recent = catalogue.sources(tx), readings.recent(tx, _LOOKED_BACK)
        given, published = readings.given(tx), readings.published(tx, workspace.at - _YEARS, workspace.at)
    return tuple(
        _line(
            source,
            states.get(source.name),
            recent.get(source.name, []),
            given.get(source.name),
            published.get(source.name, []),
            workspace.at,
        )
        for source in workspace.config.sources
    )


def about(workspace: Workspace, name: str) -> About:
    """One source.

    Raises:
        ConfigError: there is none of that name.
    """
    line = next((line for line in lines(workspace) if line.name == name), None)
    if line is None:
        raise no_source(workspace, name)
    with workspace.store.read() as tx:
        rows = readings.items(tx, name, _ITEMS)
        known = {stored.row: stored.summary for stored in catalogue.load(tx, rows=[row.row for row in rows])} if rows else {}
        kept, refused = readings.newest(tx, name, _READINGS), catalogue.refusals(tx, name)
    items = [
        Item(title=known[row.row].title, url=known[row.row].url, published_at=row.published_at, arrived_at=row.arrived_at)
        for row in rows
        if row.row in known
    ]
    return About(line=line, readings=tuple(kept), items=tuple(items), refused=tuple(refused))


def fetch(workspace: Workspace, name: str) -> SourceReport:
    """Read one source now and keep what it gives; recorded.

    Raises:
        ConfigError: there is none of that name.
        BusyError: a run is at work.
    """
    if all(source.name != name for source in workspace.config.sources):
        raise no_source(workspace, name)
    with workspace.store.alone():
        audit.note(workspace, "sources.fetch", name)
        return gather(workspace, only=name).sources[0]


def _line(
    source: Source,
    state: catalogue.SourceState | None,
    recent: Sequence[Reading],
    given: readings.Given | None,
    published: Sequence[datetime],
    at: datetime,
) -> Line:
    quiet = source_health.silence(published, at)
    return Line(
        name=source.name,
        kind=source.kind,
        place=_place(source),
        read_at=state.read_at if state else None,
        result=_result(state, recent),
        taken=state.taken if state else 0,
        refused=state.refused if state else 0,
        pieces=given.pieces if given else 0,
        published_at=max(published, default=None),
        arrived_at=given.arrived_at if given else None,
        silent_days=quiet.days if quiet else None,
        usual_days=quiet.usual if quiet else None,
        limit_days=quiet.limit if quiet else None,
        signs=source_health.signs(state, recent, published, at),
    )


def _place(source: Source) -> str:
    """Where it is read from; of an address without what may hold a key."""
    if isinstance(source, FolderSource | TextSource):
        return source.path.as_posix()
    from digest.sources.fetch import shown

    return shown(source.url)


def _result(state: catalogue.SourceState | None, recent: Sequence[Reading]) -> str:
    if state is None or state.read_at is None:
        return "never read"
    if recent:
        return source_health.RESULTS[recent[0].result]
    return source_health.RESULTS["failed" if state.error else "read"]
