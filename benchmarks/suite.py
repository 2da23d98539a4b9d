"""Run all benchmarks and write what they gave: `make bench`.

    python -m benchmarks.suite [--size small|full] [--only NAME]... [--out benchmarks]

Each line of `TABLE` is a figure: the module that measures it and its arguments, where in the JSON it prints last the figure stands,
against what it is, and the goal. A module is run once for all its figures that have the same arguments, in a process of its own. A
module that is not there, fails, or gives no such figure is written down as that; then the exit code is 1. Writes ``RESULTS.md`` and
``results.json``, and a picture ``results.svg``: each figure as a share of its goal. With ``--only`` all other figures stay as they are
there, each with the commit it was measured at.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import picture

HERE = Path(__file__).parent


class Figure(NamedTuple):
    """``goal`` with ``least`` True is a floor, else a ceiling. ``key`` is a dotted path into the module's JSON."""

    module: str
    small: str
    full: str
    key: str
    name: str
    against: str
    goal: float
    least: bool = False
    unit: str = ""
    at_full: bool = False  # its goal is for a million readers: what a smaller run gives is shown, and not called reached
    runs: str = ""  # where the JSON has a list of them, shown as a table


PLAN = ("--readers 5000 20000", "--readers 10000 100000 1000000")
JOB = ("--readers 5000 20000 --send --processes 2", "--readers 10000 100000 1000000 --send --processes 2")
SMTP = ("--messages 10000 --rounds 5 --batch 100", "--messages 20000 --rounds 9 --batch 100")
SPEED = ("--seconds 3", "--seconds 10")
MODES = ("--readers 4000", "")
FEEDS = ("--rounds 1", "")
PAGES = ("--readers 50000 --pages 5", "")
PAGES_PG = ("--store postgresql --readers 50000 --pages 5", "--store postgresql")
SCALE = ("--readers 24000 --lanes 1 --batch 5 --workers 8,1", "--readers 200000 --lanes 1 --batch 5 --workers 8,4,2,1")
LOAD = ("--seconds 4 --rounds 3", "--seconds 10 --rounds 5 --readers 40000")
TABLE = (
    Figure("compose_speed", *SPEED, "against_naive", "messages composed a second and core", "the naive pipeline", 1000, True, "×"),
    Figure("compose_speed", *SPEED, "against_join", "messages composed a second and core", 'b"".join alone', 0.5, True, "×"),
    Figure("compose_speed", *SPEED, "worst_costs", "a message, each reader another selection", "the common case", 2, unit="×"),
    Figure("smtp_handover", *SMTP, "ratio", "SMTP hand-over with the ledger", "smtp-source -d", 0.8, True, "×"),
    Figure("million", *PLAN, "plan_s", "plan and select", "-", 60, unit=" s", at_full=True),
    Figure("million", *PLAN, "peak_mib", "its peak memory", "-", 256, unit=" MiB", at_full=True),
    Figure("million", *PLAN, "growth", "growth of its time with subscribers, as a power", "-", 1.05, at_full=True),
    Figure("million", *JOB, "job_s", "the whole job to the SendGrid stand-in", "-", 180, unit=" s", at_full=True),
    Figure("million", *JOB, "peak_mib", "peak memory of its largest process", "-", 256, unit=" MiB", at_full=True),
    Figure("million", *JOB, "growth", "growth of its time with subscribers, as a power", "-", 1.05, at_full=True),
    Figure("template_mode", *MODES, "bytes_ratio", "mode: grouped, bytes", "mode: template", 50, True, "×"),
    Figure("template_mode", *MODES, "requests_ratio", "mode: grouped, requests", "mode: template", 100, True, "×"),
    Figure("template_mode", *MODES, "different_messages", "messages that differ between the two", "-", 0),
    Figure("startup", "--rounds 11", "", "help_ratio", "digest --help", "python -c pass", 4, unit="×"),
    Figure("preview_speed", "", "", "renewed_ms", "template saved to preview renewed", "-", 300, unit=" ms"),
    Figure("edition_list", "", "", "list_ms", "list of 5,000 distinct editions", "-", 300, unit=" ms"),
    Figure("feeds", *FEEDS, "unchanged_s", "500 feeds, nothing changed", "-", 2, unit=" s"),
    Figure("feeds", *FEEDS, "new_s", "500 feeds, all new", "-", 15, unit=" s"),
    Figure("reader_pages", *PAGES, "page_ms", "slowest page of the list of 2,000,000 readers, SQLite", "-", 300, unit=" ms", at_full=True),
    Figure("reader_pages", *PAGES_PG, "page_ms", "the same, PostgreSQL", "-", 300, unit=" ms", at_full=True),
    Figure("scale_out", *SCALE, "of_linear", "eight workers to a sink that answers after 50 ms", "eight times one", 0.85, True, "×"),
    Figure("scale_out", *SCALE, "of_pauses", "the same", "the sink's pauses and nothing else", 0.85, True, "×", runs="runs"),
    Figure("web_load", *LOAD, "unsubscribe.best_p99_ms", "200 one-click unsubscribes a second, p99", "-", 300, unit=" ms"),
    Figure("web_load", *LOAD, "join.best_p99_ms", "100 sign-up forms a second, p99", "-", 300, unit=" ms"),
)
# Where a goal is not reached: what stands in the way, for RESULTS.md.
BECAUSE = {
    "against_naive": "something is far out of the ordinary with the readers' names or links: those are made at length",
    "against_join": "in joins of the same pieces: putting 32 values between them takes 0.3, recognising by a pattern that one reader's "
    "values need no coding 0.6, making bytes of them 0.3, the steps of the interpreter around it the rest. Links that nobody looks at "
    "again and generated code for the places might just reach it, and would save 1 us of the 200 that handing a message over takes",
    "worst_costs": "an edition of one reader's own is a dozen lookups and 34 parts placed, which the others find done: with a selection "
    "read shortly before 6 and 8 us of some 20, where handing the message over takes 200. It grows when the common case gets quicker",
    "ratio": "smtp-source sends one prepared message in C and keeps no record; ours is made, hashed, claimed and settled durably: of some "
    "250 us of processor time 33 are the hash, 70 the kernel's, 60 the ledger. Sender and sink share two processors, so it depends on what "
    "else the machine does: 0.82 when smtp-source reached 3,200 messages a second, 0.62 to 0.70 at 5,200; ours went 2,600 to 3,000 in both",
    "bytes_ratio": "the template, some 340 kB, is shared by too few readers; the goal is reached from about 3,800 on",
    "job_s": "each request has a claim and a settlement of its own in the ledger, and the package opens a connection for each",
    "plan_s": "each reader is a row read, an edition looked up and a row written",
    "growth": "small lists cost the same fixed time, and on a shared machine two runs are not alike",
    "page_ms": "a page that hardly anybody fits looks at some twenty thousand rows, and the first one reads them from disk",
    "unsubscribe.best_p99_ms": "some 2.5 ms of processor time each, beside the issue and the load itself on the same processors",
    "join.best_p99_ms": "some 4 ms of processor time each, the mails that answer among it, on the same processors as the load",
    "of_linear": "a batch takes some 4 ms of the worker's processor, and there are two",
    "of_pauses": "beside the sink's 50 ms a batch of five takes some 6 in worker and database, a durable commit among it",
    "renewed_ms": "some 150 ms of processor time, three emails through premailer among it; on shared processors more by the clock",
}


class Result(NamedTuple):
    """A figure as it came out; ``reached`` is None where it did not, ``why`` says why."""

    figure: Figure
    command: str
    reached: float | None
    why: str = ""
    judged: bool = True  # not where the goal is for more than was run
    commit: str = ""  # of the code that was measured
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def met(self) -> bool:
        """Whether the goal was reached."""
        if self.reached is None or not self.judged:
            return False
        return self.reached >= self.figure.goal if self.figure.least else self.reached <= self.figure.goal

    @property
    def share(self) -> float:
        """How much of the goal: 1 or more is reached, whichever way round the figure is."""
        if self.reached is None:
            return 0.0
        if self.reached <= 0:  # nothing at all is the best of ceilings and the worst of floors
            return 0.0 if self.figure.least else 10.0
        return self.reached / self.figure.goal if self.figure.least else self.figure.goal / self.reached


def last_json(text: str) -> dict[str, Any] | None:
    """The JSON object that a program printed last, on one line or laid out over several."""
    lines = text.rstrip().splitlines()
    for start in range(len(lines) - 1, -1, -1):
        if lines[start].startswith("{"):
            try:
                found = json.loads("\n".join(lines[start:]))
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None


def at(found: Any, key: str) -> float | None:
    """The number at a dotted path."""
    for step in key.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def run(module: str, words: str, limit_s: float) -> tuple[dict[str, Any] | None, str]:
    """What a module measured, or why it did not."""
    if importlib.util.find_spec(f"benchmarks.{module}") is None:
        return None, "not in this checkout"
    command = [sys.executable, "-m", f"benchmarks.{module}", *shlex.split(words)]
    say(f"benchmarks.{module} {words}".rstrip())
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None, f"took longer than {limit_s:.0f} s"
    say(f"  {time.monotonic() - began:.0f} s")
    found = last_json(done.stdout)
    if found is None:
        return None, f"ended with {done.returncode} and no figures"
    return found, ""


def measure(table: Sequence[Figure], size: str, limit_s: float) -> list[Result]:
    """All figures of the table; each module runs once for the same arguments."""
    kept: dict[tuple[str, str], tuple[dict[str, Any] | None, str]] = {}
    results, code = [], commit()
    for figure in table:
        words = figure.small if size == "small" else figure.full
        if (figure.module, words) not in kept:
            kept[figure.module, words] = run(figure.module, words, limit_s)
        found, why = kept[figure.module, words]
        reached = at(found, figure.key)
        command = f"python -m benchmarks.{figure.module} {words}".rstrip()
        why = why or ("" if reached is not None else f"gives no {figure.key}")
        rows = found.get(figure.runs, ()) if found and figure.runs else ()
        results.append(Result(figure, command, reached, why, size == "full" or not figure.at_full, code, rows))
        if reached is None:
            say(f"MISSING  {figure.name}: {results[-1].why}")
    return results


def earlier(file: Path, table: Sequence[Figure]) -> dict[Figure, Result]:
    """What an earlier run wrote for figures that are still measured and judged in the same way."""
    found: dict[Figure, Result] = {}
    for entry in json.loads(file.read_text(encoding="utf-8")) if file.exists() else ():
        figure = Figure(**{name: entry[name] for name in Figure._fields if name in entry})
        if figure in table:
            found[figure] = Result(figure, *(entry[name] for name in Result._fields[1:]))
    return found


def machine() -> str:
    """What it ran on, as far as that matters."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} processors, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}, load {load:.1f} at the end"
    )


def commit() -> str:
    """The commit, and whether anything was changed since."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=HERE.parent, capture_output=True, text=True).stdout.strip()

    written = [f":!{HERE.name}/{name}" for name in ("RESULTS.md", "results.json", "results.svg")]  # by a run before, and no code
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *written)
    return (git("describe", "--always") or "no commit") + ("-dirty" if changed else "")


def number(value: float, unit: str) -> str:
    """A figure as people read it."""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits}{' ' if unit == '×' else ''}{unit}".rstrip()


def table_of(results: Sequence[Result], date: str) -> str:
    """RESULTS.md."""
    lines = [
        "# What the benchmarks gave",
        "",
        f"{date}; {machine()}.",
        "Repeat with `make bench` or `make bench SIZE=full`, or one figure with its command.",
        "Absolute times mean little on shared machines; ratios are of one run.",
        "",
        "| figure | against | goal | reached | | command | commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        figure = one.figure
        goal = f"{'≥' if figure.least else '≤'} {number(figure.goal, figure.unit)}"
        reached = number(one.reached, figure.unit) if one.reached is not None else f"**missing**: {one.why}"
        word = "" if one.reached is None else "for a million, see below" if not one.judged else "yes" if one.met else "**no**"
        lines.append(f"| {figure.name} | {figure.against} | {goal} | {reached} | {word} | `{one.command}` | {one.commit} |")
    short = [one for one in results if one.reached is not None and one.judged and not one.met]
    if not all(one.judged for one in results):
        lines += [
            "",
            "Goals for a million readers are judged by `make bench SIZE=full` alone; here they stand for fewer, as the command says.",
        ]
    if short:
        lines += ["", "Not reached, because:", ""]
        lines += [f"- {one.figure.name} / {one.figure.against}: {BECAUSE.get(one.figure.key, 'not yet looked into')}." for one in short]
    for one in results:
        lines += _runs(one)
    return "\n".join([*lines, "", "![Each figure as a share of its goal](results.svg)", ""])


def _runs(one: Result) -> list[str]:
    """The runs of a figure that is of several."""
    if not one.rows:
        return []
    names = list(one.rows[0])
    lines = ["", f"`{one.command}`, run by run:", "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    return lines + [f"| {' | '.join(str(row.get(name, '')) for name in names)} |" for row in one.rows]


def say(line: str) -> None:
    """A word of progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run, write, and say what is missing or not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--only", action="append", metavar="NAME", help="a module; may be given several times")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--limit-s", type=float, default=10_800, help="the longest a module may take")
    given = parser.parse_args(argv)
    table = [figure for figure in TABLE if not given.only or figure.module in given.only]
    if not table:
        parser.error(f"--only: one of {', '.join(dict.fromkeys(figure.module for figure in TABLE))}")
    found = {one.figure: one for one in measure(table, given.size, given.limit_s)}
    if given.only:
        found = earlier(given.out / "results.json", TABLE) | found
    results = [found[figure] for figure in TABLE if figure in found]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "RESULTS.md").write_text(table_of(results, f"{datetime.now(UTC):%Y-%m-%d}"), encoding="utf-8")
    bars = [
        (f"{one.figure.name} / {one.figure.against}".removesuffix(" / -"), one.share, one.met, one.why) for one in results if one.judged
    ]
    (given.out / "results.svg").write_text(picture.bars(bars), encoding="utf-8")
    plain = [one.figure._asdict() | one._asdict() | {"met": one.met} for one in results]
    for entry in plain:
        del entry["figure"]
    (given.out / "results.json").write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    missing = sum(one.reached is None for one in results)
    told = {
        "figures": len(results),
        "judged": sum(one.judged for one in results),
        "reached": sum(one.met for one in results),
        "missing": missing,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if not missing else 1


if __name__ == "__main__":
    sys.exit(main())
