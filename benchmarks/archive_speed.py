"""How fast the archive answers when it is large: `python -m benchmarks.archive_speed [--summaries 5000] [--issues 120] [--seed 1]`.

Pieces and finished issues are written straight into a workspace of its own, which is then served on this machine. Each page is
asked for over HTTP, one after another, first with nothing kept and then again; the last line is JSON, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import insert

from digest.model import Evidence, IssueState, Summary, identifiers
from digest.store import catalogue, issues, now, schema
from digest.web import archives
from digest.workspace import Workspace
from tests.support.make import CONFIG, make_workspace
from tests.support.site import Site, serving

BEGIN = datetime(2016, 1, 1, 9, tzinfo=UTC)
SUBJECTS = 30
_REPEATS = 20


def fill(workspace: Workspace, summaries: int, count: int, random: Random) -> list[str]:
    """So many pieces in so many issues, each piece in one. Returns the words that they are made of."""
    words = ["".join(random.choices("abcdefghijklmnoprstuv", k=random.randrange(3, 11))) for _ in range(4000)]
    rows: list[tuple[int, int]] = []
    with workspace.store.write() as tx:
        for n in range(summaries):
            at = BEGIN + timedelta(days=30 * count * n / summaries)
            text = " ".join(random.choices(words, k=180))
            keys = identifiers(doi="", url=f"https://letter.example.org/{n}", source="ours", source_id=str(n))
            piece = Summary(
                identifiers=keys,
                title=" ".join(random.choices(words, k=10)).capitalize(),
                published_at=at,
                url=f"https://letter.example.org/{n}",
                source="ours",
                takeaway=text[:160],
                sections=({"heading": "What they found", "text": text},),  # type: ignore[arg-type]
                limits=" ".join(random.choices(words, k=15)),
                tags=tuple(random.sample([f"t{k}" for k in range(SUBJECTS)], k=2)),
                evidence=random.choice(list(Evidence)),
                journal="Journal of Examples",
            )
            catalogue.take(tx, piece, at)
        seqs = tx.execute(schema.revision.select()).all()
        rows = [(row.summary_id, row.seq) for row in seqs]
        for n in range(count):
            opens = BEGIN + timedelta(days=30 * n)
            values = {
                "name": f"monthly-{opens.date()}",
                "cadence": "monthly",
                "local_date": opens.date(),
                "opens_after": opens,
                "due_at": opens + timedelta(days=30),
                "state": IssueState.FINISHED.value,
                "drafted_at": opens,
                "known_seq": 0,
                "content_hash": "h",
                "frozen": "{}",
                "planned_at": opens,
            }
            issue = tx.execute(insert(schema.issue).values(**values).returning(schema.issue.c.id)).scalar_one()
            some = rows[n * summaries // count : (n + 1) * summaries // count]
            issues.put_members(tx, issue, "monthly", some, [])
        now(tx)
    return words


def timed(site: Site, method: str, path: str, fields: dict[str, object] | None = None) -> float:
    """Milliseconds until the whole answer is there."""
    begun = time.perf_counter()
    answer = site.post(path, fields) if method == "POST" else site.get(path)
    took = (time.perf_counter() - begun) * 1000
    assert answer.status == 200, (path, answer.status)
    return took


def measure(folder: Path, summaries: int, count: int, seed: int) -> dict[str, object]:
    """Usual time of each page: ``anew`` where it is looked what is new first, and from what is kept."""
    random = Random(seed)
    with serving(folder) as site:
        with site.open() as workspace:
            words = fill(workspace, summaries, count, random)
        pages: dict[str, tuple[str, str, dict[str, object] | None]] = {
            "archive": ("GET", "/archive", None),
            "issue": ("GET", f"/archive/issues/monthly-{BEGIN.date()}", None),
            "subject": ("GET", "/archive/subjects/t0", None),
            "last page of a subject": ("GET", "/archive/subjects/t0?page=9999", None),
            "search, many found": ("POST", "/archive", {"words": words[0][:2]}),
            "search, three words": ("POST", "/archive", {"words": " ".join(words[:3])}),
            "search, nothing": ("POST", "/archive", {"words": "zzzz"}),
            "feed": ("GET", "/feeds/t0.xml", None),
            "sitemap": ("GET", "/sitemap.xml", None),
        }
        found: dict[str, object] = {}
        for name, (method, path, fields) in pages.items():
            archives._FRESH_S = 0.0  # nothing is kept
            cold = [timed(site, method, path, fields) for _ in range(5)]
            archives._FRESH_S = 3600.0
            timed(site, method, path, fields)
            warm = sorted(timed(site, method, path, fields) for _ in range(_REPEATS))
            found[name] = {
                "anew_ms": round(statistics.median(cold)),
                "median_ms": round(statistics.median(warm), 1),
                "p95_ms": round(warm[int(0.95 * _REPEATS) - 1], 1),
            }
            sys.stdout.write(f"{name:25} {found[name]}\n")
            sys.stdout.flush()
    return found


def main() -> None:
    """Print a line for each page, and all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--summaries", type=int, default=5000)
    parser.add_argument("--issues", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    interests = "".join(
        f"- {{id: t{n}, label: Subject {n}, match: {{any: [{{tag: t{n}}}, {{words: [w{n}x]}}]}}}}\n" for n in range(SUBJECTS)
    )
    with tempfile.TemporaryDirectory() as folder:
        made = make_workspace(Path(folder) / "w", config=CONFIG, interests=interests)
        found = measure(made, asked.summaries, asked.issues, asked.seed)
        sys.stdout.write(json.dumps({"summaries": asked.summaries, "issues": asked.issues, **found}) + "\n")


if __name__ == "__main__":
    main()
