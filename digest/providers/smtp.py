"""SMTP: each message in a transaction of its own, over connections that stay open, one for each thread that hands over."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from digest.compose import header, make_message
from digest.config import SmtpSettings
from digest.errors import ConfigError, DigestError
from digest.providers import Handover, Parcel, Receipt
from digest.providers.smtp_connection import TIMES, Access, Connection, Ended, Letter, Times
from digest.providers.smtp_reply import Verdict
from digest.providers.smtp_wire import Aside

_LOCAL_BYTES = 64  # RFC 5321, 4.5.3.1.1
_DID_BYTES = 32
_BLOCKS = 3  # hand-overs in a row refused by policy, none accepted: it is us (EMAIL section 10), not one odd mailbox
_LOSSES = 2  # connections lost in a row within one batch: the others wait
_BLOCKED = (
    "the mail server refuses our messages by its policy ({code}): relaying, authentication (SPF, DKIM, DMARC) or reputation; "
    "ask who runs it, and send again; nobody was taken off the list for it"
)


class Smtp:
    """Hands messages to a mail server. It never waits or tries again by itself; ``longest_s`` holds for any batch.

    Args:
        settings: ``delivery.smtp``.
        password: for ``settings.username``; from the environment.
        sender: the newsletter's mailbox, ``Name <address>`` or the address alone. Bounces go there unless ``envelope_sender`` is set.
        folder: what a relative ``ca_file`` counts from, the workspace.
        times: shorter ones are for tests.

    Raises:
        ConfigError: the settings do not go together.
    """

    name = "smtp"
    one_edition = False
    sends = True
    tells = False

    def __init__(
        self, settings: SmtpSettings, password: SecretStr | None, sender: str, folder: Path = Path(), times: Times = TIMES
    ) -> None:
        if settings.username and not (password and password.get_secret_value()):
            raise ConfigError("delivery.smtp.username is set, but not DIGEST_SMTP_PASSWORD in the environment")
        self.batch, self.lanes = settings.batch, settings.connections
        self.longest_s = round(times.before_dot + times.block + times.dot)
        self._bounces = _bounces(settings, sender)
        self._verp = settings.verp
        # A report of success for each message is of use where a program reads them, and a flood in an editor's mailbox.
        self._notify = "SUCCESS,FAILURE,DELAY" if settings.envelope_sender else "FAILURE,DELAY"
        secret = password.get_secret_value() if password else ""
        self._access = Access(settings, secret, self._bounces.partition("@")[2], _context(settings, folder), times)
        self._lock, self.turn = threading.Lock(), threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._blocks = 0

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        """Hand the parcels over one after another, on one connection."""
        with self.turn:
            call = _Call(self, aid)
            receipts = [call.carry(parcel) for parcel in parcels]
            call.end()
        one = receipts[0] if len(receipts) == 1 else None
        stop = call.stop or self._judge(call)
        return Handover(receipts, ref=one.ref if one else "", code=call.code, stop=stop, trouble=call.trouble)

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        """Nothing: SMTP cannot be asked about a message. Reports and bounces come by mail."""
        return {}

    def finish(self, issue: str, title: str) -> Path | None:
        """There is nothing to open."""
        return None

    def close(self) -> None:
        """Say good-bye on all connections that are not in use; those in use are ended by whoever uses them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        with self.turn:
            for connection in idle:
                connection.leave()

    def letter(self, aid: str, parcel: Parcel) -> Letter:
        """The parcel as the server gets it.

        Raises:
            DigestError, ValueError: it cannot be made.
        """
        message = make_message(parcel.edition, parcel.reader, parcel.envelope)
        recipient = header.address_of("", parcel.reader.email, utf8=True)
        if not (recipient.needs_utf8 or message.isascii()):
            raise ValueError("the message has a character that must not be on the wire")
        local, _, domain = self._bounces.partition("@")
        sender = f"{local}+{parcel.did}@{domain}" if self._verp else self._bounces
        return Letter(sender, recipient.email, message, aid, self._notify, recipient.needs_utf8, dots=False)

    def take(self, until: float, fresh: bool) -> Connection:
        """A connection for this thread alone: one that is open, unless it has to be ``fresh``, else a new one.

        Raises:
            Ended: there is none to be had.
        """
        while not fresh:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if connection.usable():
                return connection
            connection.drop()
        return Connection(self._access, until, self.turn)

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next call."""
        with self._lock:
            keep = not self._closed and len(self._idle) < self.lanes
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.leave()

    def _judge(self, call: _Call) -> str:
        """The sentence that ends the run when hand-over after hand-over is refused by policy; else ""."""
        with self._lock:
            if call.accepted:
                self._blocks = 0
            elif call.blocked:
                self._blocks += 1
            return _BLOCKED.format(code=call.blocked) if call.blocked and self._blocks >= _BLOCKS else ""


class _Call:
    """One call of `Smtp.hand_over`."""

    def __init__(self, smtp: Smtp, aid: str) -> None:
        self._smtp, self._aid = smtp, aid
        self._until = time.monotonic() + smtp._access.times.before_dot
        self._connection: Connection | None = None
        self._lost = 0
        self._rest = ""  # why the parcels that follow are not tried
        self.stop, self.code, self.blocked = "", "", ""
        self.trouble = self.accepted = False

    def carry(self, parcel: Parcel) -> Receipt:
        """The receipt of one parcel."""
        try:
            letter = self._smtp.letter(self._aid, parcel)
        except DigestError as error:
            return Receipt(parcel.did, "rejected", str(error))
        except ValueError:
            return Receipt(parcel.did, "rejected", "the message cannot be made: a link or a field of it is malformed")
        if self._rest:
            return Receipt(parcel.did, "deferred", self._rest)
        verdict = self._deliver(letter)
        self._note(verdict)
        with Aside(self._smtp.turn):  # hashing lets other threads run by itself
            digest = hashlib.sha256(letter.message).hexdigest()
        return Receipt(parcel.did, verdict.outcome, verdict.reason, verdict.code, verdict.ref, len(letter.message), digest)

    def _deliver(self, letter: Letter) -> Verdict:
        try:
            connection = self._connection or self._smtp.take(self._until, fresh=False)
            verdict = connection.deliver(letter, self._until)
            if verdict.unbegun:
                # Servers end a session after so many messages or minutes. Of this message nothing was heard, so it is not a second try.
                connection.drop()
                self._connection = None
                connection = self._smtp.take(self._until, fresh=True)
                verdict = connection.deliver(letter, self._until)
        except Ended as error:
            self._rest = error.reason
            return Verdict("deferred", error.reason, error.code, trouble=not error.stop, stop=error.stop)
        self._connection = connection
        if verdict.over:
            connection.drop()
            self._connection = None
        return verdict

    def _note(self, verdict: Verdict) -> None:
        self.code = verdict.code or self.code
        self.stop = self.stop or verdict.stop
        self.trouble = self.trouble or verdict.trouble
        self.accepted = self.accepted or verdict.outcome == "accepted"
        self.blocked = verdict.code if verdict.block else self.blocked
        self._lost = self._lost + 1 if verdict.trouble and verdict.over else 0
        if verdict.stop or self._lost >= _LOSSES:
            self._rest = self._rest or verdict.reason
        elif time.monotonic() >= self._until:
            self._rest = "the server was too slow for the whole batch"

    def end(self) -> None:
        """Give the connection back."""
        if self._connection:
            self._smtp.give_back(self._connection)


def _bounces(settings: SmtpSettings, sender: str) -> str:
    """The address that bounces go to."""
    try:
        address = header.address(settings.envelope_sender or sender).email
    except DigestError as error:
        raise ConfigError(f"delivery.smtp.envelope_sender, or else sender.from, cannot be used with smtp: {error}") from error
    if settings.verp and len(address.partition("@")[0]) + 1 + _DID_BYTES > _LOCAL_BYTES:
        most = _LOCAL_BYTES - _DID_BYTES - 1
        raise ConfigError(f"delivery.smtp.verp: what stands before the @ of the envelope sender has more than {most} characters")
    return address


def _context(settings: SmtpSettings, folder: Path) -> ssl.SSLContext | None:
    """TLS that verifies, 1.2 or newer; with ``ca_file`` only what that vouches for."""
    if settings.security == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=folder / settings.ca_file if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"delivery.smtp.ca_file: {settings.ca_file} is not a readable file of certificates (PEM)") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
