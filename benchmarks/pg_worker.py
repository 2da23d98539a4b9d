"""A worker whose provider is a sink in its own process: it notes every message in a journal, then answers after a while.

The journal is what the provider really took; no crash of worker or database touches it. Run by `scale_out` and `pg_kills`, and by
`partition`, whose sink is at the other end of a network: then HOST:PORT stands in the journal's place.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from digest import dispatch, entries
from digest.model import DeliveryState as S
from digest.providers import Handover, Parcel, Receipt
from digest.store import ledger, schema
from digest.worker import Worker


class Sink:
    """Takes everything after ``delay_s``. It can be asked what it took where ``knows``."""

    name, one_edition, sends, tells = "sink", False, True, False
    longest_s = 1

    def __init__(self, journal: Path, *, delay_s: float, batch: int, lanes: int, knows: bool) -> None:
        self.batch, self.lanes, self._delay_s, self._knows, self._journal = batch, lanes, delay_s, knows, journal
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        begun = time.monotonic()
        taken = []
        for parcel in parcels:
            # Frozen in mid-call, it does not go on afterwards: the seam promises that a call is over after longest_s.
            if time.monotonic() - begun > self.longest_s:
                break
            os.write(self._file, f"{parcel.did} {aid} {os.getpid()}\n".encode())
            taken.append(parcel)
        time.sleep(self._delay_s)
        return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in taken])

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        if not self._knows:
            return {}
        taken = {line.split()[0] for line in self._journal.read_text().splitlines()}
        return {did: did in taken for did in dids}

    def finish(self, issue: str, title: str) -> Path | None:
        return None

    def close(self) -> None:
        os.close(self._file)


class FarSink:
    """The sink of `partition_hub`. What it was asked and did not answer in time is uncertain."""

    name, one_edition, sends, tells = "sink", False, True, False
    longest_s = 2

    def __init__(self, address: str, *, delay_s: float, batch: int, lanes: int, knows: bool) -> None:
        host, port = address.rsplit(":", 1)
        self._address, self.batch, self.lanes, self._delay_s, self._knows = (host, int(port)), batch, lanes, delay_s, knows

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        asked = {"take": [parcel.did for parcel in parcels], "aid": aid, "who": os.getpid(), "delay_s": self._delay_s}
        try:
            connection = self._connect()
        except OSError:
            return Handover([Receipt(parcel.did, "deferred", "there is no way to it") for parcel in parcels], trouble=True)
        try:
            self._ask(connection, asked)
        except OSError:
            return Handover([Receipt(parcel.did, "uncertain", "its answer did not come") for parcel in parcels], trouble=True)
        return Handover([Receipt(parcel.did, "accepted", code="250") for parcel in parcels])

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        if not self._knows:
            return {}
        try:
            return self._ask(self._connect(), {"look_up": list(dids)})
        except OSError:
            return {}

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=self.longest_s / 2)
        # Closed is given up: what was not taken yet must not arrive once the way is there again.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return connection

    def _ask(self, connection: socket.socket, asked: dict[str, Any]) -> Any:
        with connection:
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as answer:
                if line := answer.readline():
                    return json.loads(line)
        raise ConnectionError("it was cut off")

    def finish(self, issue: str, title: str) -> Path | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""


def careless() -> None:
    """A control: who finds a dead lease, or what is uncertain, takes it for not sent."""
    real = ledger.reap

    def reap(tx: Connection, issue: int, *, everything: bool) -> int:
        reaped = real(tx, issue, everything=everything)
        d = schema.delivery
        tx.execute(update(d).where(d.c.issue_id == issue, d.c.state == S.UNCERTAIN.value).values(state=S.READY.value))
        return reaped

    ledger.reap = reap


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("journal", help="a file, or HOST:PORT")
    parser.add_argument("--on", type=date.fromisoformat)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--lease-margin", type=float, default=300)
    parser.add_argument("--beat", type=float, default=1, help="how often it looks into the ledger, in seconds")
    parser.add_argument("--knows", action="store_true")
    parser.add_argument("--careless", action="store_true")
    given = parser.parse_args()
    if given.careless:
        careless()
    entries._LEASE_MARGIN_S = given.lease_margin
    settings = {"delay_s": given.delay, "batch": given.batch, "lanes": given.lanes, "knows": given.knows}
    far = ":" in given.journal
    dispatch.make = lambda *_: FarSink(given.journal, **settings) if far else Sink(Path(given.journal), **settings)
    worker = Worker(given.workspace, on=given.on, say=lambda text: sys.stderr.write(text + "\n"))
    worker.beat_s = given.beat
    worker.run()


if __name__ == "__main__":
    main()
