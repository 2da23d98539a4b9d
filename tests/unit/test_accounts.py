"""Who may do what, which names and passwords will do, and the codes of authenticator apps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import totp
from digest.accounts import ACTIONS, FRESH, Role, check_password, clean_name, may, read_role

RFC_SECRET = b"12345678901234567890"  # RFC 6238, appendix B


@given(st.sampled_from(sorted(ACTIONS)))
def test_a_higher_role_may_do_all_that_a_lower_one_may(action):
    allowed = [may(role, action) for role in Role]
    assert allowed == sorted(allowed) and allowed[-1]


def test_an_action_that_is_not_in_the_table_lets_nobody_through():
    with pytest.raises(ValueError, match="no action"):
        may(Role.ADMIN, "issues.sendd")
    assert FRESH <= set(ACTIONS) and {"issues.approve", "issues.test"} <= FRESH


@pytest.mark.parametrize(
    ("role", "least", "most"),
    [
        (Role.VIEWER, "issues.see", "issues.edit"),
        (Role.EDITOR, "issues.edit", "issues.approve"),
        (Role.APPROVER, "issues.send", "readers.see"),
        (Role.ADMIN, "people.change", None),
    ],
)
def test_what_each_role_adds(role, least, most):
    assert may(role, least)
    assert most is None or not may(role, most)


@pytest.mark.parametrize("text", ["", "a", "a@example.org", "-a", "a b", "ä" * 3, "x" * 41, "a/b", "a\n"])
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match="a name has"):
        clean_name(text if text != "a\n" else "a\nb")


def test_names_and_roles_are_read_as_people_type_them():
    assert (clean_name(" Nora.B "), read_role(" Admin ")) == ("nora.b", Role.ADMIN)
    with pytest.raises(ValueError, match="viewer, editor, approver, admin"):
        read_role("owner")


@pytest.mark.parametrize("password", ["short", "x" * 257, "abababababab", "aaaaaaaaaaaaaaaa", "nora.b1234567"])
def test_passwords_that_will_not_do(password):
    with pytest.raises(ValueError, match="the password") as told:
        check_password(password, "nora.b")
    assert password not in str(told.value)


@pytest.mark.parametrize("password", ["quiet river stones", "пароль из слов", "nora.b and quite some more"])
def test_passwords_that_will(password):
    check_password(password, "nora.b")


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_rfc(second, code):
    assert totp.code(RFC_SECRET, second // totp.STEP_S, digits=8) == code


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**35), st.integers(-3, 3))
def test_a_code_is_good_for_its_half_minute_and_those_beside_it_and_once(secret, second, off):
    at = datetime.fromtimestamp(second + 90, UTC)
    step = totp.step_at(at)
    typed = totp.code(secret, step + off)
    found = totp.matching_step(secret, typed, at, None)
    near = {totp.code(secret, one): one for one in (step - 1, step, step + 1)}
    assert found == near.get(typed)
    assert found is None or totp.matching_step(secret, typed, at, found) is None


@given(st.binary(min_size=20, max_size=20))
def test_a_secret_is_written_down_and_read_again(secret):
    assert totp.read(totp.written(secret).lower()) == secret


def test_what_the_picture_says():
    assert totp.address(RFC_SECRET, "My Letter", "nora") == (
        "otpauth://totp/My%20Letter:nora?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20Letter"
    )
