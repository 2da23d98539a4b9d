"""Keys for programs, and what each may do. Pure: `api_keys` acts.

A key is no person: it has the scopes it was made with, and whoever holds it has them. There is no scope for people, keys and
settings: those stay with people who log in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from types import MappingProxyType

from digest.model import Frozen, Instant

# What a key can be allowed, and in which words that is asked for. None includes another.
SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "lists:read": "see the interest lists with their figures, and what was changed",
        "lists:write": "try and make changes of the interest lists, and take the last one back",
        "readers:read": "see readers: addresses, names, what they follow and agreed to",
        "readers:write": "add and change readers, pause them, end subscriptions, suppress addresses",
        "readers:erase": "forget readers, which cannot be taken back",
        "issues:read": "see issues, their figures and what is held",
        "issues:act": "pause, resume and cancel issues, and decide held hand-overs",
        "issues:approve": "approve issues",
        "reports:read": "see the reports",
        "audit:read": "read and check the audit log",
    }
)
_TOKEN = re.compile(r"dk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")


class Key(Frozen):
    """A key as it is listed. ``id`` stands at the beginning of it; the rest is kept nowhere. ``used_date`` is the newsletter's."""

    id: str
    name: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: Instant
    expires_at: Instant | None = None
    used_date: date | None = None
    revoked_at: Instant | None = None

    @property
    def prefix(self) -> str:
        """How the key begins, to recognise it by."""
        return f"dk_{self.id}"

    @property
    def actor(self) -> str:
        """What records call it. People's names have no colon, so that it is nobody's."""
        return f"key:{self.name}"

    def works(self, at: datetime) -> bool:
        """Whether it opens anything at that instant."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


def looks_like_one(token: str) -> bool:
    """Whether somebody's text could be a key at all."""
    return bool(_TOKEN.fullmatch(token))


def read_scopes(words: Iterable[str]) -> tuple[str, ...]:
    """Scopes as somebody named them, each once, in our order.

    Raises:
        ValueError: one is none, or there are none; the text lists them all.
    """
    wanted = {word.strip() for word in words if word.strip()}
    unknown = sorted(wanted - set(SCOPES))
    if unknown or not wanted:
        what = f'"{unknown[0][:40]}" is no scope' if unknown else "name at least one scope"
        raise ValueError(f"{what}; there are {', '.join(SCOPES)}")
    return tuple(one for one in SCOPES if one in wanted)
