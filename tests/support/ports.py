"""Ports for servers that are told theirs before they open it.

The kernel may give the port that it has just given, and taken back, to the next who asks: to the same test's second server, or to
a connection that another test opens. So these are asked for at once, and lie below those that it gives (Linux: from 32,768).
"""

from __future__ import annotations

import contextlib
import random
import socket

LOWEST, HIGHEST = 20_000, 32_767


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on and that no outgoing connection is given."""
    chosen = random.SystemRandom()
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = chosen.randint(LOWEST, HIGHEST)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
        return ports


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
