"""R1 and R5 on PostgreSQL: workers are killed and frozen, the server is stopped in the middle of things, again and again.

`python -m benchmarks.pg_kills [--readers 2000] [--rounds 3] [--seed 1]`. Afterwards every reader has exactly one message in the
sink's journal, and the ledger says so. The last line is JSON; exit 1 if anybody got two or none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from digest.errors import StoreError
from tests.support.fleet import Fleet
from tests.support.postgres import Server, start_server

WORKER = ("--delay", "0.02", "--batch", "5", "--lanes", "2", "--lease-margin", "2", "--knows")


def campaign(folder: Path, server: Server, readers: int, rng: Random, workers: int = 3, pause_s: float = 1.5) -> dict[str, int]:
    """One issue under kills of workers and of the server, until it is finished."""
    fleet = Fleet(folder, server.database(), readers)
    kills = freezes = restarts = 0
    try:
        for _ in range(workers):
            fleet.start(*WORKER)
        fleet.wait(lambda: fleet.journal.stat().st_size > 0)
        finished = False
        while not finished:
            time.sleep(rng.uniform(0.2, pause_s))
            living = [worker for worker in fleet.workers if worker.poll() is None]
            move = rng.choice(["kill", "kill", "freeze", "restart"])
            if move == "restart":
                server.kill()
                time.sleep(rng.uniform(0, 0.5))
                server.start()
                restarts += 1
            elif move == "freeze" and living:
                victim = rng.choice(living)
                victim.send_signal(signal.SIGSTOP)
                time.sleep(rng.uniform(0.1, 5))  # beyond its lease, sometimes
                victim.send_signal(signal.SIGCONT)
                freezes += 1
            elif living:
                victim = rng.choice(living)
                victim.kill()
                victim.wait()
                kills += 1
            while sum(worker.poll() is None for worker in fleet.workers) < workers:
                fleet.start(*WORKER)
                if len(fleet.taken()) < readers:  # a worker needs a moment to begin; kills shall not keep all from working
                    time.sleep(0.5)
            try:
                finished = fleet.status().state == "finished" or len(fleet.taken()) == readers
            except StoreError:
                finished = False
        fleet.wait_finished(120)
        taken, stands = fleet.taken(), fleet.status()
        fleet.stop()
    finally:
        fleet.kill()
    return {
        "readers": readers,
        "kills": kills,
        "freezes": freezes,
        "restarts": restarts,
        "doubled": sum(n > 1 for n in taken.values()),
        "missed": readers - len(taken),
        "not_accepted": readers - stands.accepted,
        "contradictions": stands.contradictions,
    }


def main() -> None:
    """Campaigns one after the other, each with a fresh database."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    server = start_server()
    found = []
    try:
        for n in range(given.rounds):
            folder = Path(tempfile.mkdtemp(prefix="kills-"))
            try:
                found.append(campaign(folder / "w", server, given.readers, Random(f"{given.seed}:{n}")))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            sys.stdout.write(json.dumps(found[-1]) + "\n")
            sys.stdout.flush()
    finally:
        server.stop()
    total = {key: sum(one[key] for one in found) for key in found[0]}
    sys.stdout.write(json.dumps({"seed": given.seed, "rounds": given.rounds, **total}) + "\n")
    sys.exit(bool(total["doubled"] or total["missed"] or total["not_accepted"]))


if __name__ == "__main__":
    main()
