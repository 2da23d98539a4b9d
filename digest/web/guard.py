"""What keeps forms from being misused without getting in anybody's way: budgets, some work, a stamp with its time, a trap."""

from __future__ import annotations

import ipaddress
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from digest import admission, proof, tokens
from digest.admission import PROVEN, Asker, TooMany
from digest.config import Budgets
from digest.errors import LinkError, StoreError
from digest.web.look import Form, workspace_of
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


def same_origin(request: Request) -> bool:
    """Whether a form was sent by a page of ours, as browsers say it. One that says nothing is not believed."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc.lower() in own_hosts(request)
    return site is not None


def own_hosts(request: Request) -> tuple[str, str]:
    """The host that was asked, and that of the newsletter's address: a proxy may ask by another."""
    return request.headers.get("host", "").lower(), urlsplit(workspace_of(request).config.newsletter.url).netloc.lower()


class Gate:
    """Turns a flood away before it costs more than this. The budgets themselves are kept in the database, for all processes."""

    def __init__(self, budgets: Budgets) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._network = RateLimitItemPerHour(budgets.network_per_hour * (1 + PROVEN))
        self._all = RateLimitItemPerHour(budgets.all_per_hour * (1 + PROVEN))

    def asker(self, request: Request, solution: str) -> Asker:
        """Who asks, with the proof of work that came with the request, if it is one.

        Raises:
            TooMany: more come from there than any budget lets in.
        """
        where = network(request)
        for limit, key in ((self._network, where), (self._all, "all")):
            if not self._limiter.hit(limit, key):
                raise TooMany(max(1, math.ceil(self._limiter.get_window_stats(limit, key).reset_time - time.time())))
        keys = workspace_of(request).store.vault.link_keys
        return Asker(where, proof.check(solution, keys, datetime.now(UTC)) if solution else None)


def puzzle(request: Request) -> dict[str, Any] | None:
    """A puzzle for the browser, where more than half of a budget is used; it matters to nobody before."""
    store = workspace_of(request).store
    try:
        with store.read() as tx:
            if not admission.tight(tx, store.vault, network(request)):
                return None
    except StoreError:  # the page itself can be shown all the same
        return None
    return proof.puzzle(store.vault.link_keys, datetime.now(UTC))


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
