"""Kill the sender at random moments, let it go on, and count what its sink took: R1 of RELIABILITY.md.

    python -m benchmarks.kills --provider smtp --kills 30 --seed 1
    python -m benchmarks.kills --kills 1000 --seed 2026          # the three providers, one after the other

The sink is a process of its own that is never killed and syncs its journal before it replies. The sender is a real process
that is killed with SIGKILL once it is in its loop. The oracle is the journal: no delivery twice, none that is neither
accepted nor listed, no more uncertain at once than connections times batch. ``--provider`` also takes the three protocols that
are known to be wrong; they must fail, or the harness has gone blind.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from digest import dispatch, feedback, gather, interests, issue, operate, plan, readiness
from digest.model import DeliveryState as S
from digest.store import outcomes
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
READERS = 1200
REPOSITORY = Path(__file__).parent.parent
LANES, BATCH = {"smtp": 4, "sendgrid": 2, "outbox": 1}, {"smtp": 1, "sendgrid": 10, "outbox": 200}
BAD = ("mark-after-send", "lock-over-call", "checkpoint-at-fetch")


@dataclass
class Score:
    """What a campaign came to. ``resolved`` counts uncertain hand-overs that events or look-ups settled as sent."""

    provider: str
    seed: int
    kills: int = 0
    planned: int = 0
    accepted: int = 0
    twice: int = 0
    missed: int = 0
    uncertain: int = 0
    most_uncertain_at_once: int = 0
    bound: int = 0
    resolved: int = 0
    held: int = 0
    held_but_sent: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not (self.twice or self.missed or self.problems) and self.most_uncertain_at_once <= self.bound


class Sink:
    """A server process with a journal."""

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        self.journal = folder / "journal.jsonl"
        module = {"smtp": "tests.support.smtp_server", "sendgrid": "tests.support.sendgrid_server"}[kind]
        faults = {
            "smtp": ["dot:accept-reset@0.005", "dot:reset@0.005", "rcpt:reply=450 4.2.0 Later@0.002"],
            "sendgrid": ["reset-after=0.02", "503-after=0.01", "reset-mid-body=0.01"],
        }[kind]
        words = [sys.executable, "-m", module, "--journal", str(self.journal), "--seed", str(seed)]
        for fault in faults:
            words += ["--fault", fault]
        if kind == "sendgrid":
            words += ["--leash", "--no-schema"]  # it ends with us; and checking each body against the schema is another test's
        self.process = subprocess.Popen(words, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[1])

    def taken(self) -> Counter[str]:
        """How often each delivery was accepted."""
        return Counter(entry["did"] for entry in self.entries() if "did" in entry)

    def entries(self) -> list[dict[str, str]]:
        """The journal."""
        return [json.loads(line) for line in self.journal.read_text(encoding="utf-8").splitlines()] if self.journal.exists() else []

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


class Files:
    """The outbox as a sink: a message that is written again has another inode."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "letter" / "var" / "outbox" / ISSUE
        self._seen: dict[str, set[tuple[int, int]]] = {}
        self.port = 0

    def taken(self) -> Counter[str]:
        """How often each message was written, as far as was looked."""
        for file in self._folder.glob("*.eml"):
            facts = file.stat()
            self._seen.setdefault(file.stem, set()).add((facts.st_ino, facts.st_mtime_ns))
        return Counter({did: len(facts) for did, facts in self._seen.items()})

    def entries(self) -> list[dict[str, str]]:
        """No journal."""
        return []

    def close(self) -> None:
        """Nothing runs."""


def workspace(folder: Path, provider: str, port: int) -> Path:
    """A workspace with an issue drafted and everybody's edition to come."""
    settings = (
        f"delivery: {{provider: {provider}, max_per_minute: 1000000, uncertain: hold,\n"
        f"  smtp: {{port: {port or 1025}, connections: {LANES['smtp']}}},\n"
        f"  sendgrid: {{base_url: 'http://127.0.0.1:{port or 1025}', batch: {BATCH['sendgrid']}, calls: {LANES['sendgrid']}}}}}\n"
    )
    people = "email,interests\n" + "".join(f"r{n}@example.org,{('gut', 'vision', 'gut;vision')[n % 3]}\n" for n in range(READERS))
    made = make_workspace(folder / "letter", config=CONFIG + settings, subscribers=people)
    write_summary(made, "bacteria", tags="gut")
    write_summary(made, "eyes", tags="vision")
    with open_workspace(made, ON) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        ready = readiness.make_ready(opened, ISSUE)
        plan.plan(opened, ready)
    return made


def in_a_process(work: Callable[[Callable[[], None]], None], kill_after_s: float | None) -> bool:
    """Run ``work`` in a child and kill it so long after it says that it is in its loop. Whether it ended by itself."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            work(lambda: os.write(writer, b".") and None)
            code = 0
        except BaseException as error:
            os.write(2, f"child: {error!r}\n".encode()) if kill_after_s is None else None
        finally:
            os._exit(code)
    os.close(writer)
    if kill_after_s is not None:
        select.select([reader], [], [], 60)
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reader)
    return os.WIFEXITED(status)


def send(folder: Path) -> Callable[[Callable[[], None]], None]:
    """The sender, as ``digest send`` runs it."""

    def work(in_loop: Callable[[], None]) -> None:
        with open_workspace(folder, ON) as opened, opened.store.alone():
            dispatch.send(opened, ISSUE, lambda step: in_loop() if step.stage == "send" else None)

    return work


def states(folder: Path) -> dict[str, str]:
    """The state of every delivery, by did, read past the program."""
    database = sqlite3.connect(folder / "var" / "digest.db")
    try:
        return dict(database.execute("SELECT did, state FROM delivery"))
    finally:
        database.close()


def round_of(score: Score, source: random.Random, kills: int, lose: float) -> None:
    """One issue: kill until so many kills are done or it is finished, let it finish, tell the events, and judge."""
    provider = score.provider
    with tempfile.TemporaryDirectory(prefix="digest-kills-") as name:
        base = Path(name)
        sink = Files(base) if provider == "outbox" else Sink(base, provider, source.randrange(2**32))
        try:
            folder = workspace(base, provider, sink.port)
            for _ in range(kills):
                if in_a_process(send(folder), source.uniform(0, 0.05)):
                    break
                score.kills += 1
                open_now = Counter(states(folder).values())["inflight"]
                score.most_uncertain_at_once = max(score.most_uncertain_at_once, open_now)
                score.uncertain += open_now
                sink.taken()
            finish(folder, score)
            judge(folder, sink, score, source, lose)
        finally:
            sink.close()


def finish(folder: Path, score: Score) -> None:
    """Let the issue go out to its end."""
    for _ in range(20):
        database = sqlite3.connect(folder / "var" / "digest.db")
        database.execute("UPDATE delivery SET next_at = NULL WHERE state = 'ready'")  # deferred ones need not wait half an hour here
        database.commit()
        database.close()
        in_a_process(send(folder), None)
        with open_workspace(folder, ON) as opened:
            if dispatch.status(opened, ISSUE).state == "finished":
                return
    score.problems.append("the issue did not finish")


def judge(folder: Path, sink: Sink | Files, score: Score, source: random.Random, lose: float) -> None:
    """Compare the ledger with the sink."""
    taken = sink.taken()
    before = states(folder)
    waiting = {did for did, state in before.items() if state == "held"}
    with open_workspace(folder, ON) as opened:
        if entries := [entry for entry in sink.entries() if entry.get("aid") and source.random() >= lose]:
            source.shuffle(entries)
            facts = {"event": "processed", "email": "x@example.org"}
            told = [
                {**facts, "did": entry["did"], "aid": entry["aid"], "timestamp": 1777622400 + n, "sg_event_id": f"e{n}"}
                for n, entry in enumerate(entries)
            ]
            for start in range(0, len(told), 100):
                feedback.take_webhook(opened.store, "sendgrid", json.dumps(told[start : start + 100]).encode())
            feedback.apply(opened)
        listed = {row.did for row in operate.held(opened, ISSUE)}
        if not dispatch.status(opened, ISSUE).sum_is_right:
            score.problems.append("the sum of states is wrong")
        with opened.store.read() as tx:
            row = issue.find(tx, ISSUE)
            planned = sum(outcomes.counts(tx, row.id).values())
    after = states(folder)
    score.planned += planned
    score.accepted += sum(state == S.ACCEPTED for state in after.values())
    score.twice += sum(count > 1 for count in taken.values())
    known = {"accepted", "failed", "skipped"}
    score.missed += sum(state not in known and not (state == "held" and did in listed) for did, state in after.items())
    score.missed += sum(state == "accepted" and did not in taken for did, state in after.items())
    held = {did for did, state in after.items() if state == "held"}
    score.resolved += len(waiting - held)
    score.held += len(held)
    score.held_but_sent += sum(did in taken for did in held)
    if lose == 0 and score.provider == "sendgrid" and any(did in taken for did in held):
        score.problems.append("an accepted hand-over was not resolved by its events")


# --- protocols that are known to be wrong --------------------------------------------------------------------------------


def wrong(protocol: str, database: Path, journal: Path) -> Callable[[Callable[[], None]], None]:
    """Notify's, email-alert-api's and listmonk's shape of a sender, on a table of its own."""

    def deliver(did: str) -> None:
        handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (json.dumps({"did": did}) + "\n").encode())
        os.fsync(handle)
        os.close(handle)
        time.sleep(0.0002)

    def work(in_loop: Callable[[], None]) -> None:
        db = sqlite3.connect(database, isolation_level=None)
        in_loop()
        if protocol == "checkpoint-at-fetch":
            while True:
                last = db.execute("SELECT last FROM checkpoint").fetchone()[0]
                rows = db.execute("SELECT id FROM job WHERE id > ? ORDER BY id LIMIT 10", (last,)).fetchall()
                if not rows:
                    return
                db.execute("UPDATE checkpoint SET last = ?", (rows[-1][0],))
                for (id,) in rows:
                    deliver(str(id))
        while rows := db.execute("SELECT id FROM job WHERE sent = 0 ORDER BY id LIMIT 10").fetchall():
            if protocol == "lock-over-call":
                db.execute("BEGIN IMMEDIATE")
            for (id,) in rows:
                deliver(str(id))
            db.executemany("UPDATE job SET sent = 1 WHERE id = ?", rows)
            if protocol == "lock-over-call":
                db.execute("COMMIT")

    return work


def control(protocol: str, kills: int, source: random.Random, score: Score) -> None:
    """Run a protocol that must fail."""
    with tempfile.TemporaryDirectory(prefix="digest-kills-") as name:
        database, journal = Path(name) / "jobs.db", Path(name) / "journal"
        db = sqlite3.connect(database)
        db.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, sent INTEGER NOT NULL DEFAULT 0)")
        db.execute("CREATE TABLE checkpoint (last INTEGER NOT NULL)")
        db.execute("INSERT INTO checkpoint VALUES (0)")
        db.executemany("INSERT INTO job (id) VALUES (?)", [(n,) for n in range(1, 3001)])
        db.commit()
        db.close()
        work = wrong(protocol, database, journal)
        for _ in range(kills):
            if in_a_process(work, source.uniform(0, 0.03)):
                break
            score.kills += 1
        in_a_process(work, None)
        taken = Counter(json.loads(line)["did"] for line in journal.read_text(encoding="utf-8").splitlines())
        score.planned += 3000
        score.accepted += len(taken)
        score.twice += sum(count > 1 for count in taken.values())
        score.missed += 3000 - len(taken)


def campaign(provider: str, kills: int, seed: int, lose: float = 0.0) -> Score:
    """So many kills, over as many issues as they need."""
    source = random.Random(seed)
    score = Score(provider, seed, bound=LANES.get(provider, 1) * BATCH.get(provider, 1))
    if provider in BAD:
        control(provider, kills, source, score)
        return score
    os.environ["SENDGRID_API_KEY"] = "SG.stand-in.key"
    while score.kills < kills:
        before = score.kills
        round_of(score, source, kills - score.kills, lose)
        if score.kills == before:
            score.problems.append("no kill hit")
            break
    return score


def main() -> None:
    """Run a campaign and print its score as JSON; exit 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", choices=[*LANES, *BAD], help="one alone; all three that send where it is not given")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--lose", type=float, default=0.0, help="the share of SendGrid's events that never arrive")
    given = parser.parse_args()
    scores = []
    for provider in [given.provider] if given.provider else [*LANES]:
        score = campaign(provider, given.kills, given.seed, given.lose)
        sys.stderr.write(line(score) + "\n")
        scores.append({**asdict(score), "holds": score.holds})
    sys.stdout.write(json.dumps(scores[0] if given.provider else scores, indent=2) + "\n")
    sys.exit(0 if all(score["holds"] for score in scores) else 1)


def line(score: Score) -> str:
    """A campaign in a line."""
    sent = f"{score.kills} kills, {score.planned} deliveries: {score.twice} twice, {score.missed} missed"
    unsure = f"at most {score.most_uncertain_at_once} uncertain at once (bound {score.bound}), {score.resolved} resolved, {score.held} held"
    verdict = "holds" if score.holds else "BROKEN"
    return f"{score.provider}, seed {score.seed}: {sent}; {unsure}, of which {score.held_but_sent} had been taken: {verdict}"


if __name__ == "__main__":
    main()
