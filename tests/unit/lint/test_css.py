"""Colours and contrast as WCAG has them; whatever a style holds, reading it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.lint.css import BLACK, WHITE, Colour, colour, contrast, declarations, matcher, pixels, style_rules

CHANNEL = st.integers(0, 255)
SHADE = st.builds(Colour, CHANNEL, CHANNEL, CHANNEL)


@pytest.mark.parametrize(("shade", "ratio"), [("#000", 21.0), ("#767676", 4.54), ("#777777", 4.48), ("white", 1.0), ("#0000ff", 8.59)])
def test_contrast_on_white_is_as_published(shade, ratio):
    assert contrast(colour(shade), WHITE) == pytest.approx(ratio, abs=0.01)


@given(SHADE, SHADE)
def test_contrast_is_the_same_both_ways_and_lies_between_1_and_21(one, other):
    assert 1 <= contrast(one, other) == contrast(other, one) <= 21.0001


@given(CHANNEL, CHANNEL, CHANNEL)
def test_spellings_of_one_colour_are_equal(red, green, blue):
    spelt = [
        f"#{red:02x}{green:02X}{blue:02x}",
        f"rgb({red}, {green}, {blue})",
        f"rgba({red},{green},{blue},1)",
        f"rgb({red} {green} {blue} / 100%)",
    ]
    assert {colour(one) for one in spelt} == {Colour(red, green, blue)}


def test_a_veil_is_mixed_with_what_lies_below():
    assert colour("rgba(0,0,0,0.5)").over(WHITE)[:3] == pytest.approx((127.5, 127.5, 127.5))
    assert colour("transparent").over(BLACK) == BLACK


@pytest.mark.parametrize("value", ["", "inherit", "#12", "#12345", "var(--x)", "url(a.png)", "rgb()", "rgb(a,b,c)", "notacolour"])
def test_what_is_no_colour_is_none(value):
    assert colour(value) is None


@given(st.text(alphabet="ab{}@;:\"'()[]/*!-<> \n0#", max_size=80))
def test_whatever_a_style_holds_reading_it_ends(text):
    for rule in style_rules(text):
        for selector in rule.selectors:
            matcher(selector)
    for one in declarations(text):
        colour(one.value)
        pixels(one.value)


def test_rules_are_read_with_their_conditions():
    css = (
        "a, b > i { color: red !important; background: url('x;y.png') } "
        "@media screen { @media (max-width: 9px) { p { margin: 0 } } } @import 'x';"
    )
    first, second = style_rules(css)
    assert first.selectors == ("a", "b > i")
    assert first.declarations[0] == ("color", "red", True) and first.declarations[1].value == "url('x;y.png')"
    assert second.conditions == ("@media screen", "@media (max-width: 9px)")
