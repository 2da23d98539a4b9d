"""One request to a receiver, behind the guard that sources are read behind: public hosts by https, and whom `hooks.allow` names.

Nothing lasts beyond `hooks.timeout_s`, however slowly a receiver drips; no redirect is followed; of the answer only the
status counts, and its body is not read at all.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httpcore2
import httpx2

from digest import __version__
from digest.config import Hooks
from digest.errors import HookError, SourceError
from digest.sources.fetch import trust
from digest.sources.guard import Resolve, Transport, Vetted, allowed, host_port

LONGEST_URL = 2000


class Answer(NamedTuple):
    """What a receiver answered. ``status`` is None where it did not; ``trouble`` says why. ``after_s``: for how long it wants peace."""

    status: int | None
    trouble: str = ""
    after_s: float = 0


def check_url(url: str, settings: Hooks) -> str:
    """The address itself, if it may be told at all; whether its host is public is looked at on connecting.

    Raises:
        HookError: it may not; the text says what would do.
    """
    try:
        parsed = httpx2.URL(url)
        host, port = parsed.host, parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise HookError(f"that is not an address: {error}") from error
    if (
        parsed.scheme not in ("http", "https")
        or not host
        or len(url) > LONGEST_URL
        or " " in url
        or not (url.isascii() and url.isprintable())
    ):
        raise HookError("a webhook needs an address such as https://example.org/hooks/digest")
    if parsed.userinfo or parsed.fragment:
        raise HookError("an address with a user name, a password or a # is not supported: the signature says who is calling")
    if allowed(host, port, settings.allow):
        return url
    if parsed.scheme == "http":
        raise HookError(
            f"{host} would be told by http, where anybody on the way can read and change it; use https, or for a host of your own "
            f"add {host_port(host, port)} to hooks.allow"
        )
    if port != 443:
        raise HookError(f"port {port} is not used, only 443; for a host of your own add {host_port(host, port)} to hooks.allow")
    return url


def host_of(url: str) -> str:
    """The host of an address: all that records and letters name, for path and query may hold a key."""
    return urlsplit(url).hostname or "?"


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    settings: Hooks,
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Hand one event over; whatever goes wrong is in the answer. ``resolve``, ``tls``: for tests."""
    deadline = time.monotonic() + settings.timeout_s
    sent = {"User-Agent": f"digestpress/{__version__}", "Content-Type": "application/json", **headers}
    try:
        check_url(url, settings)  # config.yaml may say otherwise than when the hook was made
        backend = Vetted(settings.allow, deadline, resolve, "hooks.allow")
        with httpx2.Client(transport=Transport(tls or trust(), backend), trust_env=False, timeout=settings.timeout_s) as client:
            with client.stream("POST", url, headers=sent, content=body) as response:
                return Answer(response.status_code, "", _seconds(response.headers.get("retry-after", "")))
    except (HookError, SourceError) as error:
        return Answer(None, str(error))
    except (httpx2.TimeoutException, httpcore2.TimeoutException, TimeoutError):
        return Answer(None, f"no answer within {settings.timeout_s:g} s")
    except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        if isinstance(error.__cause__, ssl.SSLError) or "certificate" in str(error).lower():
            return Answer(None, "it cannot prove who it is: its certificate does not fit")
        return Answer(None, f"no connection, or it broke off ({type(error).__name__})")
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        return Answer(None, f"that is not an address ({type(error).__name__})")


def _seconds(text: str) -> float:
    """Retry-After in seconds; its other form, a date, is not looked at."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
