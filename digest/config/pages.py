"""The subscriber pages: languages, colours, budgets, who may frame and ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from digest.config.values import Colour, Origin
from digest.model import Frozen

PAGE_LANGUAGES = ("en", "de", "es", "fr", "ar")


class Theme(Frozen):
    """Colours of the subscriber pages by day: the band with the newsletter's name, headings, links and buttons."""

    band: Colour = "#0b4656"
    heading: Colour = "#0b4656"
    link: Colour = "#0b4f8a"


class Budgets(Frozen):
    """How many requests with an address are let in: from one network (/24, or /56 of IPv6) and from everywhere, per hour."""

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
