import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import words

FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
NASTY = st.text(st.one_of(st.characters(), st.sampled_from("=?\r\n\x85\u2028\u202e\x1c\u200b <>&;")), max_size=80)


@given(NASTY)
def test_a_clean_line_is_clean(text):
    line = words.clean_line(text)
    assert not FORBIDDEN.search(line)
    assert "=?" not in line
    assert line == line.strip() and "  " not in line
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in line)
    assert words.clean_line(line) == line
    line.encode()


@given(NASTY)
def test_paragraphs_are_clean_lines(text):
    for paragraph in words.clean_text(text).split("\n\n"):
        assert paragraph == words.clean_line(paragraph)


@given(NASTY)
def test_plain_text_of_anything_is_clean(text):
    assert not FORBIDDEN.search(words.plain_line(text))
    assert "=?" not in words.plain_line(text, markup=True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("=?utf-8?q?a=0AReply-To=3A_evil=40x.test?=", "= ?utf-8?q?a=0AReply-To=3A_evil=40x.test?="),
        ("a\r\nBcc: x@y", "a Bcc: x@y"),
        ("a\u2028b\x85c\x1cd\tE", "a b c d E"),
        ("=\u202e?", "= ?"),
        ("abc\u202edcb", "abcdcb"),
        ("mi\u00adcro\u200bbiome", "microbiome"),
        ("e\u0301", "é"),
        ("👩‍🔬 ok", "👩‍🔬 ok"),
    ],
)
def test_clean_line(text, line):
    assert words.clean_line(text) == line


def test_html_becomes_what_a_reader_sees():
    html = """<head><title>no</title></head><p>One <b>bold</b>ly<br>here</p><script>alert(1)</script><style>p{}</style>
    <ul><li>a<li>b</ul><p hidden>no</p><div style="display: none">no</div>
    <table><tr><td>x</td><td>y</td></tr></table><!-- no -->z &amp; &lt;w&gt;"""
    assert words.html_to_text(html) == "One boldly here\n\n• a\n\n• b\n\nx y\n\nz & <w>"
    assert words.html_to_text("") == ""


def test_text_that_only_looks_like_html_survives():
    assert words.plain("p < 0.05 and x <y AT&amp;T") == "p < 0.05 and x <y AT&T"
    assert words.plain("CO<sub>2</sub>") == "CO2"


def test_deep_nesting_is_not_parsed():
    assert words.too_deep("<div>" * 1100)
    assert words.too_deep("<b></i>" * 1100)
    assert not words.too_deep("<div></div>" * 5000 + "<p>" * 5000 + "<br>" * 5000)
    assert words.html_to_text("<div>" * 50_000 + "x &amp; y") == "x & y"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("Dr. Smith found 3.5 mg vs. none, e.g. here. Next.", "Dr. Smith found 3.5 mg vs. none, e.g. here."),
        ("It matters to people with MS. Designs vary.", "It matters to people with MS."),
        ("Ask Ms. Smith et al. about it. Or J. Doe.", "Ask Ms. Smith et al. about it."),
        ("Is it? Yes.", "Is it?"),
        ("It is “so.” Then.", "It is “so.”"),
        ("No end", "No end"),
        ("一つ目。二つ目。", "一つ目。"),
        ("First\n\nSecond.", "First"),
        ("", ""),
    ],
)
def test_first_sentence(text, sentence):
    assert words.first_sentence(text) == sentence


@given(st.text(max_size=200), st.integers(5, 60))
def test_a_cut_keeps_the_limit_in_clusters(text, limit):
    import regex

    short = words.cut(words.clean_line(text), limit)
    assert len(regex.findall(r"\X", short)) <= limit


def test_cuts_end_at_a_sentence_a_word_or_a_cluster():
    assert words.cut("short", 10) == "short"
    assert words.cut("one two three four five", 15) == "one two three…"
    assert words.cut("It is done now. And more follows", 20) == "It is done now."
    assert words.cut("神経" * 20, 11) == "神経" * 5 + "…"
    assert words.cut("👩‍🔬" * 10, 4) == "👩‍🔬" * 3 + "…"
    assert words.cut("a" + "\u0301" * 100_000, 5) == "á" + "\u0301" * 15 or len(words.cut("a" + "\u0301" * 100_000, 5)) <= words.MAX_CLUSTER


def test_tags_are_lower_case_and_hyphened():
    assert [words.clean_tag(t) for t in (" Gut  Bacteria ", "#MRI", "B_cells", "STRASSE", "\x00")] == [
        "gut-bacteria",
        "mri",
        "b-cells",
        "strasse",
        "",
    ]
