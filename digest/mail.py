"""Service mails, the short emails about a subscription itself: composed like an issue, handed over like a delivery.

Intent is durable before the provider is called, so one is handed over at most once; what was put off is tried again; what
became of one in flight when its process died is asked of the provider where it can tell, else it is left uncertain.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from pathlib import Path

from digest import refusals, tokens
from digest.addresses import parse
from digest.compose import Edition, Envelope, Reader, look_of
from digest.compose.parts import Part, escape, join
from digest.compose.phrases import Phrases
from digest.errors import DigestError
from digest.mailtext import SLOTS, compile_kind, compile_words, words_of
from digest.model import Frozen
from digest.pace import retry_delay_s
from digest.providers import Handover, Parcel, Provider, make
from digest.store import mails, now
from digest.store.mails import Mail
from digest.tongue import choose
from digest.workspace import Workspace

ISSUE = "mail"  # what providers are told instead of an issue's name
_LEASE_MARGIN = timedelta(seconds=60)


class Sent(Frozen):
    """What a run did with the queue: how many in each way, and why it had to stop early."""

    accepted: int = 0
    failed: int = 0
    put_off: int = 0
    skipped: int = 0
    uncertain: int = 0
    stop: str = ""


def _edition(workspace: Workspace, mail: Mail) -> tuple[Edition, Reader, Envelope]:
    look, config = look_of(workspace.config), workspace.config
    spoken = choose(str(mail.body.get("language", "")), "", config.pages.languages, config.newsletter.language)
    templates = workspace.path / "templates"
    if mail.kind == "back":
        from digest.missed import missed

        words = words_of(
            "back", spoken, look.name, missed(workspace, mail.body["about"], datetime.fromisoformat(mail.body["since"]), spoken)
        )
        html, text = compile_words(templates, look, spoken, words)
    else:
        words = words_of(mail.kind, spoken, look.name)
        region = spoken.locale.territory or ""
        html, text = compile_kind(templates, look, spoken.code, region, mail.kind, _stamp(templates))
    links = _links(workspace, mail)
    values = {name: links.get(name, config.newsletter.url) for name in SLOTS}
    html_body = join([(html, {name: escape(value) for name, value in values.items()})])
    greetings = Phrases({"greeting": (Part(("",)),), "greeting_plain": (Part(("",)),)})
    edition = Edition(words.subject, words.preheader, html_body, join([(text, values)]), {}, 0, look.name, greetings)
    reader = Reader(
        email=mail.body["email"],
        name=mail.body["name"],
        unsubscribe_url=links["NEVER"] if mail.kind == "confirm" else links["UNSUBSCRIBE"],
        preferences_url=values["PREFERENCES"],
        web_url=config.newsletter.url,
    )
    envelope = Envelope(
        message_id=f"<{mail.did}@{look.list_domain}>",
        date=format_datetime(mail.made_at.replace(microsecond=0)),
        sender=look.sender,
        reply_to=look.reply_to,
        list_id=f"{ISSUE}.{look.list_domain}",
        feedback_id=f"{ISSUE}:digest:service:{hashlib.sha256(look.list_domain.encode()).hexdigest()[:10]}",
    )
    return edition, reader, envelope


def _stamp(templates: Path) -> tuple[int, ...]:
    return tuple(file.stat().st_mtime_ns for file in sorted(templates.rglob("*.j2")))


def _links(workspace: Workspace, mail: Mail) -> dict[str, str]:
    base, keys, about = workspace.config.newsletter.url, workspace.store.vault.link_keys, mail.body["about"]
    if mail.kind == "confirm":
        return {
            "CONFIRM": tokens.link(base, "confirm", about, keys, mail.made_at),
            "NEVER": tokens.link(base, "never", about, keys),
        }
    return {
        "PREFERENCES": tokens.link(base, "preferences", about, keys, mail.made_at),
        "UNSUBSCRIBE": tokens.link(base, "unsubscribe", about, keys),
    }


# --- handing over --------------------------------------------------------------------------------------------------------


def send(workspace: Workspace, wanted: Callable[[], bool] = lambda: True) -> Sent:
    """Hand over what may leave now, one after another. ``wanted`` is asked between two whether to go on."""
    with workspace.store.read() as tx:
        if not mails.waiting(tx) and not mails.dead(tx):
            return Sent()
    provider = make(workspace.config, workspace.path)
    tally = dict.fromkeys(("accepted", "failed", "put_off", "skipped", "uncertain"), 0)
    stop = ""
    try:
        tally["uncertain"] += _settle_dead(workspace, provider)
        lease = timedelta(seconds=provider.longest_s) + _LEASE_MARGIN
        while not stop and wanted():
            with workspace.store.write() as tx:
                mail = mails.claim(tx, workspace.store.vault, lease)
            if mail is None:
                break
            became, stop = _hand_over(workspace, provider, mail)
            tally[became] += 1
        if tally["accepted"]:
            provider.finish(ISSUE, f"{workspace.config.newsletter.name}, service mails")
    finally:
        provider.close()
    return Sent(**tally, stop=stop)


def _hand_over(workspace: Workspace, provider: Provider, mail: Mail) -> tuple[str, str]:
    """Hand one over and settle it. Returns what became of it, and why the run must end, if it must."""

    def settle(state: str, reason: str = "", next_at: datetime | None = None) -> None:
        with workspace.store.write() as tx:
            mails.settle(tx, workspace.store.vault, mail.row, state, reason, next_at)

    allow = workspace.config.delivery.allow
    if provider.sends and not any(fnmatchcase(mail.body["email"].lower(), pattern.lower()) for pattern in allow):
        settle("skipped", "not in delivery.allow")
        return "skipped", ""
    try:
        edition, reader, envelope = _edition(workspace, mail)
        handover = provider.hand_over(ISSUE, secrets.token_hex(16), [Parcel(mail.did, edition, reader, envelope)])
    except (DigestError, ValueError) as error:  # raised before anything was handed over
        settle("waiting", str(error)[:300] if isinstance(error, DigestError) else type(error).__name__, _later(workspace, mail))
        return "put_off", ""
    return _settled(workspace, mail, handover, settle)


def _settled(workspace: Workspace, mail: Mail, handover: Handover, settle: Callable[..., None]) -> tuple[str, str]:
    receipt = next((one for one in handover.receipts if one.did == mail.did), None)
    outcome = receipt.outcome if receipt else "uncertain"
    reason = receipt.reason if receipt else "the provider gave no answer for it"
    if outcome == "deferred":
        settle("waiting", reason, _later(workspace, mail))
        return "put_off", handover.stop or (reason if handover.trouble else "")
    state = {"accepted": "accepted", "rejected": "failed"}.get(outcome, "uncertain")
    settle(state, reason)
    if receipt is not None and outcome == "rejected":
        with workspace.store.write() as tx:
            index = workspace.store.vault.index(parse(mail.body["email"]).key)
            refusals.keep_one(tx, index, receipt, now(tx), workspace.config.delivery.soft_bounces)
    return state, handover.stop


def _later(workspace: Workspace, mail: Mail) -> datetime:
    """A minute, then as the ledger waits: somebody sits at the page and waits for this mail."""
    import random

    delay_s = 60.0 if mail.attempts == 1 else retry_delay_s(mail.attempts - 1, random.Random())
    with workspace.store.read() as tx:
        return now(tx) + timedelta(seconds=delay_s)


def _settle_dead(workspace: Workspace, provider: Provider) -> int:
    """What was in flight when its process died: the provider says, or nobody knows. Returns how many nobody knows of."""
    with workspace.store.read() as tx:
        left = mails.dead(tx)
    if not left:
        return 0
    known = provider.look_up(ISSUE, [did for _, did in left])
    unknown = 0
    with workspace.store.write() as tx:
        for row, did in left:
            state = "uncertain" if did not in known else "accepted" if known[did] else "waiting"
            unknown += state == "uncertain"
            mails.settle(tx, workspace.store.vault, row, state, "" if state != "uncertain" else "its process ended before it was answered")
    return unknown
