"""Which readers are meant: filters, saved under a name or not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from digest import audit, interests
from digest.errors import ConfigError
from digest.interests import Interests
from digest.model import Frozen, Slug, Status, Subscriber
from digest.store import pages
from digest.store import segments as kept
from digest.store.pages import Page, Wanted
from digest.store.segments import Saved
from digest.workspace import Workspace

Days = Annotated[int, Field(ge=0, le=36_500)]
Recorded = Annotated[str, Field(max_length=400, pattern=r"^[^\x00]*$")]  # no database takes more


class Filter(Frozen):
    """What readers must fit, all of it; what is not given narrows nothing. ``interests``: any of them will do. ``source`` is where a
    consent came from, in the words it was recorded with. Ages of a consent are in days, counted anew each time.
    """

    interests: Annotated[tuple[Slug, ...], Field(max_length=500)] = ()
    cadence: Annotated[str, Field(max_length=63)] = ""
    status: Status | None = None
    source: Recorded | None = None
    language: Recorded | None = None
    consent_older_days: Days | None = None
    consent_newer_days: Days | None = None

    def wanted(self, at: datetime) -> Wanted:
        """The same for the store."""
        older, newer = self.consent_older_days, self.consent_newer_days
        return Wanted(
            interests=self.interests,
            cadence=self.cadence,
            status=self.status.value if self.status else "",
            source=self.source,
            language=self.language,
            consent_from=at - timedelta(days=newer) if newer is not None else None,
            consent_until=at - timedelta(days=older) if older is not None else None,
        )

    def said(self) -> str:
        """In words."""
        parts = [
            *([f"follows {' or '.join(self.interests)}"] if self.interests else []),
            *([f"cadence {self.cadence}"] if self.cadence else []),
            *([f"status {self.status.value}"] if self.status else []),
            *([f'source "{self.source}"'] if self.source is not None else []),
            *([f"language {self.language or 'not chosen'}"] if self.language is not None else []),
            *([f"consent older than {self.consent_older_days} days"] if self.consent_older_days is not None else []),
            *([f"consent of the last {self.consent_newer_days} days"] if self.consent_newer_days is not None else []),
        ]
        return ", ".join(parts) or "everybody"


def check(filter: Filter, lists: Interests, cadences: tuple[str, ...]) -> Filter:
    """The filter with the ids that interests have today.

    Raises:
        ConfigError: it names an interest or a cadence that is none.
    """
    for id in filter.interests:
        if not lists.today((id,)):
            near = difflib.get_close_matches(id, [one.id for one in lists.all], 1)
            raise ConfigError(f'there is no interest "{id}"' + (f"; did you mean {near[0]}?" if near else ""))
    if filter.status is Status.ERASED:
        raise ConfigError("who is erased is nobody; choose another status")
    if filter.cadence and filter.cadence not in cadences:
        raise ConfigError(f'"{filter.cadence}" is no cadence of this newsletter ({", ".join(cadences)})')
    return filter.model_copy(update={"interests": lists.today(filter.interests)})


def page(workspace: Workspace, filter: Filter, after: int = 0, limit: int = 100) -> Page:
    """The next readers behind a row; ``next`` of it is where to go on. A page may be short although more follow."""
    with workspace.store.read() as tx:
        return pages.page(tx, workspace.store.vault, filter.wanted(workspace.at), after, limit)


def everyone(workspace: Workspace, filter: Filter) -> Iterator[Subscriber]:
    """All of them, as the list stands at one moment."""
    with workspace.store.read() as tx:
        for person in pages.everyone(tx, workspace.store.vault, filter.wanted(workspace.at)):
            yield person.subscriber


def count(workspace: Workspace, filter: Filter) -> int:
    """How many fit."""
    with workspace.store.read() as tx:
        return pages.count(tx, filter.wanted(workspace.at))


def save(workspace: Workspace, name: str, filter: Filter) -> None:
    """Keep a filter under a name; one that had it is replaced.

    Raises:
        ConfigError: that can be no name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise ConfigError("a name of a filter has small letters, digits and hyphens")
    with workspace.store.write() as tx:
        kept.put(tx, name, filter.model_dump_json(exclude_defaults=True), workspace.who)
        audit.record(tx, workspace, "segments.save", name)


def every(workspace: Workspace) -> list[tuple[Saved, Filter]]:
    """The saved ones, by name; as ``find`` gives them."""
    lists = interests.examine(workspace.path)[0]
    with workspace.store.read() as tx:
        return [(one, _opened(one, lists)) for one in kept.every(tx)]


def find(workspace: Workspace, name: str) -> Filter:
    """The filter of that name, by the ids that its interests have today.

    Raises:
        ConfigError: there is none.
    """
    with workspace.store.read() as tx:
        found, known = kept.find(tx, name), [one.name for one in kept.every(tx)]
    if found is None:
        raise ConfigError(f'there is no segment "{name}" ({", ".join(known) or "none is saved yet"})')
    return _opened(found, interests.examine(workspace.path)[0])


def _opened(saved: Saved, lists: Interests) -> Filter:
    filter = Filter.model_validate_json(saved.filter)
    # An id that is none any more stays, and fits nobody: without it the filter would fit everybody.
    return filter.model_copy(update={"interests": lists.renewed(filter.interests)})


def remove(workspace: Workspace, name: str) -> None:
    """Forget a saved filter; the readers stay as they are.

    Raises:
        ConfigError: there is none.
    """
    with workspace.store.write() as tx:
        if not kept.drop(tx, name):
            raise ConfigError(f'there is no segment "{name}"')
        audit.record(tx, workspace, "segments.remove", name)
