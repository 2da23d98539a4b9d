"""Three worker hosts, one cut off in the middle of an issue and healed: `python -m benchmarks.partition [--readers 600] [--seed 1]`.

Each host is a network namespace of its own, joined by a bridge to a fourth one that has the provider (a server that notes every
message, then answers after a while) and the way to PostgreSQL, which listens on no network: a relay hands bytes on to its socket.
Twice a host's link is taken down while it works: once for less than a lease, once for longer, so that the others find what it
had in hand; then it is put up again. Afterwards every reader has exactly one message in the provider's journal, or is held and listed.

`--careless` is the control: who finds a dead lease makes it ready again, as if a silent host had sent nothing. That must double.
The namespaces have addresses of 198.18.0.0/15, which is set aside for benchmarks, and no way out. Needs root, and `ip`
(iproute2); where either is missing nothing is tried, which is said. The last line is JSON; exit 1 if anybody got two or none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from sqlalchemy import select

from digest.model import DeliveryState as S
from digest.store import schema
from digest.workspace import open_workspace
from tests.support.fleet import ISSUE, ON, Fleet
from tests.support.make import REPOSITORY
from tests.support.postgres import Server

HOSTS = 3
_HUB, _PG_PORT, _SINK_PORT = "198.18.0.1", 5432, 8025
WORKER = ("--delay", "0.3", "--batch", "5", "--lanes", "2", "--lease-margin", "3")
_LONGEST_LEASE_S = 5  # the provider's longest call, and the margin
_TCP = "connect_timeout=2&tcp_user_timeout=2000&keepalives_idle=1&keepalives_interval=1&keepalives_count=2"


def why_not() -> str:
    """What is missing here; empty where nothing is."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (iproute2)"
    probe = f"digest-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "delete", probe], check=True)
    return made.stderr.strip()


class Net:
    """A hub and hosts around it, each in a namespace of its own."""

    def __init__(self, hosts: int) -> None:
        own = f"digest-{os.getpid()}"
        self.hub, self.hosts = f"{own}-hub", [f"{own}-host{n}" for n in range(hosts)]

    def make(self) -> None:
        """Join them by a bridge inside the hub: nothing of it is seen outside these namespaces."""
        _ip("netns", "add", self.hub)
        _ip("-n", self.hub, "link", "set", "lo", "up")
        _ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.hub, "address", "add", f"{_HUB}/24", "dev", "bridge")
        _ip("-n", self.hub, "link", "set", "bridge", "up")
        for n, host in enumerate(self.hosts):
            _ip("netns", "add", host)
            _ip("-n", host, "link", "set", "lo", "up")
            _ip("-n", self.hub, "link", "add", f"to{n}", "type", "veth", "peer", "name", "up0", "netns", host)
            _ip("-n", self.hub, "link", "set", f"to{n}", "master", "bridge")
            _ip("-n", self.hub, "link", "set", f"to{n}", "up")
            _ip("-n", host, "address", "add", f"198.18.0.{n + 10}/24", "dev", "up0")
            _ip("-n", host, "link", "set", "up0", "up")

    def cut(self, n: int) -> None:
        """Take the link of a host down: neither side is told anything."""
        _ip("-n", self.hub, "link", "set", f"to{n}", "down")

    def heal(self, n: int) -> None:
        """Put it up again."""
        _ip("-n", self.hub, "link", "set", f"to{n}", "up")

    def remove(self) -> None:
        """Take all of it away; with the namespaces go the links."""
        for name in (*self.hosts, self.hub):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def inside(self, name: str) -> list[str]:
        """The words before a command that make it run in a namespace."""
        return ["ip", "netns", "exec", name]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def _hub(net: Net, server: Server, journal: Path, folder: Path) -> Iterator[None]:
    """What the hosts can reach: the relay to PostgreSQL, and the provider."""
    socket = server.folder / f".s.PGSQL.{_PG_PORT}"
    command = [sys.executable, "-m", "benchmarks.partition_hub", str(socket), str(journal), _HUB, str(_PG_PORT), str(_SINK_PORT)]
    with (folder / "hub.log").open("ab") as log:
        process = subprocess.Popen([*net.inside(net.hub), *command], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError((folder / "hub.log").read_text())
        yield
    finally:
        process.kill()
        process.wait()


def _start(fleet: Fleet, net: Net, n: int, *options: str) -> subprocess.Popen[bytes]:
    """A worker on a host. Its database's address is another than ours, and so is its folder for files of its own."""
    name = fleet.url.split("?")[0].split("/")[-1]
    there = fleet.folder.parent / f"host{n}"
    if not there.exists():
        shutil.copytree(fleet.folder, there)  # the key is the same, var/ is each host's own
    url = f"postgresql://digest_tests@{_HUB}:{_PG_PORT}/{name}?{_TCP}"
    sink = f"{_HUB}:{_SINK_PORT}"
    command = [sys.executable, "-m", "benchmarks.pg_worker", str(there), sink, "--on", str(ON), *WORKER, *options]
    with (fleet.folder / "workers.log").open("ab") as log:
        worker = subprocess.Popen(
            [*net.inside(net.hosts[n]), *command], cwd=REPOSITORY, stdout=log, stderr=log, env={**os.environ, "DIGEST_STORE__URL": url}
        )
    fleet.workers.append(worker)
    return worker


def campaign(folder: Path, server: Server, readers: int, rng: Random, *, careless: bool = False) -> dict[str, object]:
    """One issue while hosts are cut off, until it is finished."""
    fleet = Fleet(folder / "w", server.database(), readers)
    net = Net(HOSTS)
    options = ["--careless"] if careless else ["--knows"]
    cuts: list[dict[str, object]] = []
    try:
        net.make()
        with _hub(net, server, fleet.journal, folder):
            with fleet.held_back():
                for n in range(HOSTS):
                    _start(fleet, net, n, *options)
                fleet.wait(lambda: fleet.alive() == HOSTS)
            began = time.monotonic()
            fleet.hint()
            fleet.wait(lambda: len(fleet.hands()) == HOSTS)
            for seconds in (rng.uniform(0.5, 2), _LONGEST_LEASE_S + rng.uniform(2, 5)):
                n = rng.randrange(HOSTS)
                time.sleep(rng.uniform(0.1, 0.8))
                before = len(fleet.taken())
                net.cut(n)
                time.sleep(0.3)
                in_hand = fleet.status().inflight
                time.sleep(seconds - 0.3)
                net.heal(n)
                cuts.append({"host": n, "s": round(seconds, 1), "taken_before": before, "inflight": in_hand, "after": len(fleet.taken())})
            fleet.wait_finished(180)
            took_s = time.monotonic() - began
            time.sleep(1)  # whoever woke late has its say
            taken, stands, hands = fleet.taken(), fleet.status(), len(fleet.hands())
            with open_workspace(fleet.folder, ON) as opened, opened.store.read() as tx:
                listed = set(tx.execute(select(schema.delivery.c.did).where(schema.delivery.c.state == S.HELD.value)).scalars())
            for worker in fleet.workers:  # `ip netns exec` becomes the worker, so the signal is its own
                worker.send_signal(signal.SIGTERM)
            ends = [worker.wait(timeout=60) for worker in fleet.workers]
    finally:
        fleet.kill()
        net.remove()
    return {
        "readers": readers,
        "hosts": hands,
        "cuts": cuts,
        "took_s": round(took_s, 1),
        "doubled": sum(n > 1 for n in taken.values()),
        "missed": readers - len(taken.keys() | listed),
        "accepted": stands.accepted,
        "held": stands.held,
        "contradictions": stands.contradictions,
        "exits": ends,
    }


def main() -> None:
    """Make the hosts, cut, heal, count; say so where it cannot be tried."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--careless", action="store_true", help="the control: must double")
    given = parser.parse_args()
    if missing := why_not():
        sys.stdout.write(f"not tried: {missing}\n")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the namespaces are taken away then, too
    server = Server()
    folder = Path(tempfile.mkdtemp(prefix="partition-"))
    try:
        found = campaign(folder, server, given.readers, Random(given.seed), careless=given.careless)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps({"issue": ISSUE, "seed": given.seed, "careless": given.careless, **found}) + "\n")
    sys.exit(bool(found["doubled"] or found["missed"]))


if __name__ == "__main__":
    main()
