"""The people who make the newsletter, and what each of them may do. Pure: `staff` and `signin` act.

A person has one role; a higher one may do all that a lower one may. What a role may do stands in one table, ``ACTIONS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from digest.model import Frozen, Instant

SHORTEST, LONGEST = 12, 256  # characters of a password; NIST SP 800-63B asks for at least 8, or 15 where nothing else is asked


class Role(StrEnum):
    """What somebody is in charge of, the least first."""

    VIEWER = "viewer"
    EDITOR = "editor"
    APPROVER = "approver"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Role).index(self)


ABOUT: Mapping[Role, str] = MappingProxyType(
    {
        Role.VIEWER: "looks at issues",
        Role.EDITOR: "also changes what an issue says",
        Role.APPROVER: "also approves, sends, pauses and cancels issues",
        Role.ADMIN: "also looks after readers, interest lists, people and settings",
    }
)

# Each thing that can be done on the desk and in the admin, and the least role that may.
ACTIONS: Mapping[str, Role] = MappingProxyType(
    {
        "account.own": Role.VIEWER,  # look, log out, end one's own sessions
        "account.secure": Role.VIEWER,  # one's own password and second factor
        "issues.see": Role.VIEWER,
        "issues.edit": Role.EDITOR,
        "issues.test": Role.EDITOR,  # send one message of an issue to oneself
        "issues.approve": Role.APPROVER,
        "issues.send": Role.APPROVER,
        "issues.stop": Role.APPROVER,  # pause, resume, cancel
        "issues.decide": Role.APPROVER,  # hand-overs whose outcome was never learnt
        "issues.replay": Role.APPROVER,  # make the messages of an old one again, and compare
        "figures.see": Role.VIEWER,  # counts, never who
        "interests.see": Role.VIEWER,
        "interests.change": Role.ADMIN,
        "sources.see": Role.VIEWER,
        "sources.fetch": Role.EDITOR,  # read one now
        "sources.try": Role.ADMIN,  # see what another would give
        "sources.change": Role.ADMIN,
        "readers.see": Role.ADMIN,
        "readers.change": Role.ADMIN,
        "readers.export": Role.ADMIN,
        "readers.erase": Role.ADMIN,
        "people.see": Role.ADMIN,
        "people.change": Role.ADMIN,
        "keys.see": Role.ADMIN,
        "keys.change": Role.ADMIN,  # keys for programs
        "audit.see": Role.ADMIN,
        "audit.export": Role.ADMIN,
        "hooks.see": Role.ADMIN,
        "hooks.change": Role.ADMIN,  # who is told of issues and readers, and the secrets that sign
        "settings.see": Role.ADMIN,
    }
)

# What needs a proof, not older than a few minutes, that it is still the person who logged in.
FRESH = frozenset(
    {
        "account.secure",
        "issues.test",
        "issues.approve",
        "issues.send",
        "issues.decide",
        "sources.change",
        "readers.export",
        "readers.erase",
        "people.change",
        "keys.change",
        "audit.export",
        "hooks.change",
    }
)


class Person(Frozen):
    """Somebody who may log in. ``id`` is opaque; ``name`` is what they log in with and what the audit log calls them."""

    id: str
    name: str
    role: Role
    second_factor: bool = False
    must_change: bool = False
    created_at: Instant
    signed_in_at: Instant | None = None
    disabled_at: Instant | None = None


def may(role: Role, action: str) -> bool:
    """Whether a role may do that.

    Raises:
        ValueError: no such action: a slip of ours must never let somebody through.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action} is no action; accounts.ACTIONS lists them")
    return role.rank >= ACTIONS[action].rank


def clean_name(text: str) -> str:
    """A name to log in with, as it is kept: small letters.

    Raises:
        ValueError: it cannot be one; the text says what would do.
    """
    name = text.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,39}", name):
        raise ValueError("a name has 2 to 40 small letters, digits, dots, dashes or underscores, and begins with a letter or digit")
    return name


def read_role(text: str) -> Role:
    """The role of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return Role(text.strip().lower())
    except ValueError as error:
        raise ValueError(f'"{text}" is not a role; choose one of {", ".join(Role)}') from error


def check_password(password: str, name: str) -> None:
    """Whether a password is good enough for that person.

    Raises:
        ValueError: it is not; the text says why and never repeats it.
    """
    if len(password) < SHORTEST:
        raise ValueError(f"the password needs at least {SHORTEST} characters; a few words in a row are easy to remember")
    if len(password) > LONGEST:
        raise ValueError(f"the password may have at most {LONGEST} characters")
    if len(set(password)) < 6:
        raise ValueError("the password repeats the same few characters")
    if name and name in password.lower() and len(password) < len(name) + SHORTEST:
        raise ValueError("the password is little more than the name")
