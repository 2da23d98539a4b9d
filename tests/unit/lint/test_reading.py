"""The formulas rank texts as people do, each in its language."""

import pytest

from digest.lint.reading import grade

EASY = "We asked 40 people to walk. Half of them sat down on the way. They were less tired at night. The rest did them good. " * 3
HARD = "Longitudinal neuropsychological investigations demonstrate considerable heterogeneity notwithstanding pharmacotherapy. " * 5
LEICHT = "Wir haben 40 Leute gefragt. Die Hälfte von ihnen ging zu Fuß. Am Abend waren sie nicht so müde. Die Ruhe tat ihnen gut. " * 3
SCHWER = (
    "Neuropsychologische Längsschnittuntersuchungen dokumentieren Verlaufsunterschiede immunmodulatorischer Behandlungsverfahren. " * 10
)


@pytest.mark.parametrize(
    ("language", "formula", "easy", "hard"),
    [("en-GB", "Flesch-Kincaid", EASY, HARD), ("de", "Wiener Sachtextformel", LEICHT, SCHWER), ("sv", "LIX", EASY, HARD)],
)
def test_easy_is_easier_than_hard(language, formula, easy, hard):
    low, high = grade(easy, language), grade(hard, language)
    assert (low.formula, high.formula) == (formula, formula)
    assert low.years < 6 and high.years > 12


def test_flesch_kincaid_is_the_published_sum():
    text = "The cat sat on the mat. " * 8  # 6 words a sentence, one syllable a word
    assert grade(text, "en").years == pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)


@pytest.mark.parametrize("text", ["", "Too short.", "دراسة جديدة عن التصلب المتعدد " * 30, "1 2 3 4 " * 50])
def test_what_no_formula_knows_has_no_grade(text):
    assert grade(text, "en") is None
