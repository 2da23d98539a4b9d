"""After a crash or a doubt: what stands open is settled by what the provider knows, before anything new is handed over."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from digest import crew, feedback, issue
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.providers import Provider, cancelling_of
from digest.store import Store, holding, issues, ledger
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues, epoch_of, highest_attempt, new_epoch, put_doubtful_issues
from digest.workspace import Workspace


def recover(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Settle what an earlier run left open by what the provider knows for certain. Returns how many are resolved."""
    crew.require_nobody(workspace)
    with workspace.store.write() as tx:
        # The workspace is held. With the embedded store whoever had a lease is gone; other machines' leases may be alive.
        ledger.reap(tx, row.id, everything=not workspace.store.shared)
    return settle_open(workspace, provider, row)


def settle_open(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Settle what is uncertain: by the provider's events, by what it knows for certain when asked, and the rest by the issue's
    policy. Returns how many the provider's answer resolved.

    The caller holds the workspace.
    """
    feedback.apply(workspace)  # what the provider has told meanwhile comes before any other evidence
    with workspace.store.write() as tx:  # alone: no claim is under way
        open_rows = ledger.uncertain(tx, row.id, provider.name)
        latest = highest_attempt(tx)
    resolved = 0
    if open_rows:
        known = provider.look_up(row.name, [did for _, did in open_rows])
        with workspace.store.write() as tx:
            sent = [id for id, did in open_rows if known.get(did) is True]
            unsent = [id for id, did in open_rows if known.get(did) is False]
            resolved = ledger.resolve(tx, sent, S.ACCEPTED, "", "look-up", latest)
            if _ended(tx, row):
                resolved += ledger.resolve(tx, unsent, S.SKIPPED, "cancelled", "look-up", latest)
            else:
                resolved += ledger.resolve(tx, unsent, S.READY, "", "look-up", latest)
    settle_uncertain(workspace, provider, row)
    return resolved


def settle_uncertain(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Apply the issue's policy to what nobody knows about: hold it for a person, or send again after silence.

    Returns how many are ready again.
    """
    feedback.apply(workspace)
    again = _void(workspace, provider, row) if row.uncertain == "cancel_resend" and row.state is not IssueState.CANCELLED else 0
    with workspace.store.write() as tx:
        if row.uncertain == "resend" and not _ended(tx, row):
            after = timedelta(hours=workspace.config.delivery.resend_after_h)
            silent = holding.silent(tx, row.id, after, events=provider.tells)
            for did in ledger.dids(tx, silent):
                holding.record(tx, "policy resend", "send again", did, "resend after silence")
            again = ledger.resolve(tx, silent, S.READY, "", "silence")
            if again:
                holding.reopen(tx, row.id)
        rest = [id for id, _ in ledger.uncertain(tx, row.id)]
        ledger.resolve(tx, rest, S.HELD, "its outcome was never learnt", "")
    return again


def _void(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Cancel uncertain attempts at the provider; what is voided for certain may be handed over again, as a new attempt."""
    cancelling = cancelling_of(provider)
    if cancelling is None:
        return 0
    with workspace.store.read() as tx:
        attempts = ledger.uncertain_attempts(tx, row.id)
    again = 0
    for (ref, started_at), rows in attempts.items():
        if cancelling.void_ref(ref, started_at):
            with workspace.store.write() as tx:
                unsettled = ledger.unsettled(tx, rows)  # somebody may have decided while the provider was asked
                if _ended(tx, row):
                    ledger.resolve(tx, unsettled, S.SKIPPED, "cancelled", "cancelled")
                    continue
                for did in ledger.dids(tx, unsettled):
                    holding.record(tx, "policy cancel_resend", "send again", did, "the earlier attempt is void")
                again += ledger.resolve(tx, unsettled, S.READY, "", "cancelled")
                holding.reopen(tx, row.id)
    return again


def _ended(tx: Connection, row: IssueRow) -> bool:
    """Whether the issue is cancelled by now; ``row`` is older than the provider's answer."""
    return issue.find(tx, row.name).state is IssueState.CANCELLED


def check_restored(store: Store) -> None:
    """Stop everything that is open if this database is an older copy of itself: mail may have gone out that it does not know of.

    What might leave is held, delivery by delivery, until it is settled; an issue that the older copy had not planned is held
    when it is planned. Nothing is ever sent again by itself.
    """
    with store.read() as tx:
        mark, older, epoch = store.guard.read(), store.guard.is_older_copy(tx), epoch_of(tx)
    if epoch and mark is not None and mark.epoch == epoch and not older:
        return
    with store.write() as tx:
        older = store.guard.is_older_copy(tx)  # another machine may have dealt with it meanwhile
        if older:
            for id, _ in holding.open_issues(tx):
                holding.doubt(tx, id, "the database was restored from an older copy")
                holding.pause(tx, id, "the database was restored from an older copy")
            holding.record(tx, "restore guard", "pause", "all open issues")
        if older or (mark is not None and mark.epoch != epoch_of(tx)):
            known = {name for _, name in holding.open_issues(tx)}
            done = {row.name for row in issues.every(tx) if row.state in (IssueState.FINISHED, IssueState.CANCELLED)}
            unknown = frozenset(mark.issues if mark else ()) - known - done
            put_doubtful_issues(tx, doubtful_issues(tx) | unknown)
        epoch = new_epoch(tx) if older else epoch_of(tx) or new_epoch(tx)
        attempts = highest_attempt(tx)
    for name in mark.issues if mark else ():
        store.guard.write(epoch, attempts, name, now=True)
    store.guard.write(epoch, attempts, now=True)
