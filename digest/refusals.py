"""What a mail server refuses in its reply is a bounce that came at once: kept and counted like one that came by mail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from digest.config import SoftBounces
from digest.events import Suppression, soft_suppression
from digest.providers import Receipt
from digest.providers.smtp_reply import NO_MAILBOX
from digest.store import events, people, suppressions
from digest.store.ledger import Settled
from digest.store.returns import Return
from digest.verdict import Verdict, classify, code_of


def verdict_of(receipt: Receipt) -> Verdict | None:
    """What the reply says of the address, of us, or of the moment; None where it is no refusal for good (SMTP's 5xx).

    SendGrid's answers are of another kind (its 400 is about the request); what becomes of its messages comes by events.
    """
    if receipt.outcome not in ("rejected", "deferred") or not receipt.code.startswith("5"):
        return None
    if receipt.outcome == "rejected" and receipt.reason == NO_MAILBOX:  # it said so in words, which are not kept
        return "hard"
    found = classify("", receipt.code)
    # What the provider calls deferred in spite of a 5xx it takes for our doing, not the reader's.
    return "blocked" if receipt.outcome == "deferred" else found


def keep(tx: Connection, settled: Sequence[Settled], receipts: Mapping[str, Receipt], at: datetime, soft: SoftBounces) -> list[Return]:
    """Keep the refusals of an attempt as bounces, and suppress whom they ask for. Returns what the brake must look at."""
    found = {one.delivery.subscriber: (one.delivery.did, *judged) for one, judged in _judged(settled, receipts)}
    if not found:
        return []
    indexes = people.address_indexes(tx, list(found))
    rows = [
        {"address_index": indexes[subscriber], "did": did, "kind": verdict, "code": code, "at": at}
        for subscriber, (did, verdict, code) in found.items()
    ]
    _count(tx, rows, at, soft)
    return [Return(did, verdict, code) for did, verdict, code in found.values() if verdict != "soft"]


def keep_one(tx: Connection, address_index: bytes, receipt: Receipt, at: datetime, soft: SoftBounces) -> None:
    """The same for a mail that belongs to no issue."""
    if (verdict := verdict_of(receipt)) is not None:
        row = {"address_index": address_index, "did": receipt.did, "kind": verdict, "code": code_of("", receipt.code), "at": at}
        _count(tx, [row], at, soft)


def _count(tx: Connection, rows: Sequence[Mapping[str, Any]], at: datetime, soft: SoftBounces) -> None:
    events.put_bounces(tx, rows)
    removed = suppressions.removals(tx)
    for row in rows:
        index = row["address_index"]
        if row["kind"] == "hard":
            suppressions.put(tx, index, Suppression("bounce", at, "refused by the mail server"))
        elif row["kind"] == "soft":
            enough = soft_suppression(events.soft_bounces(tx, index), removed.get(index.hex()), soft.most, soft.days)
            if enough is not None:
                suppressions.put(tx, index, enough)


def _judged(settled: Sequence[Settled], receipts: Mapping[str, Receipt]) -> Iterable[tuple[Settled, tuple[Verdict, str]]]:
    for one in settled:
        receipt = receipts.get(one.delivery.did)
        if receipt is not None and (verdict := verdict_of(receipt)) is not None:
            yield one, (verdict, code_of("", receipt.code))
