"""The only SQL: one file a subject, each a set of functions on an open transaction."""

from digest.store import (
    catalogue,
    edits,
    holding,
    issues,
    ledger,
    mails,
    outcomes,
    people,
    plans,
    readers,
    shares,
    signups,
    suppressions,
    throttle,
    workers,
)
from digest.store.database import Store, now, open_store

__all__ = [
    "Store",
    "catalogue",
    "edits",
    "holding",
    "issues",
    "ledger",
    "mails",
    "now",
    "open_store",
    "outcomes",
    "people",
    "plans",
    "readers",
    "shares",
    "signups",
    "suppressions",
    "throttle",
    "workers",
]
