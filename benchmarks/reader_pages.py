"""How long a page of the readers' list takes, and a change of the interest lists, with very many readers.

    python -m benchmarks.reader_pages [--readers 2000000] [--store sqlite|postgresql] [--pages 12] [--merge]

Seeds a list straight into the tables (addresses are sealed a thousand times and used again; who they are changes nothing here),
with common and rare values of everything that can be asked for, and asks for pages of 100 from places all over it. ``page_ms`` is
the slowest page of all, opened and ready to be shown; ``frequent_ms`` the median. ``--merge`` also merges the two interests that
most follow, and takes that back.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from digest.admin import interest_lists
from digest.admin import interest_moves as moves
from digest.admin.segments import Filter, count, page
from digest.model import Status
from digest.store.dialect import analyse, is_postgresql
from digest.store.schema import follows, subscriber
from digest.workspace import Workspace, open_workspace
from tests.support.make import CONFIG, make_workspace

NOW = datetime(2026, 11, 1, tzinfo=UTC)
INTERESTS = [f"i{n}" for n in range(12)]
SHARES = [1 / (n + 1) for n in range(12)]  # the first is followed by most
STATUSES = ["active"] * 880 + ["unsubscribed"] * 60 + ["paused"] * 40 + ["suppressed"] * 19 + ["pending"]
COLUMNS = (
    *("id", "sid", "address_index", "address", "name", "cadence", "language", "audience", "status", "status_at"),
    *("consent_at", "consent_source", "created_at", "plain_text", "large_print", "catch_up"),
)


def say(text: str) -> None:
    """Progress."""
    sys.stderr.write(text + "\n")


def rows(workspace: Workspace, readers: int, drawn: random.Random) -> Iterator[tuple[Any, ...]]:
    """Subscribers, as they lie in the table."""
    vault = workspace.store.vault
    sealed = [(vault.seal(f"r{n}@example.org", "address"), vault.seal(f"Reader {n}", "name")) for n in range(1000)]
    for n in range(1, readers + 1):
        consent = NOW - timedelta(days=drawn.randint(1, 1800) if n % 100_000 else 3000, seconds=drawn.randint(0, 86_000))
        source = "paper form" if n % 50_000 == 7 else "import" if n % 5 < 2 else "confirmed, page"
        language = "de" if n % 200_000 == 11 else ""
        address, name = sealed[n % 1000]
        yield (
            *(n, f"{n:032x}", n.to_bytes(32, "big"), address, name, "weekly" if n % 10 < 3 else "monthly", language, ""),
            *(STATUSES[drawn.randrange(1000)], consent, consent, source, consent, False, False, False),
        )


def choices(readers: int, drawn: random.Random) -> Iterator[tuple[int, str, int, bool]]:
    """What they follow: one to four of the common ones, and every hundred-thousandth a rare one."""
    for n in range(1, readers + 1):
        chosen = list(dict.fromkeys(drawn.choices(INTERESTS, SHARES, k=drawn.randint(1, 4))))
        chosen += ["rare"] if n % 100_000 == 3 else []
        for place, id in enumerate(chosen):
            yield n, id, place, False


def write(tx: Any, table: str, columns: tuple[str, ...], values: Iterator[tuple[Any, ...]]) -> None:
    """As fast as the database takes it."""
    if is_postgresql(tx):
        with tx.connection.driver_connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    said = (tuple(f"{v:%Y-%m-%d %H:%M:%S.%f}" if isinstance(v, datetime) else v for v in row) for row in values)
    tx.connection.driver_connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", said)


FILTERS: dict[str, Filter] = {
    "everybody": Filter(),
    "active": Filter(status=Status.ACTIVE),
    "pending, one in a thousand": Filter(status=Status.PENDING),
    "weekly": Filter(cadence="weekly"),
    "weekly and suppressed": Filter(cadence="weekly", status=Status.SUPPRESSED),
    "follows what most follow": Filter(interests=("i0",)),
    "follows any of three": Filter(interests=("i0", "i5", "i11")),
    "follows what few follow": Filter(interests=("rare",)),
    "follows what most follow, source rare": Filter(interests=("i0",), source="paper form"),
    "follows what most follow, nobody fits": Filter(interests=("i0",), language="xx"),
    "follows any of three, nobody fits": Filter(interests=("i0", "i1", "i2"), status=Status.ACTIVE, language="xx"),
    "source common": Filter(source="import"),
    "source rare": Filter(source="paper form"),
    "language rare": Filter(language="de"),
    "nobody fits": Filter(language="xx", status=Status.ACTIVE),
    "consent of the last 30 days": Filter(consent_newer_days=30),
    "consent older than 8 years": Filter(consent_older_days=2900),
    "active, weekly, consent older than 4 years": Filter(status=Status.ACTIVE, cadence="weekly", consent_older_days=1460),
}


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what it gave."""
    began = time.perf_counter()
    result = action()
    return (time.perf_counter() - began) * 1000, result


def measure(workspace: Workspace, readers: int, pages: int, drawn: random.Random) -> dict[str, dict[str, float]]:
    """For each filter pages from the beginning, the end, and places drawn at random."""
    found = {}
    for name, filter in FILTERS.items():
        places = [0, 0, readers - 50, *(drawn.randrange(readers) for _ in range(pages - 3))]
        took, filled = [], 0
        for after in places:
            ms, got = timed(lambda after=after, filter=filter: page(workspace, filter, after, 100))
            took.append(ms)
            filled += len(got.readers)
        found[name] = {"slowest_ms": round(max(took), 1), "median_ms": round(statistics.median(took), 1), "readers": filled}
        say(f"{name}: slowest {max(took):.0f} ms, median {statistics.median(took):.0f} ms, {filled} readers")
    return found


def main() -> None:
    """Seed, ask, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=2_000_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    lists = "".join(f"- {{id: {id}, label: {id.upper()}, match: {{tag: {id}}}}}\n" for id in (*INTERESTS, "rare"))
    server = None
    config = CONFIG
    if given.store == "postgresql":
        from tests.support.postgres import start_server

        server = start_server()
        config += f'store: {{url: "{server.database()}"}}\n'
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            open_workspace(make_workspace(Path(folder) / "w", config=config, interests=lists)) as opened,
        ):
            sys.stdout.write(json.dumps(run(opened, given)) + "\n")
    finally:
        if server is not None:
            server.stop()


def run(opened: Workspace, given: argparse.Namespace) -> dict[str, Any]:
    """All of it, on an open workspace."""
    drawn = random.Random(given.seed)
    began = time.monotonic()
    with opened.store.write() as tx:
        write(tx, "subscriber", COLUMNS, rows(opened, given.readers, drawn))
        write(tx, "follows", ("subscriber_id", "interest", "position", "fewer"), choices(given.readers, drawn))
        analyse(tx, subscriber, follows)
    say(f"seeded in {time.monotonic() - began:.0f} s")
    found = measure(opened, given.readers, given.pages, drawn)
    result: dict[str, Any] = {
        "store": given.store,
        "readers": given.readers,
        "page_ms": max(one["slowest_ms"] for one in found.values()),
        "frequent_ms": statistics.median(one["median_ms"] for one in found.values()),
        "count_all_ms": round(timed(lambda: count(opened, Filter(status=Status.ACTIVE, interests=("i0",))))[0]),
        "filters": found,
    }
    if given.merge:
        proposal = interest_lists.propose(opened, lambda lists: moves.merge(lists, "i1", "i0"))
        shown_ms, shown = timed(lambda: interest_lists.show(opened, proposal))
        merge_ms, made = timed(lambda: interest_lists.make(opened, proposal, shown))
        undo_ms, _ = timed(lambda: interest_lists.make(opened, interest_lists.undo(opened)))
        result |= {"shown_s": shown_ms / 1000, "merge_s": merge_ms / 1000, "merged_readers": made.readers, "undo_s": undo_ms / 1000}
    return result


if __name__ == "__main__":
    main()
