"""Cut the power at random moments, go on from what the disk has kept, and count what was handed over: R3 of RELIABILITY.md.

    python -m benchmarks.power --cuts 500 --seed 1

The ledger's own claim, settle and reap run on the program's own store, over a disk in memory that forgets unsynced writes, wholly
or in part (tests/support/power_vfs.py). The calls are written to a list outside that disk. The oracle is the list: nobody is handed
over again unless the last answer was "later"; no outcome that was committed is lost; the database is whole. Cuts also hit the
reopening and the checkpoints. ``--synchronous NORMAL`` is the setting known to be wrong; it must fail, or the harness has gone
blind.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import apsw

from digest.addresses import parse
from digest.errors import StoreError
from digest.model import DeliveryState as S
from digest.model import Slot, Subscriber
from digest.store import Store, issues, ledger, open_store, people, plans
from digest.store.ledger import Settled
from digest.store.plans import Plan
from digest.vault import Vault
from tests.support.power_vfs import DATABASE, Disk, store_on

READERS = 60
AT = datetime(2026, 5, 1, tzinfo=UTC)
ANSWERS = {S.ACCEPTED: 85, S.FAILED: 5, S.READY: 5, S.UNCERTAIN: 5}


@dataclass
class Score:
    """What a campaign came to. ``lost`` are committed outcomes that a cut took back; ``held`` is listed for a person."""

    synchronous: str
    seed: int
    sqlite: str = apsw.sqlite_lib_version()
    cuts: int = 0
    cuts_while_reopening: int = 0
    issues: int = 0
    planned: int = 0
    handed_over: int = 0
    twice: int = 0
    issues_with_twice: int = 0
    lost: int = 0
    corrupt: int = 0
    missed: int = 0
    held: int = 0
    most_uncertain_at_once: int = 0
    bound: int = 0
    lost_bytes: int = 0
    ways: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not (self.twice or self.lost or self.corrupt or self.missed or self.problems) and self.most_uncertain_at_once <= self.bound


def image(folder: Path) -> tuple[bytes, Vault, int]:
    """A database with one planned issue, made by the program; its file, its vault, and the issue's row."""
    store = open_store(folder, "sqlite:///digest.db", None)
    slot = Slot(cadence="monthly", local_date=date(2026, 5, 1), opens_after=AT - timedelta(days=30), due_at=AT)
    with store.write() as tx:
        issue = issues.put_issue(tx, slot, known_seq=0, content_hash="", frozen={}, uncertain="hold")
        edition = plans.put_editions(tx, issue, [plans.NewEdition("e", "{}", 1)])["e"]
        rows = []
        for n in range(READERS):
            email = f"r{n}@example.org"
            rows.append(people.add(tx, store.vault, parse(email), Subscriber(id="", email=email), AT))
        chosen = [Plan(row, ("gut",), edition, S.PLANNED, "") for row in rows]
        plans.put_plans(tx, issue, chosen, "Fri, 01 May 2026 09:00:00 +0100")
        plans.open_for_dispatch(tx, issue)
    store.close()
    assert not (folder / "digest.db-wal").exists()
    return (folder / "digest.db").read_bytes(), store.vault, issue


class Round:
    """One issue on one disk, through as many cuts as it takes."""

    def __init__(self, score: Score, source: random.Random, made: tuple[bytes, Vault, int], folder: Path) -> None:
        self.score, self.source, self.folder = score, source, folder
        body, self.vault, self.issue = made
        self.disk = Disk(source, {DATABASE: body})
        self.autocheckpoint = source.choice((5, 20, 60, 1000))
        self.k = source.choice((1, 3, 5))
        self.journal: dict[str, list[S]] = {}
        self.settled: dict[str, S] = {}  # what T2 said once it had returned

    def run(self, most: int) -> None:
        """Cut at most so many times, then let it finish, and judge."""
        cuts = 0
        while True:
            fuse = self.source.randrange(1, 15 if self.source.random() < 0.2 else 250) if cuts < most else None
            self.disk.arm(fuse)
            if self._life():
                break
            cuts += 1
            self.disk.restart()
        self.score.cuts += cuts
        self.score.lost_bytes += self.disk.lost_bytes
        self.score.ways = dict(sorted((Counter(self.score.ways) + self.disk.ways).items()))

    def _life(self) -> bool:
        """From switching on to the end of the issue, or to the cut. Whether it came to its end."""
        store = store_on(self.disk, self.vault, self.score.synchronous, self.autocheckpoint, self.folder)
        reopened = False
        try:
            if not self._whole(store):
                return True  # nothing more can be learnt from it
            self._recover(store)
            reopened = True
            while self._hand_over(store):
                pass
            self._judge(store)
            return True
        except (StoreError, apsw.Error):
            if not self.disk.out:
                raise
            self.score.cuts_while_reopening += not reopened
            return False
        finally:
            store.close()

    def _whole(self, store: Store) -> bool:
        """Whether the database is in order and says what it said before the cut."""
        try:
            with store.read() as tx:
                found = tx.exec_driver_sql("PRAGMA integrity_check").scalars().all()
                astray = tx.exec_driver_sql("PRAGMA foreign_key_check").all()
                states = {did: S(state) for did, state in tx.exec_driver_sql("SELECT did, state FROM delivery")}
        except StoreError as error:
            if self.disk.out:
                raise
            found, astray, states = [str(error)], [], {}
        if found != ["ok"] or astray or len(states) != READERS:
            self.score.corrupt += 1
            return False
        inflight = sum(state is S.INFLIGHT for state in states.values())
        self.score.most_uncertain_at_once = max(self.score.most_uncertain_at_once, inflight)
        for did, state in list(self.settled.items()):
            # A committed "later" or "unknown" may have moved on in a commit whose return we did not see.
            onward = {S.READY: (S.INFLIGHT, S.UNCERTAIN, S.HELD), S.UNCERTAIN: (S.HELD,)}.get(state, ())
            if states[did] is not state and states[did] not in onward:
                self.score.lost += 1
                del self.settled[did]
        return True

    def _recover(self, store: Store) -> None:
        """As dispatch.recover does under ``hold``."""
        with store.write() as tx:
            ledger.reap(tx, self.issue, everything=True)
        with store.write() as tx:
            rest = [row for row, _ in ledger.uncertain(tx, self.issue)]
            ledger.resolve(tx, rest, S.HELD, "its outcome was never learnt", "")

    def _hand_over(self, store: Store) -> bool:
        """T1, the call, T2. Whether there was anything to do."""
        with store.write() as tx:
            claim = ledger.claim(tx, self.issue, self.k, owner="here", lease=timedelta(hours=1), provider="power")
        if claim is None:
            return False
        self.disk.tick()  # after T1, before the call
        answers = self.source.choices(list(ANSWERS), list(ANSWERS.values()), k=len(claim.deliveries))
        for one, answer in zip(claim.deliveries, answers, strict=True):
            self.journal.setdefault(one.did, []).append(answer)
            self.settled.pop(one.did, None)  # a "later" that has been answered anew
        self.disk.tick()  # after the call, before T2
        settled = [Settled(one, answer) for one, answer in zip(claim.deliveries, answers, strict=True)]
        with store.write() as tx:
            ledger.settle(tx, claim, settled, outcome="answered")
        self.settled |= {one.delivery.did: one.state for one in settled}
        return True

    def _judge(self, store: Store) -> None:
        self._recover(store)
        with store.read() as tx:
            states = {did: S(state) for did, state in tx.exec_driver_sql("SELECT did, state FROM delivery")}
        score = self.score
        again = sum(any(answer is not S.READY for answer in answers[:-1]) for answers in self.journal.values())
        score.issues += 1
        score.planned += len(states)
        score.handed_over += sum(map(len, self.journal.values()))
        score.twice += again
        score.issues_with_twice += bool(again)
        score.held += sum(state is S.HELD for state in states.values())
        score.missed += sum(state not in (S.ACCEPTED, S.FAILED, S.HELD) for state in states.values())
        score.missed += sum(state is S.ACCEPTED and S.ACCEPTED not in self.journal.get(did, []) for did, state in states.items())


def campaign(cuts: int, seed: int, synchronous: str = "FULL") -> Score:
    """So many cuts, over as many issues as they need. The same seed is the same campaign."""
    source = random.Random(seed)
    score = Score(synchronous, seed, bound=5)
    # Ids decide which pages of an index change, and so how many writes there are before a cut.
    ids = SimpleNamespace(token_hex=lambda n: source.randbytes(n).hex())
    with (
        tempfile.TemporaryDirectory(prefix="digest-power-") as name,
        patch.object(ledger, "secrets", ids),
        patch.object(plans, "secrets", ids),
    ):
        made = image(Path(name))
        while score.cuts < cuts:
            before = score.cuts
            Round(score, source, made, Path(name)).run(min(cuts - score.cuts, source.randrange(1, 25)))
            if score.cuts == before:
                score.problems.append("no cut hit")
                break
    return score


def main() -> None:
    """Run a campaign and print its score as JSON; exit 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--synchronous", choices=["FULL", "NORMAL"], default="FULL")
    given = parser.parse_args()
    score = campaign(given.cuts, given.seed, given.synchronous)
    sys.stdout.write(json.dumps({**asdict(score), "holds": score.holds}, indent=2) + "\n")
    sys.exit(0 if score.holds else 1)


if __name__ == "__main__":
    main()
