"""A workspace opened for work: its folder, configuration, database, and the date it acts as of."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import make_url

from digest import unfinished
from digest.calendar import end_of_day
from digest.config import Config, load
from digest.errors import ConfigError, StoreError
from digest.model import Slot
from digest.store import Store, open_store
from digest.store.moving import Moved, move


@dataclass(frozen=True)
class Workspace:
    """What the acting steps need. ``on`` is the local date acted as of, ``at`` the instant: the end of ``on`` where a date
    was asked for, else now. ``who`` is the name that what is done here is recorded under; ``web`` that they logged in.
    """

    path: Path
    config: Config
    store: Store
    on: date
    at: datetime
    who: str = "operator"
    web: bool = False

    @property
    def zone(self) -> str:
        """The newsletter's time zone."""
        return self.config.newsletter.timezone

    @property
    def today(self) -> date:
        """The newsletter's date by the real clock, whatever date is acted as of."""
        return datetime.now(ZoneInfo(self.zone)).date()

    def is_due(self, slot: Slot) -> bool:
        """Whether the issue may leave."""
        return slot.due_at <= self.at


def who() -> str:
    """The name that decisions are kept under: the account at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "operator"


@contextlib.contextmanager
def open_workspace(path: Path, on: date | None = None, *, acting: str = "") -> Iterator[Workspace]:
    """Open the workspace in ``path``; closes its database at the end. ``acting``: who does so, if not the account.

    Raises:
        ConfigError: ``config.yaml`` is missing or wrong.
        StoreError: the database cannot be opened.
    """
    config = load(path)
    if config.queue == "procrastinate" and not config.store.url.startswith("postgresql"):
        raise ConfigError("config.yaml: queue: procrastinate needs store.url to be a PostgreSQL database; use inline with SQLite")
    secret = config.secret_key.get_secret_value() if config.secret_key else None
    store = open_store(path, config.store.url, secret)
    try:
        unfinished.settle(path, store)
        yield opened_on(path, config, store, on, acting)
    finally:
        store.close()


def opened_on(path: Path, config: Config, store: Store, on: date | None, acting: str = "") -> Workspace:
    """The workspace with a store that is open already."""
    zone, clock = config.newsletter.timezone, datetime.now(UTC)
    return Workspace(
        path=path,
        config=config,
        store=store,
        on=on or clock.astimezone(ZoneInfo(zone)).date(),
        at=end_of_day(on, zone) if on else clock,
        who=acting or who(),
    )


def move_store(path: Path, source: str, target: str, *, acting: str = "") -> list[Moved]:
    """Move the database of the workspace in ``path`` from one address to an empty one.

    Raises:
        ConfigError: ``config.yaml`` is wrong, or the key is missing.
        StoreError: one of them cannot be opened, the target is not empty, or not everything arrived.
    """
    config = load(path)
    secret = config.secret_key.get_secret_value() if config.secret_key else None
    if make_url(source).get_backend_name() == "sqlite" and not (path / (make_url(source).database or "")).is_file():
        raise StoreError(f"there is no database at {source}; nothing was made")
    with contextlib.closing(open_store(path, source, secret)) as old, contextlib.closing(open_store(path, target, secret)) as new:
        moved = move(old, new)
        from digest import audit  # stands on this module

        audit.note(opened_on(path, config, new, None, acting), "store.move", "", rows=sum(table.rows for table in moved))
        return moved
