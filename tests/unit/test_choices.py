"""What a change of the lists does to one reader's choices, and how it is taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.choices import Choice, Steps, apply, take_back

C = Choice
MERGE = Steps(became={"a": "b"})
RENAME = Steps(became={"a": "n"}, home={"n": "a"})
SPLIT = Steps(beside={"a": ("p", "q")}, home={"p": "a", "q": "a"})
MOVE = Steps(beside={"up": ("a",)})


@pytest.mark.parametrize(
    ("steps", "before", "after"),
    [
        (RENAME, [C("x"), C("a", True)], [C("x"), C("n", True, 7)]),
        (MERGE, [C("a"), C("x"), C("b")], [C("b", False, 7), C("x")]),
        (MERGE, [C("b", True), C("a", False)], [C("b", False, 7)]),
        (MERGE, [C("b", True), C("a", True)], [C("b", True, 7)]),
        (MERGE, [C("b"), C("x")], [C("b"), C("x")]),
        (SPLIT, [C("a", True), C("x")], [C("a", True), C("p", True, 7), C("q", True, 7), C("x")]),
        (SPLIT, [C("q"), C("a")], [C("q"), C("a"), C("p", False, 7)]),
        (MOVE, [C("up"), C("x")], [C("up"), C("a", False, 7), C("x")]),
        (MOVE, [C("a"), C("up")], [C("a"), C("up")]),
    ],
)
def test_a_change_keeps_every_choice_in_its_place(steps, before, after):
    assert apply(steps, before, 7) == tuple(after)


@pytest.mark.parametrize(
    ("steps", "before", "now", "back"),
    [
        # dropped since: it stays dropped
        (MERGE, [C("a"), C("x")], [C("x")], [C("x")]),
        # chosen since: it stays
        (MERGE, [C("a"), C("x")], [C("b", False, 7), C("x"), C("y")], [C("a"), C("x"), C("y")]),
        # dropped and chosen anew: that is their own choice of b
        (MERGE, [C("a"), C("x")], [C("x"), C("b")], [C("x"), C("b")]),
        (SPLIT, [C("a")], [C("a"), C("q", False, 7)], [C("a")]),
        # they kept only a part, which goes: the whole is nearest to it
        (SPLIT, [C("a")], [C("q", False, 7)], [C("a")]),
        (SPLIT, [C("a"), C("x")], [C("x")], [C("x")]),
        (MOVE, [C("up")], [C("up"), C("a", False, 7), C("z")], [C("up"), C("z")]),
        (MOVE, [C("up")], [C("up"), C("a")], [C("up"), C("a")]),
        # who came later
        (RENAME, None, [C("n"), C("x")], [C("a"), C("x")]),
        (SPLIT, None, [C("p"), C("q")], [C("a")]),
        (MERGE, None, [C("b")], [C("b")]),
    ],
)
def test_taking_back_keeps_what_was_chosen_since(steps, before, now, back):
    assert take_back(steps, before, now, 7) == tuple(back)


IDS = ["a", "b", "up", "x", "y"]
readers = st.lists(
    st.builds(C, st.sampled_from(IDS), st.booleans(), st.sampled_from([None, 3])), unique_by=lambda c: c.interest, max_size=5
)


@given(st.sampled_from([MERGE, RENAME, SPLIT, MOVE]), readers)
def test_taken_back_at_once_everything_is_as_it_was(steps, before):
    after = apply(steps, before, 7)
    assert take_back(steps, before, after, 7) == tuple(before)
    assert apply(steps, after, 7) == after  # a second time changes nothing
    assert len({choice.interest for choice in after}) == len(after)


@given(st.sampled_from([MERGE, RENAME, SPLIT, MOVE]), readers, st.data())
def test_what_a_change_did_not_touch_is_as_the_reader_left_it(steps, before, data):
    after = apply(steps, before, 7)
    dropped = data.draw(st.sets(st.sampled_from([c.interest for c in after]))) if after else set()
    now = (*(c for c in after if c.interest not in dropped), C("new"))
    back = {choice.interest for choice in take_back(steps, before, now, 7)}
    given_up = {c.interest for c in before if steps.became.get(c.interest, c.interest) in dropped}
    untouched = {"x", "y"} & {c.interest for c in before}
    assert back >= {"new"} | (untouched - dropped)
    assert not back & (untouched & dropped)
    assert back <= {"new"} | {c.interest for c in before}
    if not given_up:
        assert back == {"new"} | {c.interest for c in before}
