"""How fast to hand over, and when to stop trying: decided here, by a clock that is handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 120.0
FAILURES = 5  # in a row, until the breaker opens
PROBES = 6  # failed ones in a row, until the run gives up: about six minutes


def retry_delay_s(attempts: int, random: Random, *, first_s: int = 1800, longest_s: int = 21_600) -> float:
    """Seconds to wait before a deferred delivery is tried again: half an hour, doubling to six hours, with jitter.

    Args:
        attempts: tries made so far, at least 1.
    Raises:
        ValueError: ``attempts`` is below 1.
    Source:
        RFC 5321, 4.5.4.1: wait at least 30 minutes.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}")
    return min(first_s << min(attempts - 1, 16), longest_s) * (1 + random.random() / 4)


class Throttle:
    """At most ``per_minute`` messages a minute, spread evenly: a bucket that holds one second's worth, or one batch."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_second = per_minute / 60
        self._clock = clock
        self._next_at = clock()
        self._lock = threading.Lock()

    def wait_s(self, messages: int) -> float:
        """Book ``messages`` and say how long to wait before they may go."""
        with self._lock:
            now = self._clock()
            start = max(now - 1, self._next_at)
            self._next_at = start + messages / self.per_second
            return max(0.0, start - now)


class DomainThrottle:
    """At most so many messages a minute to one domain; what is over is put off, not waited for."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._minute: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def put_off_s(self, domain: str) -> float:
        """0 where a message to this domain may go now (it is counted), else the seconds until the next may."""
        if self._per_minute is None:
            return 0.0
        with self._lock:
            now = self._clock()
            began, count = self._minute.get(domain, (now, 0))
            if now - began >= 60:
                began, count = now, 0
            if count >= self._per_minute:
                return began + 60 - now
            self._minute[domain] = (began, count + 1)
            return 0.0


class Breaker:
    """Opens after failures in a row; then lets a single probe through after each wait, doubling, until one succeeds."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._failures = 0
        self._probes = 0
        self._probe_at = 0.0
        self._probing = False
        self._ever = False

    @property
    def given_up(self) -> bool:
        """Whether the run should end: so many probes have failed, or it is open and the provider has never answered at all.

        The second is a mistake in the settings more often than a passing fault, and somebody may be sitting there.
        """
        return self._probes >= PROBES or (self._failures >= FAILURES and not self._ever)

    def wait_s(self) -> float:
        """0: go ahead (as the probe, where the breaker is open). Else how long to wait before asking again."""
        with self._lock:
            if self._failures < FAILURES:
                return 0.0
            now = self._clock()
            if self._probing or now < self._probe_at:
                return max(0.5, self._probe_at - now)
            self._probing = True
            return 0.0

    def succeeded(self) -> None:
        """The provider answered as it should."""
        with self._lock:
            self._ever = True
            self._failures = self._probes = 0
            self._probing = False

    def failed(self) -> None:
        """The provider could not be reached, or is failing."""
        with self._lock:
            self._failures += 1
            if self._probing:
                self._probes += 1
                self._probing = False
            if self._failures >= FAILURES:
                wait = min(FIRST_WAIT_S * 2**self._probes, LONGEST_WAIT_S)
                self._probe_at = self._clock() + wait * (0.75 + self._random.random() / 2)
