"""SendGrid's Web API v3: one request a batch, with one edition in it or with numbers of what the issue's template holds.

Built from its documents, never tried live.

docs/sendgrid.md says how an operator sets it up, and what stays uncertain.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from digest.compose import CompiledIssue, Edition
from digest.config import SendGridSettings
from digest.errors import ConfigError, DeliveryDeferred, DeliveryUncertain, DigestError, ProviderUnusable
from digest.providers import Handover, Hosted, Parcel, Receipt
from digest.providers.sendgrid_answer import Verdict, clock_of, errors_of, key_advice, list_of, object_of, read_answer, split_or_reject
from digest.providers.sendgrid_body import Request, build, build_templated
from digest.providers.sendgrid_http import Line
from digest.providers.sendgrid_layout import make_layout
from digest.providers.sendgrid_template import Template, is_there, put, remove

TIMEOUT_S = 60.0
AHEAD_S = 15 * 60  # how far in the future a send that can still be cancelled is set
CANCEL_S = 10 * 60  # a cancellation later than so long before is not guaranteed


class Scheduled(NamedTuple):
    """What a hand-over's ``ref`` says under the cancel policy: ``BATCH_ID@SEND_AT X-MESSAGE-ID``.

    ``send_at`` in Unix seconds; the last is missing where no answer came.
    """

    batch_id: str
    send_at: int
    message_id: str = ""

    def __str__(self) -> str:
        return f"{self.batch_id}@{self.send_at} {self.message_id}".strip()

    @classmethod
    def of(cls, ref: str) -> Scheduled | None:
        """``ref`` taken apart, or None if it is of another kind."""
        found = re.fullmatch(r"([A-Za-z0-9_-]+)@(\d+)(?: (\S+))?", ref)
        return cls(found[1], int(found[2]), found[3] or "") if found else None


class SendGrid:
    """Hands batches of one edition to SendGrid.

    Args:
        settings: where, how many at once, and what a 5xx means.
        api_key: needs the scope Mail Send; with ``cancel`` also that for scheduled sends.
        cancel: every request carries a ``batch_id`` of its own and is set 15 minutes ahead, so that one without an answer can
            be cancelled for certain (`void`) before it is handed over again.
        sandbox: everything is checked and nothing is sent, by SendGrid itself.
        timeout_s: for reaching SendGrid, and once more from the first byte of the body to the end of the answer.
        context: for TLS; the machine's own trust unless given.
    Raises:
        ConfigError: no key, or an address that would show it to the network.
    """

    name = "sendgrid"
    tells = True  # by the event webhook; without one nothing is ever taken for silence, which is the safe way round

    def __init__(
        self,
        settings: SendGridSettings,
        api_key: SecretStr | None,
        *,
        cancel: bool = False,
        sandbox: bool = False,
        timeout_s: float = TIMEOUT_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        key = api_key.get_secret_value() if api_key else ""
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            raise ConfigError("SENDGRID_API_KEY is not set in the environment, or has a blank in it; sendgrid needs a key with Mail Send")
        where = urlsplit(settings.base_url)
        if where.scheme != "https" and where.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ConfigError("config.yaml: delivery.sendgrid.base_url: must begin with https://, or the key would be readable on the way")
        self.batch, self.lanes = settings.batch, settings.calls
        self.longest_s = int(timeout_s * (4 if cancel else 2)) + 10
        self.sends = not sandbox
        self.cancels = cancel
        self.hosts = settings.mode == "template"
        self.one_edition = not self.hosts
        self._template: Template | None = None
        self._server_errors, self._cancel, self._sandbox = settings.server_errors, cancel, sandbox
        self._line = Line(settings.base_url, key, timeout_s=timeout_s, context=context)

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel], batch_id: str = "") -> Handover:
        """One request, or none. ``issue`` does not leave. ``batch_id`` is one of `create_batch`, kept by the caller beforehand
        so that a crash does not lose it; without it the cancel policy makes its own.
        """
        if not parcels:
            return Handover([])
        try:
            request = self._request(aid, parcels)
        except (DigestError, ValueError) as error:
            return _all(parcels, "deferred", "nothing was sent", Handover([], stop=f"no mail of this edition can be made: {error}"))
        if not request.going:
            return Handover(request.aside)
        if request.too_large:
            verdict = split_or_reject(len(request.going), "413", "the message is larger than SendGrid takes")
            return _settle(request, verdict)
        scheduled = None
        if self._cancel:
            try:
                batch_id = batch_id or self.create_batch()
            except ProviderUnusable as error:
                return _settle(request, Verdict("deferred", "nothing was sent", stop=str(error)))
            except DeliveryDeferred as error:
                return _settle(request, Verdict("deferred", str(error), trouble=True))
            scheduled = Scheduled(batch_id, int(time.time()) + AHEAD_S)
            text = request.text(batch_id=batch_id, send_at=scheduled.send_at)
        else:
            text = request.text()
        return _settle(request, self._call(request, text), scheduled)

    def _request(self, aid: str, parcels: Sequence[Parcel]) -> Request:
        if self._template is not None and self._template.layout.shows(parcels[0].edition):
            return build_templated(aid, parcels, self._template, sandbox=self._sandbox)
        return build(aid, parcels, sandbox=self._sandbox)

    def _call(self, request: Request, text: str) -> Verdict:
        try:
            answer = self._line.call("post", "mail/send", text)
        except DeliveryDeferred as error:
            return Verdict("deferred", str(error), trouble=True)
        except DeliveryUncertain as error:
            return Verdict("uncertain", str(error), trouble=True)
        secrets = [word for one in request.going for word in one.to.values()]
        template = self._template if "template_id" in request.shared else None
        verdict = read_answer(
            answer,
            len(request.going),
            secrets,
            sandbox=self._sandbox,
            not_sent_on_5xx=self._server_errors == "not_sent",
            now=time.time(),
            templated=template is not None,
        )
        blames_readers = verdict.split or verdict.outcome == "rejected"
        if blames_readers and template is not None and not is_there(self._line, template.id):
            stop = "the issue's template has vanished from SendGrid; run the same command again, it is made anew"
            return Verdict("deferred", "nothing was sent", verdict.code, stop=stop)
        return verdict

    def host(self, compiled: CompiledIssue, hosted: Hosted, *, fresh: bool) -> Hosted:
        """Make the issue's template, or find it; what is handed over from here on is of this issue."""
        layout = make_layout(compiled)
        found = put(self._line, layout, hosted, fresh=fresh)
        self._template = Template(found.id, layout)
        return found

    def together(self, edition: Edition) -> str:
        """All that the template shows may; what it does not show goes edition by edition."""
        return "" if self._template is not None and self._template.layout.shows(edition) else edition.content_hash

    def unhost(self, hosted: Hosted) -> bool:
        """Remove the issue's template."""
        self._template = None
        return remove(self._line, hosted)

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        """Nothing: what SendGrid knows of a message is a paid add-on. Its events tell (the webhook)."""
        return {}

    def finish(self, issue: str, title: str) -> Path | None:
        """Nothing to open."""
        return None

    def close(self) -> None:
        """Nothing is held open: the package makes a connection for each call."""

    def create_batch(self) -> str:
        """A new ``batch_id``, valid for ten days.

        Raises:
            DeliveryDeferred: SendGrid was not reached or gave none.
            ProviderUnusable: it refused the key.
        """
        try:
            answer = self._line.call("post", "mail/batch")
        except (DeliveryDeferred, DeliveryUncertain) as error:
            raise DeliveryDeferred(f"no batch_id: {error}") from None
        if answer.status in (401, 403):
            raise ProviderUnusable(key_advice(answer.status, errors_of(answer.body)))
        found = object_of(answer.body).get("batch_id")
        if answer.status != 201 or not isinstance(found, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", found):
            raise DeliveryDeferred(f"no batch_id: SendGrid answered {answer.status}")
        return found

    def void_ref(self, ref: str, started_at: datetime) -> bool:
        """Cancel an attempt known by its receipt (``BATCH@SEND_AT ID``), or only by the batch's name kept before the call; then
        the earliest moment it can have been scheduled for counts.
        """
        scheduled = Scheduled.of(ref)
        if scheduled is not None:
            return self.void(scheduled.batch_id, scheduled.send_at)
        return bool(ref) and self.void(ref, int(started_at.timestamp()) + AHEAD_S)

    def void(self, batch_id: str, send_at: int) -> bool:
        """Cancel what went out under ``batch_id``. True only if SendGrid confirmed it at least ten minutes before ``send_at``
        (Unix seconds), by its own clock too: then none of it will ever be sent. False says nothing.
        """
        if time.time() > send_at - CANCEL_S:
            return False
        try:
            answer = self._line.call("post", "user/scheduled_sends", {"batch_id": batch_id, "status": "cancel"})
            confirmed, clock = answer.status == 201, clock_of(answer.headers)
            if answer.status == 400:  # also the answer where it was cancelled before
                listed = self._line.call("get", f"user/scheduled_sends/{batch_id}")
                confirmed = listed.status == 200 and {"batch_id": batch_id, "status": "cancel"} in list_of(listed.body)
                clock = clock_of(listed.headers)
        except (DeliveryDeferred, DeliveryUncertain):
            return False
        # Our clock may be wrong, or have jumped; what was set for a moment that is past over there has left at once.
        return confirmed and clock is not None and max(clock, time.time()) <= send_at - CANCEL_S


def _settle(request: Request, verdict: Verdict, scheduled: Scheduled | None = None) -> Handover:
    ref = str(scheduled._replace(message_id=verdict.ref)) if scheduled else verdict.ref
    receipts = [Receipt(one.parcel.did, verdict.outcome, verdict.reason, verdict.code, ref, one.bytes, one.sha256) for one in request.going]
    return Handover(
        [*receipts, *request.aside], ref, verdict.code, verdict.stop, verdict.retry_after_s, split=verdict.split, trouble=verdict.trouble
    )


def _all(parcels: Sequence[Parcel], outcome: Literal["deferred"], reason: str, handover: Handover) -> Handover:
    return replace(handover, receipts=[Receipt(parcel.did, outcome, reason) for parcel in parcels])
