"""Connections to the public internet only: the guard against a feed that points into the network this runs in.

A host is resolved once; if any of its addresses is not public, it is refused; the connection goes to the very address that
was checked, while Host and SNI keep the name. ECOSYSTEM 6.2, RELIABILITY section 4.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

from digest.errors import SourceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]


def allowed(host: str, port: int, allow: Iterable[str]) -> bool:
    """Whether fetch.allow names this host with this port, or the host alone for the usual two ports."""
    named = {entry.strip().lower().rstrip("/") for entry in allow}
    plain = host.lower().rstrip(".")
    return host_port(plain, port) in named or (port in (80, 443) and bool({plain, f"[{plain}]"} & named))


def host_port(host: str, port: int) -> str:
    """``host:port``, as fetch.allow spells it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Transport(httpx2.BaseTransport):
    """httpx2 on a pool whose connections are made by our backend: ``HTTPTransport`` has no argument for one."""

    def __init__(self, tls: ssl.SSLContext, backend: httpcore2.NetworkBackend) -> None:
        self._pool = httpcore2.ConnectionPool(ssl_context=tls, http1=True, http2=False, retries=0, network_backend=backend)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = httpcore2.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path)
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method, url=url, headers=request.headers.raw, content=request.read(), extensions=request.extensions
            )
        )
        return httpx2.Response(status_code=answer.status, headers=answer.headers, stream=_Stream(answer), extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_stream()
        except (httpcore2.RemoteProtocolError, httpcore2.ReadError) as error:
            raise httpx2.RemoteProtocolError(str(error)) from error

    def close(self) -> None:
        self._answer.close()


class Vetted(httpcore2.NetworkBackend):
    """Connects to public addresses only, and lets nothing last beyond the deadline."""

    def __init__(self, allow: Iterable[str], deadline: float, resolve: Resolve | None) -> None:
        self._allow, self._deadline, self._resolve = tuple(allow), deadline, resolve or _resolve
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None
    ) -> httpcore2.NetworkStream:
        bare = host.strip("[]")
        addresses = self._in_time(bare, port)
        if not addresses:
            raise SourceError(f"{bare} has no address; check the spelling of url")
        if not allowed(bare, port, self._allow):
            for address in addresses:
                if why := not_public(address):
                    raise SourceError(
                        f"{bare} is inside a private network ({address}: {why}) and is not read;"
                        f" if it is yours, add {host_port(bare, port)} to fetch.allow"
                    )
        failure: Exception | None = None
        for address in addresses[:4]:
            try:
                return _Timed(self._sockets.connect_tcp(address, port, _left(self._deadline), None, socket_options), self._deadline)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure or httpcore2.ConnectError("no address")

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> httpcore2.NetworkStream:
        raise SourceError("sockets on this machine are not read")

    def _in_time(self, host: str, port: int) -> list[str]:
        """Look the host up in a thread of its own: the system's resolver has no time limit."""
        found: list[list[str] | OSError | UnicodeError] = []

        def look_up() -> None:
            try:
                found.append(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                found.append(error)

        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(_left(self._deadline))
        if not found:
            raise httpcore2.ConnectTimeout(f"{host} could not be looked up in time")
        if isinstance(found[0], Exception):
            raise SourceError(f"{host} cannot be looked up ({found[0]}); check the spelling of url and the network") from found[0]
        return found[0]


class _Timed(httpcore2.NetworkStream):
    """A stream whose every step gets what is left of the total time: a slow drip cannot outlast it."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time is up")
    return left


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# Ranges that some supported Pythons call global though no public server lives there.
_NEVER = tuple(
    ipaddress.ip_network(n)
    for n in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "::/96",
        "64:ff9b:1::/48",
        "fec0::/10",
        "100::/64",
        "2001::/23",
        "2002::/16",  # 6to4, given up by RFC 7526; Python 3.13 calls it private, older ones do not
        "3fff::/20",
        "5f00::/16",
    )
)


def not_public(address: str) -> str:
    """Why this address is not on the public internet; empty where it is. Looks through IPv4 carried inside IPv6."""
    try:
        parsed: Address = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    for inner in _carried(parsed):
        if not inner.is_global or inner.is_multicast or inner.is_reserved or inner.is_unspecified:
            return "loopback" if inner.is_loopback else "link-local" if inner.is_link_local else "not a public address"
        if any(inner.version == net.version and inner in net for net in _NEVER):
            return "reserved"
    return ""


def _carried(address: Address) -> list[Address]:
    """The address, or the IPv4 one that a gateway would make of it: mapped, NAT64 (64:ff9b::/96)."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.scope_id:
        return [ipaddress.ip_address("::1")]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
