"""Cutting a run short at any of its boundaries, in one process: what a kill leaves on the disk, and nothing after it.

A boundary is the moment before a transaction, inside it just before it commits, right after; before and after the mark is
put in place; before a call of the provider, after each message it took, and after it returned. Once cut, every further
boundary of the run cuts too, so no other thread and no clean-up writes what a killed process could not have written.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
            if len(self.passed) == self.at:
                self._dead = True
                raise Cut(name)

    @property
    def cut(self) -> bool:
        """Whether the run was cut."""
        return self._dead

    @contextlib.contextmanager
    def over(self, patch: Any) -> Iterator[None]:
        """Let the store and the mark pass their boundaries; ``patch`` is pytest's monkeypatch."""
        write, read, replace = Store.write, Store.read, Path.replace

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

        def cut_replace(path: Path, target: Path) -> Path:
            if not path.name.endswith(".mark.partial"):
                return replace(path, target)
            self.boundary("mark: written beside")
            found = replace(path, target)
            self.boundary("mark: in place", lasting=True)
            return found

        with patch.context() as inner:
            inner.setattr(Store, "write", cut_write)
            inner.setattr(Store, "read", cut_read)
            inner.setattr(Path, "replace", cut_replace)
            yield


def _caller() -> str:
    frame = sys._getframe(1)
    while frame.f_code.co_filename.endswith(_OWN) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name


class Journal:
    """A provider whose memory no cut touches: ``taken`` holds (did, aid) in the order in which messages were accepted.

    ``knows``: it can be asked what it took. ``refuses`` is an address it never takes, which spoils a whole batch. ``busy`` is
    how many calls it puts off.
    """

    longest_s, one_edition, sends = 60, False, True

    def __init__(self, name: str = "carrier", *, batch: int = 2, knows: bool = False, refuses: str = "", busy: int = 0) -> None:
        self.name, self.batch, self.lanes, self.knows, self.refuses, self.busy = name, batch, 1, knows, refuses, busy
        self.tells = name == "sendgrid"
        self.taken: list[tuple[str, str]] = []
        self.knife = Knife()

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        self.knife.boundary("call: before")
        if self.busy:
            self.busy -= 1
            return Handover([Receipt(parcel.did, "deferred", "too fast") for parcel in parcels], retry_after_s=0.0001)
        if any(parcel.reader.email == self.refuses for parcel in parcels):
            self.knife.boundary("call: refused")
            if len(parcels) > 1:
                return Handover([Receipt(parcel.did, "deferred") for parcel in parcels], code="400", split=True)
            return Handover([Receipt(parcel.did, "rejected", "no such address") for parcel in parcels], code="400")
        if self.tells:  # taken whole or not at all
            self.taken += [(parcel.did, aid) for parcel in parcels]
            self.knife.boundary("call: taken", lasting=True)
        else:
            for parcel in parcels:
                self.taken.append((parcel.did, aid))
                self.knife.boundary("call: taken one", lasting=True)
        self.knife.boundary("call: answering")
        return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in parcels], ref="ref")

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        self.knife.boundary("look-up")
        known = {did for did, _ in self.taken}
        return {did: did in known for did in dids} if self.knows else {}

    def finish(self, issue: str, title: str) -> Path | None:
        self.knife.boundary("finish")
        return None

    def close(self) -> None:
        """Nothing is open."""
