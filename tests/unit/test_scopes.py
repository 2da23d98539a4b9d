"""Keys for programs: which texts are scopes, and when a key works."""

from datetime import timedelta

import pytest

from digest.scopes import SCOPES, Key, looks_like_one, read_scopes
from tests.support.make import at


def test_scopes_stand_once_in_our_order():
    assert read_scopes([" reports:read ", "lists:read", "lists:read", ""]) == ("lists:read", "reports:read")
    assert read_scopes(SCOPES) == tuple(SCOPES)


@pytest.mark.parametrize("words", [[], [""], ["lists"], ["lists:read", "lists:*"], ["Lists:read"], ["x" * 1000]])
def test_what_is_no_scope_is_told_with_those_there_are(words):
    with pytest.raises(ValueError, match="there are lists:read, ") as told:
        read_scopes(words)
    assert len(str(told.value)) < 400


def test_a_key_works_until_its_instant_or_until_it_is_revoked():
    key = Key(id="0a1b2c3d", name="nightly", scopes=("lists:read",), made_by="nora", made_at=at("2026-05-01"))
    assert (key.prefix, key.actor, key.works(at("2099-01-01"))) == ("dk_0a1b2c3d", "key:nightly", True)
    until = key.model_copy(update={"expires_at": at("2026-06-01")})
    assert until.works(at("2026-06-01") - timedelta(microseconds=1)) and not until.works(at("2026-06-01"))
    assert not key.model_copy(update={"revoked_at": at("2026-05-02")}).works(at("2026-05-01"))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("dk_0a1b2c3d_" + "A" * 43, True),
        ("dk_0a1b2c3d_" + "A" * 42, False),
        ("dk_0A1b2c3d_" + "A" * 43, False),
        ("dk_0a1b2c3d_" + "A" * 43 + "\n", False),
        ("", False),
    ],
)
def test_what_can_be_no_key_is_not_looked_up(text, is_one):
    assert looks_like_one(text) is is_one
