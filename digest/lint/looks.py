"""Rules about what eyes need: contrast, size, alignment."""

from __future__ import annotations

from collections.abc import Iterator

from digest.lint.css import contrast
from digest.lint.letter import Letter, Shown
from digest.lint.rule import Found, Level, rule

_MODES = {"light": "in light mode", "dark": "in dark mode", "bare": "where <style> is thrown away"}
_STYLES = "templates/parts/styles.mjml.j2"


def _large(text: Shown) -> bool:
    return text.size_px >= 24 or (text.bold and text.size_px >= 18.66)


def _hex(text: Shown) -> str:
    pair = ["#" + "".join(f"{round(part):02x}" for part in shade[:3]) for shade in (text.colour, text.ground)]
    return " on ".join(pair)


def _below(letter: Letter, small: float, large: float) -> Iterator[tuple[str, Shown, float]]:
    """The faintest text of each pair of colours and way of showing it."""
    for mode, words in _MODES.items():
        seen = set()
        for text in letter.shown(mode):
            ratio = contrast(text.colour, text.ground)
            key = (text.colour, text.ground)
            if ratio < (large if _large(text) else small) and key not in seen:
                seen.add(key)
                yield words, text, ratio


@rule(
    "contrast",
    Level.ERROR,
    reason="Below 4.5:1 (3:1 for large type) people with an inflamed optic nerve cannot read it.",
    source="WCAG 2.2, 1.4.3; colours as the cascade gives them in light, in dark and without <style>",
    example='<p style="color:#999999">Grey on white</p>',
    file=_STYLES,
)
def contrast_least(letter: Letter) -> Iterator[Found]:
    for words, text, ratio in _below(letter, 4.5, 3.0):
        yield Found(f"{_hex(text)} has a contrast of {ratio:.1f}:1 {words}; it takes {3 if _large(text) else 4.5}:1", text.words[:60])


@rule(
    "contrast-aim",
    Level.ADVICE,
    reason="7:1 (4.5:1 for large type) is what makes up for the loss of contrast that comes with poor sight.",
    source="WCAG 2.2, 1.4.6",
    example='<p style="color:#666666">Grey on white</p>',
    file=_STYLES,
)
def contrast_aim(letter: Letter) -> Iterator[Found]:
    for words, text, ratio in _below(letter, 7.0, 4.5):
        if ratio >= (3.0 if _large(text) else 4.5):
            yield Found(f"{_hex(text)} has a contrast of {ratio:.1f}:1 {words}; aim at {4.5 if _large(text) else 7}:1", text.words[:60])


@rule(
    "text-size",
    Level.WARNING,
    reason="Type below 16 px tires eyes that jump or see double, and phones enlarge it only by scrolling sideways.",
    source="WCAG 2.2, 1.4.4; EMAIL section 7",
    example='<p style="font-size:12px">Small print</p>',
    file=_STYLES,
)
def text_size(letter: Letter) -> Iterator[Found]:
    seen = set()
    for text in letter.shown("light"):
        if text.size_px < 16 and text.size_px not in seen and any(char.isalnum() for char in text.words):
            seen.add(text.size_px)
            yield Found(f"text of {text.size_px:g} px; 16 px is the least", text.words[:60])


@rule(
    "text-align",
    Level.ADVICE,
    reason="Justified and long centred lines have no steady edge for the eye to come back to.",
    source="WCAG 2.2, 1.4.8; W3C COGA guidance",
    example='<p style="text-align:justify">A long paragraph …</p>',
    file=_STYLES,
)
def text_align(letter: Letter) -> Iterator[Found]:
    for text in letter.shown("light"):
        if text.align == "justify" or (text.align == "center" and len(text.words) > 80):
            yield Found(f"text is {'justified' if text.align == 'justify' else 'centred'}; let it begin at one edge", text.words[:60])


@rule(
    "paragraph-long",
    Level.ADVICE,
    reason="Long blocks of text lose people who tire or forget quickly; a paragraph is best kept below 80 words.",
    source="WCAG 2.2, 1.4.8; W3C COGA guidance",
    example="<p>… 120 words without a break …</p>",
    file="summaries",
)
def paragraph_long(letter: Letter) -> Iterator[Found]:
    for paragraph in letter.elements("p", "li"):
        words = " ".join("".join(paragraph.itertext()).split())
        if (count := len(words.split())) > 80:
            yield Found(f"a paragraph has {count} words; part it", words[:60])


RULES = (contrast_least, contrast_aim, text_size, text_align, paragraph_long)
