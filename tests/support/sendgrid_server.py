"""A stand-in for SendGrid: strict about what its documents say, honest about what it took, and able to fail in many ways.

It writes every accepted personalization to a journal and fsyncs before it answers 202. As a process of its own, which
outlives whoever is killed::

    python -m tests.support.sendgrid_server --port 0 --journal taken.jsonl --seed 7 --fault reset-after=0.02 --fault 503-after=0.01

prints ``listening PORT`` and its public key, and serves until it is ended (with ``--leash``, until its standard input
closes). What cannot be known is marked GUESS in
`tests.support.sendgrid_rules`. While it runs, ``POST /stand-in/script`` takes a JSON array of faults for the next calls, and
``POST /stand-in/events`` a JSON object ``{"url": …, "fates": {…}, "repeat": …, "shuffle": …, "lose": …}`` that emits events.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from tests.support import sendgrid_events as events
from tests.support.sendgrid_rules import MAX_BYTES, Error, error
from tests.support.sendgrid_stand_in import StandIn
from tests.support.sendgrid_templates import PREFIX

# Faults of a Mail Send call. "-after": the mail is taken and journalled first; "-before": it is not.
ACCEPTED = frozenset(
    "reset-after eof-after half-status head-cut 500-after 502-after 503-after 504-after stall-after nonsense-after drip endless"
    " 202-garbage 202-cut 202-bare 200-after 408-after".split()
)
REFUSED = frozenset(
    "reset-before-body reset-mid-body eof-before stall-before 500-before 502-before 503-before 504-before 429 429-bare 429-nonsense"
    " 401 403 413 400-nonsense redirect".split()
)


class Handler(BaseHTTPRequestHandler):
    """The few routes there are."""

    protocol_version = "HTTP/1.1"
    stand_in: ClassVar[StandIn]
    server_version, sys_version = "nginx", ""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log would hold addresses."""

    def parse_request(self) -> bool:
        """Count it by what its head says."""
        whole = super().parse_request()
        if whole and not self.path.startswith("/stand-in/"):
            with self.stand_in.lock:
                self.stand_in.requests += 1
                self.stand_in.received += int(self.headers.get("Content-Length") or 0)
        return whole

    def do_POST(self) -> None:
        self.close_connection = True
        if self.path.startswith("/stand-in/"):
            return self._control()
        if self.path.startswith(PREFIX):
            return self._templates()
        fault = self.stand_in.fault() if self.path == "/v3/mail/send" else ""
        if fault == "reset-before-body":
            return self._reset()
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "reset-mid-body":
            self.rfile.read(length // 2)
            return self._reset()
        body = self.rfile.read(length)
        if len(body) < length:
            return None  # whoever sent it was killed: half a body is no mail
        if (refused := self._refused(fault)) is not None:
            return self._refuse(*refused)
        with self.stand_in.lock:
            self.stand_in.at_once += 1
            self.stand_in.most_at_once = max(self.stand_in.most_at_once, self.stand_in.at_once)
        try:
            self._route(body, fault)
        finally:
            with self.stand_in.lock:
                self.stand_in.at_once -= 1

    def do_DELETE(self) -> None:
        self.close_connection = True
        return self._templates()

    def do_GET(self) -> None:
        self.close_connection = True
        if self.path.startswith(PREFIX):
            return self._templates()
        batch_id = self.path.removeprefix("/v3/user/scheduled_sends/")
        if batch_id == self.path:
            return self._refuse(404, [error("not found")])
        status = [{"batch_id": batch_id, "status": "cancel"}] if batch_id in self.stand_in.voided else []
        return self._json(200, status)

    def _refused(self, fault: str) -> tuple[int, list[Error]] | None:
        if self.headers.get("Authorization") != f"Bearer {self.stand_in.key}" or fault == "401":
            return 401, [error("The provided authorization grant is invalid, expired, or revoked")]
        if fault == "403":
            return 403, [error("The from address does not match a verified Sender Identity.", "from")]
        if not self.headers.get("Accept"):
            return 406, [error("Missing Accept header.")]
        if int(self.headers.get("Content-Length") or 0) > MAX_BYTES or fault == "413":
            return 413, [error("content too large")]
        return None

    def _route(self, raw: bytes, fault: str) -> None:
        if self.path == "/v3/mail/batch":
            return self._json(201, {"batch_id": self.stand_in.new_batch()})
        try:
            body = json.loads(raw)
        except ValueError:
            return self._refuse(400, [error("Bad Request")])
        if self.path == "/v3/user/scheduled_sends":
            return self._cancel(body)
        if self.path != "/v3/mail/send":
            return self._refuse(404, [error("not found")])
        if fault in REFUSED:
            return self._fail(fault, body)
        if not _is_json(self.headers.get("Content-Type", "")):
            return self._refuse(415, [error("unsupported media type")])
        if found := self.stand_in.refusals(body):
            return self._refuse(400, found)
        message_id = self.stand_in.accept(body)
        if fault:
            return self._fail(fault, body)
        sandbox = body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable", False)
        return self._answer(200 if sandbox else 202, b"", {"X-Message-Id": message_id})

    def _templates(self) -> None:
        """The Templates API; its faults are a status, with "-after" if the request was carried out all the same, or a reset."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.stand_in.lock:
            self.stand_in.template_calls.append(f"{self.command} {self.path}")
            fault = self.stand_in.template_script.popleft() if self.stand_in.template_script else ""
        if (refused := self._refused("")) is not None:
            return self._refuse(*refused)
        what, _, when = fault.partition("-")
        status, body = 0, None
        if not fault or when == "after":
            status, body = self.stand_in.templates.answer(self.command, self.path, raw)
        if what == "reset":
            return self._reset()
        if what.isdigit():
            return self._refuse(int(what), [error("as the script has it")])
        return self._answer(status, b"", {}) if body is None else self._json(status, body)

    def _cancel(self, body: Any) -> None:
        batch_id = body.get("batch_id")
        if set(body) != {"batch_id", "status"} or body["status"] != "cancel" or batch_id not in self.stand_in.batches:
            return self._refuse(400, [error("invalid batch id", "batch_id")])
        if batch_id in self.stand_in.voided:
            return self._refuse(400, [error("a status already exists for this batch id, try PATCH to update the status")])
        self.stand_in.void(batch_id)
        return self._json(201, body)

    def _control(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if self.path == "/stand-in/script":
            self.stand_in.script.extend(body)
            return self._json(200, len(self.stand_in.script))
        if self.path == "/stand-in/template-script":
            self.stand_in.template_script.extend(body)
            return self._json(200, len(self.stand_in.template_script))
        if self.path == "/stand-in/events":
            return self._json(200, self.stand_in.emit(body.pop("url"), events.Plan(**body)))
        return self._refuse(404, [error("not found")])

    def _fail(self, fault: str, body: Any) -> None:
        """Go wrong, after the mail was taken or instead of taking it."""
        head = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: cutoff\r\n"
        page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        later = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 7)}
        acts: dict[str, Callable[[], None]] = {
            "reset-after": self._reset,
            "eof-after": lambda: None,
            "eof-before": lambda: None,
            "half-status": lambda: self._raw(b"HTTP/1.1 20"),
            "head-cut": lambda: self._raw(head),
            "nonsense-after": lambda: self._raw(b"lorem ipsum\r\n\r\n"),
            "202-garbage": lambda: self._answer(202, b"\x00\xff{]" * 100, {"X-Message-Id": "garbage"}),
            "202-cut": lambda: self._raw(head + b"Content-Length: 100\r\n\r\n{"),
            "202-bare": lambda: self._answer(202, b"", {}),
            "200-after": lambda: self._answer(200, b"", {}),
            "408-after": lambda: self._answer(408, b"", {}),
            "400-nonsense": lambda: self._answer(400, b"<html>", {}),
            "redirect": lambda: self._answer(307, b"", {"Location": f"http://{self.headers['Host']}/v3/elsewhere"}),
            "429": lambda: self._answer(429, _errors("too many requests"), later),
            "429-bare": lambda: self._answer(429, _errors("too many requests"), {}),
            "429-nonsense": lambda: self._answer(429, b"", {"X-RateLimit-Reset": "soon"}),
            "drip": lambda: self._drip(b"HTTP/1.1 202 Accepted\r\nX-Drip: " + b"x" * 60_000),
            "endless": lambda: self._endless(head + b"\r\n"),
        }
        if fault in acts:
            return acts[fault]()
        if fault.startswith("stall"):
            time.sleep(self.stand_in.stall_s)
            return None
        status = int(fault.partition("-")[0])
        return self._answer(status, page if status == 502 else _errors("internal server error"), {})

    def _reset(self) -> None:
        """RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def _raw(self, octets: bytes) -> None:
        self.wfile.write(octets)

    def _drip(self, octets: bytes) -> None:
        try:
            for octet in octets:
                self.wfile.write(bytes((octet,)))
                time.sleep(0.05)
        except OSError:
            pass  # the other side had enough

    def _endless(self, head: bytes) -> None:
        try:
            self.wfile.write(head)
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            pass

    def _refuse(self, status: int, found: Sequence[Error]) -> None:
        self._json(status, {"errors": list(found)})

    def _json(self, status: int, body: object) -> None:
        self._answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _is_json(kind: str) -> bool:
    """SendGrid's packages send the type alone, or with the charset; that any other would do is not documented."""
    return kind.lower() in ("application/json", "application/json; charset=utf-8")


def _errors(message: str) -> bytes:
    return json.dumps({"errors": [{"field": None, "message": message}]}).encode()


class Server(ThreadingHTTPServer):
    """On loopback; a connection that breaks is not the server's trouble."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stand_in: StandIn, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), type("Bound", (Handler,), {"stand_in": stand_in}))

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), (OSError, ValueError)):  # ValueError: written to after a reset
            super().handle_error(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        if request.fileno() != -1:
            super().shutdown_request(request)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A stand-in for SendGrid")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=PROBABILITY", help=", ".join(sorted(ACCEPTED | REFUSED)))
    parser.add_argument("--bad", action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--stall-s", type=float, default=120.0)
    parser.add_argument("--no-schema", dest="schema", action="store_false", help="for load: do without the OpenAPI check")
    parser.add_argument("--leash", action="store_true", help="end when standard input closes")
    parser.add_argument("--signing-key", type=Path, help="PEM; a new one otherwise, whose public half is printed")
    given = parser.parse_args()
    faults = {name: float(probability) for name, _, probability in (one.partition("=") for one in given.fault)}
    if unknown := faults.keys() - ACCEPTED - REFUSED:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    signer = events.Signer.of(given.signing_key.read_bytes()) if given.signing_key else events.Signer()
    stand_in = StandIn(given.journal, given.seed, faults, bad=frozenset(given.bad), signer=signer)
    stand_in.keep, stand_in.schema, stand_in.stall_s = False, given.schema, given.stall_s
    server = Server(stand_in, given.port)
    print("listening", server.server_address[1], flush=True)  # noqa: T201 - whoever started it reads the port
    print("public key", signer.public_key, flush=True)  # noqa: T201
    if given.leash:
        threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
