"""`digest bench`: how fast this machine composes and would hand over this workspace's own mail. Nothing leaves."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from digest import approval, compose, gather, issue, jobs, plan, readiness
from digest.addressing import envelope, slots
from digest.compose import Edition
from digest.errors import DeliveryRejected, IssueError
from digest.handover import Run
from digest.model import Frozen, Selection
from digest.providers import Handover, Parcel, Receipt
from digest.readiness import Ready
from digest.store import catalogue, outcomes, people
from digest.store import scratch as trial
from digest.store.ledger import Claimed
from digest.workspace import Workspace

_PARCELS = 2000  # kept in memory for composing over and over


class Benched(Frozen):
    """What was measured, on ``cores`` processors with this Python's one at a time.

    ``composed_per_s``: messages made in a second of processor time. ``handed_over_per_s``: messages made and taken by a provider
    that throws them away, each in the ledger, in a second of wall time. ``list_minutes``: how long the ``readers`` of this issue take
    at that rate; ``limited_minutes`` with ``delivery.max_per_minute``. Sizes in bytes.
    """

    issue: str
    provider: str
    cores: int
    readers: int
    editions: int
    composed_per_s: int
    handed_over_per_s: int
    measured: int
    list_minutes: float
    limited_minutes: float
    mean_message_bytes: int
    largest_message_bytes: int
    largest_html_bytes: int
    html_budget_bytes: int


def bench(workspace: Workspace, cadence: str | None = None, seconds: float = 5.0) -> Benched:
    """Measure on a `scratch` workspace for about twice ``seconds``: of the newest issue that was planned, else of the one due last.

    Raises:
        IssueError: there is nothing to compose for anybody.
    """
    ready = _issue(workspace, cadence)
    parcels = _parcels(workspace, ready)
    sizes = {id(parcel.edition): _made(parcel) for parcel in parcels}
    of_each = [sizes[id(parcel.edition)] for parcel in parcels]
    per_core = _composing(parcels, seconds)
    rate, measured, readers = _handing_over(workspace, ready, seconds)
    with workspace.store.read() as tx:
        figures = outcomes.figures(tx, ready.row.id)
    most = workspace.config.delivery.max_per_minute
    return Benched(
        issue=ready.row.name,
        provider=workspace.config.delivery.provider,
        cores=os.cpu_count() or 1,
        readers=readers,
        editions=figures.editions,
        composed_per_s=round(per_core),
        handed_over_per_s=round(rate),
        measured=measured,
        list_minutes=round(readers / rate / 60, 2),
        limited_minutes=round(readers / min(rate * 60, most), 2),
        mean_message_bytes=round(sum(of_each) / len(of_each)),
        largest_message_bytes=max(of_each),
        largest_html_bytes=figures.largest_html_bytes,
        html_budget_bytes=workspace.config.selection.max_html_kb * 1024,
    )


def _issue(workspace: Workspace, cadence: str | None) -> Ready:
    """An issue with everything it is composed from, its deliveries ready."""
    with workspace.store.read() as tx:
        planned = [name for name in trial.with_editions(tx) if cadence is None or issue.find(tx, name).cadence == cadence]
        empty = not catalogue.count(tx)
    if planned:
        ready = readiness.make_ready(workspace, planned[0])
    else:
        wanted = cadence or next(iter(workspace.config.cadences))
        jobs.first_subscribers(workspace)
        if empty:
            gather.gather(workspace)
        name = jobs.draft_anew(workspace, wanted).issue
        for n in range(approval.needed(workspace, wanted)):
            readiness.approve(workspace, name, by=f"bench {n + 1}")
        ready = readiness.make_ready(workspace, name)
    plan.plan(workspace, ready)
    with workspace.store.write() as tx:
        if not trial.make_all_ready(tx, ready.row.id):
            raise IssueError(f"{ready.row.name} has nothing for anybody; --on DATE takes the issue of another date")
    with workspace.store.read() as tx:
        return ready._replace(row=issue.find(tx, ready.row.name))


def _parcels(workspace: Workspace, ready: Ready) -> list[Parcel]:
    with workspace.store.read() as tx:
        page = trial.waiting(tx, ready.row.id, page=_PARCELS)
        wanted = sorted({one.edition for one in page})
        bodies = {
            id: body
            for some in (wanted[start : start + 500] for start in range(0, len(wanted), 500))
            for id, body in outcomes.edition_selections(tx, some).items()
        }
        readers = people.particulars(tx, workspace.store.vault, [one.subscriber for one in page])
    editions: dict[int, Edition] = {
        id: compose.make_edition(ready.compiled, Selection.model_validate_json(body)) for id, body in bodies.items()
    }
    look = compose.look_of(workspace.config)
    parcels = []
    for one in page:
        claimed = Claimed(one.id, one.did, one.subscriber, one.edition, one.date_header, 1, 0)
        reader = slots(workspace, one.did, *readers[one.subscriber], one.date_header)
        parcel = Parcel(one.did, editions[one.edition], reader, envelope(look, ready.row.cadence, claimed))
        if _made(parcel):
            parcels.append(parcel)
    if not parcels:
        raise IssueError(f"{ready.row.name}: no message could be made for anybody; `digest send --test ADDRESS ISSUE` says why")
    return parcels


def _made(parcel: Parcel) -> int:
    """The bytes of its message; 0 where something is wrong with its address."""
    try:
        return len(compose.make_message(parcel.edition, parcel.reader, parcel.envelope))
    except DeliveryRejected:
        return 0


def _composing(parcels: Sequence[Parcel], seconds: float) -> float:
    """Messages a second of processor time, one after the other."""
    made, began = 0, time.process_time()
    while (took := time.process_time() - began) < seconds:
        for parcel in parcels:
            compose.make_message(parcel.edition, parcel.reader, parcel.envelope)
        made += len(parcels)
    return made / took


def _handing_over(workspace: Workspace, ready: Ready, seconds: float) -> tuple[float, int, int]:
    """Messages a second through the real ledger, how many those were, and how many readers the issue has."""
    settings = workspace.config.delivery.model_copy(
        update={"max_per_minute": 10**9, "max_per_minute_and_domain": None, "warm_up": None, "allow": ("*",)}
    )
    unlimited = replace(workspace, config=workspace.config.model_copy(update={"delivery": settings}))
    measured, took, readers = 0, 0.0, 0
    while took < seconds:
        with workspace.store.write() as tx:
            readers = trial.make_all_ready(tx, ready.row.id)
        began = time.perf_counter()
        done = Run(unlimited, Nowhere(workspace, began + seconds - took), ready, lambda _: None).drain()
        took += time.perf_counter() - began
        measured += done.accepted
    return measured / took, measured, readers


class Nowhere:
    """A provider that makes every message as the workspace's own would, and throws it away. It stops when time is up."""

    name = "nowhere"
    sends = tells = False
    longest_s = 60

    def __init__(self, workspace: Workspace, until: float) -> None:
        settings = workspace.config.delivery
        self._until, self._api = until, settings.provider == "sendgrid"
        self.one_edition = self._api
        self.batch, self.lanes = {
            "smtp": (settings.smtp.batch, settings.smtp.connections),
            "sendgrid": (settings.sendgrid.batch, settings.sendgrid.calls),
        }.get(settings.provider, (100, 1))

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        """Make them, take them."""
        if self._api:
            from digest.providers.sendgrid_body import build

            build(aid, parcels).text().encode()
        else:
            for parcel in parcels:
                with suppress(DeliveryRejected):
                    hashlib.sha256(compose.make_message(parcel.edition, parcel.reader, parcel.envelope)).hexdigest()
        receipts = [Receipt(parcel.did, "accepted") for parcel in parcels]
        return Handover(receipts, stop="time is up" if time.perf_counter() > self._until else "")

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        """Nothing is kept."""
        return {}

    def finish(self, issue: str, title: str) -> Path | None:
        """Nothing to open."""
        return None

    def close(self) -> None:
        """Nothing is open."""
