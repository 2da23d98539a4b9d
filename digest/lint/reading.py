"""Rules about how hard the words are, for people who are tired."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

LEAST_WORDS = 40  # below, one long name decides everything
ENOUGH_WORDS = 100  # what the formulas were made for: a whole letter is judged by no less
HIGHEST_GRADE = 9.0


class Grade(NamedTuple):
    """Years of school that a text asks for, and the formula that says so."""

    years: float
    formula: str


def grade(text: str, language: str) -> Grade | None:
    """How hard a text is to read; None for a text that is too short, or in letters that no formula here knows.

    Source:
        English: Kincaid, Fishburne, Rogers and Chissom, 1975 (US Navy, Research Branch Report 8-75), Flesch-Kincaid grade.
        German: Bamberger and Vanecek, 1984, first Wiener Sachtextformel. Others: Björnsson, 1968, LIX, set to years as
        Anderson, 1983 (Journal of Reading 26) does.
    """
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", text)
    sentences = max(1, len([one for one in re.split(r"[.!?:;]+(?:\s|$)", text) if re.search(r"\w", one)]))
    if len(words) < LEAST_WORDS or sum(word[0].lower() <= "ɏ" for word in words) < 0.8 * len(words):
        return None
    count, long = len(words), sum(len(word) > 6 for word in words)
    syllables = [_syllables(word, language) for word in words]
    if language[:2] == "en":
        return Grade(0.39 * count / sentences + 11.8 * sum(syllables) / count - 15.59, "Flesch-Kincaid")
    if language[:2] == "de":
        many, one = (100 * sum(found) / count for found in ((n >= 3 for n in syllables), (n == 1 for n in syllables)))
        return Grade(
            0.1935 * many + 0.1672 * count / sentences + 0.1297 * 100 * long / count - 0.0327 * one - 0.875, "Wiener Sachtextformel"
        )
    return Grade((count / sentences + 100 * long / count) / 4 - 1, "LIX")


def _syllables(word: str, language: str) -> int:
    """Runs of vowels; in English without the silent e at the end."""
    text = word.lower()
    if language[:2] == "en":
        text = (
            re.sub(r"(?<=[^aeiouyl])e(?:s|d)?$|(?<=[aeiouy]l)e(?:s|d)?$", "", text)
            if not re.search(r"[td]ed$|(?:[sxzcg]|[sc]h)es$", text)
            else text
        )
    return max(1, len(re.findall(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœ]+", text)))


@rule(
    "reading-level",
    Level.WARNING,
    reason="Slowed thinking and fatigue come with the illness; grade 6 to 8 suits, 9 is the most for patients.",
    source="WCAG 2.2, 3.1.5; Flesch-Kincaid (English), Wiener Sachtextformel (German), LIX (others)",
    example="long sentences of long words in takeaway and limits of pieces for patients",
    file="summaries",
)
def reading_level(letter: Letter) -> Iterator[Found]:
    by_language: dict[str, list[str]] = {}
    for piece in letter.pieces:
        if piece.patients and piece.text:
            by_language.setdefault(piece.language or letter.language, []).append(piece.text)
    for language, texts in by_language.items():
        whole = " ".join(text if text.rstrip()[-1:] in ".!?" else text + "." for text in texts)
        found = grade(whole, language) if len(whole.split()) >= ENOUGH_WORDS else None
        if found and found.years > HIGHEST_GRADE:
            yield Found(
                f"the pieces for patients ask for grade {found.years:.1f} ({found.formula}, {language}); {HIGHEST_GRADE:.0f} is the most"
            )


@rule(
    "reading-piece",
    Level.ADVICE,
    reason="One hard piece among easy ones is where a tired reader stops.",
    source="WCAG 2.2, 3.1.5; the formulas of reading-level",
    example="a takeaway and limits of 40 words or more at grade 14",
    file="summaries",
)
def reading_piece(letter: Letter) -> Iterator[Found]:
    for piece in letter.pieces:
        found = grade(piece.text, piece.language or letter.language) if piece.patients else None
        if found and found.years > HIGHEST_GRADE + 3:
            yield Found(f"grade {found.years:.0f} ({found.formula}); shorter sentences and words help", piece.title[:60])


RULES = (reading_level, reading_piece)
