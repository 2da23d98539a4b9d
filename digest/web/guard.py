"""What keeps forms from being misused without getting in anybody's way: budgets, a stamp with its time, a field for machines."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from fastapi import Request
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from digest import tokens
from digest.config import Budgets
from digest.errors import LinkError
from digest.web.look import Form
from digest.workspace import Workspace

HONEYPOT = "website"  # people do not see it; what fills it in is no person
_FASTEST = timedelta(seconds=2)  # a machine is faster; a person whose browser fills everything in is not
_OLDEST = timedelta(hours=24)
_NOBODY = "00" * 16


def network(request: Request) -> str:
    """Where a request comes from, coarsely: the /24 of an IPv4 address, the /56 of an IPv6 one."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 56), strict=False))


class Gate:
    """Counts requests that carry an address, by network and in all, over a moving hour. Knows nothing of the addresses."""

    def __init__(self, budgets: Budgets) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._network = RateLimitItemPerHour(budgets.network_per_hour)
        self._all = RateLimitItemPerHour(budgets.all_per_hour)

    def admits(self, where: str) -> bool:
        """Whether one more request from there is within the budgets; it counts if it is."""
        return self._limiter.hit(self._network, where) and self._limiter.hit(self._all, "all")


def stamp(workspace: Workspace) -> str:
    """A hidden field that says, signed, when the form was shown."""
    return tokens.sign("form", _NOBODY, workspace.store.vault.link_keys, datetime.now(UTC))


def in_time(workspace: Workspace, form: Form) -> bool:
    """Whether the form was shown by us, long enough ago for a person and not longer than a day."""
    try:
        made_at = tokens.read("form", form.one("stamp"), workspace.store.vault.link_keys).made_at
    except LinkError:
        return False
    age = datetime.now(UTC) - made_at if made_at else timedelta()
    return _FASTEST <= age <= _OLDEST
