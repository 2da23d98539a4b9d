import base64
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import LinkError
from digest.tokens import DATED, PATHS, link, read, sign, verify

ABOUT = st.binary(min_size=16, max_size=16).map(bytes.hex)
KEYS = st.binary(min_size=32, max_size=32)
PURPOSES = st.sampled_from(sorted(PATHS))
MADE = st.integers(1_600_000_000, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(PURPOSES, ABOUT, KEYS, MADE)
def test_a_token_survives_the_round_trip(purpose, about, key, made_at):
    token = sign(purpose, about, key, made_at)
    assert read(purpose, token, key) == (about, made_at if purpose in DATED else None)
    assert len(token) == (44 if purpose in DATED else 39) and about not in token


@given(PURPOSES, ABOUT, KEYS, KEYS, MADE)
def test_an_older_key_goes_on_checking_while_a_newer_one_signs(purpose, about, old, new, made_at):
    before = sign(purpose, about, old, made_at)
    ring = {1: old, 2: new}
    after = sign(purpose, about, ring, made_at)
    assert verify(purpose, before, ring) == verify(purpose, after, ring) == about
    with pytest.raises(LinkError):
        verify(purpose, before, {2: new})
    if old != new:
        with pytest.raises(LinkError):
            verify(purpose, after, {1: old, 2: old})


@given(PURPOSES, ABOUT, st.binary(max_size=200), MADE)
def test_the_seal_is_the_hmac_of_the_standard_library(purpose, about, key, made_at):
    raw = base64.urlsafe_b64decode(sign(purpose, about, key, made_at) + "==")
    assert raw[-12:] == hmac.digest(key, purpose.encode() + b"\0" + raw[:-12], "sha256")[:12]


def test_a_dated_token_needs_its_date():
    with pytest.raises(ValueError, match="needs the instant"):
        sign("preferences", "ab" * 16, b"k" * 32)


@given(PURPOSES, PURPOSES, ABOUT, KEYS, KEYS, MADE)
def test_a_token_is_good_for_its_own_purpose_and_key_only(purpose, other, about, key, another, made_at):
    token = sign(purpose, about, key, made_at)
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
