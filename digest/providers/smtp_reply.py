"""What an SMTP server says, and what follows from it for one message (RELIABILITY section 1.4, EMAIL section 10). Pure.

The words of a server may name the reader, so they never reach a reason: reasons are ours, the code is the server's.
"""

from __future__ import annotations

import functools
import re
from typing import Literal, NamedTuple

REPLY_BYTES = 65_536  # RFC 5321, 4.5.3.1.5: a line has 512; an EHLO of the largest servers about 1,500
REPLY_LINES = 200
NO_MAILBOX = "the server knows no such mailbox"

_AROUND = "<>\"'.,;:()[]"

Step = Literal["MAIL", "RCPT", "DATA", "dot"]

_LINE = re.compile(rb"([2-5][0-5][0-9])(?:([ -])([^\r\n]*))?\r?\n")
_PLAIN = re.compile(r"[ !-?A-~]*")  # printable, and no @
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_MAILBOX = re.compile(
    r"user (?:is )?unknown|unknown (?:user|recipient|mailbox)|no such (?:user|recipient|mailbox|address|person)"
    r"|mailbox (?:was )?not found|(?:user|mailbox|recipient|address)\W{1,3}(?:\S{1,320} )?(?:does not exist|doesn't exist|not found)",
    re.I,
)
_POLICY = re.compile(
    r"relay|block|black\W?list|deny|denied|spam|policy|reputation|authenticat|not (?:permitted|allowed|authorized)"
    r"|\b(?:spf|dkim|dmarc|rbl|dnsbl)\b",
    re.I,
)
_NOT_KNOWN_TO_SERVER = frozenset({"530", "534", "535", "538"})  # RFC 4954, 6 and RFC 3207, 4: log in or encrypt first
_TOO_LARGE = frozenset({"5.3.4", "5.2.3"})
_OUR_SENDER = frozenset({"5.1.7", "5.1.8"})  # RFC 3463, 3.2: the sender's address


class Nonsense(Exception):
    """What came is no SMTP reply. The text does not repeat it."""


class Reply(NamedTuple):
    """A whole reply: its three digits, its enhanced status code (RFC 2034) or "", and the lines of its text."""

    digits: str
    status: str = ""
    lines: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """``250 2.0.0``, or the digits alone."""
        return f"{self.digits} {self.status}".strip()

    @property
    def text(self) -> str:
        """The text on one line, without the status code."""
        return " ".join([_STATUS.sub("", line, count=1).strip() if self.status else line for line in self.lines])


def take(buffer: bytes) -> tuple[Reply, bytes] | None:
    """The first whole reply of the buffer and what stands behind it; None while it is not whole.

    Raises:
        Nonsense: it cannot become a reply any more: no three digits, lines that disagree, or too long.
    """
    end = buffer.find(b"\n")
    if 0 <= end < REPLY_BYTES and buffer[3:4] != b"-":
        return _line_alone(buffer[: end + 1]), buffer[end + 1 :]
    lines: list[str] = []
    digits = b""
    at = 0
    while (end := buffer.find(b"\n", at)) >= 0 and end < REPLY_BYTES:
        match = _LINE.fullmatch(buffer, at, end + 1)
        if not match or (digits and match[1] != digits):
            raise Nonsense("the server's answer is no SMTP reply")
        digits = match[1]
        lines.append((match[3] or b"").decode("utf-8", "replace"))
        at = end + 1
        if match[2] != b"-":
            return _reply(digits, tuple(lines)), buffer[at:]
        if len(lines) >= REPLY_LINES:
            break
    if len(buffer) >= REPLY_BYTES or len(lines) >= REPLY_LINES:
        raise Nonsense("the server's answer does not end")
    return None


@functools.lru_cache(16)
def _line_alone(line: bytes) -> Reply:
    """A reply of one line; a server says the same ones again and again."""
    match = _LINE.fullmatch(line)
    if not match:
        raise Nonsense("the server's answer is no SMTP reply")
    return _reply(match[1], ((match[3] or b"").decode("utf-8", "replace"),))


def _reply(digits: bytes, lines: tuple[str, ...]) -> Reply:
    status = _STATUS.match(lines[-1])
    return Reply(digits.decode(), status[1] if status else "", lines)


class Verdict(NamedTuple):
    """What became of one message. ``outcome`` is as in `Receipt`.

    ``over``: the connection must not be used again. ``trouble``: it is the server's. ``stop``: no message's fault, a sentence for
    the operator. ``block``: refused for what we are or say, not for the reader (EMAIL section 10), so nobody is suppressed for it.
    ``unbegun``: a session that had carried messages ended before this one was begun.
    """

    outcome: Literal["accepted", "rejected", "deferred", "uncertain"]
    reason: str = ""
    code: str = ""
    ref: str = ""
    over: bool = False
    trouble: bool = False
    stop: str = ""
    block: bool = False
    unbegun: bool = False


def refusal(step: Step, reply: Reply) -> Verdict:
    """What a reply other than the one hoped for means, at any step in which the server can still refuse."""
    code = reply.code
    if reply.digits == "421":  # RFC 5321, 3.8: the server closes the connection
        return Verdict("deferred", "the server ended the session", code, over=True, trouble=True)
    if reply.digits in _NOT_KNOWN_TO_SERVER:
        advice = "check delivery.smtp.security, username and DIGEST_SMTP_PASSWORD"
        stop = f"the mail server wants TLS or a login before it takes mail ({code}); {advice}"
        return Verdict("deferred", "the server wants TLS or a login", code, over=True, stop=stop)
    if reply.digits[0] == "4":
        # x.3.x is the mail system itself, e.g. a full disk (RFC 3463, 3.4)
        return Verdict("deferred", f"put off at {step}", code, trouble=reply.status.startswith("4.3."))
    if reply.digits[0] == "5":
        return _for_good(step, reply)
    if step == "dot":
        return Verdict("uncertain", "the answer to the whole message means neither yes nor no", code, over=True, trouble=True)
    return Verdict("deferred", f"an answer to {step} that has no meaning there", code, over=True, trouble=True)


def _for_good(step: Step, reply: Reply) -> Verdict:
    text = reply.text[:1000]
    vague = reply.status in ("", "5.0.0")
    policy = reply.status.startswith("5.7.")
    if step != "MAIL" and (vague or policy) and _MAILBOX.search(text):
        return Verdict("rejected", NO_MAILBOX, reply.code)
    if reply.status in _TOO_LARGE or (reply.digits == "552" and vague and step in ("MAIL", "dot")):
        return Verdict("rejected", "the message is too large for the server", reply.code)
    if policy or reply.status in _OUR_SENDER or (vague and _POLICY.search(text)):
        return Verdict("deferred", f"the server's policy refused it at {step}", reply.code, block=True)
    if step == "MAIL":  # says nothing about the reader: our sender, or what we wrote behind it
        return Verdict("deferred", "the server refused our sender", reply.code, block=True)
    if reply.status.startswith("5.6."):
        return Verdict("rejected", "the server refused the message's content", reply.code)
    if reply.status in ("5.1.1", "5.1.6", "5.1.10"):
        return Verdict("rejected", NO_MAILBOX, reply.code)
    return Verdict("rejected", f"refused for good at {step}", reply.code)


def reference(reply: Reply, recipient: str) -> str:
    """The server's name for a message it took (Postfix: ``Ok: queued as 4XyZ``), without whatever could name the reader."""
    local, _, domain = recipient.lower().partition("@")
    named = (local, domain)
    text = reply.text
    low = text.lower()
    if _PLAIN.fullmatch(text) and local not in low and domain not in low:  # nearly always
        return " ".join(text.split())[:100]
    words = (word for word in text.split() if "@" not in word and word.lower().strip(_AROUND) not in named)
    plain = (re.sub(r"[^\x21-\x7e]", "", word) for word in words)
    return " ".join(word for word in plain if word and word.lower().strip(_AROUND) not in named)[:100]
