"""Writes that many requests ask for at the same moment, made durable together: a disk settles one commit about as fast as fifty."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Said = TypeVar("Said")


class Together(Generic[Asked, Said]):
    """Whoever comes while a batch is being written waits, and the first of them writes for all who wait by then.

    ``work`` writes a batch in one transaction and answers for each in order. Where a batch fails, each is tried by itself, so that
    nobody fails because of somebody else.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Said]]) -> None:
        self._work = work
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[Asked, Future[Said]]] = []

    def do(self, asked: Asked) -> Said:
        """What ``work`` says to it, once that is durable. Raises what it raises."""
        own: Future[Said] = Future()
        with self._lock:
            self._waiting.append((asked, own))
        with self._turn:
            if not own.done():  # else somebody whose turn came before took it along
                with self._lock:
                    batch, self._waiting = self._waiting, []
                self._write(batch)
        return own.result()

    def _write(self, batch: Sequence[tuple[Asked, Future[Said]]]) -> None:
        try:
            for (_, future), said in zip(batch, self._work([asked for asked, _ in batch]), strict=True):
                future.set_result(said)
        except BaseException as error:
            for asked, future in batch:
                if len(batch) == 1:
                    future.set_exception(error)
                    continue
                try:
                    future.set_result(self._work([asked])[0])
                except BaseException as own:
                    future.set_exception(own)
