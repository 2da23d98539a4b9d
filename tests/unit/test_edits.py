"""Steps of editors: what they come to, who is told, what order they leave."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.desk.papers import Paper, written
from digest.edits import Change, Conflict, Edits, Step, between, fold, moved, of_values, refuse, replay, to_values
from tests.support.make import at

NOON = at("2026-05-01T12:00")
IDS = ("doi:10.1/a", "doi:10.1/b", "url:https://example.org/c")
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip)
TEASERS = st.fixed_dictionaries({"title": st.none() | WORDS, "takeaway": WORDS, "seq": st.integers(1, 9)})
SETS = st.one_of(
    st.builds(Change, kind=st.just("order"), value=st.none() | st.permutations(IDS).map(list)),
    st.builds(Change, kind=st.sampled_from(["pin", "exclude"]), key=st.sampled_from(IDS), value=st.sampled_from([None, [], ["gut"]])),
    st.builds(Change, kind=st.just("teaser"), key=st.sampled_from(IDS), value=st.none() | TEASERS),
    st.builds(Change, kind=st.sampled_from(["note", "subject", "preheader"]), value=st.none() | WORDS),
    st.builds(Change, kind=st.just("intro"), key=st.sampled_from(["gut", "diet"]), value=st.none() | WORDS),
)
ACTS = st.lists(st.one_of(st.lists(SETS, min_size=1, max_size=3), st.sampled_from(["undo", "redo"])), max_size=14)


def steps_of(acts):
    return [
        Step(version=n, at=NOON, who="ana", op=act) if isinstance(act, str) else Step(version=n, at=NOON, who="ana", changes=tuple(act))
        for n, act in enumerate(acts, start=1)
    ]


def step(version, *changes, who="ana", op="edit"):
    return Step(version=version, at=NOON, who=who, op=op, changes=changes)


@settings(max_examples=20)
@given(ACTS)
def test_undo_and_redo_go_back_and_forth_between_the_states_there_were(acts):
    past, future, now = [], [], {}
    for act in acts:
        if act == "undo":
            if past:
                future.append(now)
                now = past.pop()
        elif act == "redo":
            if future:
                past.append(now)
                now = future.pop()
        else:
            past.append(now)
            future = []
            now = dict(now)
            for change in act:
                now.pop(change.target, None)
                if change.value is not None:
                    now[change.target] = change.value
    state = fold(steps_of(acts))
    assert state.values == now
    assert (state.undo is not None, state.redo is not None) == (bool(past), bool(future))
    assert state.version == len(acts) == (replay(steps_of(acts)).version)


@settings(max_examples=15)
@given(ACTS)
def test_what_holds_survives_the_file(acts):
    edits = fold(steps_of(acts)).edits
    back = Paper.model_validate(yaml.safe_load(written("monthly-2026-05-01", edits)))
    assert back.model_copy(update={"issue": ""}) == Paper(**edits.model_dump())
    assert of_values(to_values(edits)) == edits


@settings(max_examples=15)
@given(ACTS, ACTS)
def test_the_changes_between_two_states_lead_from_one_to_the_other(first, second):
    old, new = fold(steps_of(first)).values, fold(steps_of(second)).values
    there = fold([*steps_of([[Change(kind=t[0], key=t[1], value=v) for t, v in old.items()]]), step(2, *between(old, new))])
    assert there.values == new


@settings(max_examples=15)
@given(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), st.data())
def test_moving_one_piece_leaves_the_others_in_their_order(order, data):
    piece, to = data.draw(st.sampled_from(order)), data.draw(st.integers(0, len(order) + 2))
    after = moved(order, piece, to)
    assert [one for one in after if one != piece] == [one for one in order if one != piece]
    assert after.index(piece) == min(to, len(order) - 1)


def test_the_second_editor_of_a_teaser_is_told_and_keeps_the_text():
    mine = Change(kind="teaser", key="a", value={"title": "Mine", "takeaway": None, "seq": 1})
    theirs = Change(kind="teaser", key="a", value={"title": "Theirs", "takeaway": None, "seq": 1})
    state = fold([step(1, Change(kind="note", value="x")), step(2, theirs, who="ben")])
    try:
        refuse(state, [mine], seen=1)
    except Conflict as error:
        found = (error.mine, error.theirs, error.who, error.version)
    assert found == (mine, theirs.value, "ben", 2)
    refuse(state, [mine], seen=2)  # seen: no surprise
    refuse(state, [mine], seen=None)
    refuse(state, [theirs], seen=1)  # both wanted the same
    refuse(state, [Change(kind="teaser", key="b", value=mine.value), Change(kind="note", value="y")], seen=1)


def test_an_undo_counts_as_a_change_of_what_it_takes_back():
    set_subject = Change(kind="subject", value="One")
    state = fold([step(1, set_subject), step(2, who="ben", op="undo")])
    assert state.touched["subject", ""].who == "ben" and state.edits == Edits()
    try:
        refuse(state, [Change(kind="subject", value="Two")], seen=1)
        told = False
    except Conflict:
        told = True
    assert told
