"""What is kept only for a while: the provider's events, failures of addresses, the records of attempts, what readers had chosen
before a change of the lists (docs/events.md), what webhooks were told.

It is about people's health, so no more is kept than something still asks for. Safe to repeat, to interrupt, and to run while
an issue goes out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from digest import audit
from digest.model import Frozen
from digest.store import now, retention
from digest.workspace import Workspace

_ROWS = 500  # in one transaction


class Pruned(Frozen):
    """How many rows were taken away, or with ``dry_run`` would be."""

    bodies: int = 0
    events: int = 0
    bounces: int = 0
    attempts: int = 0
    hooks: int = 0
    choices: int = 0
    dry_run: bool = False

    @property
    def any(self) -> bool:
        """Whether there was anything."""
        return bool(self.bodies or self.events or self.bounces or self.attempts or self.choices or self.hooks)


def prune(workspace: Workspace, *, dry_run: bool = False) -> Pruned:
    """Take away what has been kept long enough."""
    with workspace.store.read() as tx:
        at = now(tx)
    limits = {
        "bodies": at - timedelta(days=workspace.config.retention.events_days),
        "events": at - timedelta(days=workspace.config.retention.events_days),
        "bounces": at - timedelta(days=workspace.config.delivery.soft_bounces.days),
        "attempts": at - timedelta(days=workspace.config.retention.attempts_days),
        "hooks": at - timedelta(days=workspace.config.retention.hooks_days),
        "choices": at - timedelta(days=workspace.config.retention.choices_days),
    }
    done = {name: (_count if dry_run else _take)(workspace, name, before) for name, before in limits.items()}
    if any(done.values()) and not dry_run:
        audit.note(workspace, "prune", "", **done)
    return Pruned(**done, dry_run=dry_run)


def _count(workspace: Workspace, name: str, before: datetime) -> int:
    chosen = {
        "bodies": retention.bodies,
        "events": retention.events,
        "bounces": retention.bounces,
        "attempts": retention.attempts,
        "hooks": retention.hook_events,
        "choices": retention.choices,
    }
    with workspace.store.read() as tx:
        return retention.count(tx, chosen[name](before))


def _take(workspace: Workspace, name: str, before: datetime) -> int:
    taking = {
        "bodies": retention.take_bodies,
        "events": retention.take_events,
        "bounces": retention.take_bounces,
        "attempts": retention.take_attempts,
        "hooks": retention.take_hook_events,
        "choices": retention.take_choices,
    }
    taken = 0
    while True:
        with workspace.store.write() as tx:
            some = taking[name](tx, before, _ROWS)
        taken += some
        if some < _ROWS:
            return taken
