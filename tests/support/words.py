"""Every text that pages and service mails ask a catalogue for, found where it stands."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.extract import extract_python
from jinja2.ext import babel_extract

from tests.support.make import REPOSITORY

_KEYWORDS = {"t": None, "tn": (1, 2)}


def texts() -> dict[str, tuple[str, ...]]:
    """Message id → its English forms: one, or two where a number decides."""
    found: dict[str, tuple[str, ...]] = {}
    places: list[Path] = [*sorted((REPOSITORY / "digest/web").rglob("*.py")), *sorted((REPOSITORY / "digest/web/pages").glob("*.j2"))]
    places += [REPOSITORY / "digest" / name for name in ("mailtext.py", "missed.py", "tongue.py", "webcopy.py")]
    for file in places:
        with file.open("rb") as opened:
            calls = extract_python(opened, _KEYWORDS, [], {}) if file.suffix == ".py" else babel_extract(opened, list(_KEYWORDS), [], {})
            for _, function, said, _ in calls:
                forms = said if isinstance(said, tuple) else (said,)
                forms = tuple(form for form in forms if isinstance(form, str))[: 2 if function == "tn" else 1]
                if forms:
                    found[forms[0]] = forms
    return found


def fields(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))
