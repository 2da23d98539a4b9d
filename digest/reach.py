"""Whether a provider would take mail from us, and another service let people in: asked without handing anything over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from digest.config import Config
from digest.errors import SourceError
from digest.findings import Finding, error, ok, warning

CLOCK_S = 60  # a clock further off than that writes wrong dates into messages and misjudges signed events
_REACH_S = 15.0


def provider(config: Config, path: Path) -> Iterator[Finding]:
    """Ask the provider whether it would take mail from us. Nothing is handed over."""
    if config.delivery.provider == "outbox":
        folder = next(place for place in (path / config.delivery.outbox.path).absolute().parents if place.exists())
        writable = os.access(folder, os.W_OK)
        yield (
            ok("provider", "the outbox can be written")
            if writable
            else error("provider", "the outbox cannot be written", f"chmod u+w {folder.name}")
        )
    elif config.delivery.provider == "smtp":
        yield from _smtp(config, path)
    else:
        yield from _sendgrid(config)


def _smtp(config: Config, path: Path) -> Iterator[Finding]:
    from digest.providers.smtp import Smtp
    from digest.providers.smtp_connection import Ended, Times

    settings = config.delivery.smtp
    short = Times(connect=_REACH_S, reply=_REACH_S)
    server = Smtp(settings, config.smtp_password, config.sender.from_, path, short)
    try:
        with server.turn:
            server.take(time.monotonic() + _REACH_S, fresh=True).leave()
    except Ended as trouble:
        said = trouble.stop or " ".join(filter(None, (trouble.reason, trouble.code)))
        yield error("provider", f"no session with {settings.host}:{settings.port}: {said}", "check delivery.smtp (docs/smtp.md)")
    else:
        how = {"none": "without TLS", "starttls": "with STARTTLS", "tls": "with TLS"}[settings.security]
        yield ok("provider", f"{settings.host}:{settings.port} lets us in {how}{', logged in' if settings.username else ''}")
    finally:
        server.close()


def _sendgrid(config: Config) -> Iterator[Finding]:
    from digest.errors import DeliveryDeferred, DeliveryUncertain
    from digest.providers.sendgrid import SendGrid
    from digest.providers.sendgrid_answer import errors_of, key_advice, object_of
    from digest.providers.sendgrid_http import Line

    settings, key = config.delivery.sendgrid, config.sendgrid_api_key
    SendGrid(settings, key)  # says what is wrong with the settings
    line = Line(settings.base_url, key.get_secret_value() if key else "", timeout_s=_REACH_S)
    try:
        answer = line.call("get", "scopes")
    except (DeliveryDeferred, DeliveryUncertain) as trouble:
        yield error("provider", str(trouble), "check delivery.sendgrid.base_url and the network")
        return
    scopes = object_of(answer.body).get("scopes")
    if answer.status in (401, 403):
        yield error("provider", key_advice(answer.status, errors_of(answer.body)), "make a key with Mail Send at SendGrid")
    elif answer.status != 200 or not isinstance(scopes, list):
        yield warning("provider", f"SendGrid is there, but did not say what the key may do ({answer.status})", "try again later")
    elif "mail.send" not in scopes:
        yield error("provider", "SendGrid knows the key, but it may not send", "give it the scope Mail Send")
    else:
        yield ok("provider", "SendGrid knows the key, and it may send")
    yield from _their_clock(answer.headers.get("date", ""))


def _their_clock(date: str) -> Iterator[Finding]:
    try:
        off = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return
    if abs(off) > CLOCK_S:
        yield error(
            "clock", f"this machine's clock is {abs(off):.0f} s {'before' if off > 0 else 'behind'} SendGrid's", "set it, e.g. by NTP"
        )


def log_in(config: Config, path: Path) -> Iterator[Finding]:
    """Whether people could log in by the other service that is set: it is asked what it says of itself, nothing more."""
    if config.login.oidc is None:
        return
    from digest import oidc_wire

    file = path / config.login.oidc.secret_file
    if config.login.oidc.secret_file and file.is_file() and file.stat().st_mode & 0o077:
        yield error("log-in", f"{config.login.oidc.secret_file} can be read by others on this machine", "chmod 600 it")
    try:
        metadata = oidc_wire.Provider(config.login.oidc, config, path).metadata()
    except SourceError as trouble:
        yield error("log-in", f"login.oidc.issuer cannot be asked: {trouble}", "nobody can log in by it; look at issuer and fetch.allow")
        return
    yield ok("log-in", f"{metadata.issuer} answers")
