"""When issues appear, and what ``digest serve`` does by itself."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from digest.config.values import Clock
from digest.model import Frozen
from digest.recurrence import ANCHOR
from digest.recurrence import check as check_rrule

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
    approvals: Annotated[int, Field(ge=1, le=5)] = 1
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
        if self.approvals > 1 and self.approval == "automatic":
            raise ValueError("approvals goes with approval: required; automatic asks nobody")
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
