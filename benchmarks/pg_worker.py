"""A worker whose provider is a sink in its own process: it notes every message in a journal, then answers after a while.

The journal is what the provider really took; no crash of worker or database touches it. Run by `scale_out` and `pg_kills`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from digest import dispatch, handover
from digest.providers import Handover, Parcel, Receipt
from digest.worker import Worker


class Sink:
    """Takes everything after ``delay_s``. It can be asked what it took where ``knows``."""

    name, one_edition, sends, tells = "sink", False, True, False
    longest_s = 1

    def __init__(self, journal: Path, *, delay_s: float, batch: int, lanes: int, knows: bool) -> None:
        self.batch, self.lanes, self._delay_s, self._knows, self._journal = batch, lanes, delay_s, knows, journal
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        for parcel in parcels:
            os.write(self._file, f"{parcel.did} {aid} {os.getpid()}\n".encode())
        time.sleep(self._delay_s)
        return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in parcels])

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        if not self._knows:
            return {}
        taken = {line.split()[0] for line in self._journal.read_text().splitlines()}
        return {did: did in taken for did in dids}

    def finish(self, issue: str, title: str) -> Path | None:
        return None

    def close(self) -> None:
        os.close(self._file)


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--on", type=date.fromisoformat)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--lease-margin", type=float, default=300)
    parser.add_argument("--beat", type=float, default=1, help="how often it looks into the ledger, in seconds")
    parser.add_argument("--knows", action="store_true")
    given = parser.parse_args()
    handover._LEASE_MARGIN_S = given.lease_margin
    dispatch.make = lambda *_: Sink(given.journal, delay_s=given.delay, batch=given.batch, lanes=given.lanes, knows=given.knows)
    worker = Worker(given.workspace, on=given.on, say=lambda text: sys.stderr.write(text + "\n"))
    worker.beat_s = given.beat
    worker.run()


if __name__ == "__main__":
    main()
