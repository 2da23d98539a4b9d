"""How much faster an issue goes out with more workers: `python -m benchmarks.scale_out [--readers 200000] [--workers 1,2,4,8]`.

Every worker is a process with `--lanes` hand-overs at a time of `--batch` messages to a sink that answers after 50 ms. Ideal is
what these pauses alone would take (``of_pauses`` for the most workers); ``of_linear`` is what one of the most workers hands over,
against one of the fewest. The issue is planned once, and each run has a copy of it; the clock runs from the first message in the journal
until the ledger calls the issue finished. Workers are started first and wait, so that starting Python is not measured.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from digest.store.workers import BEAT_S
from tests.support.fleet import Fleet
from tests.support.postgres import start_server


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def measure(fleet: Fleet, workers: int, batch: int, lanes: int, delay_s: float) -> dict[str, float]:
    """The fleet's issue, by so many workers."""
    readers = fleet.readers
    try:
        with fleet.held_back():
            for _ in range(workers):
                fleet.start("--batch", str(batch), "--lanes", str(lanes), "--delay", str(delay_s), "--beat", str(BEAT_S))
            fleet.wait(lambda: fleet.alive() == workers)
        fleet.hint()
        fleet.wait(lambda: fleet.journal.stat().st_size > 0)
        began = time.monotonic()
        with fleet.journal.open("rb") as journal:  # asking the ledger ten times a second would be work of its own with so many
            count = itertools.accumulate(chunk.count(b"\n") for chunk in iter(journal.read, None))
            fleet.wait(lambda: next(count) >= readers, 7200)
        fleet.wait_finished(60)
        took_s = time.monotonic() - began
        taken = fleet.taken()
        fleet.stop()
    finally:
        fleet.kill()
    ideal_s = readers / (workers * lanes * batch) * delay_s
    return {
        "workers": workers,
        "took_s": round(took_s, 2),
        "ideal_s": round(ideal_s, 2),
        "ratio": round(ideal_s / took_s, 3),
        "per_s": round(readers / took_s),
        "doubled": sum(n > 1 for n in taken.values()),
        "missed": readers - len(taken),
        "worked": len(fleet.hands()),
    }


def main() -> None:
    """Measure each number of workers on a fresh database."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=200_000)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--delay", type=float, default=0.05)
    given = parser.parse_args()
    server = start_server()
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    found = []
    try:
        made = Fleet(folder / "made", server.database(), given.readers)
        for workers in map(int, given.workers.split(",")):
            url = server.database(made.url)
            fleet = made.twin(folder / str(workers), url)
            found.append(measure(fleet, workers, given.batch, given.lanes, given.delay))
            server.drop(url)
            say(json.dumps(found[-1]))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    first, last = (choose(found, key=lambda one: one["workers"]) for choose in (min, max))
    told = {"readers": given.readers, "batch": given.batch, "lanes": given.lanes, "delay_s": given.delay, "runs": found}
    told["of_linear"] = round(last["per_s"] / last["workers"] / (first["per_s"] / first["workers"]), 3)
    told["of_pauses"] = last["ratio"]
    say(json.dumps(told))


if __name__ == "__main__":
    main()
