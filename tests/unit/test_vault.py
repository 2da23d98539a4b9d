import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import ConfigError, StoreError
from digest.vault import Vault, open_vault

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
