"""What an admin may change of a reader at their wish, checked before it is written. `readers.change` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from digest.errors import ConfigError
from digest.interests import Interests
from digest.model import Status, Subscriber
from digest.subscribe import clean_name
from digest.workspace import Workspace

FIELDS = ("name", "interests", "fewer", "cadence", "language", "audience", "plain_text", "large_print", "max_teasers")


class Unfit(ConfigError):
    """A choice names what there is not. ``field`` says which choice, ``place`` which of several values (from 0)."""

    def __init__(self, field: str, text: str, place: int | None = None) -> None:
        super().__init__(text)
        self.field, self.place = field, place


def checked(workspace: Workspace, known: Interests, one: Subscriber, values: Mapping[str, Any]) -> Subscriber:
    """The reader with these of `FIELDS` changed. Ids of interests are given as they are today.

    Raises:
        Unfit: a value is none that can be chosen.
    """
    changed = {name: value for name, value in values.items() if name in FIELDS}
    for name in ("interests", "fewer"):
        for place, id in enumerate(changed.get(name, ())):
            if not known.today((id,)):
                raise Unfit(name, f'there is no interest "{id}"', place)
        if name in changed:
            changed[name] = known.today(tuple(dict.fromkeys(changed[name])))
    if "cadence" in changed and changed["cadence"] not in workspace.config.cadences:
        raise Unfit("cadence", "choose one of the cadences")
    if changed.get("language") and changed["language"] not in workspace.config.pages.languages:
        raise Unfit("language", "choose one of the languages")
    if "name" in changed:
        try:
            changed["name"] = clean_name(changed["name"].strip())
        except ValueError as error:
            raise Unfit("name", str(error)) from error
    try:
        return Subscriber.model_validate({**one.model_dump(), **changed})
    except ValidationError as error:
        field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        words = {"max_teasers": "most pieces: a number from 1 to 60, or nothing"}
        raise Unfit(field, words.get(field, f"{field.replace('_', ' ')}: this cannot be chosen")) from error


def paused(now: Subscriber, until: date | None, today: date) -> Subscriber:
    """Written to again from that day on, or when they say so. By what they are as it is written: who leaves in that moment has left.

    Raises:
        ConfigError: they are not written to anyway, or the day is not in the future.
    """
    if until is not None and until <= today:
        raise Unfit("until", "that day is not in the future")
    if now.status not in (Status.ACTIVE, Status.PAUSED):
        raise ConfigError("only who is written to can be paused")
    return now.model_copy(update={"status": Status.PAUSED, "paused_until": until})


def resumed(now: Subscriber) -> Subscriber:
    """Written to again.

    Raises:
        ConfigError: they are not paused.
    """
    if now.status is not Status.PAUSED:
        raise ConfigError("they are not paused; whoever has left comes back only by subscribing anew")
    return now.model_copy(update={"status": Status.ACTIVE, "paused_until": None})
