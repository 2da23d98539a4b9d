"""The only SQL: one file a subject, each a set of functions on an open transaction."""

from digest.store import (
    catalogue,
    holding,
    issues,
    ledger,
    mails,
    outcomes,
    parts,
    people,
    plans,
    readers,
    signups,
    suppressions,
    throttle,
    workers,
)
from digest.store.database import Store, now, open_store

__all__ = [
    "Store",
    "catalogue",
    "holding",
    "issues",
    "ledger",
    "mails",
    "now",
    "open_store",
    "outcomes",
    "parts",
    "people",
    "plans",
    "readers",
    "signups",
    "suppressions",
    "throttle",
    "workers",
]
