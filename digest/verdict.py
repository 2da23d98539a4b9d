"""Pure: what a refusal says about an address, about us, or about the moment (EMAIL section 10)."""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["hard", "soft", "blocked"]

# RFC 3463 codes after which an address is not there. Everything else is about the moment or about us.
_GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})
_OUR_MESSAGE = frozenset({"5.2.3", "5.3.4"})  # too large
_VAGUE = frozenset({"", "5.0.0", "5.1.0", "5.5.0", "5.7.1"})  # said of anything, also of unknown users

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([245]\d\d)(?=[\s-]|$)")
_UNKNOWN_USER = re.compile(
    r"user[ _]?(?:is )?(?:unknown|not found|doesn'?t exist|does not exist)|unknown (?:user|recipient|mailbox)"
    r"|no such (?:user|mailbox|recipient|address|person)"
    r"|(?:mailbox|recipient|address|account) (?:was )?(?:not found|unknown|does not exist|doesn'?t exist)|recipnotfound"
    r"|account (?:that you tried to reach )?(?:does not exist|is disabled|has been disabled)|no mailbox here by that name",
    re.I,
)
_POLICY = re.compile(r"\bspam\b|block(?:ed|list)|blacklist|\bpolicy\b|reputation|\bdmarc\b|\bspf\b|\bdkim\b|\brbl\b|banned", re.I)
_FULL = re.compile(r"(?:mailbox|quota|storage)\W+(?:is )?(?:full|exceeded)|over ?quota|out of storage", re.I)

_WORDS = 4000  # characters of a server's answer that are looked at


def code_of(status: str, words: str) -> str:
    """The enhanced status code (``5.1.1``), taken from its own field or found in the words, else the reply code, else ''."""
    for text in (status, words[:_WORDS]):
        if found := _STATUS.search(text):
            return found[1]
    found = _REPLY.search(words[:_WORDS])
    return found[1] if found else ""


def classify(status: str, words: str) -> Verdict:
    """What a failed delivery says: ``hard``, the address is gone; ``soft``, not now; ``blocked``, our doing, not the reader's.

    A permanent refusal that says nothing more counts as soft: three of those suppress, one does not.
    """
    words = words[:_WORDS]
    code = code_of(status, words)
    if code.startswith("4"):
        return "soft"
    enhanced = code if "." in code else ""
    if enhanced in _GONE:
        return "hard"
    if enhanced in _VAGUE and _UNKNOWN_USER.search(words):
        return "hard"
    if enhanced in _OUR_MESSAGE or enhanced.startswith(("5.6.", "5.7.")):
        return "blocked"
    if enhanced == "5.2.2" or _FULL.search(words):
        return "soft"
    return "blocked" if _POLICY.search(words) else "soft"


def classify_sendgrid(type: str, status: str, classification: str, words: str) -> Verdict:
    """The same for SendGrid's ``bounce`` event, whose ``type`` and ``bounce_classification`` say more than the words.

    ``blocked`` is a refusal that SendGrid itself does not hold against the address; a ``bounce`` it does.
    """
    verdict = classify(status, words)
    if verdict == "hard":
        return verdict
    if type == "blocked":
        # A full mailbox comes as "blocked" too: it is the reader's, and counted.
        return "soft" if classification == "Mailbox Unavailable" or code_of(status, words) in ("5.2.2", "4.2.2") else "blocked"
    if verdict == "blocked" or classification in ("Content", "Reputation", "Frequency/Volume"):
        return "blocked"
    code = code_of(status, words)
    if code.startswith("4") or code == "5.2.2" or _FULL.search(words[:_WORDS]) or classification == "Mailbox Unavailable":
        return "soft"
    return "hard"


# The reasons of SendGrid's ``dropped`` event that are about the person; the others are about our message or account.
DROPPED: dict[str, str] = {
    "bounced address": "hard",
    "invalid": "hard",
    "spam reporting address": "complaint",
    "unsubscribed address": "left",
}

# "blocked" for the message itself, its size or its form: one odd message, not a refusal of everything we send.
_OF_ONE_MESSAGE = ("5.2.3", "5.3.4", "5.6.")


def is_policy(verdict: str, code: str) -> bool:
    """Whether a refusal was for what we are or say (5.7.x, block lists, reputation), so that the next message meets it too."""
    return verdict == "blocked" and not code.startswith(_OF_ONE_MESSAGE)
