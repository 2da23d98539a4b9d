"""Styles moved into the elements by premailer, with the edges taken off that EMAIL section 13 measured."""

from __future__ import annotations

import functools
import logging
from typing import Any

import cssutils
import premailer

_PREMAILER = {
    "allow_network": False,
    "strip_important": False,  # else dark mode loses to the inlined styles: a headline of 1.12:1
    "disable_validation": True,
    "align_floating_images": False,
    "remove_unset_properties": False,
    "disable_basic_attributes": ["width", "height", "align", "valign", "bgcolor"],  # mrml has set them right already
}


@functools.lru_cache(64)
def _parse(css: str) -> Any:
    # cssutils fetches @import by itself, whatever premailer was told.
    parser = cssutils.CSSParser(loglevel=logging.CRITICAL, validate=False, fetcher=lambda url: (None, b""))
    return parser.parseString(css)


class SafePremailer(premailer.Premailer):  # type: ignore[misc]
    """No network, no log lines, a cache of its own (premailer's mixes up its keys)."""

    def _parse_css_string(self, css_body: str, validate: bool = True) -> Any:
        return _parse(css_body)


def inline(html: str) -> str:
    """A whole document with its rules moved into ``style`` attributes; what cannot be moved stays in the head."""
    # lxml knows only the upper-case spelling and would drop the other: quirks mode.
    document = html.replace("<!doctype html>", "<!DOCTYPE html>", 1)
    # mrml's own resets would be written into every table and cell, a fifth of the email; the programs that need them read heads.
    document = document.replace('<style type="text/css">\n#outlook a', '<style type="text/css" data-premailer="ignore">\n#outlook a', 1)
    return str(SafePremailer(document, **_PREMAILER).transform(pretty_print=False))
