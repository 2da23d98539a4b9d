"""Simulated programs take away what the published table says they do not understand, and run nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.lint.simulate import PROGRAMS, conditionals, holds, simulate
from tests.support.letter import HTML

STYLED = HTML.replace(
    "</head>",
    "<style>@media (prefers-color-scheme: dark) { h1 { color: #ffffff } } @media (max-width: 480px) { h1 { color: #123456 } } "
    "[data-ogsc] h1 { color: #abcdef } .a { position: absolute; color: #010203 }</style></head>",
).replace("<h1 ", '<h1 onclick="x()" class="a" ')


def test_gmail_keeps_widths_and_drops_dark_mode_and_marks():
    html = simulate(STYLED, "gmail").html
    assert "#123456" in html and "#010203" in html
    assert "#ffffff }" not in html and "#abcdef" not in html and "position" not in html and "onclick" not in html


def test_gmail_drops_a_style_sheet_above_its_limit_and_one_in_the_body():
    big = HTML.replace("</head>", f"<style>{'.b { color: #123456 } ' * 900}</style></head>")
    assert "#123456" not in simulate(big, "gmail").html
    assert "#123456" not in simulate(HTML.replace("<h1", "<style>h1 { color: #123456 }</style><h1"), "gmail").html


def test_gmail_without_styles_keeps_what_is_in_the_elements():
    html = simulate(STYLED, "gmail-bare").html
    assert "<style" not in html and "font-size:32px" in html


def test_outlook_reads_its_conditionals_and_forgets_boxes():
    letter = STYLED.replace(
        "<h1 ", "<!--[if mso | IE]><table class=ghost><tr><td><![endif]--><!--[if !mso]><!--><b>web</b><!--<![endif]--><h1 "
    )
    html = simulate(letter.replace("<div ", '<div style="max-width:600px;padding:9px" '), "outlook").html
    assert "ghost" in html and "<b>web</b>" not in html and "max-width:600px" not in html and "padding:9px" not in html
    assert "padding:16px" in html  # of a cell, which Word does take
    assert "ghost" not in simulate(letter, "gmail").html and "<b>web</b>" in simulate(letter, "gmail").html


@pytest.mark.parametrize(
    ("condition", "true"),
    [("mso", True), ("mso | IE", True), ("!mso", False), ("IE", False), ("gte mso 9", True), ("lte mso 11", False), ("lt mso 17", True),
     ("(gte mso 9)&(lt mso 16)", False), ("!(IE)", True), ("mso 16", True), ("nonsense here now", False)],
)  # fmt: skip
def test_conditions(condition, true):
    assert holds(condition) is true


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_simulation_is_marked_and_runs_nothing(program):
    made = simulate(STYLED.replace("<h1 ", "<script>x()</script><form><input></form><iframe src=a></iframe>tail <h1 "), program)
    assert "Simulation of" in made.label and "caniemail" in made.label and made.label in made.marked
    assert not any(word in made.html for word in ("<script", "<form", "<input", "<iframe", "onclick"))
    assert "tail" in made.html and made.html.startswith("<!DOCTYPE html>")


@given(st.text(max_size=200), st.sampled_from(sorted(PROGRAMS)))
def test_whatever_the_letter_holds_it_can_be_simulated(text, program):
    html = f"<html><body><p>{text.replace(chr(0), '')}</p></body></html>"
    assert simulate("".join(char for char in html if char.isprintable()), program).label
    assert conditionals(html, mso=True) is not None
