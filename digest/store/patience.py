"""Waiting for a database server that is away for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from digest.errors import StoreAway

AWAY_S = 60.0  # a server that is started again is back sooner
_AGAIN_S = 0.25

T = TypeVar("T")


def patiently(work: Callable[[], T], undo: Callable[[], object] = lambda: None) -> T:
    """Do it again while the server is away: an outcome that is known must not be lost for its being restarted.

    For what may be done twice (a look, or moves that are compare-and-set), or can be undone before the next try: whether a
    commit came through is not known when its answer did not.

    Raises:
        StoreAway: it stayed away for ``AWAY_S``.
    """
    until = time.monotonic() + AWAY_S
    tried = False
    while True:
        try:
            if tried:
                undo()
            return work()
        except StoreAway:
            tried = True
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
