"""Known-bad variants of the ledger: each a rule of RELIABILITY section 1 left out. Whatever watches the ledger must see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, exists, true, update

from digest import dispatch, entries, feedback, issue, operate, recovery
from digest import events as pure
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import events, holding, issues, ledger, now, schema

d = schema.delivery.c
Fault = Callable[[Any], None]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


@fault
def an_outcome_moves_whatever_state_it_finds(patch):
    patch.setattr(ledger, "_SETTLE", ledger._settling(d.lease_epoch == bindparam("epoch")))


@fault
def an_outcome_does_not_look_at_the_epoch(patch):
    patch.setattr(ledger, "_SETTLE", ledger._settling(d.state == S.INFLIGHT.value, d.lease_epoch >= bindparam("epoch")))


@fault
def a_claim_does_not_raise_the_epoch(patch):
    real = ledger.claim

    def claim(tx, *given, **more):
        found = real(tx, *given, **more)
        if found is None:
            return None
        tx.execute(update(schema.delivery).where(d.attempt_id == found.attempt).values(lease_epoch=0))
        return found._replace(deliveries=tuple(one._replace(epoch=0) for one in found.deliveries))

    patch.setattr(ledger, "claim", claim)


@fault
def a_resolution_moves_whatever_state_it_finds(patch):
    def move(tx, rows, old, new, at, *, up_to=None, **values):
        return tx.execute(update(schema.delivery).where(d.id.in_(rows)).values(state=new.value, state_at=at, **values)).rowcount

    patch.setattr(ledger, "_move", move)


@fault
def halves_take_what_is_no_longer_theirs(patch):
    def renew(tx, one, attempt, lease_until):
        values = {"attempt_id": attempt, "lease_until": lease_until, "state": S.INFLIGHT.value}
        return bool(tx.execute(update(schema.delivery).where(d.id == one.id).values(**values)).rowcount)

    patch.setattr(ledger, "_renew", renew)


@fault
def halves_stay_in_the_attempt_of_the_whole(patch):
    def renew(tx, one, attempt, lease_until):
        return bool(tx.execute(update(schema.delivery).where(ledger._still_ours(one)).values(lease_until=lease_until)).rowcount)

    patch.setattr(ledger, "_renew", renew)


@fault
def a_siblings_event_moves_what_is_ready(patch):
    patch.setattr(events, "SIBLING_OPEN", pure.SIBLING_OPEN | {S.READY})


@fault
def a_siblings_event_moves_what_is_in_living_hands(patch):
    patch.setattr(events, "now", lambda tx: now(tx) + timedelta(days=30))


@fault
def a_call_by_smtp_counts_as_taken_whole(patch):
    patch.setattr(events, "ATOMIC", ("sendgrid", "smtp"))
    patch.setattr(feedback.events, "ATOMIC", ("sendgrid", "smtp"))


@fault
def a_lost_reply_counts_as_taken(patch):
    patch.setattr(entries, "_STATES", {**entries._STATES, "uncertain": S.ACCEPTED})


@fault
def a_lost_reply_counts_as_not_sent(patch):
    patch.setattr(entries, "_STATES", {**entries._STATES, "uncertain": S.READY})


def _reap(state):
    def reap(tx, row, *, everything):
        dead = (d.issue_id == row) & (d.state == S.INFLIGHT.value)
        dead = dead if everything else dead & (d.lease_until < now(tx))
        return tx.execute(update(schema.delivery).where(dead).values(state=state.value, lease_until=None)).rowcount

    return lambda patch: patch.setattr(ledger, "reap", reap)


FAULTS["a_dead_lease_becomes_ready"] = _reap(S.READY)
FAULTS["a_dead_lease_becomes_accepted"] = _reap(S.ACCEPTED)
FAULTS["a_dead_lease_becomes_failed"] = _reap(S.FAILED)


@fault
def living_leases_are_reaped(patch):
    real = ledger.reap
    patch.setattr(ledger, "reap", lambda tx, row, *, everything: real(tx, row, everything=True))


@fault
def no_consent_gate_in_the_claim(patch):
    patch.setattr(ledger, "writable", true)


@fault
def the_claim_looks_at_the_status_only(patch):
    patch.setattr(ledger, "writable", lambda: schema.subscriber.c.status == "active")


@fault
def the_claim_looks_at_suppressions_only(patch):
    s = schema.suppression.c
    patch.setattr(ledger, "writable", lambda: ~exists().where(s.address_index == schema.subscriber.c.address_index))


@fault
def what_is_too_late_may_be_claimed(patch):
    patch.setattr(ledger, "_is_late", lambda *_: False)


@fault
def what_was_put_off_may_be_claimed_at_once(patch):
    real = ledger.claim

    def claim(tx, *given, **more):
        tx.execute(update(schema.delivery).values(next_at=None))
        return real(tx, *given, **more)

    patch.setattr(ledger, "claim", claim)


@fault
def a_paused_issue_may_be_claimed_from(patch):
    real = ledger.claim

    def claim(tx, number, *given, **more):
        tx.execute(update(schema.issue).values(paused_at=None))
        return real(tx, number, *given, **more)

    patch.setattr(ledger, "claim", claim)


@fault
def a_cancelled_issue_may_be_claimed_from(patch):
    patch.setattr(ledger, "_may_leave", true)


@fault
def cancelling_leaves_what_is_ready(patch):
    def cancel(tx, row, *_):
        issues.move_issue(tx, row, IssueState.CANCELLED, paused_at=None)
        return 0

    patch.setattr(holding, "cancel", cancel)


@fault
def what_is_put_off_outlives_the_issue(patch):
    patch.setattr(ledger, "IssueState", SimpleNamespace(SENDING=IssueState.SENDING, CANCELLED=IssueState.DRAFTED))


@fault
def a_resolution_does_not_see_that_the_issue_was_cancelled(patch):
    patch.setattr(recovery, "_ended", lambda *_: False)


@fault
def a_decision_does_not_reopen_the_issue(patch):
    patch.setattr(holding, "reopen", lambda *_: None)


@fault
def a_decision_is_taken_twice(patch):
    def decide(workspace, name, dids, *, sent):
        with workspace.store.write() as tx:
            row = issue.find(tx, name)
            chosen = [one.did for one in holding.held(tx, row.id)] if dids is None else list(dids)
            state = S.ACCEPTED if sent else S.READY
            for did in chosen:
                holding.record(tx, "x", "treat as sent" if sent else "send again", did)
            tx.execute(update(schema.delivery).where(d.did.in_(chosen)).values(state=state.value, next_at=None))
            if not sent:
                holding.reopen(tx, row.id)
            return len(chosen)

    patch.setattr(operate, "decide", decide)


@fault
def sending_again_is_not_recorded(patch):
    patch.setattr(holding, "record", lambda *_: None)


@fault
def what_was_settled_meanwhile_is_voided_too(patch):
    patch.setattr(ledger, "unsettled", lambda tx, rows: list(rows))


@fault
def what_is_known_to_be_taken_is_voided(patch):
    def attempts(tx, row):
        query = (
            schema.delivery.join(schema.attempt, schema.attempt.c.id == d.attempt_id)
            .select()
            .with_only_columns(d.id, schema.attempt.c.provider_ref, schema.attempt.c.started_at)
            .where(d.state.in_([S.UNCERTAIN.value, S.HELD.value]))
        )
        found: dict[Any, list[int]] = {}
        for id, ref, started_at in tx.execute(query):
            found.setdefault((ref, started_at), []).append(id)
        return found

    patch.setattr(ledger, "uncertain_attempts", attempts)


@fault
def silence_counts_though_nothing_was_heard(patch):
    real = holding.silent
    patch.setattr(holding, "silent", lambda tx, row, after, *, events: real(tx, row, after, events=False))


@fault
def an_event_does_not_settle_what_is_held(patch):
    patch.setattr(pure, "OPEN", pure.OPEN - {S.HELD})


@fault
def an_event_revives_what_was_skipped(patch):
    patch.setattr(pure, "OPEN", pure.OPEN | {S.SKIPPED})


@fault
def a_contradiction_is_not_recorded(patch):
    real = events.write_joined
    patch.setattr(
        events,
        "write_joined",
        lambda tx, changes: real(tx, [(one, joined._replace(contradictions=frozenset())) for one, joined in changes]),
    )


@fault
def an_event_from_before_the_consent_counts(patch):
    real = feedback.suppression_of
    patch.setattr(feedback, "suppression_of", lambda own, since: real(own, None))


@fault
def an_issue_is_finished_over_open_ones(patch):
    def close(workspace, row):
        with workspace.store.write() as tx:
            if issue.find(tx, row.name).state is IssueState.SENDING:
                issues.move_issue(tx, row.id, IssueState.FINISHED)

    patch.setattr(dispatch, "_close", close)
