import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import LinkError
from digest.tokens import PATHS, link, sign, verify

ABOUT = st.binary(min_size=16, max_size=16).map(bytes.hex)
KEYS = st.binary(min_size=32, max_size=32)
PURPOSES = st.sampled_from(sorted(PATHS))


@given(PURPOSES, ABOUT, KEYS)
def test_a_token_survives_the_round_trip(purpose, about, key):
    token = sign(purpose, about, key)
    assert verify(purpose, token, key) == about
    assert len(token) == 39 and about not in token


@given(PURPOSES, PURPOSES, ABOUT, KEYS, KEYS)
def test_a_token_is_good_for_its_own_purpose_and_key_only(purpose, other, about, key, another):
    token = sign(purpose, about, key)
    if purpose != other:
        with pytest.raises(LinkError):
            verify(other, token, key)
    if key != another:
        with pytest.raises(LinkError):
            verify(purpose, token, another)


@given(ABOUT, KEYS, st.integers(0, 38), st.sampled_from("Aa0-_Zz9~ é"))
def test_a_changed_token_is_refused(about, key, place, letter):
    token = sign("unsubscribe", about, key)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(LinkError):
            verify("unsubscribe", changed, key)


@given(st.text(max_size=60), KEYS)
def test_nonsense_is_refused(text, key):
    with pytest.raises(LinkError):
        verify("web", text, key)


def test_a_link_is_short_enough_for_one_header_line():
    assert len("List-Unsubscribe: <" + link("https://digest.example.org", "unsubscribe", "ab" * 16, b"k" * 32) + ">") < 998
