"""What SendGrid's answers mean; pure. Sources: the pages of twilio.com/docs/sendgrid about Mail Send and its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from digest.compose.clean import clean
from digest.providers.sendgrid_http import Answer

_WAIT_S = 60.0  # after a 429 that does not say how long
_LONGEST_WAIT_S = 3600.0
# Statuses that can only mean that the request was not taken. 408 is not among them: a gateway may give it for its backend.
_REFUSED = frozenset({400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 422, 429, 431})
# What a 400 may name that all of a batch share: content and subject are the edition's, the rest is the same for everybody.
_EDITION_FIELDS = ("content", "subject")
_OUR_FIELDS = ("from", "reply_to", "mail_settings", "tracking_settings", "batch_id", "send_at", "ip_pool_name", "asm", "headers")


@dataclass(frozen=True)
class Verdict:
    """What became of a request as a whole; the rest as in `Handover`."""

    outcome: Literal["accepted", "rejected", "deferred", "uncertain"]
    reason: str = ""
    code: str = ""
    ref: str = ""
    stop: str = ""
    retry_after_s: float | None = None
    split: bool = False
    trouble: bool = False


def read_answer(
    answer: Answer,
    readers: int,
    secrets: Sequence[str],
    *,
    sandbox: bool = False,
    not_sent_on_5xx: bool = False,
    now: float = 0.0,
    templated: bool = False,
) -> Verdict:
    """What an answer to Mail Send means for a request of so many readers; pure. ``secrets`` may stand in no reason. Where the
    request was ``templated``, content and subject are the issue's.

    A request is taken or refused as a whole. What is no refusal beyond doubt may have been taken.
    """
    status, code = answer.status, str(answer.status)
    if status == 202 or (status == 200 and sandbox):
        ref = answer.headers.get("x-message-id", "").strip()
        return Verdict("accepted", code="200 sandbox" if status == 200 else code, ref=ref if re.fullmatch(r"[\w.-]{1,100}", ref) else "")
    if status >= 500:
        return Verdict("deferred" if not_sent_on_5xx else "uncertain", "SendGrid failed", code, trouble=True)
    if 300 <= status < 400:
        return _stop(code, "something answered with a redirect, which is not followed; check delivery.sendgrid.base_url")
    if status not in _REFUSED:
        return Verdict("uncertain", "SendGrid gave an answer that means nothing here", code, trouble=True)
    if status == 429:
        return Verdict("deferred", "SendGrid asks to wait", code, retry_after_s=_wait(answer.headers, now))
    errors = [(field, _without(message, secrets)) for field, message in errors_of(answer.body)]
    if status in (401, 403):
        return _stop(code, key_advice(status, errors))
    said = "; ".join(f"{field}: {message}" if field else message for field, message in errors) or "without saying why"
    if status == 413:
        return split_or_reject(readers, code, "the message is larger than SendGrid takes")
    if status not in (400, 422):
        return _stop(code, f"SendGrid does not know such a request ({status}: {said}); check delivery.sendgrid.base_url")
    named = {re.split(r"[.\[]", field)[0] for field, _ in errors}
    if templated and named & {"template_id", *_EDITION_FIELDS}:
        return _stop(code, f"SendGrid refuses the issue's template ({said}); run the same command again, it is looked for and made anew")
    if named and named <= set(_OUR_FIELDS):
        return _stop(code, f"SendGrid refuses what every email has in common ({said})")
    if named and named <= set(_EDITION_FIELDS):
        return Verdict("rejected", f"SendGrid refuses this edition ({said})", code)
    return split_or_reject(readers, code, f"SendGrid refuses it ({said})")


def split_or_reject(readers: int, code: str, reason: str) -> Verdict:
    """Alone in its request a parcel is known to be the cause. Among others it is not taken at the word of an error's
    ``personalizations.N``: a wrong number would cost somebody else the mail, and halving finds it in ten more calls.
    """
    if readers > 1:
        return Verdict("deferred", reason, code, split=True)
    return Verdict("rejected", reason, code)


def _stop(code: str, sentence: str) -> Verdict:
    return Verdict("deferred", "nothing was sent", code, stop=sentence)


def key_advice(status: int, errors: Sequence[tuple[str, str]]) -> str:
    """What to tell an operator whose key was refused (401) or may not do this (403)."""
    said = "; ".join(message for _, message in errors) or "without saying why"
    if status == 401:
        return f"SendGrid refuses the key (401: {said}): check SENDGRID_API_KEY, and that the account has credits left"
    return (
        f"SendGrid forbids it (403: {said}): the key in SENDGRID_API_KEY needs Mail Send, and sender.from must be a verified "
        "sender or of an authenticated domain"
    )


def _wait(headers: Mapping[str, str], now: float) -> float:
    """Seconds until ``X-RateLimit-Reset`` (Unix seconds), by the server's own clock where it gives it; 60 if that is nonsense."""
    said = clock_of(headers)
    try:
        wait = float(int(headers.get("x-ratelimit-reset", "")[:20])) - (now if said is None else said)
    except ValueError:
        return _WAIT_S
    return wait if 0 < wait <= _LONGEST_WAIT_S else _WAIT_S


def clock_of(headers: Mapping[str, str]) -> float | None:
    """What the server's own clock said, in Unix seconds; None where it did not tell."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):  # a gateway's page, or garbage
        return None
    return parsed


def object_of(body: bytes) -> dict[str, object]:
    """A JSON object, or an empty one."""
    parsed = _parsed(body)
    return parsed if isinstance(parsed, dict) else {}


def list_of(body: bytes) -> list[object]:
    """A JSON array, or an empty one."""
    parsed = _parsed(body)
    return parsed if isinstance(parsed, list) else []


def errors_of(body: bytes) -> list[tuple[str, str]]:
    """Field and message of what a refusal names, at most five; the field empty where there is none."""
    found = object_of(body).get("errors")
    return [_error(one) for one in found[:5] if isinstance(one, dict)] if isinstance(found, list) else []


def _error(one: Mapping[str, object]) -> tuple[str, str]:
    field, message = one.get("field"), one.get("message")
    path = field if isinstance(field, str) and re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,100}", field) and field != "null" else ""
    return path, clean(message) if isinstance(message, str) else ""


def _without(message: str, secrets: Sequence[str]) -> str:
    """A message of SendGrid's, which quotes what it dislikes, without addresses, links and names; at most 200 characters."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        if secret in message:
            message = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", message)
    return re.sub(r"\S*@\S*|\w+:/\S*", "…", message)[:200]
