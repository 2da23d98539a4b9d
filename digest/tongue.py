"""The words of pages and service mails in the languages there are: catalogues read at start-up, dates as each writes them."""

from __future__ import annotations

import functools
import gettext
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from babel import Locale
from babel.dates import format_date, get_day_names, get_month_names
from babel.lists import format_list
from babel.messages.pofile import read_po

from digest.calendar import WEEKDAYS
from digest.config import PAGE_LANGUAGES, Cadence

SOURCE = "en"  # the language that the program's own texts are in
_FOLDER = Path(__file__).parent / "locale"


@dataclass(frozen=True)
class Tongue:
    """A language that people are spoken to in: ``code`` is the catalogue's (``de``), ``locale`` how dates are written."""

    code: str
    locale: Locale
    words: Mapping[str, tuple[str, ...]]
    plural: Callable[[int], int]

    @property
    def dir(self) -> str:
        """``ltr`` or ``rtl``."""
        return "rtl" if self.locale.text_direction == "rtl" else "ltr"

    @property
    def name(self) -> str:
        """What the language calls itself, as a heading would."""
        own = self.locale.language_name or self.code
        return own[:1].upper() + own[1:]

    def t(self, text: str, **values: object) -> str:
        """``text`` in this language, its ``{fields}`` filled."""
        said = self.words.get(text, (text,))[0]
        return said.format(**values) if values else said

    def tn(self, one: str, many: str, n: int, **values: object) -> str:
        """The form that ``n`` asks for; ``{n}`` in it is the number."""
        forms = self.words.get(one)
        said = forms[self.plural(n)] if forms else (one if n == 1 else many)
        return said.format(n=n, **values)

    def day(self, on: date) -> str:
        """A date in full: ``1 May 2026``."""
        return format_date(on, "long", locale=self.locale)

    def series(self, items: Sequence[str]) -> str:
        """``a, b and c``."""
        return str(format_list(items, "standard", locale=self.locale))

    def rhythm(self, cadence: Cadence) -> str:
        """A cadence's rule in words."""
        if cadence.weekday is not None:
            return self.t("Every week, on {weekday}", weekday=get_day_names("wide", locale=self.locale)[WEEKDAYS.index(cadence.weekday)])
        if cadence.months:
            names = get_month_names("wide", "stand-alone", locale=self.locale)
            return self.t("On some days of the year, in {months}", months=self.series([names[month] for month in cadence.months]))
        if cadence.day == "last":
            return self.t("Every month, on its last day")
        return self.t("Every month, on day {day}", day=cadence.day)


@functools.cache
def tongue(code: str, region: str = "") -> Tongue:
    """The language of that code; ``region`` (``GB``) only decides how dates are written."""
    locale = Locale.parse(f"{code}_{region}" if region else code)
    if code == SOURCE:
        return Tongue(code, locale, {}, lambda n: int(n != 1))
    with (_FOLDER / f"{code}.po").open("rb") as opened:
        catalogue = read_po(opened, locale=code)
    words: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if not message.id:
            continue
        key = message.id if isinstance(message.id, str) else message.id[0]
        said = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        if all(said):
            words[key] = said
    return Tongue(code, locale, words, gettext.c2py(catalogue.plural_expr))


def choose(wanted: str, accepted: str, offered: Sequence[str], newsletter: str) -> Tongue:
    """The language for somebody: their own choice, else what the browser asks for, else the newsletter's, else the first offered.

    Args:
        wanted: a code from a form or a reader's record; may be anything.
        accepted: an ``Accept-Language`` header, or empty.
        offered: the codes that this newsletter offers.
        newsletter: its own language tag, such as ``en-GB``.
    """
    own, _, region = newsletter.replace("_", "-").partition("-")
    asked = [wanted, *_accepted(accepted), own, *offered]
    code = next((base for base in (one.replace("_", "-").split("-")[0].lower() for one in asked) if base in offered), offered[0])
    return tongue(code, region.upper() if code == own.lower() and re.fullmatch("[A-Za-z]{2}", region) else "")


def _accepted(header: str) -> list[str]:
    """The language ranges of the header, the most wanted first."""
    found = []
    for place, item in enumerate(header[:500].split(",")):
        tag, _, rest = item.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest)
        weight = float(match[1]) if match else 0.0 if rest else 1.0
        if weight > 0 and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", tag):
            found.append((-weight, place, tag))
    return [tag for _, _, tag in sorted(found)]


__all__ = ["PAGE_LANGUAGES", "SOURCE", "Tongue", "choose", "tongue"]
