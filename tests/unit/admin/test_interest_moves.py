"""Properties over random trees, catalogues and readers: nobody loses a piece they follow, and the file says what was meant."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from digest import select
from digest.admin import interest_moves as moves
from digest.admin.interest_moves import Lists
from digest.choices import Choice, apply
from digest.errors import ConfigError
from digest.interests import read
from digest.model import Rule
from tests.support.make import make_summary

TAGS = ["t0", "t1", "t2", "t3"]
PIECES = [f"s{n}" for n in range(5)]


def rule_of(draw):
    one = st.sampled_from(TAGS)
    kinds = [
        st.builds(lambda tag: {"tag": tag}, one),
        st.builds(lambda tag, other: {"tag": tag, "not": [{"tag": other}]}, one, one),
        st.builds(lambda tag, other: {"any": [{"tag": tag}, {"words": f"Piece {other}"}]}, one, st.sampled_from(PIECES)),
        st.just({}),
    ]
    return draw(st.one_of(kinds))


@st.composite
def newsletters(draw):
    """A file as a person may write it, and the pieces that are there."""
    names = [f"i{n}" for n in range(draw(st.integers(2, 6)))]
    entries, top = {}, []
    for place, name in enumerate(names):
        entry = {"id": name, "label": name.upper()}
        if rule := rule_of(draw):
            entry["match"] = rule
        for key in ("pin", "exclude"):
            if draw(st.integers(0, 3)) == 0:
                entry[key] = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=2, unique=True))
        parent = draw(st.sampled_from([None, None, *names[:place]]))
        if parent is None:
            top.append(entry)
        elif draw(st.booleans()):
            top.append({**entry, "parent": parent})
        else:
            entries[parent].setdefault("children", []).append(entry)
        entries[name] = entry if parent is None or "parent" not in top[-1] or top[-1]["id"] != name else top[-1]
    style = draw(st.sampled_from([None, False]))
    text = "# Ours.\n\n" + yaml.safe_dump(top, default_flow_style=style, sort_keys=False)
    interests, problems = read(text)
    assert not problems, (text, problems)
    pieces = [make_summary(id, tags=tuple(draw(st.sets(st.sampled_from(TAGS), max_size=2)))) for id in PIECES]
    return Lists(text, interests, pieces)


def standing(lists, interests, id):
    """Written down anew from DESIGN: what an interest or any below it takes, unless it or one between leaves it out."""
    own = interests.get(id)
    found = {piece.id for piece in lists.pieces if select.match(piece, own).takes}
    for child in interests.all:
        if child.parent == id:
            found |= below(lists, interests, child.id)
    return {piece for piece in found if not select.names(next(p for p in lists.pieces if p.id == piece), own.exclude)}


def below(lists, interests, id):
    """What a child brings its parents: what it excludes itself, its own children still bring them."""
    own = interests.get(id)
    found = {piece.id for piece in lists.pieces if select.match(piece, own).takes}
    return found.union(*(below(lists, interests, child.id) for child in interests.all if child.parent == id))


def a_change(draw, lists):
    ids = [one.id for one in lists.interests.all]
    one, other = draw(st.sampled_from(ids)), draw(st.sampled_from(ids))
    kind = draw(st.sampled_from(["rename", "move", "merge", "split", "retire"]))
    if kind == "rename":
        return moves.rename(lists, one, "fresh")
    if kind == "move":
        return moves.move(lists, one, draw(st.sampled_from([None, *ids])))
    if kind == "merge":
        return moves.merge(lists, one, other)
    if kind == "split":
        rules = [Rule(tag=(draw(st.sampled_from(TAGS)),)) for _ in range(draw(st.integers(1, 2)))]
        return moves.split(lists, one, [(f"part{n}", f"Part {n}", rule) for n, rule in enumerate(rules)])
    return moves.retire(lists, one, other)


@given(newsletters(), st.data())
def test_no_reader_loses_a_piece_they_follow(lists, data):
    try:
        proposal = a_change(data.draw, lists)
    except ConfigError as error:
        # Refused with a reason, as a merge into itself is; never for how the file is written.
        assert "is written in a way" not in str(error) and "cannot be found" not in str(error), lists.text
        return
    before = data.draw(st.lists(st.sampled_from([one.id for one in lists.interests.all]), unique=True))
    after = apply(proposal.steps, [Choice(id) for id in before], 1)
    had = set().union(*(standing(lists, lists.interests, id) for id in before))
    has = set().union(*(standing(lists, proposal.after, choice.interest) for choice in after))
    assert had <= has, (lists.text, proposal.what, proposal.new_text)
    assert all(proposal.after.get(choice.interest) for choice in after)
    assert proposal.new_text.startswith("# Ours.\n")
    # Whoever names an interest by an id it once had means what it has become.
    assert {old for old in before if not proposal.after.today((old,))} == set()


def lists_of(text, **pieces):
    interests, problems = read(text)
    assert not problems
    return Lists(text, interests, [make_summary(id, tags=tags) for id, tags in pieces.items()])


def test_a_merge_shows_what_only_one_of_them_left_out():
    lists = lists_of("- {id: a, label: A, match: {tag: t}, exclude: [x]}\n- {id: b, label: B, match: {tag: t}}\n", x=("t",), y=("t",))
    proposal = moves.merge(lists, "a", "b")
    assert proposal.after.get("b").exclude == ()
    both = lists_of("- {id: a, label: A, match: {tag: t}, exclude: [x]}\n- {id: b, label: B, match: {tag: u}}\n", x=("t",), y=("t",))
    assert moves.merge(both, "a", "b").after.get("b").exclude == ("x",)


def test_a_merge_that_forgot_the_followers_of_the_parent_is_found():
    text = "- id: up\n  label: Up\n  children: [{id: a, label: A, match: {tag: t}}]\n- {id: b, label: B}\n"
    lists = lists_of(text, x=("t",))
    proposal = moves.merge(lists, "a", "b")
    assert proposal.steps.beside == {"up": ("b",)}
    forgetful = proposal.steps.model_copy(update={"beside": {}})
    assert moves.losses(lists, proposal.after, forgetful) == {"up": frozenset({lists.pieces[0].id})}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lists: moves.merge(lists, "a", "a"), "into itself"),
        (lambda lists: moves.merge(lists, "a", "aa"), "did you mean a?"),
        (lambda lists: moves.rename(lists, "a", "b"), "already"),
        (lambda lists: moves.rename(lists, "a", "No Id"), "small letters"),
        (lambda lists: moves.rename(lists, "a", "old"), "old id of"),
        (lambda lists: moves.move(lists, "a", "c"), "below itself"),
        (lambda lists: moves.move(lists, "b", None), "there already"),
        (lambda lists: moves.split(lists, "c", [("p", "P", Rule(tag=("t",)))]), "no rule of its own"),
        (lambda lists: moves.split(lists, "a", [("p", "P", Rule())]), "empty rule"),
        (lambda lists: moves.retire(lists, "a", "a"), "retired itself"),
        (lambda lists: moves.create(lists, "a", "A", Rule()), "already"),
        (lambda lists: moves.label(lists, "a", " "), "empty"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(change, told):
    lists = lists_of("- id: a\n  label: A\n  match: {tag: t}\n  children:\n    - {id: c, label: C}\n- {id: b, label: B, was: [old]}\n")
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        change(lists)


@pytest.mark.parametrize("text", ["{tag", "just words", "{tga: x}", "{evidence: guess}", "[]", "{any: [&a {tag: x}, *a]}"])
def test_a_typed_rule_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="the rule"):
        moves.parse_rule(text)


def test_anchors_are_left_to_a_person():
    lists = lists_of("- {id: a, label: A, match: &rule {tag: t}}\n- {id: b, label: B, match: *rule}\n")
    with pytest.raises(ConfigError, match="anchors"):
        moves.rename(lists, "a", "c")


def test_comments_and_layout_stay():
    text = (
        "# What people can follow.\n\n- id: a   # first\n  label: 'A: one'\n  match:\n    any:\n      - tag: t   # the tag\n\n"
        "# About b.\n- id: b\n  label: B\n  children:\n    # About c.\n    - {id: c, label: C}   # small\n    - {id: d, label: D}\n"
    )
    lists = lists_of(text)
    assert moves.rename(lists, "b", "bb").new_text == text.replace("id: b\n  label: B\n", "id: bb\n  label: B\n  was: [b]\n")
    moved = moves.move(lists, "d", "a").new_text
    assert moved == text.replace("    - {id: d, label: D}\n", "").replace(
        "# the tag\n", "# the tag\n  children:\n    - {id: d, label: D}\n"
    )
    assert "# About b.\n" in moves.move(lists, "b", "a").new_text
    assert moves.label(lists, "a", "Other").new_text == text.replace("'A: one'", "Other")
