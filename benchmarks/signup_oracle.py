"""Can anybody tell by the time of an answer whether an address is on the list? Prints medians and a two-sample test per state.

    .venv/bin/python benchmarks/signup_oracle.py [SAMPLES] [SEED]

Addresses of five states (unknown, active, left, suppressed, erased) are typed into the sign-up form of a real server in an order
drawn at random; SAMPLES (2000) of each. The goal of RELIABILITY section 4: Kolmogorov-Smirnov p > 0.01, medians within 1 ms.
The control is a server that looks the address up and waits for a mail to be sent: it must be found out.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

from digest import join, readers
from digest.addresses import parse
from digest.events import Suppression
from digest.store import now, people, suppressions
from tests.support.site import Site, make_site_folder, serving

STATES = ("unknown", "active", "left", "suppressed", "erased")
PAGES = "pages: {budgets: {network_per_hour: 10000000, all_per_hour: 10000000}}\n"


def prepare(site: Site, state: str) -> str:
    """The address of that state."""
    address = f"{state}@oracle.example.org"
    if state in ("active", "left", "erased"):
        reader = site.add(address, status="unsubscribed" if state == "left" else "active")
        if state == "erased":
            with site.open() as workspace:
                readers.erase(workspace, reader.id)
    if state == "suppressed":
        with site.open() as workspace, workspace.store.write() as tx:
            suppressions.put(tx, workspace.store.vault.index(address), Suppression("bounce", now(tx), "benchmark"))
    return address


def measure(site: Site, addresses: dict[str, str], samples: int, random: Random) -> dict[str, list[float]]:
    """Milliseconds of each answer, by state."""
    order = [state for state in STATES for _ in range(samples)]
    random.shuffle(order)
    stamp, found = site.stamp(), {state: [] for state in STATES}
    for state in order:
        fields = {"email": addresses[state], "interest": "gut", "cadence": "monthly", "lang": "en", "stamp": stamp}
        begun = time.perf_counter()
        answer = site.post("/subscribe", fields)
        found[state].append((time.perf_counter() - begun) * 1000)
        assert answer.status == 303, answer.status
    return found


def same(one: list[float], other: list[float]) -> float:
    """The p of the Kolmogorov-Smirnov test that both come from one distribution (asymptotic)."""
    a, b = sorted(one), sorted(other)
    i = j = 0
    distance = 0.0
    while i < len(a) and j < len(b):
        x = min(a[i], b[j])
        while i < len(a) and a[i] <= x:
            i += 1
        while j < len(b) and b[j] <= x:
            j += 1
        distance = max(distance, abs(i / len(a) - j / len(b)))
    scale = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    if not distance:
        return 1.0
    t = (scale + 0.12 + 0.11 / scale) * distance
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * t) ** 2) for k in range(1, 101))))


def report(title: str, found: dict[str, list[float]]) -> None:
    print(title)  # noqa: T201
    for state in STATES:
        gap = statistics.median(found[state]) - statistics.median(found["unknown"])
        p = same(found[state], found["unknown"])
        print(f"  {state:<11} median {statistics.median(found[state]):7.3f} ms  {gap:+.3f} ms  p = {p:.3f}")  # noqa: T201


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder, serving(make_site_folder(Path(folder) / "w", PAGES)) as site:
        addresses = {state: prepare(site, state) for state in STATES}
        measure(site, addresses, 50, Random(0))  # warm
        print(f"{samples} samples a state, seed {seed}")  # noqa: T201
        report("sign-up form", measure(site, addresses, samples, Random(seed)))

        honest = join.apply_all

        def leaking(workspace: object, applications: list[tuple[join.Application, object]]) -> list[str]:
            with workspace.store.read() as tx:  # type: ignore[attr-defined]
                if any(people.find(tx, workspace.store.vault, parse(one.email)) for one, _ in applications):  # type: ignore[attr-defined]
                    time.sleep(0.002)
            return honest(workspace, applications)  # type: ignore[arg-type]

        join.apply_all = leaking  # type: ignore[assignment]
        report("control that waits 2 ms for known addresses", measure(site, addresses, max(200, samples // 10), Random(seed)))


if __name__ == "__main__":
    main()
