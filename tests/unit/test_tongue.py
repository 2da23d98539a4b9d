"""Every language is whole, keeps every field, and is chosen as people ask for it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config import Cadence
from digest.tongue import choose, tongue
from tests.support.words import asked, calls, fields, texts

TEXTS = texts()
OFFERED = ("en", "de", "es", "fr", "ar")


def gaps(code, wanted=TEXTS):
    """What a catalogue lacks or has wrong."""
    words = tongue(code).words
    found = [f"missing: {id}" for id in wanted if id not in words]
    found += [f"no longer used: {id}" for id in words if id not in wanted]
    for id, forms in wanted.items():
        said = words.get(id, ())
        # A language may leave the number out of the forms for one and two.
        needed = fields(forms[-1]) - {"n"} if len(forms) > 1 else fields(forms[0])
        found += [f"fields differ: {id}" for form in said if not needed <= fields(form) <= fields(forms[-1])]
        found += [f"not translated: {id}" for form in said if form == id and len(id) > 12]
    return found


@pytest.mark.parametrize("code", OFFERED[1:])
def test_every_language_says_everything(code):
    assert gaps(code) == []


def test_a_control_that_must_fail():
    assert gaps("de", {**TEXTS, "A text that nobody translated": ("A text that nobody translated",)})
    assert len(TEXTS) > 150


def test_every_text_is_written_out_where_it_is_asked_for():
    """One that comes from a variable would be found by nobody who translates."""
    assert [f"{file}:{line}" for file, line, said in asked() if said is None] == []


def test_texts_inside_f_strings_and_those_that_are_hidden_are_found():
    source = """f"{tongue.t('Limits:')} {n}"; t("a" "b"); spoken.tn("{n} piece", "{n} pieces", n); t(name); t(f"{x}"); other("no")"""
    assert sorted(said or () for _, said in calls(source)) == [(), (), ("Limits:",), ("ab",), ("{n} piece", "{n} pieces")]


def test_numbers_take_the_form_their_language_wants():
    def say(code, n):
        return tongue(code).tn("{n} piece", "{n} pieces", n)

    assert [say("en", n) for n in (0, 1, 2)] == ["0 pieces", "1 piece", "2 pieces"]
    assert [say("fr", n) for n in (0, 1, 2)] == ["0 texte", "1 texte", "2 textes"]
    assert len({say("ar", n).replace(str(n), "") for n in (0, 1, 2, 5, 20, 100)}) >= 4


def test_dates_and_rhythms_are_written_as_people_there_do():
    on = date(2026, 5, 1)
    assert [tongue(code).day(on) for code in ("en", "de", "es", "fr")] == ["May 1, 2026", "1. Mai 2026", "1 de mayo de 2026", "1 mai 2026"]
    assert tongue("en", "GB").day(on) == "1 May 2026"
    assert tongue("de").rhythm(Cadence(weekday="friday")) == "Jede Woche, am Freitag"
    assert tongue("de").rhythm(Cadence(day=1, months=(1, 7))) == "An einigen Tagen im Jahr, im Januar und Juli"
    assert tongue("en").rhythm(Cadence(day="last")) == "Every month, on its last day"
    assert tongue("ar").dir == "rtl" and tongue("fr").dir == "ltr"


@pytest.mark.parametrize(
    ("wanted", "accepted", "newsletter", "code", "territory"),
    [
        ("de", "fr", "en-GB", "de", None),
        ("", "fr-CH, de;q=0.9", "en-GB", "fr", None),
        ("", "de;q=0.5, es;q=0.8, *;q=0.1", "en-GB", "es", None),
        ("", "fr;q=0, de;q=0.1", "en-GB", "de", None),
        ("", "ja, zh", "en-GB", "en", "GB"),
        ("xx", "", "de-AT", "de", "AT"),
        ("", "", "it", "en", None),
    ],
)
def test_the_reader_decides_then_the_browser_then_the_newsletter(wanted, accepted, newsletter, code, territory):
    found = choose(wanted, accepted, OFFERED, newsletter)
    assert (found.code, found.locale.territory) == (code, territory)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_wish_leads_to_an_offered_language(wanted, accepted):
    assert choose(wanted, accepted, ("es", "en"), "en").code in ("es", "en")
