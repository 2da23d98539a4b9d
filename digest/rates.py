"""How fast a newsletter may send: a minute, a minute and domain, a day of its warm-up plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from digest.calendar import instant
from digest.pace import Domains, DomainThrottle, SharedDomains, SharedThrottle, Throttle
from digest.store import outcomes, throttle
from digest.workspace import Workspace


def domain_of(address: str) -> str:
    """What the limit per domain counts by."""
    return address.rpartition("@")[2].lower()


def limits(workspace: Workspace, clock: Callable[[], float], *, shared: bool) -> tuple[Throttle | SharedThrottle, Domains]:
    """The rates to keep: counted here where nobody else can be sending, else in the database."""
    settings, store = workspace.config.delivery, workspace.store
    most, each = settings.max_per_minute, settings.max_per_minute_and_domain
    if not (shared or store.shared):  # the workspace is held, and nobody else can send from it
        return Throttle(most, clock), DomainThrottle(each, clock)

    def book(messages: int) -> float:
        with store.write(together=True) as tx:
            return throttle.book(tx, messages, most / 60)

    def take(wanted: Mapping[str, int]) -> Mapping[str, tuple[int, float]]:
        hashes = {domain: store.vault.index(f"domain {domain}").hex() for domain in wanted}
        with store.write(together=True) as tx:
            throttle.sweep(tx)
            found = throttle.take(tx, {hashes[domain]: count for domain, count in wanted.items()}, each or 1)
        return {domain: found[hash] for domain, hash in hashes.items()}

    return SharedThrottle(most, clock, book), SharedDomains(each, clock, take) if each else DomainThrottle(None, clock)


def warm_up_room(tx: Connection, workspace: Workspace, waits: str) -> tuple[int | None, str]:
    """How many the day's cap leaves (None: no cap), and what the rest waits for (``waits`` where it leaves some).

    In the transaction that claims them, so that no two claims count on the same room.
    """
    plan = workspace.config.delivery.warm_up
    today = workspace.today
    if plan is None or (day := (today - plan.started).days) >= len(plan.daily):
        return None, waits
    throttle.hold(tx)
    cap = plan.daily[day] if day >= 0 else 0
    room = cap - outcomes.accepted_since(tx, instant(today, "00:00", workspace.zone))
    if room > 0:
        return room, waits
    return 0, f"today's cap of the warm-up plan ({cap}) is reached; run the same command tomorrow"
