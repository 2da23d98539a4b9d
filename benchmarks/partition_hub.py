"""What worker hosts in namespaces can reach: a relay to PostgreSQL's socket, and a provider that notes what it took.

Run by `partition`. The provider speaks lines of JSON: a batch to take, or ids to look up; the answer to a batch comes after a while.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve until killed."""
    database, journal, address = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    pg_port, sink_port = int(sys.argv[4]), int(sys.argv[5])
    lock = threading.Lock()

    class Relay(socketserver.BaseRequestHandler):
        """Bytes to PostgreSQL's socket and back."""

        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(database)
                back = threading.Thread(target=_pour, args=(there, self.request), daemon=True)
                back.start()
                _pour(self.request, there)
                back.join()

    class Sink(socketserver.StreamRequestHandler):
        """The provider."""

        def handle(self) -> None:
            for line in self.rfile:
                asked: dict[str, Any] = json.loads(line)
                if "look_up" in asked:
                    with lock:
                        taken = {one.split()[0] for one in journal.read_text().splitlines()}
                    answer = {did: did in taken for did in asked["look_up"]}
                else:
                    with lock, journal.open("a") as out:
                        out.writelines(f"{did} {asked['aid']} {asked['who']}\n" for did in asked["take"])
                    time.sleep(asked["delay_s"])
                    answer = {}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    servers = [_Server((address, pg_port), Relay), _Server((address, sink_port), Sink)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A host that was cut off breaks its connections; that is what is tried here."""


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


if __name__ == "__main__":
    main()
