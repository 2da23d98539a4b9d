"""How long `digest --help` takes, beside a Python that does nothing.

    python -m benchmarks.startup [--rounds 21]

Each round runs both once, in turn, and `digest status --help` beside them: a command's own help, which does import what parses it.
The ratio is that of the medians of wall time. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

DIGEST = Path(sys.executable).parent / "digest"
COMMANDS: dict[str, list[str]] = {
    "nothing": [sys.executable, "-c", "pass"],
    "help": [str(DIGEST), "--help"],
    "command_help": [str(DIGEST), "status", "--help"],
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    given = parser.parse_args(argv)
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for at in range(given.rounds + 1):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "80"}, timeout=60)
            if at:  # the first round only fills the caches
                took[name].append(time.perf_counter() - began)
    ms = {name: statistics.median(found) * 1000 for name, found in took.items()}
    found = {
        "rounds": given.rounds,
        **{f"{name}_ms": round(value, 1) for name, value in ms.items()},
        "help_ratio": round(ms["help"] / ms["nothing"], 2),
        "command_help_ratio": round(ms["command_help"] / ms["nothing"], 2),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
