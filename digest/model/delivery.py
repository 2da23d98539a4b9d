"""The states of one reader's delivery of one issue."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """RELIABILITY section 1.2."""

    PLANNED = "planned"
    READY = "ready"
    INFLIGHT = "inflight"
    UNCERTAIN = "uncertain"
    HELD = "held"
    ACCEPTED = "accepted"
    FAILED = "failed"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    EXPIRED = "expired"


# A delivery in one of these states has given its reader nothing, and will not.
NOT_GIVEN = (DeliveryState.SKIPPED.value, DeliveryState.FAILED.value, DeliveryState.EXPIRED.value, DeliveryState.QUARANTINED.value)
