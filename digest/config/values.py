"""The kinds of value that ``config.yaml`` has, each checked as it is read: zones, addresses, times of day, colours."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


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


WrittenDate = Annotated[str, BeforeValidator(_written)]
Zone = Annotated[str, AfterValidator(time_zone)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
WebUrl = Annotated[str, AfterValidator(_web)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Clock = Annotated[str, AfterValidator(_clock)]
Language = Annotated[str, AfterValidator(_language)]
Origin = Annotated[str, AfterValidator(_origin)]
Colour = Annotated[str, AfterValidator(_colour)]
