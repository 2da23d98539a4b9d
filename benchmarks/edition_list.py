"""Asking for the list of all distinct editions of a draft, once it has been worked out, against 300 ms; and working it out.

    python -m benchmarks.edition_list --editions 5000 --seed 1

Fills a workspace with readers (as `benchmarks.million` does) until there are at least so many distinct editions, works the list out
once, and asks for it again ``--repeat`` times as the desk does: is everything it follows from still the same, then the list, sorted
and cut to a page. ``list_ms`` is the median by the clock, ``list_cpu_ms`` of processor time (what a busy machine does not distort),
``changed_ms`` the time after one reader chose otherwise. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import update

from benchmarks.million import ISSUE, ON, fill
from digest.desk.editions import Editions
from digest.store import schema as t
from digest.workspace import Workspace, open_workspace

_PAGE = 50


def measure(workspace: Workspace, repeat: int) -> dict[str, float]:
    """Milliseconds by the clock."""
    kept = Editions()
    began = time.perf_counter()
    kept.ready(workspace, ISSUE)
    composed = time.perf_counter()
    lines = kept.table(workspace, ISSUE).lines
    found = {"compose_ms": (composed - began) * 1000, "first_ms": (time.perf_counter() - composed) * 1000}
    took, spent = [], []
    for n in range(repeat):
        began, cpu = time.perf_counter(), time.process_time()
        page = kept.table(workspace, ISSUE).sorted(("readers", "largest", "smallest", "warnings")[n % 4])[:_PAGE]
        took.append((time.perf_counter() - began) * 1000)
        spent.append((time.process_time() - cpu) * 1000)
        assert len(page) == min(_PAGE, len(lines))
    with workspace.store.write() as tx:
        tx.execute(update(t.subscriber).where(t.subscriber.c.id == 1).values(max_teasers=1))
    began = time.perf_counter()
    assert kept.table(workspace, ISSUE).content_hash
    found |= {
        "list_ms": statistics.median(took),
        "list_cpu_ms": statistics.median(spent),
        "worst_ms": max(took),
        "changed_ms": (time.perf_counter() - began) * 1000,
    }
    return {"editions": len(lines), **{name: round(value, 1) for name, value in found.items()}}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--editions", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=21)
    given = parser.parse_args()
    readers = given.editions * 4
    while True:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder) / "letter", readers, given.seed, 20, 50, 8)
            with open_workspace(Path(folder) / "letter", ON) as workspace:
                found = measure(workspace, given.repeat)
        print(f"{readers} readers: {found}")  # noqa: T201
        if found["editions"] >= given.editions:
            break
        readers = readers * 3 // 2
    print(json.dumps({"readers": readers, **found}))  # noqa: T201


if __name__ == "__main__":
    main()
