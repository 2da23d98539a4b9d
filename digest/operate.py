"""What an operator does with an issue that is going out: pause, resume, cancel, decide what is held, send a test."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from fnmatch import fnmatchcase

from digest import audit, compose, hosting, issue, plan, select
from digest.addresses import masked, parse
from digest.addressing import envelope, slots
from digest.errors import DigestError, IssueError
from digest.explain import forecast
from digest.model import DONE, DeliveryState, Follower, Frozen, IssueState, Selection
from digest.providers import Parcel, make
from digest.readiness import Ready
from digest.store import holding, hosted, now, outcomes, people
from digest.store.ledger import Claimed
from digest.workspace import Workspace, who

__all__ = ["Held", "cancel", "decide", "held", "pause", "resume", "send_test", "who"]


def pause(workspace: Workspace, name: str, reason: str) -> None:
    """Claim nothing more of the issue until it is resumed; works while another process sends it.

    Raises:
        IssueError: no such issue, or it is not going out.
    """
    with workspace.store.write() as tx:
        row = issue.find(tx, name)
        if row.state in DONE:
            raise IssueError(f"{name} is {row.state}; there is nothing to pause")
        holding.pause(tx, row.id, reason)
        holding.record(tx, workspace.who, "pause", name, reason)
        audit.record(tx, workspace, "issue.pause", name, reason=reason)


def resume(workspace: Workspace, name: str) -> None:
    """Let a paused issue go on with the next ``digest send``.

    Raises:
        IssueError: no such issue, or it is not paused.
    """
    with workspace.store.write() as tx:
        row = issue.find(tx, name)
        if row.paused_at is None:
            raise IssueError(f"{name} is not paused")
        holding.resume(tx, row.id)
        holding.record(tx, workspace.who, "resume", name, row.pause_reason)
        audit.record(tx, workspace, "issue.resume", name)


def cancel(workspace: Workspace, name: str) -> int:
    """Nothing more of the issue leaves, ever; what has left stays as it is. Returns how many were still to come.

    Raises:
        IssueError: no such issue, or it is done already.
    """
    with workspace.store.write() as tx:
        row = issue.find(tx, name)
        if row.state in DONE:
            raise IssueError(f"{name} is {row.state} already")
        holding.record(tx, workspace.who, "cancel", name)
        left = holding.cancel(tx, row.id, workspace.who)
        audit.record(tx, workspace, "issue.cancel", name, left=left)
        busy = outcomes.counts(tx, row.id)[DeliveryState.INFLIGHT]
        kept = hosted.of(tx, row.id, workspace.config.delivery.provider)
    if kept and not busy:  # else whoever has them in hand does it
        with contextlib.suppress(DigestError):  # the issue is cancelled all the same; the next run tries again
            provider = make(workspace.config, workspace.path)
            hosting.clear(workspace, provider)
            provider.close()
    return left


class Held(Frozen):
    """A hand-over whose outcome was never learnt. ``reader`` is masked; ``attempt`` is the opaque id that left with it."""

    did: str
    issue: str
    reader: str
    state: str
    reason: str
    provider: str
    attempt: str
    attempts: int
    started_at: datetime | None
    evidence: str


def held(workspace: Workspace, name: str | None = None) -> tuple[Held, ...]:
    """Every uncertain or held delivery, of one issue or of all."""
    with workspace.store.read() as tx:
        row = issue.find(tx, name) if name else None
        rows = holding.held(tx, row.id if row else None)
        found: dict[int, tuple[str, str, str]] = {}
        for start in range(0, len(rows), 500):
            found |= people.particulars(tx, workspace.store.vault, [one.subscriber for one in rows[start : start + 500]])
    return tuple(
        Held(
            did=one.did,
            issue=one.issue,
            reader=masked(found[one.subscriber][1]),
            state=one.state,
            reason=one.reason,
            provider=one.provider or "",
            attempt=one.aid or "",
            attempts=one.attempts,
            started_at=one.started_at,
            evidence=" ".join(filter(None, (one.outcome, one.code))) or "no reply was kept",
        )
        for one in rows
    )


def decide(workspace: Workspace, name: str, dids: Sequence[str] | None, *, sent: bool) -> int:
    """Settle held deliveries of an issue as sent, or to be sent again; ``None`` means all of them. Returns how many.

    Raises:
        IssueError: no such issue, it was cancelled, or one of the ids is not held.
    """
    with workspace.store.write() as tx:
        row = issue.find(tx, name)
        if row.state is IssueState.CANCELLED and not sent:
            raise IssueError(f"{name} was cancelled; nothing of it is sent again")
        known = {one.did for one in holding.held(tx, row.id)}
        unknown = [did for did in dids or () if did not in known]
        if unknown:
            raise IssueError(f"not held: {', '.join(unknown)}; `digest held {name}` lists those that are. Nothing was changed")
        settled = holding.decide(tx, row.id, dids, sent=sent, who=workspace.who)
        if settled:
            audit.record(tx, workspace, "issue.decide", name, settled=settled, to="sent" if sent else "again", dids=list(dids or ())[:20])
        return settled


def send_test(workspace: Workspace, name: str, to: str, reader: str | None) -> str:
    """Send one real message of the issue to ``to``, outside the ledger and marked as a test: the edition of ``reader``, else
    the one that most readers get. Its links are nobody's. Returns the subject.

    Raises:
        IssueError: bad address, no such reader, nothing to show, or the provider did not take it.
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        material = issue.material_of(tx, workspace, row)
    ready = Ready(row, material, issue.compiled_of(workspace, row, material))
    _address(to)  # what is wrong with it is told before anything about the reader
    return send_test_of(workspace, ready, _selection(workspace, ready, reader), to)


def send_test_of(workspace: Workspace, ready: Ready, selection: Selection, to: str) -> str:
    """The same for an edition that is known, of an issue that is composed.

    Raises:
        IssueError: bad address, or the provider did not take it.
    """
    target, row = _address(to), ready.row
    provider = make(workspace.config, workspace.path)
    if provider.sends and not any(fnmatchcase(target.lower(), pattern.lower()) for pattern in workspace.config.delivery.allow):
        raise IssueError("that address is not in delivery.allow of config.yaml; add it to send tests there")
    edition = compose.make_edition(ready.compiled, selection)
    edition = replace(edition, subject=f"[Test] {edition.subject}")
    with workspace.store.read() as tx:
        date = format_datetime(now(tx).replace(microsecond=0))
    did = secrets.token_hex(16)  # nobody's: the links of a test change nothing
    single = Claimed(0, did, 0, 0, date, 1, 0)
    look = compose.look_of(workspace.config)
    parcel = Parcel(did, edition, slots(workspace, did, did, target, "", date), envelope(look, row.cadence, single))
    try:
        answer = provider.hand_over(f"test-{row.name}", secrets.token_hex(16), [parcel])
        provider.finish(f"test-{row.name}", f"{look.name}, test of {row.name}")
    finally:
        provider.close()
    outcome = next(iter(answer.receipts), None)
    if outcome is None or outcome.outcome != "accepted":
        said = answer.stop or (outcome.reason if outcome else "") or "no reason given"
        raise IssueError(f"the test was not taken: {said}")
    audit.note(workspace, "issue.test", row.name)
    return edition.subject


def _address(text: str) -> str:
    try:
        return parse(text).spelling
    except ValueError as error:
        raise IssueError(f"that is not an address to send a test to: it {error}") from error


def _selection(workspace: Workspace, ready: Ready, reader: str | None) -> Selection:
    """What the reader got or would get, or what most readers do."""
    if reader is not None:
        selection = _selection_of(workspace, ready, reader)
    else:
        with workspace.store.read() as tx:
            planned = outcomes.selections(tx, ready.row.id)
        counted = planned or [(body, count) for body, count in forecast(workspace, ready.row.name) if body]
        selection = Selection.model_validate_json(max(counted, key=lambda pair: pair[1])[0]) if counted else Selection()
    if selection.empty:
        raise IssueError("there is nothing in this issue for that reader" if reader else "this issue has nothing for any reader")
    return selection


def _selection_of(workspace: Workspace, ready: Ready, reader: str) -> Selection:
    with workspace.store.read() as tx:
        person = people.find(tx, workspace.store.vault, parse(_address(reader)))
        if person is None:
            raise IssueError("nobody on the list has that address; `digest subscribers list` shows who has")
        delivery = outcomes.delivery_of(tx, ready.row.id, person.row)
    if delivery and delivery.selection:
        return Selection.model_validate_json(delivery.selection)
    one = person.subscriber
    follower = Follower(
        interests=one.interests,
        audience=one.audience,
        fewer=frozenset(one.fewer),
        most=one.max_teasers,
        form=one.form,
        language=ready.compiled.spoken(one.language),
    )
    return select.select(ready.material.catalogue, follower, ready.material.rules, plan.costs_of(ready.compiled)).selection
