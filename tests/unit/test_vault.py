import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import ConfigError, StoreError
from digest.vault import Vault, add_secret, make_secret, open_vault

VAULT = Vault(b"k" * 32)


@given(st.text())
def test_what_is_sealed_opens_again_and_does_not_show(text):
    sealed = VAULT.seal(text, "name")
    assert VAULT.open(sealed, "name") == text
    assert VAULT.seal(text, "name") != sealed
    assert len(text) < 4 or text.encode() not in sealed


def test_it_opens_only_with_its_key_and_as_its_field():
    sealed = VAULT.seal("Ana", "name")
    with pytest.raises(StoreError, match="DIGEST_SECRET_KEY"):
        Vault(b"x" * 32).open(sealed, "name")
    with pytest.raises(StoreError):
        VAULT.open(sealed, "address")
    with pytest.raises(StoreError):
        VAULT.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "name")


def test_the_index_is_the_same_each_time_and_differs_by_key():
    assert VAULT.index("a@example.org") == VAULT.index("a@example.org") != Vault(b"x" * 32).index("a@example.org")


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path):
    first = open_vault(tmp_path, None)
    assert open_vault(tmp_path, None).fingerprint == first.fingerprint
    assert stat.S_IMODE((tmp_path / "var" / "secret.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("secret", ["", "short", "é" * 50, "YWJj"])
def test_a_weak_key_is_refused_with_advice(tmp_path, secret):
    with pytest.raises(ConfigError, match="32 random bytes"):
        open_vault(tmp_path, secret)


RING = {1: b"k" * 32, 2: b"n" * 32}


@given(st.text())
def test_after_a_change_of_key_both_open_and_the_newest_seals(text):
    ring = Vault(RING)
    assert ring.open(VAULT.seal(text, "name"), "name") == text
    fresh = ring.seal(text, "name")
    assert ring.number_of(fresh) == 2 and ring.open(fresh, "name") == text
    with pytest.raises(StoreError):
        VAULT.open(fresh, "name")
    with pytest.raises(StoreError):
        Vault({2: b"k" * 32}).open(fresh, "name")


@given(st.text(max_size=40))
def test_what_was_sealed_before_secrets_had_numbers_opens(text):
    from digest.vault import AESGCM, _derive

    old = b"n" * 12 + AESGCM(_derive(b"k" * 32, b"seal")).encrypt(b"n" * 12, text.encode(), b"name")
    assert Vault(RING).open(old, "name") == text
    assert Vault(RING).number_of(old) == 0


def test_look_ups_and_the_fingerprint_outlive_a_change_of_key():
    assert Vault(RING).index("a@example.org") == VAULT.index("a@example.org")
    assert Vault(RING).fingerprint == VAULT.fingerprint


def test_a_secret_that_another_process_added_is_found_when_it_is_met(tmp_path):
    serving = open_vault(tmp_path, None)
    assert add_secret(tmp_path) == 2
    assert stat.S_IMODE((tmp_path / "var" / "secret.key").stat().st_mode) == 0o600
    sealed = open_vault(tmp_path, None).seal("Ana", "name")
    assert serving.newest == 1
    assert serving.open(sealed, "name") == "Ana"
    assert serving.newest == 2


@pytest.mark.parametrize("text", ["0:{}", "1:{},1:{}", "999:{}", "x:{}", "{},{}"])
def test_secrets_need_numbers_of_their_own(tmp_path, text):
    with pytest.raises(ConfigError, match="number"):
        open_vault(tmp_path, text.replace("{}", make_secret()))
