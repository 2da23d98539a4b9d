"""Cutting and wrapping: at sentences and words, counted as people count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.compose.teaser import _CLUSTERS, _wrap_easy, clusters, count, cut, wrap

LONG = "Certain gut bacteria made inflammation worse in the laboratory. Blocking one of the substances they make calmed it again."


def test_short_text_stays_as_it_is():
    assert cut("Mice, not people.", 200) == "Mice, not people."


def test_ends_after_a_sentence_if_one_ends_late_enough():
    assert cut(LONG, 90) == "Certain gut bacteria made inflammation worse in the laboratory. …"


def test_else_ends_after_a_word():
    assert cut("Learn how certain gut bacteria can worsen MS symptoms and what this means", 40) == "Learn how certain gut bacteria can…"


def test_never_leaves_a_loose_comma_or_bracket():
    assert cut("Walking, resting, (and sleeping) helped", 19) == "Walking, resting…"


@pytest.mark.parametrize("text", ["It was seen e.g. In mice and rats too", "Compared by Smith et al. In a study of ten"])
def test_an_abbreviation_ends_no_sentence(text):
    assert not cut(text, len(text) - 5).endswith(". …")


def test_an_emoji_family_counts_as_one_and_is_never_torn():
    family = "👩\u200d👩\u200d👧"
    assert cut(family * 5, 5) == family * 5
    assert cut(family * 9, 5) == family * 4 + "…"


def test_a_script_without_spaces_is_cut_between_characters():
    assert cut("多発性硬化症の研究についてのやさしい要約", 8) == "多発性硬化症の…"


def test_a_pile_of_accents_cannot_fill_an_email():
    assert len(cut("a" + "\u0301" * 5000 + " b" * 100, 100).encode()) <= 100 * 12 + 160


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))), st.integers(8, 60))
def test_never_longer_than_asked_and_always_a_beginning(text, limit):
    short = cut(text, limit)
    assert len(clusters(short)) <= limit
    if short != text:
        assert short.endswith("…")
        assert text.startswith(short.removesuffix("…").removesuffix(" "))


@given(st.text(st.sampled_from("ab é\u00a0漢🧑@")), st.integers(20, 72))
def test_wrapping_keeps_every_word_and_the_width(text, width):
    wrapped = wrap(text, width)
    assert all(len(line) <= width for line in wrapped.split("\n"))
    assert "".join(wrapped.split()) == "".join(text.split())


def test_wrapping_never_breaks_an_address():
    url = "https://example.org/" + "x" * 100
    assert url in wrap(f"See {url} for more").split("\n")


def test_indent_counts():
    assert wrap("aaaa bbbb cccc", 10, "  ") == "  aaaa\n  bbbb\n  cccc"


@given(st.text(st.one_of(st.characters(), st.sampled_from("aé\r\n\xad\u0301\u200d…“–"))))
def test_the_short_way_to_count_gives_the_same(text):
    assert clusters(text) == _CLUSTERS.findall(text) and count(text) == len(clusters(text))


@given(st.lists(st.text("abé…", min_size=1, max_size=30), max_size=40), st.integers(5, 80))
def test_the_short_way_to_wrap_gives_the_same(words, width):
    easy = _wrap_easy(" ".join(words), width)
    if max(map(len, words), default=0) > width and len(" ".join(words)) > width:
        assert easy is None or easy.split() == words
    elif easy is not None:
        indented = wrap(" ".join(words), width + 1, " ")  # the long way
        assert easy.split("\n") == [line.removeprefix(" ") for line in indented.split("\n")]
