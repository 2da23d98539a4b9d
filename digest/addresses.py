"""Pure: the many spellings of one address, and the one it is kept and compared by."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Address(NamedTuple):
    """``spelling`` is how the person writes it, ``deliverable`` how a message is addressed, ``key`` what it is compared by."""

    spelling: str
    deliverable: str
    key: str


def parse(text: str) -> Address:
    """One address out of what a person typed or a list holds: surplus blanks, ``mailto:`` or ``Name <…>`` are taken off.

    Raises:
        ValueError: not an address that mail can be sent to; the text says why without repeating it.
    """
    from email_validator import EmailNotValidError, validate_email

    bare = unicodedata.normalize("NFKC", text)
    bare = re.sub(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "", bare).strip()
    bracketed = re.match(r"^[^<>]*<([^<>]+)>$", bare)
    bare = (bracketed[1] if bracketed else bare).strip().strip("'\"").rstrip(".,;").strip()
    bare = re.sub(r"^mailto:", "", bare, flags=re.I)
    if not bare:
        raise ValueError("is empty")
    if re.search(r"[\s,;]", bare):
        raise ValueError("holds a blank, a comma or a semicolon: one address, please")
    try:
        found = validate_email(bare, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        raise ValueError(re.sub(re.escape(bare), "it", str(error)).rstrip(".")) from error
    ascii_domain = found.ascii_domain.lower()
    return Address(found.normalized, f"{found.local_part}@{ascii_domain}", f"{found.local_part.casefold()}@{ascii_domain}")


def masked(address: str) -> str:
    """An address as a list shows it: ``a…@example.org`` tells a person which one without spelling it out."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
