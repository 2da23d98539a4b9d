"""What a batch costs a worker on PostgreSQL: `python -m benchmarks.batch_cost [--readers 4000] [--batch 1] [--lanes 8]`.

Statements and transactions a batch, and the worker's processor time a batch and for a thousand deliveries. These bound how many
workers one server and one machine can bear, and other load on the machine hardly touches them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import event

from benchmarks.pg_worker import Sink
from digest import handover, readiness
from digest.workspace import open_workspace
from tests.support.fleet import ISSUE, ON, Fleet
from tests.support.postgres import start_server


def measure(fleet: Fleet, batch: int, lanes: int) -> dict[str, Any]:
    """Hand the issue over in this process, counting."""
    said: Counter[str] = Counter()
    begun = 0
    with open_workspace(fleet.folder, ON) as opened:
        ready = readiness.make_ready(opened, ISSUE)
        sink = Sink(fleet.journal, delay_s=0.01, batch=batch, lanes=lanes, knows=False)
        run = handover.Run(opened, sink, ready, lambda _: None)

        def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
            said[" ".join(statement.split())[:60]] += 1

        def begin(connection: Any) -> None:
            nonlocal begun
            begun += connection.get_execution_options().get("digest_begins") != ""

        event.listen(opened.store.engine, "before_cursor_execute", hear)
        event.listen(opened.store.engine, "begin", begin)
        cpu_s = time.process_time()
        accepted = run.drain().accepted
        cpu_s = time.process_time() - cpu_s
    batches = accepted / batch
    for statement, count in said.most_common(8):
        sys.stdout.write(f"{count / batches:6.2f}  {statement}\n")
    return {
        "readers": fleet.readers,
        "batch": batch,
        "lanes": lanes,
        "accepted": accepted,
        "statements_a_batch": round(said.total() / batches, 2),
        "transactions_a_batch": round(begun / batches, 2),
        "worker_cpu_ms_a_batch": round(cpu_s / batches * 1000, 2),
        "worker_cpu_s_a_thousand": round(cpu_s / accepted * 1000, 3),
    }


def main() -> None:
    """Make an issue, hand it over, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=8)
    given = parser.parse_args()
    server = start_server()
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    try:
        found = measure(Fleet(folder / "w", server.database(), given.readers), given.batch, given.lanes)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
