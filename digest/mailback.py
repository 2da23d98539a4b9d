"""What providers tell later of service mails: an address that is not there is written to no more, and nobody asks at it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from digest.config import SoftBounces
from digest.events import Event, Suppression, soft_suppression, stronger, suppression_of
from digest.model import Status
from digest.store import events, mails, suppressions
from digest.store.mails import Told
from digest.vault import Vault


def join(tx: Connection, vault: Vault, soft: SoftBounces, most: int) -> tuple[int, int, int] | None:
    """Join some events with the mails they are about: how many events, suppressed and who left; None where there are none.

    Any event proves that the provider took the mail, so one of which that was not known is accepted from here on.
    """
    fresh = mails.fresh_events(tx, most)
    if not fresh:
        return None
    told, known = events.events_of(tx, fresh), mails.told(tx, fresh)
    mails.accept(tx, vault, fresh)
    bounces = [
        {"address_index": one.address_index, "did": one.did, "kind": event.verdict, "code": event.code, "at": event.at}
        for one in known
        for event in told[one.did]
        if event.kind == "bounce" and event.verdict
    ]
    events.put_bounces(tx, bounces)
    suppressed, left = _follow_up(tx, known, told, soft)
    rows = [row for of_one in fresh.values() for row in of_one]
    events.mark_joined(tx, rows)
    return len(rows), suppressed, left


def _follow_up(tx: Connection, known: Sequence[Told], told: Mapping[str, Sequence[Event]], soft: SoftBounces) -> tuple[int, int]:
    """What the events ask for the people behind the mails; nothing older than a person's last consent counts."""
    removed = suppressions.removals(tx)
    suppressed = left = 0
    for one in known:
        own = [event for event in told[one.did] if event.verdict]
        if not own:
            continue
        since = max((at for at in (one.consent_at, removed.get(one.address_index.hex())) if at is not None), default=None)
        found: Suppression | None = suppression_of(own, since)
        if any(event.verdict == "soft" for event in own):
            found = stronger(found, soft_suppression(events.soft_bounces(tx, one.address_index), since, soft.most, soft.days))
        if found is not None:
            suppressed += suppressions.put(tx, one.address_index, found)
        for event in own:
            if one.subscriber is not None and event.verdict in ("left", "complaint") and (since is None or event.at > since):
                status = Status.UNSUBSCRIBED if event.verdict == "left" else Status.SUPPRESSED
                left += suppressions.leave(tx, one.subscriber, event.at, f"the provider: {event.kind}", status)
    return suppressed, left
