"""A database clock in a test's hands, and a process clock that goes with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event


class Clock:
    """What the database takes for the time: the true one moved by ``ahead``, or, from ``start`` on, a millisecond more at
    each look, so that a run gives the same again.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.start, self.ahead, self.looks = start, timedelta(0), 0

    @property
    def at(self) -> datetime:
        """The time, without a look that counts."""
        base = datetime.now(UTC) if self.start is None else self.start + timedelta(milliseconds=self.looks)
        return base + self.ahead

    def over(self, engine: Engine) -> None:
        """Take the place of SQLite's clock on all connections to come."""

        def replace(connection: Any, _: Any) -> None:
            connection.create_function("strftime", -1, self._strftime)

        event.listen(engine, "connect", replace)

    def _strftime(self, form: str, *what: str) -> str:
        assert (form, what) == ("%Y-%m-%d %H:%M:%f", ("now",)), (form, what)
        self.looks += 1
        return self.at.isoformat(" ", "milliseconds").removesuffix("+00:00")

    def time(self) -> float:
        """For ``time.time``: a process sees the same jumps."""
        return time.clock_gettime(time.CLOCK_REALTIME) + self.ahead.total_seconds()
