"""Text from outside: what is taken out, what stays, and which links are links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.compose import clean, markers


@pytest.mark.parametrize("bad", ["\r\n", "\x00", "\x1c", "\x85", "\u2028", "\u2029", "\x7f", "\t"])
def test_controls_and_line_separators_become_a_space(bad):
    assert clean.clean(f"a{bad}b") == "a b"


@pytest.mark.parametrize("bad", ["\u202e", "\u2066", "\u2069", "\ufeff", "\ue000", "\ue001", "\ud800", "\uffff", "\U0001fffe"])
def test_overrides_private_marks_and_noncharacters_vanish(bad):
    assert clean.clean(f"a{bad}b") == "ab"


def test_what_people_write_stays():
    text = "No\u00a0break, soft\u00adhyphen, 👩\u200d⚕️, می\u200cخواهم, e\u0301, {{ }} @@X@@ -->"
    assert clean.clean(text) == text


def test_an_encoded_word_is_broken_in_headers():
    assert "=?" not in clean.clean_header("=?utf-8?q?a=0AReply-To=3A_evil=40x.test?= ==??")


@pytest.mark.parametrize(
    ("given_url", "link"),
    [
        ("http://Example.org:80/a b?x=ü&y={z}#@@", "https://example.org/a%20b?x=%C3%BC&y=%7Bz%7D#%40%40"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://example.org/%C3%BC?a=1&b=2", "https://example.org/%C3%BC?a=1&b=2"),
    ],
)
def test_links_have_one_spelling(given_url, link):
    assert clean.link(given_url) == link
    assert clean.link(link) == link


@pytest.mark.parametrize(
    "bad", ["javascript:alert(1)", "data:text/html,x", "/relative", "https://", "https://user:pass@example.org/", "", "mailto:a@b.org"]
)
def test_other_links_are_refused(bad):
    with pytest.raises(ValueError):
        clean.link(bad)


@given(st.text())
def test_guarding_hides_every_mark_and_is_undone(text):
    plain = clean.clean(text)
    guarded = markers.guard(plain)
    assert markers.unguard(guarded) == plain
    assert not markers.SLOT.search(guarded)


@given(
    st.lists(st.sampled_from(["@@WEB@@", "<!--digest:teaser:1-->", "<!--/digest-->", "{{", "{%", "<mj-raw>", "-->", "@", "\\u{a0}", "x "]))
)
def test_no_combination_forges_a_mark(pieces):
    guarded = markers.guard(clean.clean("".join(pieces)))
    assert not any(bad in guarded for bad in ("@@", "<!--", "{{", "{%", "<mj", "\\", "-->"))


@pytest.mark.parametrize(("text", "rtl"), [("سؤال", True), ("(1) שלום", True), ("A سؤال", False), ("123", False)])
def test_direction_is_that_of_the_first_letter(text, rtl):
    assert clean.runs_right_to_left(text) is rtl
