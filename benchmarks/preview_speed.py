"""Template saved → one edition's HTML again: what an editor waits for at the preview, against 300 ms.

    python -m benchmarks.preview_speed --repeat 7

Compiles an issue of one edition's ten summaries from changed templates, child process, independence check and all, and joins the
edition. ``start`` is a child that renders nothing to speak of: what each compilation spends before the first template.
``renewed_ms`` is an issue of 50 with the child kept ready, as it is where an editor waits, by the clock, with ``--pause`` seconds
between two savings; ``renewed_cpu_ms`` the processor time of that, the child's start, which came before, taken off. The median
counts; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Callable

from benchmarks.compose_speed import INTERESTS, TEMPLATES, selection, summaries
from digest.compose import make_edition, sample
from digest.compose.compiled import compile_sources
from digest.compose.render import kept_ready, limits_for, read_templates, render


def milliseconds(work: Callable[[int], object], repeat: int) -> dict[str, float]:
    """The medians of so many: by the clock, and of processor time, the child's with it (what a busy machine does not distort)."""
    wall, cpu = [], []
    for n in range(repeat):
        began, spent = time.perf_counter(), _cpu_s()
        work(n)
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((_cpu_s() - spent) * 1000)
    return {"wall_ms": round(statistics.median(wall), 1), "cpu_ms": round(statistics.median(cpu), 1)}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.5)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    found: dict[str, dict[str, float]] = {}
    templates = read_templates(TEMPLATES)
    tiny = {"a.txt.j2": "x"}
    found["start"] = milliseconds(lambda n: render(tiny, {}, [("a.txt.j2", {"n": n})], [], limits_for(1)), given.repeat)
    for count in (10, 50):
        pieces = summaries(count, draw)
        chosen = selection(pieces, draw, 9)

        def preview(n: int, pieces: object = pieces, chosen: object = chosen) -> object:
            changed = {**templates, "digest.txt.j2": f"{{# {n} #}}{templates['digest.txt.j2']}"}
            return make_edition(compile_sources(changed, sample.LOOK, sample.SLOT, pieces, INTERESTS), chosen)  # type: ignore[arg-type]

        found[f"summaries_{count}"] = milliseconds(preview, given.repeat)
    with kept_ready():
        took = []
        for n in range(given.repeat):
            time.sleep(given.pause)
            began = time.perf_counter()
            preview(n)
            took.append((time.perf_counter() - began) * 1000)
    renewed = {
        "renewed_ms": round(statistics.median(took), 1),
        "renewed_cpu_ms": round(found["summaries_50"]["cpu_ms"] - found["start"]["cpu_ms"], 1),
    }
    print(json.dumps({"seed": given.seed, "repeat": given.repeat, **found, **renewed}))  # noqa: T201


if __name__ == "__main__":
    main()
