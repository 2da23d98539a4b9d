"""Rules about pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule


def _name(image: Any) -> str:
    src = image.get("src") or ""
    return src[:30] + "…" if src.startswith("data:") else src[:80]


def _is_pixel(image: Any) -> bool:
    return image.get("width") in ("0", "1") or image.get("height") in ("0", "1")


@rule(
    "image-alt",
    Level.ERROR,
    reason="Without alt a screen reader reads out the file's address; many programs show no picture until asked.",
    source="WCAG 2.2, 1.1.1; HTML Living Standard, the img element",
    example='<img src="https://example.org/a.png" width="584">',
    file="summaries",
)
def image_alt(letter: Letter) -> Iterator[Found]:
    for image in letter.elements("img"):
        if image.get("alt") is None:
            yield Found('a picture has no alt; say what it shows, or alt="" where it only decorates', _name(image))


@rule(
    "image-https",
    Level.WARNING,
    reason="Programs load pictures over https only, and attached or built-in data is not shown by Gmail.",
    source="caniemail.com, image-base64; EMAIL checklist 16",
    example='<img src="http://example.org/a.png" alt="A chart" width="584">',
    file="summaries",
)
def image_https(letter: Letter) -> Iterator[Found]:
    for image in letter.elements("img"):
        src = image.get("src") or ""
        if not src.lower().startswith("https://") or not urlsplit(src).netloc:
            yield Found("a picture is not at an https address, so many readers will not see it", _name(image))


@rule(
    "image-width",
    Level.WARNING,
    reason="Outlook for Windows reads the width attribute alone; without it a picture is as wide as its file.",
    source="caniemail.com, html-width; measured, EMAIL section 13",
    example='<img src="https://example.org/a.png" alt="A chart" style="width:100%">',
)
def image_width(letter: Letter) -> Iterator[Found]:
    for image in letter.elements("img"):
        width = image.get("width") or ""
        if not width.isdigit() or int(width) > 1200:
            yield Found('a picture has no width in pixels; add width="584" or less', _name(image))


@rule(
    "image-format",
    Level.WARNING,
    reason="Gmail shows no SVG and Outlook for Windows no WebP or AVIF; JPEG, PNG and GIF are shown everywhere.",
    source="caniemail.com, image-svg, image-webp, image-avif",
    example='<img src="https://example.org/a.svg" alt="A chart" width="584">',
    file="summaries",
)
def image_format(letter: Letter) -> Iterator[Found]:
    for image in letter.elements("img"):
        found = re.search(r"\.(svgz?|webp|avif|heic|heif|tiff?|bmp|jxl)$", urlsplit(image.get("src") or "").path.lower())
        if found:
            yield Found(f"a picture is {found.group(1).upper()}, which some programs do not show; use JPEG or PNG", _name(image))


@rule(
    "image-pixel",
    Level.WARNING,
    reason="A picture of one pixel watches who opens the letter; of a letter about an illness that needs consent.",
    source="ePrivacy Directive, article 5(3); EDPB Guidelines 2/2023",
    example='<img src="https://example.org/open.gif" alt="" width="1" height="1">',
)
def image_pixel(letter: Letter) -> Iterator[Found]:
    for image in letter.elements("img"):
        if _is_pixel(image):
            yield Found("a picture of one pixel reports who opens the letter; take it out", _name(image))


@rule(
    "image-only",
    Level.WARNING,
    reason="With pictures off, which is how Outlook begins, nothing is left; spam filters mistrust it too.",
    source="SpamAssassin, HTML_IMAGE_ONLY; WCAG 2.2, 1.4.5",
    example='<img src="https://example.org/all.png" alt="" width="600"> and fewer than 500 characters of text',
)
def image_only(letter: Letter) -> Iterator[Found]:
    if any(not _is_pixel(image) for image in letter.elements("img")) and len(letter.live_text) < 500:
        yield Found(f"the letter has pictures and only {len(letter.live_text)} characters of text; say in words what they show")


RULES = (image_alt, image_https, image_width, image_format, image_pixel, image_only)
