"""Who carries the messages, to whom, how fast, and when that stops by itself."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from digest.config.values import Mailbox, WebUrl
from digest.model import Frozen


class OutboxSettings(Frozen):
    """Where the outbox provider writes."""

    path: Path = Path("var/outbox")


class SmtpSettings(Frozen):
    """How to reach the mail server. ``envelope_sender`` is where bounces go; with ``verp`` each message has its own
    (``bounce+ID@…``), so that a bounce tells which delivery it is about. ``batch`` messages are claimed together per connection:
    more is faster and leaves more to settle after a crash.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1025
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    connections: Annotated[int, Field(ge=1, le=64)] = 4
    batch: Annotated[int, Field(ge=1, le=100)] = 1
    ca_file: Path | None = None
    envelope_sender: Mailbox | None = None
    verp: bool = False


class SendGridSettings(Frozen):
    """How to reach SendGrid. ``webhook_keys`` are the public keys that signed events are checked with, as its page shows
    them; two while one is being replaced. ``server_errors`` says what a 5xx answer to a batch means.
    """

    base_url: WebUrl = "https://api.sendgrid.com"
    batch: Annotated[int, Field(ge=1, le=1000)] = 200
    mode: Literal["grouped", "template"] = "grouped"
    calls: Annotated[int, Field(ge=1, le=32)] = 4
    webhook_keys: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    server_errors: Literal["uncertain", "not_sent"] = "uncertain"


class WarmUp(Frozen):
    """A new sender's plan: on the nth day from ``started`` at most the nth of ``daily`` messages; after the last day no cap."""

    started: date
    daily: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class SoftBounces(Frozen):
    """An address is suppressed after ``most`` soft bounces within ``days``."""

    most: Annotated[int, Field(ge=1)] = 3
    days: Annotated[int, Field(ge=1)] = 120


class Brake(Frozen):
    """An issue pauses by itself when more than ``hard_percent`` of the first ``first`` messages (of all, where it has fewer) come
    back because their addresses are gone, or when ``policy_refusals`` were refused for what we are or say. 0 refusals: never.
    """

    first: Annotated[int, Field(ge=20)] = 200
    hard_percent: Annotated[float, Field(gt=0, le=100)] = 5
    policy_refusals: Annotated[int, Field(ge=0)] = 1


class DeliverySettings(Frozen):
    """Who carries the messages, to whom, how fast."""

    provider: Literal["outbox", "smtp", "sendgrid"] = "outbox"
    allow: tuple[str, ...] = ("*@example.org",)
    uncertain: Literal["hold", "resend", "cancel_resend"] = "hold"
    resend_after_h: Annotated[float, Field(ge=0)] = 4
    late_limit_h: Annotated[float, Field(gt=0)] | None = None
    processes: Annotated[int, Field(ge=1, le=32)] = 1
    max_per_minute: Annotated[int, Field(ge=1)] = 6000
    max_per_minute_and_domain: Annotated[int, Field(ge=1)] | None = None
    warm_up: WarmUp | None = None
    soft_bounces: SoftBounces = SoftBounces()
    brake: Brake = Brake()
    outbox: OutboxSettings = OutboxSettings()
    smtp: SmtpSettings = SmtpSettings()
    sendgrid: SendGridSettings = SendGridSettings()
