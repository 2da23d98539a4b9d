"""A tenth of the readers unsubscribe while an issue goes out: R14 of RELIABILITY.md.

    python -m benchmarks.storm --readers 2000 --seed 1

The real ``dispatch.send`` hands over to a carrier in this process, over four lanes, in small batches, some of them put off and
claimed again. Two other processes and two threads, each with the workspace opened for itself, unsubscribe readers at random
moments; half of them just when their own delivery is about to be claimed or in a call, and some of the others twice at once.
The oracle is the order of commits: each unsubscribe notes, in the transaction that commits it, the highest attempt there is; no
later attempt may hold a delivery of that reader. ``--control no-gate`` claims without asking for consent; it must fail, or the
harness has gone blind. ``--control stale-gate`` asks for what consent was one claim earlier, and fails whenever somebody leaves
within those milliseconds.

The seed settles who leaves when as far as that can be; how the threads interleave is the machine's, so a repeat is not the same run.
"""

from __future__ import annotations

import argparse
import bisect
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import func, select, true

from digest import dispatch, gather, interests, issue, plan, readiness
from digest.addresses import parse
from digest.events import Suppression
from digest.model import DeliveryState as S
from digest.model import Status
from digest.providers import Handover, Parcel, Receipt
from digest.store import ledger, now, people, suppressions
from digest.store import schema as t
from digest.store.mark import highest_attempt
from digest.subscribe import import_file
from digest.workspace import Workspace, open_workspace
from tests.support.carrier import Carrier, accept
from tests.support.make import CONFIG, make_workspace, write_summary

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
LANES, BATCH = 4, 5
PROCESSES, THREADS = 2, 2
LEAVE, TWICE, LATER = 0.1, 0.2, 0.03


@dataclass
class Score:
    """What a storm came to.

    ``claimed_after`` and ``handed_over_after``: deliveries of readers who had left before the claim was committed. ``honoured``:
    left in time, got nothing. ``too_late``: claimed before they left; ``still_left`` of them were taken after that.
    """

    readers: int
    seed: int
    control: str = ""
    unsubscribed: int = 0
    requests: int = 0
    errors: int = 0
    claimed_after: int = 0
    handed_over_after: int = 0
    honoured: int = 0
    too_late: int = 0
    still_left: int = 0
    calls: int = 0
    accepted: int = 0
    skipped: int = 0
    not_idempotent: int = 0
    twice: int = 0
    missed: int = 0
    seconds: float = 0
    unsubscribe_ms: dict[str, float] = field(default_factory=dict)
    unsubscribes_over_300_ms: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the promise was kept, in a storm that could have broken it."""
        broken = self.claimed_after or self.handed_over_after or self.errors or self.not_idempotent or self.twice or self.missed
        return not broken and not self.problems and self.honoured > 0


class Leaving(NamedTuple):
    """A reader unsubscribes once so many attempts were made; None: one whose turn it is just then."""

    attempts: int
    reader: int | None


class Left(NamedTuple):
    """What an unsubscribe knows: the reader's row and the highest attempt in its own transaction; else the error."""

    row: int
    attempts: int
    at: float
    took_s: float
    error: str = ""


def email(n: int) -> str:
    """The n-th reader's address."""
    return f"r{n}@example.org"


def workspace(folder: Path, readers: int) -> Path:
    """A workspace with an issue planned for everybody."""
    lines = "".join(f"{email(n)},{('gut', 'vision', 'gut;vision')[n % 3]}\n" for n in range(readers))
    settings = "delivery: {max_per_minute: 1000000}\n"
    made = make_workspace(folder / "letter", config=CONFIG + settings, subscribers="email,interests\n" + lines)
    write_summary(made, "bacteria", tags="gut")
    write_summary(made, "eyes", tags="vision")
    with open_workspace(made, ON) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
    return made


def choose(readers: int, source: random.Random) -> list[list[Leaving]]:
    """Who leaves and when, for each worker. Readers whose place is even are known beforehand, the others have their turn."""
    shares: list[list[Leaving]] = [[] for _ in range(PROCESSES + THREADS)]
    number = int(readers * LEAVE)
    known = [2 * n for n in source.sample(range(readers // 2), number // 2)]
    for place in range(number):
        one = Leaving(source.randrange(readers // BATCH), known[place] if place < len(known) else None)
        first, second = source.sample(shares, 2)
        first.append(one)
        if one.reader is not None and source.random() < TWICE:
            second.append(one)
    return [sorted(share, key=lambda one: one.attempts) for share in shares]


class Turns:
    """Readers near the place that the claims have come to, each once; workers draw apart from each other."""

    def __init__(self, readers: int, worker: int, seed: int) -> None:
        workers = PROCESSES + THREADS
        self._free = [n for n in range(1, readers, 2) if n // 2 % workers == worker]
        self._random = random.Random(seed)

    def next(self, opened: Workspace) -> int:
        """One who is to be claimed within the next three claims, or was within the last."""
        with opened.store.read() as tx:
            last = select(func.max(t.attempt.c.id)).scalar_subquery()
            here = tx.execute(select(func.max(t.delivery.c.id)).where(t.delivery.c.attempt_id == last)).scalar() or 0
        wanted = here + self._random.randrange(-BATCH, 3 * BATCH)
        place = min(bisect.bisect(self._free, wanted), len(self._free) - 1)
        return self._free.pop(place)


def unsubscribe(opened: Workspace, address: str) -> Left:
    """As a one-click request does it: status, suppression, and here the highest attempt, in one transaction."""
    begun = time.monotonic()
    key = parse(address)
    with opened.store.write() as tx:
        at = now(tx)
        person = people.find(tx, opened.store.vault, key)
        assert person is not None
        people.change(tx, opened.store.vault, person.row, person.subscriber.model_copy(update={"status": Status.UNSUBSCRIBED}), at)
        suppressions.put(tx, opened.store.vault.index(key.key), Suppression("request", at, "storm"))
        attempts = highest_attempt(tx)
    return Left(person.row, attempts, time.monotonic(), time.monotonic() - begun)


def worker(folder: Path, share: Sequence[Leaving], turns: Turns, over: Any, out: Path) -> None:
    """Unsubscribe a share, each when its moment has come, and write down what was seen."""
    with out.open("w", encoding="ascii") as file, open_workspace(folder, ON) as opened:
        for one in share:
            while not over.is_set():
                with opened.store.read() as tx:
                    if highest_attempt(tx) >= one.attempts:
                        break
                time.sleep(0.003)
            try:
                left = unsubscribe(opened, email(turns.next(opened) if one.reader is None else one.reader))
            except Exception as error:  # whatever it is, the reader would have seen a failure
                left = Left(0, 0, 0, 0, repr(error))
            file.write(json.dumps(left) + "\n")


class Stale:
    """A consent gate that is one claim old."""

    def __init__(self, opened: Workspace) -> None:
        self._opened = opened
        self._gone: Sequence[int] = ()

    def __call__(self) -> Any:
        before = self._gone
        with self._opened.store.read() as tx:
            self._gone = tx.execute(select(t.subscriber.c.id).where(t.subscriber.c.status != Status.ACTIVE)).scalars().all()
        return t.subscriber.c.id.not_in(before)


class Slow(Carrier):
    """Takes its time, puts some batches off without making them wait, and knows when it answered each call."""

    def __init__(self, seed: int) -> None:
        super().__init__(self._answer, batch=BATCH, lanes=LANES)
        self._random = random.Random(seed)
        self.answered: dict[str, float] = {}

    def _answer(self, aid: str, parcels: Sequence[Parcel]) -> Handover:
        time.sleep(self._random.uniform(0, 0.03))
        self.answered[aid] = time.monotonic()
        if self._random.random() < LATER:
            return Handover([Receipt(parcel.did, "deferred", "later") for parcel in parcels], retry_after_s=0)
        return accept(aid, parcels)


def storm(readers: int, seed: int, control: str = "") -> Score:
    """One issue in a storm."""
    source = random.Random(seed)
    score = Score(readers, seed, control)
    carrier = Slow(source.randrange(2**32))
    processes = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="digest-storm-") as name:
        folder = workspace(Path(name), readers)
        shares = choose(readers, source)
        over = processes.Event()
        logs = [Path(name) / f"left-{n}.jsonl" for n in range(len(shares))]
        turns = [Turns(readers, n, source.randrange(2**32)) for n in range(len(shares))]
        given = [(folder, share, own, over, log) for share, own, log in zip(shares, turns, logs, strict=True)]
        # Forked before there is a thread or an open database here.
        workers: list[Any] = [processes.Process(target=worker, args=words) for words in given[:PROCESSES]]
        for one in workers:
            one.start()
        threads = [threading.Thread(target=worker, args=words) for words in given[PROCESSES:]]
        for one in threads:
            one.start()
        begun = time.monotonic()
        try:
            send(folder, carrier, control, score)
        finally:
            over.set()  # who has not left yet leaves now
            for one in [*workers, *threads]:
                one.join()
        score.seconds = round(time.monotonic() - begun, 1)
        score.problems += [f"a process ended with {one.exitcode}" for one in workers if one.exitcode]
        lefts = [Left(*json.loads(line)) for log in logs if log.exists() for line in log.read_text(encoding="ascii").splitlines()]
        if len(lefts) != sum(map(len, shares)):
            score.problems.append("an unsubscribe is missing")
        judge(folder, carrier, lefts, score)
    return score


def send(folder: Path, carrier: Carrier, control: str, score: Score) -> None:
    """The sender, as ``digest send`` runs it; in the control without the gate in its claim."""
    with open_workspace(folder, ON) as opened, opened.store.alone():
        gate = {"no-gate": true, "stale-gate": Stale(opened)}.get(control, people.writable)
        with patch.object(dispatch, "make", lambda *_: carrier), patch.object(ledger, "writable", gate):
            try:
                dispatch.send(opened, ISSUE)
            except Exception as error:
                score.problems.append(f"the sender: {error!r}")


def judge(folder: Path, carrier: Slow, lefts: Sequence[Left], score: Score) -> None:
    """Compare what left, what is written, and what the carrier was handed."""
    failed = [left.error for left in lefts if left.error]
    score.requests, score.errors = len(lefts), len(failed)
    score.problems += sorted(set(failed))
    good = [left for left in lefts if not left.error]
    first: dict[int, Left] = {}
    for left in good:
        first[left.row] = min(left, first.get(left.row, left), key=lambda one: (one.attempts, one.at))
    took = sorted(left.took_s * 1000 for left in good)
    if took:
        score.unsubscribe_ms = {f"p{share}": round(took[min(len(took) - 1, len(took) * share // 100)], 1) for share in (50, 90, 99, 100)}
    score.unsubscribes_over_300_ms = sum(ms > 300 for ms in took)
    with open_workspace(folder, ON) as opened:
        stands = dispatch.status(opened, ISSUE)
        with opened.store.read() as tx:
            rows = {row.did: row for row in tx.execute(select(t.delivery))}
            attempts = dict(tx.execute(select(t.attempt.c.aid, t.attempt.c.id)).all())
            status = dict(tx.execute(select(t.subscriber.c.id, t.subscriber.c.status)).all())
            indexes = dict(tx.execute(select(t.subscriber.c.id, t.subscriber.c.address_index)).all())
            suppressed = set(tx.execute(select(t.suppression.c.address_index)).scalars())
            query = select(t.consent.c.subscriber_id, func.count()).where(t.consent.c.kind == "status").group_by(t.consent.c.subscriber_id)
            changes = dict(tx.execute(query).all())
    handed: defaultdict[int, list[str]] = defaultdict(list)  # a reader's calls
    for aid, parcels in carrier.calls:
        for parcel in parcels:
            handed[rows[parcel.did].subscriber_id].append(aid)
    score.unsubscribed, score.calls = len(first), len(carrier.calls)
    score.accepted, score.skipped = stands.accepted, stands.skipped
    taken = Counter(carrier.taken)
    score.twice = sum(count > 1 for count in taken.values())
    for did, row in rows.items():
        left = first.get(row.subscriber_id)
        if left is None:
            score.missed += row.state != S.ACCEPTED or did not in taken
            continue
        gone = any(attempts[aid] > left.attempts for aid in handed[row.subscriber_id])
        score.handed_over_after += gone
        score.claimed_after += (row.attempt_id or 0) > left.attempts
        score.honoured += did not in taken
        score.too_late += did in taken and not gone
        score.still_left += did in taken and not gone and carrier.answered[handed[row.subscriber_id][-1]] > left.at
        # Whoever was taken is accepted, whoever was not is skipped for having left.
        score.missed += (row.state == S.ACCEPTED) != (did in taken)
        score.missed += did not in taken and (row.state, row.reason) != (S.SKIPPED, Status.UNSUBSCRIBED)
        once = status[row.subscriber_id] == Status.UNSUBSCRIBED and changes.get(row.subscriber_id) == 1
        score.not_idempotent += not once or indexes[row.subscriber_id] not in suppressed
    if len(suppressed) != len(first):
        score.problems.append(f"{len(suppressed)} addresses are suppressed, {len(first)} readers left")
    if not stands.sum_is_right or stands.state != "finished" or stands.planned != score.readers:
        score.problems.append(f"the issue is {stands.state}, the sum of its states of {stands.planned} planned is not right")


def main() -> None:
    """Run a storm and print its score as JSON; exit 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--control", choices=["no-gate", "stale-gate"], default="")
    given = parser.parse_args()
    os.environ.pop("DIGEST_SECRET_KEY", None)  # the workspace makes its own
    score = storm(given.readers, given.seed, given.control)
    sys.stdout.write(json.dumps({**asdict(score), "holds": score.holds}, indent=2) + "\n")
    sys.exit(0 if score.holds else 1)


if __name__ == "__main__":
    main()
