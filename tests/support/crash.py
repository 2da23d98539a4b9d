"""Cutting a run short at any of its boundaries, in one process: what a kill leaves on the disk, and nothing after it.

A boundary is the moment before a transaction, inside it just before it commits, right after; before and after the mark is
put in place; before a call of the provider, after each message it took, and after it returned. Once cut, every further
boundary of the run cuts too, so no other thread and no clean-up writes what a killed process could not have written.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from digest.providers import Handover, Parcel, Receipt
from digest.store import Store

_OWN = ("contextlib.py", "crash.py")


class Cut(BaseException):
    """The process is gone."""


class Knife:
    """Counts boundaries and cuts at the ``at``-th; 0 never cuts. ``passed`` names them, ``lasting`` numbers those that changed
    what is kept: a cut at any other boundary leaves what a cut at the one before it leaves.
    """

    def __init__(self, at: int = 0, *, only_lasting: bool = False) -> None:
        self.at, self.only_lasting = at, only_lasting
        self.passed: list[str] = []
        self.lasting: list[int] = []
        self._dead = False
        self._lock = threading.Lock()

    def boundary(self, name: str, *, lasting: bool = False) -> None:
        """One more boundary."""
        with self._lock:
            if self._dead:
                raise Cut(name)
            if self.only_lasting and not lasting:
                return
            self.passed.append(name)
            if lasting:
                self.lasting.append(len(self.passed))
            self.at_boundary(len(self.passed))
            if len(self.passed) == self.at:
                self._dead = True
                raise Cut(name)

    def at_boundary(self, number: int) -> None:
        """What else may happen there."""

    @property
    def cut(self) -> bool:
        """Whether the run was cut."""
        return self._dead

    @contextlib.contextmanager
    def over(self, patch: Any) -> Iterator[None]:
        """Let the store and the mark pass their boundaries; ``patch`` is pytest's monkeypatch."""
        write, read, replace = Store.write, Store.read, os.replace

        @contextlib.contextmanager
        def cut_write(store: Store, **how: bool) -> Iterator[Any]:
            name = _caller()
            self.boundary(f"{name}: before writing")
            with write(store, **how) as tx:
                yield tx
                self.boundary(f"{name}: before the commit")
            self.boundary(f"{name}: committed", lasting=True)

        @contextlib.contextmanager
        def cut_read(store: Store) -> Iterator[Any]:
            self.boundary(f"{_caller()}: before reading")
            with read(store) as tx:
                yield tx

        def cut_replace(source: str, target: Path) -> None:
            if not str(target).endswith(".mark"):
                return replace(source, target)
            self.boundary("mark: written beside")
            replace(source, target)
            self.boundary("mark: in place", lasting=True)

        with patch.context() as inner:
            inner.setattr(Store, "write", cut_write)
            inner.setattr(Store, "read", cut_read)
            inner.setattr(os, "replace", cut_replace)
            yield


def _caller() -> str:
    frame = sys._getframe(1)
    while frame.f_code.co_filename.endswith(_OWN) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name


class Memory(NamedTuple):
    """What a provider keeps over all crashes of ours."""

    taken: tuple[tuple[str, str], ...] = ()
    batches: tuple[tuple[str, str], ...] = ()
    busy: int = 0
    defers: int = 0


class Journal:
    """A provider whose memory no cut touches: ``taken`` holds (did, aid) in the order in which messages were accepted.

    ``knows``: it can be asked what it took. ``refuses`` is an address it never takes, which spoils a whole batch. ``busy`` is
    how many calls it puts off as a whole, ``defers`` how many messages for their own sake. ``cancels``: what it took is still
    to leave, and can be voided by its batch's name where it ``voids``. ``before_call`` is told each attempt's aid.
    """

    longest_s, one_edition, sends = 60, False, True

    def __init__(
        self,
        name: str = "carrier",
        *,
        batch: int = 2,
        knows: bool = False,
        refuses: str = "",
        busy: int = 0,
        defers: int = 0,
        cancels: bool = False,
        voids: bool = True,
    ) -> None:
        self.name, self.batch, self.lanes, self.knows, self.refuses, self.busy = name, batch, 1, knows, refuses, busy
        self.defers, self.cancels, self.voids = defers, cancels, voids
        self.tells = name == "sendgrid"
        self.taken: list[tuple[str, str]] = []
        self.batches: list[tuple[str, str]] = []  # (its name, the aid it was handed over under)
        self.before_call: Callable[[str], None] = lambda aid: None
        self.knife = Knife()

    @property
    def memory(self) -> Memory:
        """What it would still know if it were another object."""
        return Memory(tuple(self.taken), tuple(self.batches), self.busy, self.defers)

    def recall(self, memory: Memory) -> None:
        """Go on from there."""
        self.taken, self.batches, self.busy, self.defers = [*memory.taken], [*memory.batches], memory.busy, memory.defers

    def create_batch(self) -> str:
        self.knife.boundary("batch: before")
        self.batches.append((f"batch{len(self.batches)}", ""))
        self.knife.boundary("batch: named")
        return self.batches[-1][0]

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel], batch_id: str = "") -> Handover:
        self.before_call(aid)
        self.knife.boundary("call: before")
        if self.busy:
            self.busy -= 1
            return Handover([Receipt(parcel.did, "deferred", "too fast") for parcel in parcels], retry_after_s=0.0001)
        if self.defers:
            self.defers -= 1
            return Handover([Receipt(parcel.did, "deferred", "greylisted") for parcel in parcels])
        if any(parcel.reader.email == self.refuses for parcel in parcels):
            self.knife.boundary("call: refused")
            if len(parcels) > 1:
                return Handover([Receipt(parcel.did, "deferred") for parcel in parcels], code="400", split=True)
            return Handover([Receipt(parcel.did, "rejected", "no such address") for parcel in parcels], code="400")
        if self.tells:  # taken whole or not at all
            self.taken += [(parcel.did, aid) for parcel in parcels]
            self.batches = [(name, aid if name == batch_id else old) for name, old in self.batches]
            self.knife.boundary("call: taken", lasting=True)
        else:
            for parcel in parcels:
                self.taken.append((parcel.did, aid))
                self.knife.boundary("call: taken one", lasting=True)
        self.knife.boundary("call: answering")
        return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in parcels], ref=batch_id or "ref")

    def void_ref(self, ref: str, started_at: datetime) -> bool:
        self.knife.boundary("void: before")
        aid = dict(self.batches).get(ref)
        if aid is None or not self.voids:
            return False
        self.taken = [one for one in self.taken if one[1] != aid]
        self.knife.boundary("void: done", lasting=True)
        self.knife.boundary("void: answering")
        return True

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        self.knife.boundary("look-up")
        known = {did for did, _ in self.taken}
        return {did: did in known for did in dids} if self.knows else {}

    def finish(self, issue: str, title: str) -> Path | None:
        self.knife.boundary("finish")
        return None

    def close(self) -> None:
        """Nothing is open."""
