"""An SMTP server for tests that goes wrong on command, and keeps a journal of what it took.

    python -m tests.support.smtp_server --port 0 --journal FILE [--fault STEP:ACTION[=TEXT][@RATE][*TIMES][+SKIP]]... [--seed N]

prints ``ready PORT``. Each accepted message is one line of JSON in the journal, synced to disk **before** the client hears 250,
so that whoever kills the client can ask the journal what had been accepted.

Steps: ``greeting ehlo starttls tls auth mail rcpt data body dot rset quit``. Actions:

- ``reply=TEXT`` answers that instead; ``drop`` hangs up; ``reset`` hangs up with a TCP reset; ``half`` hangs up after half of the
  usual answer; ``silence`` never answers; ``drip`` answers a byte at a time; ``garbage``, ``endless``, ``wrong`` (lines that
  disagree) and ``twice`` (the usual answer two times) answer nonsense;
- at ``dot``, ``accept-`` before an action takes the message first; without it the message is not taken;
- at ``tls``: ``alert`` (a TLS alert instead of a handshake), ``inject`` (plain text behind the 220);
- at ``body``: ``speak=TEXT`` answers before the message has ended, ``drop`` and ``reset`` hang up in its middle.

``@RATE`` lets it happen with that probability (seeded), ``*TIMES`` so often at most, ``+SKIP`` not the first so many times.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OFFERS = ("PIPELINING", "SIZE 50000000", "ENHANCEDSTATUSCODES", "DSN", "8BITMIME")
_FAULT = re.compile(r"(\w+):([a-z-]+)(?:=(.*?))?(?:@([\d.]+))?(?:\*(\d+))?(?:\+(\d+))?")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, where, how often."""

    step: str
    action: str
    text: str = ""
    rate: float = 1.0
    times: int | None = None
    skip: int = 0

    @classmethod
    def parse(cls, written: str) -> Fault:
        """``dot:accept-drop@0.02``, ``rcpt:reply=450 4.2.0 Later*1``; see the module."""
        match = _FAULT.fullmatch(written)
        if not match:
            raise ValueError(f"not a fault: {written}")
        step, action, text, rate, times, skip = match.groups()
        return cls(step, action, text or "", float(rate or 1), int(times) if times else None, int(skip or 0))


@dataclass(frozen=True)
class Accepted:
    """A message that was taken: the commands it came with, and its bytes after un-stuffing."""

    mail: str
    rcpt: str
    message: bytes

    @property
    def did(self) -> str:
        """What stands left of the ``@`` in its Message-ID."""
        match = re.search(rb"^Message-ID:\s*<([^@>]+)@", self.message, re.M | re.I)
        return match[1].decode() if match else ""


class _Gone(Exception):
    """The conversation is over."""


class SmtpServer:
    """Listens on 127.0.0.1 until `close`. ``wrongs`` lists what clients did against the rules."""

    def __init__(
        self,
        faults: Sequence[str] = (),
        *,
        port: int = 0,
        journal: Path | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        offers: Sequence[str] = OFFERS,
        seed: int = 0,
        drip_s: float = 0.05,
        keep: bool = True,
    ) -> None:
        self.faults = [Fault.parse(written) for written in faults]
        self.tls, self.implicit, self.login, self.offers, self.drip_s, self.keep = tls, implicit, login, tuple(offers), drip_s, keep
        self.accepted: list[Accepted] = []
        self.wrongs: list[str] = []
        self.commands: list[str] = []
        self.connections = 0
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if journal else None
        self._random = random.Random(seed)
        self._reached, self._fired = Counter[Fault](), Counter[Fault]()
        self._lock = threading.Lock()
        self._open: set[_Talk] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._start(self._listen)

    def __enter__(self) -> SmtpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still = list(self._open)
        for talk in still:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(talk.link, socket.SHUT_RDWR)  # a TLS socket's own is not safe from another thread
        for thread in self._threads:
            thread.join(10)
        if self._journal is not None:
            os.close(self._journal)

    def dids(self) -> list[str]:
        """The ids of what was taken, in order."""
        return [one.did for one in self.accepted]

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _listen(self) -> None:
        while not self._closed:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._start(self._talk, link)

    def _talk(self, link: socket.socket) -> None:
        talk = _Talk(self, link)
        with self._lock:
            self._open.add(talk)
        try:
            talk.run()
        except (_Gone, OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(talk)
            with contextlib.suppress(OSError):
                talk.link.close()
            link.close()

    def fault(self, step: str) -> Fault | None:
        """The fault that is due at this step, if any."""
        with self._lock:
            for fault in self.faults:
                if fault.step != step:
                    continue
                self._reached[fault] += 1
                if self._reached[fault] <= fault.skip or (fault.times is not None and self._fired[fault] >= fault.times):
                    continue
                if fault.rate >= 1 or self._random.random() < fault.rate:
                    self._fired[fault] += 1
                    return fault
        return None

    def accept(self, one: Accepted) -> None:
        """Take a message: journal first, durably."""
        entry = {
            "did": one.did,
            "at": time.time(),
            "size": len(one.message),
            "sha256": hashlib.sha256(one.message).hexdigest(),
            "mail": one.mail,
            "rcpt": one.rcpt,
        }
        with self._lock:
            if self._journal is not None:
                os.write(self._journal, json.dumps(entry).encode() + b"\n")
                os.fsync(self._journal)
            if self.keep:
                self.accepted.append(one)


class _Talk:
    """One connection."""

    def __init__(self, server: SmtpServer, link: socket.socket) -> None:
        self.server, self.link, self.buffer = server, link, b""
        self.safe, self.known = server.implicit, server.login is None
        self.mail, self.rcpt = "", ""

    def run(self) -> None:
        if self.server.implicit:
            self.encrypt()
        self.answer("greeting", "220 test.example.org ESMTP")
        while True:
            line = self.line()
            self.server.commands.append(line)
            verb, _, rest = line.partition(" ")
            getattr(self, f"do_{verb.lower()}", self.unknown)(rest)

    def answer(self, step: str, usual: str) -> bool:
        """Answer as usual, or as the step's fault wants it. Tells whether it was as usual."""
        fault = self.server.fault(step)
        if fault:
            self.act(fault.action, usual, fault.text)
        else:
            self.say(usual)
        return fault is None or fault.action in ("drip", "twice")

    def act(self, action: str, usual: str, text: str = "") -> None:
        said = f"{usual}\r\n".encode()
        if action in ("reply", "speak"):
            self.say(text)
        elif action in ("drop", "reset", "half"):
            if action == "half":
                self.link.sendall(said[: len(said) // 2])
            if action == "reset":
                self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.link.close()
            raise _Gone
        elif action == "silence":
            while self.link.recv(65_536):
                pass
            raise _Gone
        elif action == "drip":
            for byte in said:
                self.link.sendall(bytes([byte]))
                time.sleep(self.server.drip_s)
        elif action == "endless":
            while True:
                self.link.sendall(b"250-and so on\r\n" * 20)
        else:
            self.link.sendall({"garbage": b"\x00\xff\x16 what?\r\n", "wrong": b"250-one\r\n354 two\r\n", "twice": said * 2}[action])

    def say(self, text: str) -> None:
        self.link.sendall(f"{text}\r\n".encode())

    def more(self) -> None:
        chunk = self.link.recv(65_536)
        if not chunk:
            raise _Gone
        self.buffer += chunk

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            self.more()
        found, _, self.buffer = self.buffer.partition(b"\r\n")
        if b"\r" in found or b"\n" in found or len(found) > 1000:
            self.server.wrongs.append(f"a malformed command: {found[:80]!r}")
        return found.decode("ascii", "replace")

    def encrypt(self) -> None:
        assert self.server.tls is not None
        self.link = self.server.tls.wrap_socket(self.link, server_side=True)
        self.safe = True

    def do_ehlo(self, _: str) -> None:
        offers = list(self.server.offers)
        if self.server.tls and not self.safe:
            offers.append("STARTTLS")
        if self.server.login and (self.safe or not self.server.tls):
            offers.append("AUTH PLAIN LOGIN") if not any(offer.startswith("AUTH") for offer in offers) else None
        lines = ["test.example.org", *offers]
        usual = "\r\n".join(f"250{'-' if at < len(lines) - 1 else ' '}{line}" for at, line in enumerate(lines))
        self.answer("ehlo", usual)

    def do_starttls(self, _: str) -> None:
        fault = self.server.fault("tls")
        if fault and fault.action == "inject":
            self.say("220 go ahead\r\n250 injected")
            self.act("silence", "")
        if not self.answer("starttls", "220 go ahead"):
            return
        if fault and fault.action == "alert":
            self.link.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
            raise _Gone
        if fault:
            self.act(fault.action, "")
        self.encrypt()

    def do_auth(self, rest: str) -> None:
        if self.server.tls and not self.safe:
            self.server.wrongs.append("a password without TLS")
        way, _, first = rest.partition(" ")
        if way == "PLAIN":
            _, user, password = base64.b64decode(first).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(self.line()).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.line()).decode()
        good = (user, password) == self.server.login
        if self.answer("auth", "235 2.7.0 welcome" if good else "535 5.7.8 Authentication credentials invalid"):
            self.known = good

    def do_mail(self, rest: str) -> None:
        if not self.known:
            self.say("530 5.7.0 Authentication required")
        elif self.mail:
            self.server.wrongs.append("MAIL within a transaction")
            self.say("503 5.5.1 nested MAIL")
        elif self.answer("mail", "250 2.1.0 Ok"):
            self.mail = rest

    def do_rcpt(self, rest: str) -> None:
        if not self.mail:
            self.say("503 5.5.1 MAIL first")
        elif self.answer("rcpt", "250 2.1.5 Ok"):
            self.rcpt = rest

    def do_data(self, _: str) -> None:
        if not self.rcpt:
            self.say("554 5.5.1 no valid recipients")
            return
        fault = self.server.fault("body")
        if fault and fault.action == "speak":
            self.say(f"354 go ahead\r\n{fault.text}")
        elif not self.answer("data", "354 go ahead"):
            return
        if fault and fault.action != "speak":
            self.more()
            self.act(fault.action, "")
        while b"\r\n.\r\n" not in self.buffer and not self.buffer.startswith(b".\r\n"):
            self.more()
        content, _, self.buffer = (b"\r\n" + self.buffer).partition(b"\r\n.\r\n")
        content = content[2:] + b"\r\n"
        if content.replace(b"\r\n", b"").translate(None, b"\r\n") != content.replace(b"\r\n", b""):
            self.server.wrongs.append("a lone CR or LF in a message")
        message = re.sub(rb"(?m)^\.", b"", content)
        self.finish(Accepted(self.mail, self.rcpt, message))

    def finish(self, one: Accepted) -> None:
        self.mail = self.rcpt = ""
        fault = self.server.fault("dot")
        usual = "250 2.0.0 Ok: queued as 4XyZ12abc"
        if fault is None or fault.action.startswith("accept-") or fault.action in ("twice", "drip"):
            self.server.accept(one)
        if fault:
            self.act(fault.action.removeprefix("accept-"), usual, fault.text)
        else:
            self.say(usual)

    def do_rset(self, _: str) -> None:
        self.mail = self.rcpt = ""
        self.answer("rset", "250 2.0.0 Ok")

    def do_quit(self, _: str) -> None:
        self.answer("quit", "221 2.0.0 Bye")
        raise _Gone

    def unknown(self, _: str) -> None:
        self.say("502 5.5.2 unknown command")


def main() -> int:
    """Serve until SIGTERM or the end of standard input."""
    parser = argparse.ArgumentParser(description="An SMTP server that goes wrong on command.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    given = parser.parse_args()
    context = None
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
    server = SmtpServer(given.fault, port=given.port, journal=given.journal, tls=context, seed=given.seed, keep=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"ready {server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
