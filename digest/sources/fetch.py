"""The one function that reads over HTTP, for addresses that strangers wrote.

A host is resolved once, every address it has must be on the public internet, and the connection goes to the very address
that was checked (so a name server that changes its mind in between gains nothing). Redirects pass the same gate. Size,
compression ratio and total time are limited. RELIABILITY section 4, rows on SSRF and bombs.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore2
import httpx2

from digest import __version__
from digest.config import Fetch
from digest.errors import SourceError
from digest.sources.guard import Resolve, Transport, Vetted, allowed, host_port

MAX_REDIRECTS = 3
MAX_RATIO = 100  # a page of text shrinks 5 to 20 times; a bomb 1000 times
RATIO_FLOOR = 256 * 1024  # bytes inflated below which the ratio does not matter
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Page:
    """One answer: ``content`` inflated; ``url`` the address that gave it; ``truncated`` if it broke off before its end."""

    status: int
    url: str
    content: bytes = b""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    truncated: bool = False


class HttpStatus(SourceError):
    """The server answered, but not with the document."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def get(
    url: str,
    settings: Fetch,
    etag: str = "",
    last_modified: str = "",
    accept: str = "*/*",
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> Page:
    """Read one document.

    Args:
        etag, last_modified: what the server said last time; with them the answer may be a Page of status 304 without content.
        resolve, tls: what looks up names and whom to trust, for tests.
    Raises:
        HttpStatus: the server answered with an error.
        SourceError: refused by the rules, not reachable, too large or too slow. Texts name the host and path, never the
            query or credentials, which may hold a key.
    """
    deadline = time.monotonic() + settings.timeout_s
    headers = {"User-Agent": f"digestpress/{__version__}", "Accept": accept, "Accept-Encoding": "gzip"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": last_modified} if last_modified else {}
    try:
        backend = Vetted(settings.allow, deadline, resolve)
        context = tls or trust()
        with httpx2.Client(transport=Transport(context, backend), trust_env=False, timeout=settings.timeout_s) as client:
            return _follow(client, url, headers, settings, deadline)
    except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
        raise _explain(url, error, settings) from error
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise SourceError(f"{shown(url)} is not an address that can be read: {error}") from error


_reading_trust = threading.Lock()


def trust() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes longer than reading a feed, so it is done once."""
    with _reading_trust:
        return _read_trust()


@functools.cache
def _read_trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def shown(url: str) -> str:
    """An address as messages may show it: without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{netloc}{parts.path}"[:200] if netloc else "the address"
    except ValueError:
        return "the address"


def _explain(url: str, error: Exception, settings: Fetch) -> SourceError:
    place = shown(url)
    if isinstance(error, httpx2.TimeoutException | httpcore2.TimeoutException | TimeoutError):
        return SourceError(f"{place} took longer than {settings.timeout_s:g} s in all; try again later, or raise fetch.timeout_s")
    if isinstance(error.__cause__, ssl.SSLError) or "certificate" in str(error).lower():
        return SourceError(f"{place} cannot prove who it is ({error}); its owner must renew the certificate")
    return SourceError(f"{place} cannot be reached: {error or type(error).__name__}")


def _follow(client: httpx2.Client, url: str, headers: dict[str, str], settings: Fetch, deadline: float) -> Page:
    address = _checked(httpx2.URL(url), settings)
    for _ in range(MAX_REDIRECTS + 1):
        with client.stream("GET", address, headers=headers) as response:
            target = response.headers.get("location")
            if response.status_code not in REDIRECTS or not target:
                return _page(response, settings, deadline)
        following = _checked(address.join(target), settings)
        if address.scheme == "https" and following.scheme == "http":
            raise SourceError(f"{shown(str(address))} redirects from https to http, where anybody can change what is read; not followed")
        address = following
    raise SourceError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times; set url to where it ends")


def _checked(url: httpx2.URL, settings: Fetch) -> httpx2.URL:
    """The address itself if it may be asked for at all: scheme, port, no credentials. Its host is vetted on connecting."""
    place = shown(str(url))
    if url.scheme not in ("http", "https") or not url.host:
        raise SourceError(f"{place} is not an http or https address")
    if url.userinfo:
        raise SourceError(f"{place}: user names and passwords in an address are not supported; remove them")
    port = url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]
    if port not in (80, 443) and not allowed(url.host, port, settings.allow):
        raise SourceError(f"{place}: port {port} is not read, only 80 and 443; to read it, add {host_port(url.host, port)} to fetch.allow")
    return url


def _page(response: httpx2.Response, settings: Fetch, deadline: float) -> Page:
    status, place = response.status_code, shown(str(response.url))
    if status != 304 and status != 200:
        raise HttpStatus(f"{place} answers {status} {response.reason_phrase}".rstrip() + _advice(status), status)
    content, truncated = (b"", False) if status == 304 else _body(response, settings, deadline, place)
    return Page(
        status=status,
        url=str(response.url),
        content=content,
        content_type=response.headers.get("content-type", ""),
        etag=_returnable(response.headers.get("etag", "")),
        last_modified=_returnable(response.headers.get("last-modified", "")),
        truncated=truncated,
    )


def _returnable(validator: str) -> str:
    """What may go back to the server in a header; a validator that may not is as good as none."""
    return validator if len(validator) <= 500 and validator.isascii() and validator.isprintable() else ""


def _advice(status: int) -> str:
    if status in (404, 410):
        return "; it has moved or is gone: look up its new address and change url"
    if status in (401, 403):
        return "; it does not let us read it: ask its owner, or remove the source"
    if status == 429:
        return "; it asks for fewer visits: gather less often"
    return "; that is the server's fault, try again later" if status >= 500 else ""


def _body(response: httpx2.Response, settings: Fetch, deadline: float, place: str) -> tuple[bytes, bool]:
    """The inflated body, and whether it broke off."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise SourceError(f'{place} answers in the encoding "{coding[:40]}", though only gzip was asked for')
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > settings.max_bytes:
        raise _too_large(place, settings)
    inflate = _Inflater(settings, place) if "gzip" in coding else None
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += inflate.feed(chunk, len(body)) if inflate else chunk
            if len(body) > settings.max_bytes:
                raise _too_large(place, settings)
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("too slow")
    except httpx2.RemoteProtocolError:
        return bytes(body), True
    return bytes(body), inflate is not None and not inflate.complete


def _too_large(place: str, settings: Fetch) -> SourceError:
    return SourceError(f"{place} is larger than {settings.max_bytes / 1048576:.3g} MiB; if it should be, raise fetch.max_bytes")


class _Inflater:
    """gzip, a piece at a time and never more of it than the limits allow."""

    def __init__(self, settings: Fetch, place: str) -> None:
        self._settings, self._place = settings, place
        self._zlib = zlib.decompressobj(wbits=31)
        self._seen = 0
        self.complete = False

    def feed(self, chunk: bytes, so_far: int) -> bytes:
        """What ``chunk`` inflates to; ``so_far`` bytes came before."""
        self._seen += len(chunk)
        out = bytearray()
        while chunk:
            if self.complete:  # another member of the same file, or padding after the last
                if not chunk.startswith(b"\x1f\x8b"):
                    break
                self._zlib, self.complete = zlib.decompressobj(wbits=31), False
            try:
                out += self._zlib.decompress(chunk, max(1, self._settings.max_bytes + 1 - so_far - len(out)))
            except zlib.error as error:
                raise SourceError(f"{self._place} says that it is gzip, but cannot be inflated: {error}") from error
            total = so_far + len(out)
            if total > RATIO_FLOOR and total > MAX_RATIO * self._seen:
                raise SourceError(f"{self._place} inflates to more than {MAX_RATIO} times its size: refused as a decompression bomb")
            if total > self._settings.max_bytes:
                raise _too_large(self._place, self._settings)
            self.complete = self._zlib.eof
            chunk = self._zlib.unused_data if self.complete else self._zlib.unconsumed_tail
        return bytes(out)
