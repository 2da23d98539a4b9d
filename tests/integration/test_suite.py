"""What the benchmark runner makes of what benchmarks print; running them is `make bench`."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks import picture, suite

FLOOR = suite.Figure("m", "", "", "a.b", "a floor", "x", 10, least=True)
CEILING = suite.Figure("m", "", "", "a.b", "a ceiling", "x", 10)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('round 1\n{"a": 1}\n', {"a": 1}),
        ('{"old": 1}\nmore\n{\n  "a": {\n    "b": 2\n  }\n}\n', {"a": {"b": 2}}),
        ('{\n  "a": 2\n}\n', {"a": 2}),
        ("nothing\n", None),
        ("", None),
        ('{"a": 1}\nTraceback: died\n', None),
    ],
)
def test_the_last_json_is_what_counts(text, found):
    assert suite.last_json(text) == found


@pytest.mark.parametrize(("key", "value"), [("a.b", 2.5), ("a", None), ("a.c", None), ("t", None), ("a.b.c", None)])
def test_a_figure_stands_at_its_path(key, value):
    assert suite.at({"a": {"b": 2.5}, "t": True}, key) == value


@pytest.mark.parametrize(
    ("figure", "reached", "met", "share"),
    [
        (FLOOR, 20.0, True, 2),
        (FLOOR, 5.0, False, 0.5),
        (CEILING, 5.0, True, 2),
        (CEILING, 20.0, False, 0.5),
        (FLOOR, 10.0, True, 1),
        (CEILING, None, False, 0),
        (CEILING, 0.0, True, 10),
        (FLOOR, 0.0, False, 0),
    ],
)
def test_goals_are_floors_or_ceilings(figure, reached, met, share):
    result = suite.Result(figure, "", reached)
    assert (result.met, result.share) == (met, share)


def test_a_benchmark_that_is_not_there_is_said_loudly():
    assert suite.run("no_such_benchmark", "", 1) == (None, "not in this checkout")
    text = suite.table_of([suite.Result(FLOOR, "python -m benchmarks.m", None, "not in this checkout")], "2026-05-01")
    assert "**missing**: not in this checkout" in text and "| yes |" not in text


def test_the_picture_is_xml_that_says_everything_in_words_too():
    text = picture.bars([("a <b>", 1200.0, True, ""), ("c", 0.4, False, ""), ("d", 0, False, "took too long")])
    words = " ".join(ET.fromstring(text).itertext())
    assert all(word in words for word in ("a <b>", "1,200 times", "0.40 times, short", "took too long"))
    assert "prefers-color-scheme: dark" in text


def test_a_goal_for_a_million_is_not_called_reached_by_fewer():
    few = suite.Result(CEILING._replace(at_full=True), "", 5.0, judged=False)
    text = suite.table_of([few], "2026-05-01")
    assert not few.met and "| yes |" not in text and "SIZE=full" in text and "Not reached" not in text


def test_a_figure_that_is_measured_alone_leaves_the_others_with_their_commits(tmp_path, monkeypatch, capsys):
    one, other = FLOOR, CEILING._replace(module="n")
    monkeypatch.setattr(suite, "TABLE", (one, other))
    monkeypatch.setattr(suite, "run", lambda module, words, limit_s: ({"a": {"b": {"m": 12, "n": 7}[module]}}, ""))
    monkeypatch.setattr(suite, "commit", lambda: "first")
    assert suite.main(["--out", str(tmp_path)]) == 0
    monkeypatch.setattr(suite, "run", lambda module, words, limit_s: ({"a": {"b": 3}}, ""))
    monkeypatch.setattr(suite, "commit", lambda: "second")
    assert suite.main(["--only", "m", "--out", str(tmp_path)]) == 0
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    assert [line.split(" | ")[3::3] for line in lines if "| x |" in line] == [["3", "second |"], ["7", "first |"]]
    # What is judged by another goal now is not what was measured.
    monkeypatch.setattr(suite, "TABLE", (one, other._replace(goal=99)))
    assert suite.earlier(tmp_path / "results.json", suite.TABLE).keys() == {one}
    assert suite.earlier(tmp_path / "none.json", suite.TABLE) == {}
    assert capsys.readouterr().out.count('"missing": 0') == 2


def test_a_figure_of_several_runs_shows_each():
    result = suite.Result(FLOOR, "python -m benchmarks.m", 20.0, rows=[{"workers": 1, "ratio": 0.9}, {"workers": 8, "ratio": 0.88}])
    text = suite.table_of([result], "2026-05-01")
    assert "| workers | ratio |\n|---|---|\n| 1 | 0.9 |\n| 8 | 0.88 |\n" in text
