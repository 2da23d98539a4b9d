"""Writes that many requests ask for at the same moment, made durable together: a disk settles one commit about as fast as fifty."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from digest.errors import StoreError

Asked = TypeVar("Asked")
Said = TypeVar("Said")


class Together(Generic[Asked, Said]):
    """Whoever comes while a batch is being written waits, and the first of them writes for all who wait by then.

    ``work`` writes a batch in one transaction and answers for each in order. Where a batch fails, each is tried by itself, so that
    nobody fails because of somebody else; but where it is the database that fails, all fail at once: to try each would keep as
    many threads waiting for nothing. ``turn_s`` is how long one waits for those before.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Said]], turn_s: float | None = None) -> None:
        self._work, self._turn_s = work, turn_s
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[Asked, Future[Said]]] = []

    def do(self, asked: Asked) -> Said:
        """What ``work`` says to it, once that is durable. Raises what it raises.

        Raises:
            StoreError: its turn did not come within ``turn_s``; nothing of it was written.
        """
        own: Future[Said] = Future()
        with self._lock:
            self._waiting.append((asked, own))
        if not self._turn.acquire(timeout=-1 if self._turn_s is None else self._turn_s):
            with self._lock:
                left = [one for one in self._waiting if one[1] is not own]
                in_line = len(left) < len(self._waiting)
                self._waiting = left
            if in_line:
                raise StoreError("the database is busy with what came before; try again in a moment, nothing was lost")
            return own.result()  # it is being written just now
        try:
            if not own.done():  # else somebody whose turn came before took it along
                with self._lock:
                    batch, self._waiting = self._waiting, []
                self._write(batch)
        finally:
            self._turn.release()
        return own.result()

    def _write(self, batch: Sequence[tuple[Asked, Future[Said]]]) -> None:
        try:
            for (_, future), said in zip(batch, self._work([asked for asked, _ in batch]), strict=True):
                future.set_result(said)
        except BaseException as error:
            for asked, future in batch:
                if len(batch) == 1 or isinstance(error, StoreError):
                    future.set_exception(error)
                    continue
                try:
                    future.set_result(self._work([asked])[0])
                except BaseException as own:
                    future.set_exception(own)
