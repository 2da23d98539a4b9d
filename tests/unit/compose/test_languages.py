"""Every language has every phrase with the same parameters, and each reader's language leads to the right file."""

import re

import pytest

from digest.compose.languages import PHRASES, available, code_of, file_of, sources_in
from tests.support.make import REPOSITORY

CODES = ("de", "es", "fr", "ar")
MACRO = re.compile(r"\{% macro (\w+)\(([^)]*)\) %\}")


def macros(text):
    return {name: re.split(r",\s*", given) for name, given in MACRO.findall(text)}


@pytest.fixture(scope="module")
def files():
    return {path.name: path.read_text(encoding="utf-8") for path in (REPOSITORY / "templates").glob("phrases*.j2")}


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_every_phrase_with_the_same_parameters(files, code):
    here = files[f"phrases.{code}.txt.j2"]
    assert macros(here) == macros(files[PHRASES])
    kinds = re.findall(r'^  "(\w+)": "', here, re.M)
    assert kinds == re.findall(r'^  "(\w+)": "', files[PHRASES], re.M) and len(kinds) == 6


@pytest.mark.parametrize("code", CODES)
def test_every_phrase_says_its_parameters_and_no_english(files, code):
    english, here = (
        dict(re.findall(r"\{% macro (\w+).*?%\}(.*?)\{% endmacro %\}", files[name], re.S)) for name in (PHRASES, f"phrases.{code}.txt.j2")
    )
    for name, body in english.items():
        if name != "evidence":
            assert sorted(set(re.findall(r"\{\{ ([\w.]+) \}\}", body))) == sorted(set(re.findall(r"\{\{ ([\w.]+) \}\}", here[name]))), name
        if re.search(r"[a-z]{4}", re.sub(r"\{.*?\}+", "", body)):
            assert here[name] != body, name


def test_a_control_that_must_fail(files):
    cut = files["phrases.de.txt.j2"].replace("macro why(interest)", "macro why(subject)")
    assert macros(cut) != macros(files[PHRASES]) and len(macros(files[PHRASES])) > 25


def test_which_file_a_language_reads():
    files = {PHRASES: "own", "phrases.de.txt.j2": "German", "digest.txt.j2": "x"}
    assert available(files, "en-GB") == ("de",)
    assert available(files, "de-AT") == ("en",)  # then the file without a language is English
    assert available(files, "it") == ("de",)  # then it is Italian, and there is no English
    assert sources_in(files, "de-AT") == {PHRASES: "German", "digest.txt.j2": "x"}
    assert sources_in(files, "it")[PHRASES] == "own" and file_of(files, "it") == PHRASES
    assert [code_of(tag) for tag in ("de", "de_AT", "DE-at", "", "x", "../de", "deutsch")] == ["de", "de", "de", "", "", "", ""]
