"""One request through the `sendgrid` package, and certain knowledge of how far it got.

The package's client is urllib: it opens a connection for each request, never retries, and lets errors of the network through
as they are, which do not tell whether the request had left. So the opener it would build is replaced by one that notes when
the first byte of the body goes out, keeps a deadline over the whole exchange (the package's timeout is one per socket
operation, and a trickled answer outlasts it), follows no redirect, and reads no endless answer.
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.error import URLError

import python_http_client  # type: ignore[import-untyped]
import sendgrid

from digest.errors import DeliveryDeferred, DeliveryUncertain

MAX_ANSWER = 1 << 20  # bytes; real ones are empty or an error of some hundred
_CHUNK = 1 << 16
# With plain "application/json" the package writes the JSON itself: a blank after every comma and colon, six bytes for an é. With
# any other type it takes text as it is; this one is what SendGrid's own package for C# sends.
_JSON = "application/json; charset=utf-8"

as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _seconds() -> float:
    """A clock that also runs while the machine is suspended, where there is one: a call that slept must not go on."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` is empty where it was cut off, for the status holds without it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class _Passage:
    """How far one exchange has come. Twice ``limit_s`` at most: to the first byte of the body, and from there on."""

    limit_s: float
    deadline: float = 0.0
    begun: bool = False  # the first byte of the body may have left
    cut: bool = False  # the peer has closed its side
    read: int = 0
    status: int = 0
    headers: Message | None = None
    sock: socket.socket | None = None

    def start(self) -> None:
        self.deadline = _seconds() + self.limit_s

    def start_body(self) -> None:
        self.left()  # too late by now: nothing has left yet, and nothing will
        self.begun = True
        self.start()

    def left(self) -> float:
        left = self.deadline - _seconds()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


class _Reader(io.RawIOBase):
    """The receiving side of a socket, under the exchange's deadline and size limit."""

    def __init__(self, sock: socket.socket, passage: _Passage) -> None:
        self._sock, self._raw, self._passage = sock, sock.makefile("rb", buffering=0), passage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._passage.left())
        count = self._raw.readinto(buffer)
        self._passage.cut |= count == 0
        self._passage.read += count or 0
        if self._passage.read > MAX_ANSWER:
            raise OSError("the answer is too long")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Timed:
    """As much of a socket as `http.client` uses once it is connected."""

    def __init__(self, sock: socket.socket, passage: _Passage) -> None:
        self._sock, self.passage = sock, passage

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):  # over TLS the timeout is one per piece written
            self._sock.settimeout(self.passage.left())
            self._sock.sendall(view[start : start + _CHUNK])

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self.passage))

    def close(self) -> None:
        self._sock.close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._passage: _Passage | None = getattr(sock, "passage", None)  # none while a proxy is asked for a tunnel

    def begin(self) -> None:
        super().begin()
        if self._passage is None:
            return
        if self._passage.cut:  # `http.client` takes a head that breaks off for a whole one
            raise http.client.RemoteDisconnected("the head of the answer was cut off")
        self._passage.status, self._passage.headers = self.status, self.headers


class _Watched(http.client.HTTPConnection):
    passage: _Passage
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        self.passage.sock = self.sock
        self.sock: Any = _Timed(self.sock, self.passage)

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        super().endheaders(None)  # connects, and writes the head: no mail is in it
        if message_body is not None:
            self.passage.start_body()
            self.send(message_body)


class _WatchedTls(_Watched, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def __init__(self, passage: _Passage) -> None:
        super().__init__()
        self._passage = passage

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_maker(_Watched, self._passage), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, passage: _Passage, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._passage, self._tls = passage, context

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_maker(_WatchedTls, self._passage), request, context=self._tls)


def _maker(kind: type[_Watched], passage: _Passage) -> Callable[..., Any]:
    def make(host: str, **options: Any) -> _Watched:
        connection = kind(host, **options)
        connection.passage = passage
        passage.start()
        return connection

    return make


def _opener(passage: _Passage, context: ssl.SSLContext, proxy: str) -> urllib.request.OpenerDirector:
    """No redirects (a 307 would send the readers' addresses elsewhere), no cookies, no password manager. A proxy of the
    environment is used for https only: it sees an address and a port.
    """
    opener = urllib.request.OpenerDirector()
    errors = (urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor())
    for handler in (_Http(passage), _Https(passage, context), *errors):
        opener.add_handler(handler)
    if proxy:
        opener.add_handler(urllib.request.ProxyHandler({"https": proxy}))
    return opener


class _Client(python_http_client.Client):  # type: ignore[misc]
    """The package's client with the opener given to it."""

    def __init__(self, opener: urllib.request.OpenerDirector, **given: Any) -> None:
        super().__init__(**given)
        self.opener = opener

    def _build_client(self, name: str | None = None) -> _Client:
        path = [*self._url_path, name] if name else self._url_path
        given = {"host": self.host, "version": self._version, "request_headers": self.request_headers, "timeout": self.timeout}
        return _Client(self.opener, url_path=path, **given)

    def _make_request(self, opener: object, request: urllib.request.Request, timeout: float | None = None) -> Any:
        return super()._make_request(self.opener, request, timeout=timeout)


class Line:
    """The way to SendGrid. Every call has a client and a connection of its own, so any number may run at once."""

    def __init__(self, base_url: str, api_key: str, *, timeout_s: float, context: ssl.SSLContext | None = None) -> None:
        self._base_url, self._key, self._timeout_s = base_url.rstrip("/"), api_key, timeout_s
        self._context = context or ssl.create_default_context()
        self._proxy = urllib.request.getproxies().get("https", "")  # once: looking through the whole environment takes a millisecond
        # Below INFO the package writes the key and the readers' addresses into the log.
        for name in ("python_http_client", "python_http_client.client"):
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.INFO))

    def call(self, method: str, path: str, body: Mapping[str, Any] | str | None = None, query: Mapping[str, str] | None = None) -> Answer:
        """One request; any status is an answer. ``body`` is an object, or the JSON of one.

        Raises:
            DeliveryDeferred: SendGrid was not reached, or time was up before the body: nothing left.
            DeliveryUncertain: the body had begun to leave, and no answer came that could be read.
        """
        passage = _Passage(self._timeout_s)
        text = body if body is None or isinstance(body, str) else as_json(body)
        package = sendgrid.SendGridAPIClient(self._key, host=self._base_url)
        package.client = _Client(
            _opener(passage, self._context, self._proxy),
            host=self._base_url,
            request_headers=package._default_headers | ({} if text is None else {"Content-Type": _JSON}),
            version=3,
            timeout=self._timeout_s,
        )
        place = package.client
        for step in path.split("/"):
            place = place._(step)
        try:
            answer = getattr(place, method)(request_body=text, query_params=query)
            return Answer(answer.status_code, _lower(answer.headers), answer.body)
        except python_http_client.exceptions.HTTPError as error:
            return Answer(error.status_code, _lower(error.headers), error.body or b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            if passage.status:
                return Answer(passage.status, _lower(passage.headers))
            if passage.begun:
                raise DeliveryUncertain(f"SendGrid was lost after the request had begun to leave: {_said(error)}") from None
            raise DeliveryDeferred(f"SendGrid was not reached: {_said(error)}") from None
        finally:
            if passage.sock is not None:
                passage.sock.close()  # urllib leaves it to the garbage collector where an answer broke off


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()} if headers else {}


def _said(error: BaseException) -> str:
    """In words of ours: the library's own may repeat a header."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, BaseException) else error
    words: tuple[tuple[type[BaseException], str], ...] = (
        (socket.gaierror, "its name could not be looked up"),
        (ConnectionRefusedError, "the connection was refused"),
        (TimeoutError, "it took too long"),
        (ssl.SSLCertVerificationError, "its certificate does not fit"),
        (ssl.SSLError, "TLS failed"),
        (ConnectionError, "the connection was cut"),
        (http.client.HTTPException, "what came back is not HTTP"),
    )
    return next((text for kind, text in words if isinstance(cause, kind)), "the network failed")
