"""Whether the time of a refused log-in tells if somebody has that name: known and unknown names in turns, over HTTP.

    python -m benchmarks.login_oracle [--rounds 300] [--seed 1]

Prints for both the median in milliseconds, the difference of the medians, and the Kolmogorov-Smirnov statistic with its
p-value. Samples of both kinds are drawn in turns of random order, so that whatever else the machine does falls on both alike.
The control compares known names with a check that leaves the hash out for unknown ones: it must be told apart.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from random import Random

from digest import passwords
from digest.accounts import Role
from tests.support.site import Site, make_site_folder, serving
from tests.support.staff import Browser, add

_BUDGETS = "admin: {budgets: {try_per_hour: 1000000, name_per_hour: 1000000, network_per_hour: 1000000, all_per_hour: 1000000}}\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="tries of each kind")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(make_site_folder(Path(folder) / "w", _BUDGETS)) as site:
        add(site, "known-name", Role.EDITOR)
        found = compare(site, asked.rounds, Random(asked.seed))
        real = passwords.fits
        passwords.fits = lambda kept, password: kept is not None and real(kept, password)  # the control
        control = compare(site, max(20, asked.rounds // 10), Random(asked.seed))
        passwords.fits = real
    print(json.dumps({"rounds": asked.rounds, "seed": asked.seed, "measured": found, "control": control}, indent=2))  # noqa: T201


def compare(site: Site, rounds: int, random: Random) -> dict[str, float]:
    """Times of both kinds, compared."""
    taken: dict[str, list[float]] = {"known-name": [], "no-such-one": []}
    browser = Browser(site)
    for _ in range(rounds):
        for name in random.sample(sorted(taken), 2):
            start = time.perf_counter()
            assert browser.log_in(name, "wrong wrong wrong").status == 403
            taken[name].append((time.perf_counter() - start) * 1000)
    known, unknown = taken["known-name"], taken["no-such-one"]
    distance = kolmogorov_smirnov(known, unknown)
    root = math.sqrt(rounds / 2)
    scaled = (root + 0.12 + 0.11 / root) * distance  # Press et al., Numerical Recipes, 14.3.3
    p = 2 * sum((-1) ** (n - 1) * math.exp(-2 * (n * scaled) ** 2) for n in range(1, 101)) if scaled > 0.2 else 1.0
    return {
        "known_median_ms": round(statistics.median(known), 2),
        "unknown_median_ms": round(statistics.median(unknown), 2),
        "difference_ms": round(statistics.median(known) - statistics.median(unknown), 2),
        "ks": round(distance, 4),
        "p": round(min(1.0, max(0.0, p)), 4),
    }


def kolmogorov_smirnov(one: list[float], other: list[float]) -> float:
    """The greatest distance of the two distributions."""
    places = sorted(one + other)
    return max(abs(sum(x <= at for x in one) / len(one) - sum(x <= at for x in other) / len(other)) for at in places)


if __name__ == "__main__":
    main()
