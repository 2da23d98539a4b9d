"""A provider in the process that does what a test tells it, and keeps what it was handed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from digest.providers import Handover, Parcel, Receipt

Script = Callable[[str, Sequence[Parcel]], Handover]


def accept(aid: str, parcels: Sequence[Parcel]) -> Handover:
    """Take everything."""
    return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in parcels], ref=f"ref-{aid[:6]}")


class Carrier:
    """``script`` answers each call; ``calls`` holds what was handed over, ``taken`` the dids that were accepted."""

    name = "carrier"

    def __init__(self, script: Script = accept, *, batch: int = 2, lanes: int = 1, one_edition: bool = False, tells: bool = False) -> None:
        self.script, self.batch, self.lanes, self.one_edition, self.tells = script, batch, lanes, one_edition, tells
        self.sends = True
        self.longest_s = 60
        self.calls: list[tuple[str, list[Parcel]]] = []
        self.taken: list[str] = []
        self.closed = 0
        self._lock = threading.Lock()

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        with self._lock:
            self.calls.append((aid, list(parcels)))
        answer = self.script(aid, parcels)
        with self._lock:
            self.taken += [receipt.did for receipt in answer.receipts if receipt.outcome == "accepted"]
        return answer

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        return {}

    def finish(self, issue: str, title: str) -> Path | None:
        return None

    def close(self) -> None:
        self.closed += 1
