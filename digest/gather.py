"""Gather: read every source, keep what is new or changed, and remember how each source does.

One broken source or entry never stops the others.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection

from digest import sources
from digest.compose.clean import link
from digest.config import FeedSource, JsonSource, PageSource, Source
from digest.errors import ConfigError, LaidOutOtherwise, SourceError
from digest.model import Frozen, Harvest, Refusal, Summary
from digest.store import catalogue, now, readings
from digest.store.catalogue import SourceState
from digest.workspace import Workspace

# What is kept in one transaction, at most: so many readings or summaries, or what came within so many seconds.
_READINGS, _PIECES, _WAIT_S = 50, 200, 0.5


class SourceReport(Frozen):
    """How one source did this time. ``refused`` counts entries; ``refusals`` tells each with its reason."""

    name: str
    new: int = 0
    changed: int = 0
    also: int = 0
    unchanged: bool = False
    salvaged: int = 0
    refusals: tuple[Refusal, ...] = ()
    warning: str = ""
    error: str = ""

    @property
    def refused(self) -> int:
        """How many entries could not be taken."""
        return len(self.refusals)


class GatherReport(Frozen):
    """How all sources did."""

    sources: tuple[SourceReport, ...] = ()

    @property
    def new(self) -> int:
        """Summaries that nobody had brought before."""
        return sum(source.new for source in self.sources)

    @property
    def changed(self) -> int:
        """Summaries that came as a new revision."""
        return sum(source.changed for source in self.sources)

    @property
    def refused(self) -> int:
        """Entries that could not be taken."""
        return sum(source.refused for source in self.sources)


class _Reading(NamedTuple):
    """What came of reading a source: a harvest or an error; ``came`` if a document did, laid out otherwise than said."""

    source: Source
    harvest: Harvest | None
    error: str
    came: bool = False


def gather(
    workspace: Workspace, progress: Callable[[str], None] = lambda _: None, *, dry_run: bool = False, local: bool = False, only: str = ""
) -> GatherReport:
    """Read all sources, several at once, and keep what they gave.

    ``dry_run`` counts what would be kept and keeps nothing; ``local`` reads only what lies on this machine, ``only`` the source of
    that name.

    Raises:
        ConfigError: there is no source of the name ``only``.
    """
    with workspace.store.read() as tx:
        states = catalogue.sources(tx)
    configured = [source for source in workspace.config.sources if not (local and host_of(source)) and only in ("", source.name)]
    if only and not configured:
        raise no_source(workspace, only)
    turns = _Turns(workspace.config.fetch.parallel_per_host)
    reports: list[SourceReport] = []
    try:
        with ThreadPoolExecutor(max_workers=workspace.config.fetch.parallel) as pool:
            # Begun host by host in turn, kept in the order of config.yaml: the first source of a piece keeps its text.
            begun = {source.name: pool.submit(_read, workspace, source, states.get(source.name), turns) for source in spread(configured)}
            for some in _together(progress, (begun.pop(source.name) for source in configured)):
                reports += _keep(workspace, some, dry_run)
    finally:
        sources.release()
    return GatherReport(sources=tuple(reports))


def no_source(workspace: Workspace, name: str) -> ConfigError:
    """There is none of that name; what there is."""
    names = ", ".join(source.name for source in workspace.config.sources)
    return ConfigError(f'there is no source "{name}" in config.yaml' + (f" ({names})" if names else ""))


def host_of(source: Source) -> str:
    """The host that a source is read from; empty for what lies on this machine."""
    return urlsplit(source.url).hostname or "" if isinstance(source, FeedSource | PageSource | JsonSource) else ""


def spread(configured: Sequence[Source]) -> list[Source]:
    """The sources in an order in which those of one host stand far apart: the first of each host, then the second of each."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, source in enumerate(configured):
        host = host_of(source)
        ranked.append((seen[host] if host else 0, place, source))
        seen[host] += 1
    return [source for _, _, source in sorted(ranked, key=lambda one: one[:2])]


class _Turns:
    """At most so many readings of one host at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hosts: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    def of(self, source: Source) -> AbstractContextManager[object]:
        """Held while the source is read."""
        host = host_of(source)
        if not host:
            return nullcontext()
        with self._lock:
            return self._hosts.setdefault(host, threading.Semaphore(self._most))


def _together(progress: Callable[[str], None], begun: Iterable[Future[_Reading]]) -> Iterator[list[_Reading]]:
    """Readings in portions for one transaction each: what is durable costs a wait for the disk, and most readings bring nothing."""
    portion: list[_Reading] = []
    begun_at = time.monotonic()
    for future in begun:
        reading = future.result()
        progress(reading.source.name)
        portion.append(reading)
        pieces = sum(len(one.harvest.summaries) for one in portion if one.harvest)
        if len(portion) >= _READINGS or pieces >= _PIECES or time.monotonic() - begun_at > _WAIT_S:
            yield portion
            portion, begun_at = [], time.monotonic()
    if portion:
        yield portion


def _read(workspace: Workspace, source: Source, state: SourceState | None, turns: _Turns) -> _Reading:
    known = state is not None and state.settings_hash == _settings_hash(source) and not state.error
    context = sources.Context(
        workspace=workspace.path,
        timezone=workspace.zone,
        fetch=workspace.config.fetch,
        now=workspace.at,
        etag=state.etag if state and known else "",
        last_modified=state.last_modified if state and known else "",
    )
    try:
        with turns.of(source):
            return _Reading(source, sources.read(source, context), "")
    except SourceError as error:
        return _Reading(source, None, str(error), isinstance(error, LaidOutOtherwise))


def _settings_hash(source: Source) -> str:
    return hashlib.sha256(source.model_dump_json().encode()).hexdigest()


class _DryRun(Exception):
    """Raised to undo the transaction of a dry run."""


def _keep(workspace: Workspace, portion: Sequence[_Reading], dry_run: bool) -> list[SourceReport]:
    reports: list[SourceReport] = []
    configured = {source.name for source in workspace.config.sources}
    try:
        with workspace.store.write() as tx:
            at = now(tx)
            reports = [_write(tx, reading, at, configured, workspace.who) for reading in portion]
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return reports


def _write(tx: Connection, reading: _Reading, at: datetime, configured: Collection[str], who: str) -> SourceReport:
    name, kind, settings = reading.source.name, reading.source.kind, _settings_hash(reading.source)
    if reading.harvest is None:
        catalogue.record_failure(tx, name, kind, settings, reading.error, at)
        readings.record_failure(tx, name, at, who, reading.error, came=reading.came)
        return SourceReport(name=name, error=reading.error)
    harvest, counted = _take_all(tx, reading.harvest, at, configured)
    catalogue.record_reading(tx, name, kind, settings, harvest, at)
    readings.record(tx, name, at, who, harvest, new=counted["new"], changed=counted["changed"])
    return SourceReport(
        name=name,
        **counted,
        unchanged=harvest.unchanged,
        salvaged=harvest.salvaged,
        refusals=harvest.refused,
        warning=harvest.warning,
    )


def _take_all(tx: Connection, harvest: Harvest, at: datetime, configured: Collection[str]) -> tuple[Harvest, dict[str, int]]:
    """Keep each summary; two entries of one reading that are the same piece count once, the second is refused."""
    counted = {"new": 0, "changed": 0, "also": 0}
    met: dict[int, Summary] = {}
    refused = list(harvest.refused)
    for summary in oldest_first(harvest.summaries):
        if unfit := _unfit(summary):
            refused.append(Refusal(ref=summary.title[:80], reason=unfit))
            continue
        row = catalogue.find(tx, summary)
        if row is not None and row in met:
            refused.append(
                Refusal(ref=summary.title[:80], reason=f'the same piece as "{met[row].title[:80]}" ({_shared(summary, met[row])})')
            )
            continue
        what, row = catalogue.take(tx, summary, at, configured)
        met[row] = summary
        if what in counted:
            counted[what] += 1
    return harvest.model_copy(update={"refused": tuple(refused)}), counted


def _unfit(summary: Summary) -> str:
    """Why this piece could not be shown in an email: one that slips in here would stop a whole issue later."""
    try:
        for address in filter(None, (summary.url, summary.image.src if summary.image else "")):
            link(address)
    except ValueError as error:
        return str(error)
    return ""


def oldest_first(summaries: Sequence[Summary]) -> list[Summary]:
    """In the order they were published, so that arrival numbers follow it within one reading."""
    return sorted(summaries, key=lambda summary: (summary.published_at, summary.id))


def _shared(one: Summary, other: Summary) -> str:
    both = [key for key in one.identifiers if key in other.identifiers]
    return f"both are {both[0]}" if both else "found under one identifier"
