"""One session with an SMTP server, for one thread at a time.

Our own and not `smtplib`, because that writes the body and the final dot together, and then nobody can tell a message that was
certainly not handed over from one that may have been (RELIABILITY section 1.4).
"""

from __future__ import annotations

import base64
import contextlib
import re
import ssl
import time
from dataclasses import dataclass
from typing import NamedTuple

from digest.config import SmtpSettings
from digest.providers.smtp_reply import Nonsense, Reply, Step, Verdict, reference, refusal
from digest.providers.smtp_wire import Broken, NothingTaken, Turn, Wire


@dataclass(frozen=True)
class Times:
    """How long to wait, in seconds. ``reply``, ``data``, ``block`` and ``dot`` are the least that RFC 5321, 4.5.3.2 allows.

    A shorter ``dot`` makes duplicates: servers that scan a message answer late, and take it all the same (RELIABILITY 1.3).
    ``before_dot`` is for everything that comes before the last message's final dot, so that a call has an end;
    an idle connection is not used again after ``idle``.
    """

    connect: float = 30
    reply: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600
    before_dot: float = 600
    idle: float = 60
    quit: float = 2


TIMES = Times()
_NO_UTF8 = "the address has letters outside ASCII before the @, and the mail server does not offer SMTPUTF8"


@dataclass(frozen=True)
class Access:
    """How to get in. ``helo`` is a domain of ours (RFC 5321, 4.1.1.1); ``tls`` verifies, or is None where security is none."""

    settings: SmtpSettings
    password: str
    helo: str
    tls: ssl.SSLContext | None
    times: Times

    @property
    def place(self) -> str:
        """``host:port``."""
        return f"{self.settings.host}:{self.settings.port}"

    def __repr__(self) -> str:
        return f"Access({self.place})"


class Letter(NamedTuple):
    """One message as the server gets it. ``message`` has CRLF line ends; ``envid`` and ``notify`` are for RFC 3461.

    ``utf8``: the recipient, and so a header, has letters outside ASCII; only a server with SMTPUTF8 can take it (RFC 6531).
    ``dots``: lines may begin with one, and are looked through for it.
    """

    sender: str
    recipient: str
    message: bytes
    envid: str
    notify: str
    utf8: bool = False
    dots: bool = True


class Ended(Exception):
    """There is no session; nothing was said about any message. ``stop`` is a sentence where trying again is of no use."""

    def __init__(self, reason: str, code: str = "", stop: str = "") -> None:
        super().__init__(reason)
        self.reason, self.code, self.stop = reason, code, stop


class Connection:
    """A session that is ready to carry messages, each in a transaction of its own. ``until`` is in monotonic seconds.

    Raises:
        Ended: there is none.
    """

    def __init__(self, access: Access, until: float, turn: Turn) -> None:
        self._access, self._times = access, access.times
        self._carried = 0
        self._used_at = time.monotonic()
        try:
            self._wire = Wire(access.settings.host, access.settings.port, access.times.connect, until, turn)
        except OSError as error:
            words = "in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise Ended(f"the mail server {access.place} cannot be reached: {words}") from error
        try:
            self._offers = self._begin()
        except BaseException as error:
            self.drop()
            if isinstance(error, Broken):
                raise _explained(error, access.place) from error
            raise

    def _begin(self) -> dict[str, str]:
        settings = self._access.settings
        if settings.security == "tls":
            self._encrypt()
        self._expect("220", "greeting", self._wire.read(self._times.reply))
        offers = self._greet()
        if settings.security == "starttls":
            offers = self._start_tls(offers)
        if settings.username:
            self._log_in(offers.get("AUTH", "").split())
        return offers

    def _greet(self) -> dict[str, str]:
        """What the server offers, by keyword."""
        reply = self._expect("250", "EHLO", self._ask(f"EHLO {self._access.helo}"))
        offers: dict[str, str] = {}
        for line in reply.lines[1:]:  # the first is the server's name (RFC 5321, 4.1.1.1)
            name, _, values = line.upper().replace("AUTH=", "AUTH ", 1).partition(" ")
            offers[name] = f"{offers.get(name, '')} {values}".strip()
        return offers

    def _start_tls(self, offers: dict[str, str]) -> dict[str, str]:
        place = self._access.place
        if "STARTTLS" not in offers:
            raise Ended("the server does not offer STARTTLS", stop=f"{place} does not offer STARTTLS; nothing is sent without it")
        reply = self._ask("STARTTLS")
        if reply.digits[0] == "5":
            raise Ended("the server refused STARTTLS", reply.code, f"{place} refused STARTTLS ({reply.code}); nothing is sent without it")
        self._expect("220", "STARTTLS", reply)
        self._encrypt()
        return self._greet()  # what was offered before could have been anybody's (RFC 3207, 4.2)

    def _encrypt(self) -> None:
        assert self._access.tls is not None
        self._wire.encrypt(self._access.tls, self._times.reply)

    def _log_in(self, ways: list[str]) -> None:
        place = self._access.place
        if self._access.tls is None and not self._wire.is_loopback():
            stop = f"delivery.smtp.security is none, and {place} is another machine: the password would be readable on the way"
            raise Ended("no password without TLS", stop=stop)
        user, password = self._access.settings.username.encode(), self._access.password.encode()
        if "PLAIN" in ways:
            reply = self._ask("AUTH PLAIN " + _base64(b"\0" + user + b"\0" + password))
        elif "LOGIN" in ways:
            reply = self._ask("AUTH LOGIN")
            for secret in (user, password):
                reply = self._ask(_base64(secret)) if reply.digits == "334" else reply
        else:
            raise Ended("no way to log in", stop=f"{place} offers no way to log in that we know (AUTH PLAIN or LOGIN)")
        if reply.digits[0] in "35":
            stop = f"{place} refused the login ({reply.code}); check delivery.smtp.username and DIGEST_SMTP_PASSWORD"
            raise Ended("the server refused the login", reply.code, stop)
        self._expect("235", "AUTH", reply)

    def deliver(self, letter: Letter, until: float) -> Verdict:
        """Carry one message. Everything up to the final dot ends before ``until`` (monotonic seconds), its reply later.

        Raises nothing: whatever happens is a verdict.
        """
        if letter.utf8 and not {"SMTPUTF8", "8BITMIME"} <= self._offers.keys():
            return Verdict("rejected", _NO_UTF8)
        self._wire.until = until
        try:
            refused = self._envelope(letter)
            if refused:
                return refused
            self._wire.write(_stuffed(letter.message) if letter.dots else letter.message, self._times.block)
        except Broken as error:
            return Verdict("deferred", _loss(error), over=True, trouble=True)
        if not self._wire.silent():  # the end of the message is not written, so nothing was handed over
            return Verdict(
                "deferred", "the server broke off while the message was written", self._wire.overheard(), over=True, trouble=True
            )
        verdict = self._dot(letter)
        self._carried += 1
        self._used_at = time.monotonic()
        return verdict

    def _envelope(self, letter: Letter) -> Verdict | None:
        """MAIL, RCPT and DATA, in one go where the server offers PIPELINING. None when it waits for the message."""
        steps: dict[Step, str] = {"MAIL": self._mail(letter), "RCPT": self._rcpt(letter), "DATA": "DATA\r\n"}
        together = "PIPELINING" in self._offers
        refused: Verdict | None = None
        for step, command in steps.items():
            try:
                if step == "MAIL" or not together:
                    self._wire.write("".join(steps.values() if together else [command]).encode(), self._times.reply)
                reply = self._wire.read(self._times.data if step == "DATA" else self._times.reply)
            except Broken as error:
                if refused:
                    return refused._replace(over=True)
                if step == "MAIL" and self._carried and isinstance(error, ConnectionError):
                    return Verdict("deferred", _loss(error), over=True, trouble=True, unbegun=True)
                raise
            if refused and reply.digits == "354":
                # It wants a message whose reader it refused. A dot would hand over an empty one; hanging up hands over none.
                return refused._replace(over=True)
            if refused or reply.digits.startswith("354" if step == "DATA" else "2"):
                continue
            refused = refusal(step, reply)
            if refused.over:
                return refused._replace(unbegun=step == "MAIL" and self._carried > 0 and reply.digits == "421")
            if not together:
                break
        return self._reset(refused) if refused else None

    def _reset(self, refused: Verdict) -> Verdict:
        """End the transaction, so that the connection can carry the next message."""
        try:
            clean = self._ask("RSET").digits == "250"
        except Broken:
            clean = False
        self._used_at = time.monotonic()
        return refused if clean else refused._replace(over=True)

    def _dot(self, letter: Letter) -> Verdict:
        """Write the final dot, by itself. From the moment the socket takes it the message may be accepted."""
        try:
            self._wire.finish(b".\r\n" if letter.message.endswith(b"\r\n") else b"\r\n.\r\n", self._times.block)
            reply = self._wire.read_to_the_end(self._times.dot)
        except NothingTaken:
            return Verdict("deferred", "the connection was lost", over=True, trouble=True)
        except Broken as error:
            return Verdict("uncertain", f"{_loss(error)}, after the whole message", over=True, trouble=True)
        if reply.digits[0] == "2":
            return Verdict("accepted", code=reply.code, ref=reference(reply, letter.recipient))
        return refusal("dot", reply)

    def _mail(self, letter: Letter) -> str:
        size = f" SIZE={len(letter.message)}" if "SIZE" in self._offers else ""
        utf8 = " BODY=8BITMIME SMTPUTF8" if letter.utf8 else ""
        dsn = f" RET=HDRS ENVID={xtext(letter.envid)}" if "DSN" in self._offers else ""
        return f"MAIL FROM:<{letter.sender}>{size}{utf8}{dsn}\r\n"

    def _rcpt(self, letter: Letter) -> str:
        return f"RCPT TO:<{letter.recipient}>" + (f" NOTIFY={letter.notify}" if "DSN" in self._offers else "") + "\r\n"

    def usable(self) -> bool:
        """Whether it can carry one more message: not idle for long, not hung up, nothing said that nobody asked for."""
        return time.monotonic() - self._used_at < self._times.idle and self._wire.silent()

    def leave(self) -> None:
        """Say good-bye and hang up. What the server makes of it changes nothing."""
        self._wire.until = time.monotonic() + self._times.quit
        with contextlib.suppress(*Broken):
            self._ask("QUIT")
        self.drop()

    def drop(self) -> None:
        """Hang up."""
        self._wire.close()

    def _ask(self, command: str) -> Reply:
        """Say one command and read its reply."""
        self._wire.write(f"{command}\r\n".encode("ascii"), self._times.reply)
        return self._wire.read(self._times.reply)

    def _expect(self, wanted: str, step: str, reply: Reply) -> Reply:
        if reply.digits != wanted:
            raise Ended(f"the server is not ready ({step})", reply.code)
        return reply


def _explained(error: OSError | Nonsense, place: str) -> Ended:
    """What went wrong before the session was ready."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = (error.verify_message or "it cannot be verified").rstrip(".")
        return Ended("the server's certificate does not fit", stop=f"the certificate of {place} does not fit ({why}); nothing was sent")
    if isinstance(error, ssl.SSLError):
        return Ended(f"no TLS with the server ({(error.reason or 'it broke off').replace('_', ' ').lower()})")
    return Ended(f"{_loss(error)}, before the session was ready")


def _loss(error: OSError | Nonsense) -> str:
    if isinstance(error, Nonsense):
        return str(error)
    return "the server was too slow" if isinstance(error, TimeoutError) else "the connection was lost"


def _stuffed(message: bytes) -> bytes:
    """Leading dots are doubled (RFC 5321, 4.5.2), else a line of one dot would end the message."""
    body = message.replace(b"\r\n.", b"\r\n..")
    return b"." + body if body.startswith(b".") else body


def _base64(secret: bytes) -> str:
    return base64.b64encode(secret).decode("ascii")


def xtext(value: str) -> str:
    """A value as RFC 3461, section 4 wants it in ENVID."""
    return re.sub(r"[^!-*,-<>-~]", lambda found: "".join(f"+{byte:02X}" for byte in found[0].encode()), value)
