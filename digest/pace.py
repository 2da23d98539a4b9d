"""How fast to hand over, and when to stop trying: decided here, by a clock that is handed in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Protocol

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 120.0
FAILURES = 5  # in a row, until the breaker opens
CHUNK_S = 0.25  # the most of a shared rate that is booked at once
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


class SharedThrottle:
    """The same over several processes and machines: all book their share of one row, each by what it lately used.

    ``book`` takes a number of messages and gives the seconds from now until the first of them may go (below 0: it could have gone
    already). What was booked and not used within a second after it was booked, and after its time, is lost: nobody saves up.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float], book: Callable[[int], float]) -> None:
        self.per_second = per_minute / 60
        self._clock, self._book = clock, book
        self._next_at, self._left = 0.0, 0
        self._booked_at, self._used = clock(), 0
        self._lock = threading.Lock()

    def wait_s(self, messages: int) -> float:
        """Book ``messages`` and say how long to wait before they may go."""
        with self._lock:
            now = self._clock()
            if now - self._booked_at > 1:
                self._drop_stale(now)
            if messages > self._left:
                more = max(self._chunk(now), messages - self._left)
                waits = self._book(more)
                self._booked_at, self._used = self._clock(), messages
                self._next_at = self._booked_at + waits + (messages - self._left) / self.per_second
                self._left += more - messages
                return max(0.0, waits)
            start = self._next_at
            self._left -= messages
            self._used += messages
            self._next_at += messages / self.per_second
            return max(0.0, start - now)

    def _drop_stale(self, now: float) -> None:
        while self._left and self._next_at < now - 1:
            stale = min(self._left, max(1, int((now - 1 - self._next_at) * self.per_second)))
            self._left -= stale
            self._next_at += stale / self.per_second

    def _chunk(self, now: float) -> int:
        """Twice what was used in ``CHUNK_S`` since the last booking, so that it grows; what others could use is not booked for nothing."""
        own = 2 * self._used / max(now - self._booked_at, 0.001)
        return round(min(own, self.per_second) * CHUNK_S)


class Domains(Protocol):
    """Who says whether a message to a domain may go now."""

    def expect(self, domains: Iterable[str]) -> None:
        """These are about to be asked for."""
        ...

    def put_off_s(self, domain: str) -> float:
        """0 where a message to this domain may go now (it is counted), else the seconds until the next may."""
        ...


class SharedDomains:
    """`DomainThrottle` over several processes and machines. ``take`` asks for a number of messages for each of some domains, and
    gives how many of them each may have, and the seconds until the domain's minute ends.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float], take: Callable[[Mapping[str, int]], Mapping[str, tuple[int, float]]]):
        self._clock, self._take = clock, take
        self._chunk = max(1, per_minute // 20)
        self._granted: dict[str, tuple[int, float, bool]] = {}  # how many are left, until when, and whether there are no more
        self._lock = threading.Lock()

    def expect(self, domains: Iterable[str]) -> None:
        """Take what is missing for these messages, all in one go."""
        with self._lock:
            now = self._clock()
            self._granted = {domain: entry for domain, entry in self._granted.items() if now < entry[1]}
            missing = {}
            for domain, count in Counter(domains).items():
                left, _, no_more = self._granted.get(domain, (0, 0.0, False))
                if count > left and not no_more:
                    missing[domain] = max(self._chunk, count - left)
            for domain, (granted, seconds) in (self._take(missing) if missing else {}).items():
                left = self._granted.get(domain, (0, 0.0, False))[0]
                self._granted[domain] = (left + granted, now + seconds, granted < missing[domain])

    def put_off_s(self, domain: str) -> float:
        """0 where a message to this domain may go now (it is counted), else the seconds until the next may."""
        with self._lock:
            now = self._clock()
            left, ends, no_more = self._granted.get(domain, (0, 0.0, False))
            if left and now < ends:
                self._granted[domain] = (left - 1, ends, no_more)
                return 0.0
            return max(1.0, ends - now)


class DomainThrottle:
    """At most so many messages a minute to one domain; what is over is put off, not waited for."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._minute: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def expect(self, domains: Iterable[str]) -> None:
        """Nothing has to be prepared."""

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


class Gate(Protocol):
    """The breaker as a lane sees it: `Breaker`, or what stands for one that several processes share."""

    @property
    def given_up(self) -> bool:
        """Whether the run should end."""
        ...

    def wait_s(self) -> float:
        """0: go ahead. Else how long to wait before asking again."""
        ...

    def unused(self) -> None:
        """Nothing was handed over after all."""
        ...

    def succeeded(self) -> None:
        """The provider answered as it should."""
        ...

    def failed(self, said: str = "") -> None:
        """It did not."""
        ...


class Breaker:
    """Opens after failures in a row; then lets a single probe through after each wait, doubling, until one succeeds."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._failures = 0
        self._probes = 0
        self._probe_at = 0.0
        self._prober: object = None
        self._ever = False

    @property
    def open(self) -> bool:
        """Whether only a probe may go ahead."""
        return self._failures >= FAILURES

    @property
    def given_up(self) -> bool:
        """Whether the run should end: so many probes have failed, or it is open and the provider has never answered at all.

        The second is a mistake in the settings more often than a passing fault, and somebody may be sitting there.
        """
        return self._probes >= PROBES or (self._failures >= FAILURES and not self._ever)

    def wait_s(self, who: object = None) -> float:
        """0: go ahead (as the probe, where the breaker is open). Else how long to wait before asking again.

        ``who`` asks, a thread unless something else is named.
        """
        with self._lock:
            if self._failures < FAILURES:
                return 0.0
            now = self._clock()
            if self._prober is not None or now < self._probe_at:
                return max(0.5, self._probe_at - now)
            self._prober = who or threading.get_ident()
            return 0.0

    def unused(self, who: object = None) -> None:
        """Who was told to go ahead had nothing to hand over: if that was the probe, it is the next one's."""
        with self._lock:
            if self._prober == (who or threading.get_ident()):
                self._prober = None

    def succeeded(self) -> None:
        """The provider answered as it should."""
        with self._lock:
            self._ever = True
            self._failures = self._probes = 0
            self._prober = None

    def failed(self, said: str = "") -> None:
        """The provider could not be reached, or is failing; ``said`` is for who decides elsewhere."""
        with self._lock:
            self._failures += 1
            if self._prober is not None:
                self._probes += 1
                self._prober = None
            if self._failures >= FAILURES:
                wait = min(FIRST_WAIT_S * 2**self._probes, LONGEST_WAIT_S)
                self._probe_at = self._clock() + wait * (0.75 + self._random.random() / 2)
