"""What is told of a new order."""

from hypothesis import given
from hypothesis import strategies as st

from digest.desk.draft import one_moved


@given(st.permutations("abcdef"), st.integers(0, 5), st.integers(0, 5))
def test_one_piece_that_moved_is_named_with_its_place(old, at, to):
    left = [one for one in old if one != old[at]]
    new = [*left[:to], old[at], *left[to:]]
    found = one_moved(old, new)
    assert (found is None) is (at == to)
    if found is not None:
        moved, place = found
        assert new[place - 1] == moved
        assert [one for one in old if one != moved] == [one for one in new if one != moved]


def test_more_than_one_is_not_one():
    assert one_moved("abcd", "dcba") is None
    assert one_moved("abc", "abcd") is None
