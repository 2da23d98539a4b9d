"""Asking an OpenID Connect provider: what it says of itself, its keys, and the token for a code. Through the guard, in little time."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpcore2
import httpx2
from pydantic import ValidationError

from digest import oidc
from digest.config import Config, Fetch, Oidc
from digest.errors import ConfigError, SourceError
from digest.oidc import Begun, Claims, Metadata, Refusal, UnknownKey
from digest.sources import fetch
from digest.sources.guard import Transport, Vetted

_MAX_BYTES = 256 * 1024
_KEPT_S = 3600.0  # how long what a provider says of itself and its keys count
_TURN_S = 1.0
_AWAY_S = 5.0  # after a failure nobody asks for so long
_ANEW_S = 60.0  # keys are read anew for one that is not known, at most so often


class Away(SourceError):
    """The provider cannot be asked, or answers nonsense. Its text is for the log."""


class Provider:
    """The provider of one workspace. What it published is kept for an hour; any thread may ask."""

    def __init__(self, settings: Oidc, config: Config, workspace: Path) -> None:
        self.settings = settings
        self._limits = Fetch(timeout_s=settings.timeout_s, max_bytes=_MAX_BYTES, allow=config.fetch.allow)
        self._secret = _secret(settings, config, workspace)
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, list[Mapping[str, Any]]] | None = None

    def metadata(self) -> Metadata:
        """What it says of itself.

        Raises:
            Away: it does not say so, or says what does not fit.
        """
        with self._turn():
            if self._metadata is None or time.monotonic() - self._metadata[0] > _KEPT_S:
                found = self._document(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
                self._metadata = (time.monotonic(), self._described(found))
            return self._metadata[1]

    def claims(self, code: str, begun: Begun, redirect_uri: str) -> Claims:
        """Who it is that came back with this code.

        Raises:
            Away: the provider cannot be asked, or does not answer as it should.
            Refusal: the code or the token does not count.
        """
        metadata = self.metadata()
        token = self._token(metadata, code, begun, redirect_uri)
        try:
            return oidc.read(token, self._published(metadata), metadata, self.settings.client_id, begun)
        except UnknownKey:
            return oidc.read(token, self._published(metadata, anew=True), metadata, self.settings.client_id, begun)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One asks, the others wait for a moment only: threads must stay free for the readers' pages, also while it is away."""
        if not self._lock.acquire(timeout=_TURN_S):
            raise Away("the provider is slow to answer")
        try:
            if time.monotonic() < self._away_until:
                raise Away("the provider could not be asked a moment ago")
            try:
                yield
            except Away:
                self._away_until = time.monotonic() + _AWAY_S
                raise
        finally:
            self._lock.release()

    def _described(self, found: Mapping[str, Any]) -> Metadata:
        try:
            metadata = Metadata.model_validate({name: found[name] for name in Metadata.model_fields if found.get(name) is not None})
        except ValidationError as error:
            raise Away("the provider's description lacks what is needed") from error
        if metadata.issuer != self.settings.issuer:  # Discovery 1.0, 4.3: exactly
            raise Away("the provider calls itself by another name than login.oidc.issuer")
        scheme = urlsplit(metadata.issuer).scheme
        for endpoint in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
            parts = urlsplit(endpoint)
            if parts.scheme != scheme or not parts.hostname or parts.username is not None or parts.fragment:
                raise Away("the provider names an address that is not asked: it must begin as login.oidc.issuer does")
        return metadata

    def _published(self, metadata: Metadata, *, anew: bool = False) -> list[Mapping[str, Any]]:
        with self._turn():
            age = time.monotonic() - self._keys[0] if self._keys else _KEPT_S + 1
            if self._keys is None or age > (_ANEW_S if anew else _KEPT_S):
                keys = self._document(metadata.jwks_uri).get("keys")
                if not isinstance(keys, list):
                    raise Away("the provider publishes no keys")
                self._keys = (time.monotonic(), [key for key in keys if isinstance(key, dict)])
            return self._keys[1]

    def _document(self, url: str) -> Mapping[str, Any]:
        try:
            page = fetch.get(url, self._limits, accept="application/json")
        except SourceError as error:
            raise Away(str(error)) from error
        if page.url != url or page.truncated:
            raise Away("the provider sends on to another address, or broke off")
        return _object(page.content)

    def _token(self, metadata: Metadata, code: str, begun: Begun, redirect_uri: str) -> str:
        """The ID token for a code. Once: a code counts once, too."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": begun.verifier}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self._secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote(self.settings.client_id, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749, 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            fields |= {"client_id": self.settings.client_id} | ({"client_secret": self._secret} if self._secret else {})
        status, body = self._post(metadata.token_endpoint, urlencode(fields).encode(), headers)
        if status in (400, 401, 403):
            raise Refusal(f"the provider gives no token for that code ({status})")
        if status != 200:
            raise Away(f"the provider answers {status}")
        token = _object(body).get("id_token")
        if not isinstance(token, str):
            raise Away("the provider gave no ID token")
        return token

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + self.settings.timeout_s
        try:
            transport = Transport(fetch.trust(), Vetted(self._limits.allow, deadline, None))
            with httpx2.Client(transport=transport, trust_env=False, timeout=self.settings.timeout_s) as client:
                with client.stream("POST", url, content=body, headers=dict(headers)) as response:
                    found = bytearray()
                    for chunk in response.iter_raw():
                        found += chunk
                        if len(found) > _MAX_BYTES or time.monotonic() > deadline:
                            raise Away("the provider's answer is too large or too slow")
                    return response.status_code, bytes(found)
        except Away:
            raise
        except SourceError as error:
            raise Away(str(error)) from error
        except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
            raise Away(f"the provider cannot be reached: {type(error).__name__}") from error


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Away("the provider's answer is not JSON") from error
    if not isinstance(found, dict):
        raise Away("the provider's answer is not what it should be")
    return found


def _secret(settings: Oidc, config: Config, workspace: Path) -> str:
    """The client's secret: of the environment, else of the file; empty for a client that has none.

    Raises:
        ConfigError: the file cannot be read.
    """
    if config.oidc_secret is not None:
        return config.oidc_secret.get_secret_value()
    if not settings.secret_file:
        return ""
    try:
        return (workspace / settings.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"login.oidc.secret_file: {settings.secret_file} cannot be read; put the client's secret there") from error


def open_provider(config: Config, workspace: Path) -> Provider | None:
    """The provider that people may log in by; None where there is none.

    Raises:
        ConfigError: its secret or the library is missing.
    """
    if config.login.oidc is None:
        return None
    oidc.library()
    return Provider(config.login.oidc, config, workspace)
