"""The line to an SMTP server: bytes out, replies in, each within a time that a slow drip does not stretch."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import ssl
import threading
import time

from digest.providers.smtp_reply import Nonsense, Reply, take

Broken = (OSError, Nonsense)  # what every use of a line may raise; TimeoutError and ssl.SSLError are OSErrors


Turn = threading.Lock


class Aside:
    """Let others have their turn for a while."""

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        self._turn.release()

    def __exit__(self, *_: object) -> None:
        self._turn.acquire()


class NothingTaken(Exception):
    """Not one byte was handed over, for certain."""


class Wire:
    """A connected socket, plain or TLS. ``until`` ends everything, in monotonic seconds; whoever uses the line moves it.

    ``turn`` is a lock that the caller holds, shared by all lines of a provider; it is put aside while a line waits. Only one thread
    computes at a time anyway, and this way the others wait in peace instead of quarrelling about the interpreter at every call
    (measured with four lines: 590 µs of processor time a message without it, 250 with it).

    Raises (all methods but `silent`, `close` and `is_loopback`):
        OSError: the connection is lost, or a time is up (TimeoutError).
        Nonsense: what came is no reply.
    """

    def __init__(self, host: str, port: int, seconds: float, until: float, turn: Turn) -> None:
        self.host, self.until, self._turn = host, until, turn
        self._buffer = b""
        with Aside(turn):
            self._socket = _connect(host, port, seconds, until)
        self._socket.settimeout(0)
        self._polls: dict[int, select.poll] = {}  # by event; the number of the socket stays the same under TLS
        self._tls = False

    def encrypt(self, context: ssl.SSLContext, seconds: float) -> None:
        """Begin TLS; the certificate is verified as the context says.

        Raises:
            ssl.SSLError: the certificate does not fit, or no version or cipher does.
        """
        if self._buffer:  # whoever put it there wants it believed once the line is safe (CVE-2011-0411)
            raise Nonsense("something was put in before TLS began")
        self._socket.settimeout(_remaining(self._deadline(seconds)))
        with Aside(self._turn):
            self._socket = context.wrap_socket(self._socket, server_hostname=self.host)
        self._socket.settimeout(0)
        self._tls = True

    def write(self, data: bytes, seconds: float) -> None:
        """Write all of it."""
        self._write(data, self._deadline(seconds))

    def finish(self, end: bytes, seconds: float) -> None:
        """Write what ends a message. ``until`` does not count: what was begun is ended.

        Raises:
            NothingTaken: none of it left.
            OSError: some of it may have left.
        """
        deadline = time.monotonic() + seconds
        try:
            taken = self._send(memoryview(end), deadline)
        except OSError as error:
            if self._tls:
                raise  # does not tell whether its record left
            raise NothingTaken from error  # send() takes some or fails
        self._write(end[taken:], deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            view = view[self._send(view, deadline) :]

    def _send(self, view: memoryview, deadline: float) -> int:
        while True:
            try:
                return self._socket.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT, deadline)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, deadline)

    def read(self, seconds: float) -> Reply:
        """One whole reply, however many lines."""
        return self._read(self._deadline(seconds))

    def read_to_the_end(self, seconds: float) -> Reply:
        """As `read`, with all the time it was promised: ``until`` does not count."""
        return self._read(time.monotonic() + seconds)

    def _read(self, deadline: float) -> Reply:
        while (found := take(self._buffer)) is None:
            more = self._receive(deadline)
            if not more:
                raise ConnectionError
            self._buffer += more
        reply, self._buffer = found
        return reply

    def _receive(self, deadline: float) -> bytes:
        if not self._tls:  # TLS may hold bytes that the socket does not show
            self._wait(select.POLLIN, deadline)
        while True:
            try:
                return self._socket.recv(16_384)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, deadline)

    def _wait(self, events: int, deadline: float) -> None:
        if events not in self._polls:
            self._polls[events] = select.poll()  # select() cannot take a file number above 1023
            self._polls[events].register(self._socket, events)
        poll = self._polls[events]
        left_ms = _remaining(deadline) * 1000
        with Aside(self._turn):
            ready = poll.poll(left_ms)
        if not ready:
            raise TimeoutError

    def silent(self) -> bool:
        """Whether the server has said nothing that was not read yet, and is still there."""
        if self._buffer:
            return False
        try:
            self._buffer = self._socket.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def overheard(self) -> str:
        """The code of what the server said without being asked, if `silent` found any."""
        with contextlib.suppress(Nonsense):
            if found := take(self._buffer):
                return found[0].code
        return ""

    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return ipaddress.ip_address(self._socket.getpeername()[0].partition("%")[0]).is_loopback

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _deadline(self, seconds: float) -> float:
        return min(time.monotonic() + seconds, self.until)


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(host: str, port: int, seconds: float, until: float) -> socket.socket:
    """A connection to the first of the host's addresses that answers."""
    last: OSError = OSError("it has no address")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 characters
        raise OSError("it is not the name of a host") from error
    for family, kind, protocol, _, address in found:
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(min(seconds, _remaining(until)))
            link.connect(address)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the dot waits up to 40 ms for the body's acknowledgement
            return link
        except OSError as error:
            link.close()
            last = error
    raise last
