import pytest

from digest.interests import examine, load
from tests.support.make import REPOSITORY, make_interest, make_interests


def examined(tmp_path, text):
    (tmp_path / "subscribers").mkdir()
    (tmp_path / "subscribers" / "interests.yaml").write_text(text, encoding="utf-8")
    return examine(tmp_path)


def test_the_demo_has_twelve_interests_in_a_tree():
    lists = load(REPOSITORY)
    assert len(lists.all) == 12
    assert any(interest.parent for interest in lists.all)


def test_children_know_their_parents_and_come_behind_them(tmp_path):
    lists, problems = examined(
        tmp_path, "- {id: b, label: B, parent: a, match: {tag: b}}\n- {id: a, label: A, children: [{id: c, label: C, match: {tag: c}}]}\n"
    )
    assert not problems
    assert [interest.id for interest in lists.all] == ["a", "b", "c"] or [interest.id for interest in lists.all] == ["a", "c", "b"]
    assert {interest.id for interest in lists.family("a")} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {id: a, label: A}\n- {id: a, label: B}\n", 'subscribers/interests.yaml:2: "a" is the id of another interest too (line 1)'),
        ("- {id: a, label: A, parent: b}\n- {id: b, label: B, parent: a}\n", "subscribers/interests.yaml:1: a cycle: a → b → a"),
        ("- {id: a, label: A, parent: a}\n", "a cycle: a → a"),
        ("- &x\n  id: a\n  label: A\n  children: [*x]\n", "stands below itself: a cycle"),
        ("- {id: a, label: A, parent: bb}\n- {id: b, label: B}\n", 'its parent "bb" is no interest; did you mean b?'),
        ("- {id: a, labl: A}\n", "subscribers/interests.yaml:1: labl: unknown key; did you mean label?"),
        ("- id: a\n  label: A\n  match: {tga: x}\n", "subscribers/interests.yaml:3: match.tga: unknown key; did you mean tag?"),
        ("- id: a\n  label: A\n  match: {evidence: guess}\n", '"guess" is not one of laboratory, animal'),
        ("- {id: Bad Id, label: A}\n", "id:"),
        ("- just words\n", "must be an interest"),
        ("a: 1\n", "must be a list"),
        ("- {id: a, label: A\n", "not valid YAML"),
        ("- {id: a, label: A, match: {any: [{tag: x}, {not: {evidense: trial}}]}}\n", "evidense: unknown key; did you mean evidence?"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, text, told):
    lists, problems = examined(tmp_path, text)
    assert any(told in str(problem) for problem in problems), [str(problem) for problem in problems]
    assert not lists.all


def test_one_value_may_stand_without_brackets(tmp_path):
    lists, problems = examined(tmp_path, "- {id: a, label: A, match: {any: {tag: x}, not: {evidence: trial}}}\n")
    assert not problems
    assert lists.all[0].match.any[0].tag == ("x",)


def test_depth_counts_parents():
    lists = make_interests(make_interest("a"), make_interest("b", parent="a"), make_interest("c", parent="b"))
    assert [lists.depth(interest) for interest in lists.all] == [0, 1, 2]
