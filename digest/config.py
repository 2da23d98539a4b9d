"""``config.yaml`` and the environment, read once into one frozen object.

The environment wins over the file, key by key (``DIGEST_DELIVERY__PROVIDER=smtp``). Secrets come from the environment
only. A mistake is a ``ConfigError`` that names file, line and key, and what would do.
"""

from __future__ import annotations

import difflib
import os
import re
import zoneinfo
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from digest.errors import ConfigError
from digest.model import Audience, Frozen, Slug
from digest.problems import Problem, explain, line_of, parse_yaml
from digest.recurrence import ANCHOR
from digest.recurrence import check as check_rrule


def time_zone(name: str) -> str:
    """The name, if it is one of a time zone.

    Raises:
        ValueError: it is none; the text names the nearest.
    """
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), 1)
        raise ValueError(f'"{name}" is not a time zone' + (f"; did you mean {near[0]}?" if near else "")) from error
    return name


def _https(url: str) -> str:
    if not re.match(r"^https://[^/\s]+", url):
        raise ValueError(f'"{url}" must be an address that begins with https://')
    return url.rstrip("/")


def _web(url: str) -> str:
    if not re.match(r"^https?://[^/\s]+", url):
        raise ValueError(f'"{url}" must be an address that begins with https:// or http://')
    return url


def _mailbox(value: str) -> str:
    from email.utils import parseaddr

    from email_validator import EmailNotValidError, validate_email

    _, address = parseaddr(value)
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f'"{value}" is not an address: {error}') from error
    return value


def _clock(value: str) -> str:
    if not re.match(r"^([01]\d|2[0-3]):[0-5]\d$", value):
        raise ValueError(f'"{value}" is not a time of day; write it as "09:00", in quotes')
    return value


def _language(value: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(value, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f'"{value}" is not a language; write a tag such as en, en-GB or de') from error
    return value


def _written(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value  # YAML reads 2026-05-01 as a date


WrittenDate = Annotated[str, BeforeValidator(_written)]
Zone = Annotated[str, AfterValidator(time_zone)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
WebUrl = Annotated[str, AfterValidator(_web)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Clock = Annotated[str, AfterValidator(_clock)]
Language = Annotated[str, AfterValidator(_language)]


class Newsletter(Frozen):
    """What the newsletter is called, and what the law wants in every email."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    url: HttpsUrl
    timezone: Zone = "UTC"
    language: Language = "en"
    postal_address: Annotated[str, Field(min_length=10)]
    tagline: str = ""
    notice: str = ""  # stands above the footer of every email, e.g. that this is no medical advice


class Sender(Frozen):
    """Who the emails come from. The domain of ``from`` is the one in Message-ID and List-Id."""

    model_config = {"frozen": True, "extra": "forbid", "populate_by_name": True}

    from_: Annotated[Mailbox, Field(alias="from")]
    reply_to: Mailbox
    unsubscribe_mailbox: Mailbox | None = None


class SourceBase(Frozen):
    """What every source has. ``date_order`` tells how ``5/1/2026`` is meant: ``mdy`` is 1 May, ``dmy`` is 5 January."""

    name: Slug
    timezone: Zone | None = None
    date_order: Literal["mdy", "dmy"] = "mdy"
    language: Language | None = None
    tags: tuple[str, ...] = ()
    audience: tuple[Audience, ...] = ()


class FolderSource(SourceBase):
    """Markdown files with front matter (DESIGN section 12)."""

    kind: Literal["folder"]
    path: Path


class FeedSource(SourceBase):
    """RSS, RDF, Atom or JSON Feed over HTTP."""

    kind: Literal["feed"]
    url: WebUrl


class PageSource(SourceBase):
    """A listing on a web site, read with CSS selectors.

    Inside each element that ``item`` selects: ``title``, ``link`` (its ``href``), ``date`` (its ``datetime`` or its text),
    ``takeaway``. ``next`` selects the link to the following page; at most ``pages`` are read.
    """

    kind: Literal["page"]
    url: WebUrl
    item: str
    title: str
    link: str = "a"
    date: str = "time"
    takeaway: str | None = None
    next: str | None = None
    pages: Annotated[int, Field(ge=1, le=100)] = 5


class TextSource(SourceBase):
    """The saved text of a page: one full summary, dated teasers that end with "Read More", a standing notice.

    ``url`` is where the page stands; teasers whose own links the text lost point to ``teasers_url``, else there too.
    """

    kind: Literal["text"]
    path: Path
    url: WebUrl
    teasers_url: WebUrl | None = None
    title: str | None = None
    published: WrittenDate | None = None
    read_more: str = "Read More"
    journal: str = r"journals like (.+?) often"


class JsonSource(SourceBase):
    """A JSON API. ``items`` and the values of ``fields`` are dotted paths (``data.posts``, ``links.0.href``).

    ``fields`` names where each part of a summary stands; ``title``, ``published`` and ``url`` are needed. The next page is
    found at ``next`` (an address in the answer), or by counting ``page_param`` up from ``first_page``.
    """

    kind: Literal["json"]
    url: WebUrl
    items: str = ""
    fields: dict[
        Literal[
            "id",
            "title",
            "published",
            "url",
            "takeaway",
            "body",
            "limits",
            "tags",
            "evidence",
            "authors",
            "journal",
            "doi",
            "pmid",
            "language",
        ],
        str,
    ]
    next: str | None = None
    page_param: str | None = None
    first_page: int = 1
    pages: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _complete(self) -> JsonSource:
        missing = [name for name in ("title", "published", "url") if name not in self.fields]
        if missing:
            raise ValueError(f"fields needs {', '.join(missing)}: the path at which each item has it")
        return self


Source = Annotated[FolderSource | FeedSource | PageSource | TextSource | JsonSource, Field(discriminator="kind")]

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


Ordinal = Literal["first", "second", "third", "fourth", "last"]
_ORDINALS, _WEEKDAYS = get_args(Ordinal), get_args(Weekday)
# A cadence that is one plain word.
PLAIN_CADENCES: dict[str, dict[str, object]] = {
    "daily": {"rrule": "FREQ=DAILY"},
    "weekly": {"weekday": "monday"},
    "fortnightly": {"weekday": "monday", "every": 2},
    "monthly": {"day": 1},
    "quarterly": {"day": 1, "every": 3},
    "yearly": {"day": 1, "every": 12},
}


def _day(value: object) -> object:
    """``day`` as it is kept: a number, ``last``, or ``first monday``."""
    if isinstance(value, bool) or (isinstance(value, int) and not 1 <= value <= 31):
        raise ValueError(f"{value} is not a day of a month (1 to 31, last, or such as first monday)")
    if isinstance(value, str) and value != "last":
        words = value.lower().split()
        if len(words) != 2 or words[0] not in _ORDINALS or words[1] not in _WEEKDAYS:
            raise ValueError(f'"{value}" is not a day; write 1 to 31, last, or one of {", ".join(_ORDINALS)} with a weekday: first monday')
        return " ".join(words)
    return value


class Cadence(Frozen):
    """When issues appear: on a ``day`` of the month (1 to 31, ``last``, ``first monday``; a short month takes its last day), on
    a ``weekday``, or by an ``rrule``. With ``months`` only in those; with ``every`` only in each so manieth week or month,
    counted from the one that holds ``counted_from``. A plain word (``quarterly``) does, too.
    """

    day: Annotated[int | str, BeforeValidator(_day)] | None = None
    weekday: Weekday | None = None
    rrule: str | None = None
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    every: Annotated[int, Field(ge=1, le=53)] = 1
    counted_from: date = ANCHOR
    at: Clock = "09:00"
    clock: Literal["newsletter", "reader"] = "newsletter"
    approval: Literal["automatic", "required"] = "required"
    draft_before_h: Annotated[float, Field(ge=0, le=336)] = 24

    @model_validator(mode="before")
    @classmethod
    def _plain_word(cls, data: object) -> object:
        if not isinstance(data, str):
            return data
        if data.lower() not in PLAIN_CADENCES:
            raise ValueError(f'"{data}" is not a cadence; a plain word is one of {", ".join(PLAIN_CADENCES)}')
        return PLAIN_CADENCES[data.lower()]

    @model_validator(mode="after")
    def _one_rule(self) -> Cadence:
        if sum(rule is not None for rule in (self.day, self.weekday, self.rrule)) != 1:
            raise ValueError("a cadence needs one of day (1 to 31, last, first monday), weekday or rrule")
        if self.day is None and self.months:
            raise ValueError("months goes with day, not with weekday or rrule")
        if self.rrule is not None:
            if self.every != 1:
                raise ValueError("every goes with day or weekday; in an rrule it is INTERVAL=…")
            check_rrule(self.rrule, self.counted_from)
        if self.months and self.every != 1:
            raise ValueError("months and every do not go together; name the months")
        return self


class Schedule(Frozen):
    """What ``digest serve`` does by itself: how often it reads the sources, and how late it still sends."""

    gather_every_min: Annotated[int, Field(ge=5, le=10080)] = 60
    late_limit_h: Annotated[float, Field(gt=0, le=720)] = 48


class SelectionRules(Frozen):
    """How much one email holds, and what becomes of an empty one."""

    max_teasers: Annotated[int, Field(ge=1, le=60)] = 12
    max_per_interest: Annotated[int, Field(ge=1, le=60)] = 5
    max_html_kb: Annotated[int, Field(ge=30, le=100)] = 80
    when_empty: Literal["skip", "highlights"] = "skip"
    corrections: Literal["mail", "pages"] = "mail"
    by_audience: bool = False


class Store(Frozen):
    """Where the database is; a relative SQLite path counts from the workspace."""

    url: str = "sqlite:///var/digest.db"


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


class Retention(Frozen):
    """For how many days what is only needed for a while is kept: the provider's events, the record of each attempt, sign-ups
    that nobody confirmed, the note of a mail that left, and those who left; None keeps them.
    """

    events_days: Annotated[int, Field(ge=7)] = 30
    attempts_days: Annotated[int, Field(ge=30)] = 400
    unconfirmed_days: Annotated[int, Field(ge=1, le=60)] = 7
    mail_days: Annotated[int, Field(ge=30, le=3650)] = 30
    left_days: Annotated[int, Field(ge=1)] | None = 365


class Fetch(Frozen):
    """Limits for everything that is read over HTTP, per document.

    ``allow`` names hosts (``127.0.0.1:8080``, ``intranet.example.org``) that may be reached although they are not on the
    public internet; nothing else inside your network ever is.
    """

    timeout_s: Annotated[float, Field(gt=0, le=120)] = 20
    max_bytes: Annotated[int, Field(ge=1024, le=100_000_000)] = 5 * 1024 * 1024
    allow: tuple[str, ...] = ()
    parallel: Annotated[int, Field(ge=1, le=64)] = 16
    parallel_per_host: Annotated[int, Field(ge=1, le=64)] = 4


def _origin(value: str) -> str:
    if not re.match(r"^https?://[a-z0-9.-]+(:\d+)?$", value):
        raise ValueError(f'"{value}" is not an origin; write it like https://www.example.org, without a path')
    return value


def _colour(value: str) -> str:
    if not re.match(r"^#[0-9a-f]{6}$", value.lower()):
        raise ValueError(f'"{value}" is not a colour; write it like "#0b4656", in quotes')
    red, green, blue = (int(value[at : at + 2], 16) / 255 for at in (1, 3, 5))
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    if (ratio := 1.05 / (light + 0.05)) < 4.5:
        raise ValueError(f'"{value}" is too light: it and white have a contrast of {ratio:.1f} to 1; take a darker one (4.5 or more)')
    return value.lower()


Origin = Annotated[str, AfterValidator(_origin)]
Colour = Annotated[str, AfterValidator(_colour)]
PAGE_LANGUAGES = ("en", "de", "es", "fr", "ar")


class Theme(Frozen):
    """Colours of the subscriber pages by day: the band with the newsletter's name, headings, links and buttons."""

    band: Colour = "#0b4656"
    heading: Colour = "#0b4656"
    link: Colour = "#0b4f8a"


class Budgets(Frozen):
    """How many requests with an address are taken: from one network (/24, or /56 of IPv6) and from everywhere, per hour."""

    network_per_hour: Annotated[int, Field(ge=1)] = 30
    all_per_hour: Annotated[int, Field(ge=1)] = 1000


class Pages(Frozen):
    """The subscriber pages. ``embed`` may frame the form and ``api`` may ask the API from a browser; both are origins."""

    languages: Annotated[tuple[Literal["en", "de", "es", "fr", "ar"], ...], Field(min_length=1)] = ("en", "de", "es", "fr")
    link_days: Annotated[int, Field(ge=1, le=3650)] = 180
    embed: tuple[Origin, ...] = ()
    api: tuple[Origin, ...] = ()
    theme: Theme = Theme()
    budgets: Budgets = Budgets()


class Config(BaseSettings):
    """The whole of ``config.yaml``."""

    model_config = SettingsConfigDict(
        env_prefix="DIGEST_", env_nested_delimiter="__", frozen=True, extra="forbid", nested_model_default_partial_update=True
    )

    newsletter: Newsletter
    sender: Sender
    sources: tuple[Source, ...] = ()
    cadences: Annotated[dict[Slug, Cadence], Field(min_length=1)]
    selection: SelectionRules = SelectionRules()
    store: Store = Store()
    queue: Literal["inline", "procrastinate"] = "inline"
    delivery: DeliverySettings = DeliverySettings()
    schedule: Schedule = Schedule()
    editors: tuple[Mailbox, ...] = ()
    fetch: Fetch = Fetch()
    pages: Pages = Pages()
    retention: Retention = Retention()
    secret_key: Annotated[SecretStr | None, Field(json_schema_extra={"secret": True})] = None
    smtp_password: Annotated[SecretStr | None, Field(json_schema_extra={"secret": True})] = None
    sendgrid_api_key: Annotated[SecretStr | None, Field(validation_alias="SENDGRID_API_KEY", json_schema_extra={"secret": True})] = None

    @model_validator(mode="after")
    def _names_once(self) -> Config:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are named {', '.join(twice)}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


SECRETS = {"secret_key": "DIGEST_SECRET_KEY", "smtp_password": "DIGEST_SMTP_PASSWORD", "sendgrid_api_key": "SENDGRID_API_KEY"}


def load(workspace: Path) -> Config:
    """Read ``workspace/config.yaml`` and the environment.

    Raises:
        ConfigError: one line for every mistake found.
    """
    config, problems = examine(workspace)
    if config is None:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return config


def examine(workspace: Path) -> tuple[Config | None, tuple[Problem, ...]]:
    """The configuration, or None and everything that is wrong with it."""
    file = workspace / "config.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        advice = "`digest init DIR` makes a workspace, --workspace names one"
        return None, (Problem(file="config.yaml", text=f"not found in {workspace}; {advice}"),)
    except (OSError, UnicodeDecodeError) as error:
        return None, (Problem(file="config.yaml", text=f"cannot be read: {error}"),)
    data, tree, problems = parse_yaml("config.yaml", text)
    if problems:
        return None, problems
    if not isinstance(data, dict):
        return None, (Problem(file="config.yaml", line=1, text="must hold keys such as newsletter: and sources:"),)
    found = [
        Problem(
            file="config.yaml",
            line=line_of(tree, (key,)),
            text=f"{key}: a secret does not belong in a file; set {variable} in the environment",
        )
        for key, variable in SECRETS.items()
        if key in data
    ]
    if found:
        return None, tuple(found)
    if strays := _stray_variables():
        return None, strays
    try:
        return Config(**data), ()
    except ValidationError as error:
        return None, explain("config.yaml", tree, data, error, Config)


def _stray_variables() -> tuple[Problem, ...]:
    """Overrides in the environment that name no key: a misspelt one would be ignored without a word."""
    known = [name for name in Config.model_fields if name != "sendgrid_api_key"]
    found = []
    for variable in sorted(os.environ):
        first = variable.removeprefix("DIGEST_").partition("__")[0].lower()
        if not variable.startswith("DIGEST_") or variable == "DIGEST_WORKSPACE" or first.startswith("test_") or first in known:
            continue
        near = difflib.get_close_matches(first, known, 1)
        advice = f"; did you mean DIGEST_{near[0].upper()}?" if near else ""
        found.append(Problem(file="the environment", text=f"{variable}: names no key of config.yaml{advice}"))
    return tuple(found)
