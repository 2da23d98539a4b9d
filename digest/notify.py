"""Telling the editors: short letters about issues, through the provider that carries the newsletter. Never a reader's data.

Each is written down with its text before it is sent, once for every editor; one that could not be sent is tried again, ever
more seldom. After a crash in the very moment of sending it may come twice.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from digest import compose, tokens
from digest.addressing import envelope
from digest.compose.parts import Body, Part, escape
from digest.compose.phrases import Phrases
from digest.dispatch import StatusReport
from digest.errors import DigestError
from digest.model import Frozen, Slot
from digest.providers import Parcel, Provider, make
from digest.store import notices, now
from digest.store.ledger import Claimed
from digest.workspace import Workspace


class Letter(Frozen):
    """What the editors are told: a subject, and paragraphs of plain text."""

    subject: str
    paragraphs: tuple[str, ...]


# --- what is said --------------------------------------------------------------------------------------------------------


def review(workspace: Workspace, slot: Slot) -> Letter:
    """A draft is there to be looked at."""
    required = _rule_says(workspace, slot)
    return Letter(
        subject=f"Please look at {slot.name}",
        paragraphs=(
            f"The draft of {slot.name} is ready. It falls due on {_when(workspace, slot.due_at)}"
            + (" and waits for an editor's approval." if required else " and leaves then."),
            f"See which summaries it has and who gets them:\n  digest coverage {slot.name}",
            f"Get it as an email, for yourself alone:\n  digest send --test YOUR-ADDRESS {slot.name}",
            f"Approve it as it is:\n  digest approve {slot.name}",
            f"The desk: {workspace.config.newsletter.url}/desk",
        ),
    )


def reminder(workspace: Workspace, slot: Slot) -> Letter:
    """An issue is due and not approved."""
    limit = workspace.config.schedule.late_limit_h
    return Letter(
        subject=f"{slot.name} is due and waits for approval",
        paragraphs=(
            f"{slot.name} fell due on {_when(workspace, slot.due_at)}. Nothing leaves before it is approved:\n  digest approve {slot.name}",
            f"After {limit:g} hours it is given up, and its summaries go to the next issue. Nothing is lost.",
        ),
    )


def done(workspace: Workspace, status: StatusReport) -> Letter:
    """An issue is finished."""
    counts = [("accepted by the provider", status.accepted), ("nothing new, or left meanwhile", status.skipped)]
    counts += [("failed", status.failed), ("too late", status.expired), ("set aside with a fault", status.quarantined)]
    counts += [("held: what became of them is not known", status.held)]
    lines = [f"{count:>9,}  {words}" for words, count in counts if count]
    paragraphs = [
        f"{status.issue} is finished. It fell due on {_when(workspace, status.due_at)}.",
        "\n".join([f"{status.planned:>9,}  planned", *lines]),
    ]
    if status.held:
        paragraphs.append(f"A person decides about those that are held:\n  digest held {status.issue}")
    paragraphs.append(f"What became of each summary:\n  digest coverage {status.issue}")
    return Letter(subject=f"{status.issue} has been sent", paragraphs=tuple(paragraphs))


def expired(workspace: Workspace, slot: Slot, count: int) -> Letter:
    """An issue was given up."""
    held = f"Its {count} summaries go" if count != 1 else "Its one summary goes"
    return Letter(
        subject=f"{slot.name} was not sent",
        paragraphs=(
            f"{slot.name} fell due on {_when(workspace, slot.due_at)} and was not sent in time, so it has been given up.",
            f"{held if count else 'What it would have had goes'} to the next {slot.cadence} issue. Nothing is lost, nothing comes twice.",
            f"How it came about:\n  digest history {slot.name}",
        ),
    )


def stuck(workspace: Workspace, slot: Slot) -> Letter:
    """An issue stopped half-way long ago."""
    return Letter(
        subject=f"{slot.name} stopped half-way",
        paragraphs=(
            f"{slot.name} had begun to go out and was interrupted. That is too long ago to go on without a person's word.",
            f"See how it stands:\n  digest status {slot.name}",
            f"Then let it go on:\n  digest send {slot.name}\nor end it:\n  digest cancel {slot.name}",
        ),
    )


def failed(slot: Slot, why: str, *, waits: bool) -> Letter:
    """An issue waits for something, or something is wrong."""
    return Letter(
        subject=f"{slot.name} {'waits' if waits else 'cannot go on'}",
        paragraphs=(f"{why[:1].upper()}{why[1:]}.", "It is tried again until it is too late; then its summaries go to the next issue."),
    )


def hook_disabled(hid: str, host: str, why: str, waiting: int) -> Letter:
    """An outgoing webhook is told nothing more. Its host is named, never its whole address, which may hold a key."""
    left = f"{waiting} {'event waits' if waiting == 1 else 'events wait'} for it" if waiting else "Nothing waits for it"
    return Letter(
        subject=f"Webhook {hid} is disabled",
        paragraphs=(
            f"The webhook {hid} to {host} is told nothing more: {why}.",
            f"{left}. What happens from now on is not kept for it.",
            f"Once the receiver is mended, see whether it answers, and enable it; what waits is handed over then:\n"
            f"  digest hooks test {hid}\n  digest hooks enable {hid}",
            f"Or take it away:\n  digest hooks remove {hid}",
        ),
    )


def _rule_says(workspace: Workspace, slot: Slot) -> bool:
    rule = workspace.config.cadences.get(slot.cadence)
    return rule is None or rule.approval == "required"


def _when(workspace: Workspace, at: datetime) -> str:
    local = at.astimezone(ZoneInfo(workspace.zone))
    return f"{local:%A, %d %B %Y at %H:%M} ({workspace.zone})"


# --- telling -------------------------------------------------------------------------------------------------------------


def tell(workspace: Workspace, subject: str, kind: str, letter: Letter) -> str:
    """Tell every editor, each once about one subject and kind. A few words about what was done; empty where it was done before."""
    if not workspace.config.editors:
        return ""
    with workspace.store.write() as tx:
        new = put(tx, workspace, subject, kind, letter)
    told = tell_again(workspace)
    return f"told {told} of {new} editors ({kind})" if new else ""


def put(tx: Connection, workspace: Workspace, subject: str, kind: str, letter: Letter) -> int:
    """Write a letter down for every editor in ``tx``; `tell_again` sends it. Returns for how many it is new."""
    return sum(notices.put(tx, subject, kind, _key(workspace, one), letter.model_dump_json()) for one in workspace.config.editors)


def tell_again(workspace: Workspace) -> int:
    """Send what is written down and not yet sent. Returns how many letters were taken."""
    by_key = {_key(workspace, one): one for one in workspace.config.editors}
    with workspace.store.read() as tx:
        waiting = [one for one in notices.waiting(tx) if one.editor in by_key]
    if not waiting:
        return 0
    taken = 0
    try:
        provider = make(workspace.config, workspace.path)
    except DigestError as error:
        _settle(workspace, waiting, str(error))
        return 0
    try:
        for one in waiting:
            why = _send(workspace, provider, by_key[one.editor], Letter.model_validate_json(one.body))
            _settle(workspace, [one], why)
            taken += not why
    finally:
        provider.close()
    return taken


def _settle(workspace: Workspace, told: Sequence[notices.Waiting], error: str) -> None:
    with workspace.store.write() as tx:
        for one in told:
            notices.settle(tx, one.id, error)


def _key(workspace: Workspace, editor: str) -> str:
    """An editor in the database: no address."""
    return workspace.store.vault.index(parseaddr(editor)[1].lower()).hex()[:16]


def _send(workspace: Workspace, provider: Provider, editor: str, letter: Letter) -> str:
    """Why it was not taken; empty where it was."""
    name, address = parseaddr(editor)
    if provider.sends and not any(fnmatchcase(address.lower(), pattern.lower()) for pattern in workspace.config.delivery.allow):
        return "an editor's address is not in delivery.allow"
    did, look = secrets.token_hex(16), compose.look_of(workspace.config)
    with workspace.store.read() as tx:
        date = format_datetime(now(tx).replace(microsecond=0))
    letter_of = envelope(look, "editors", Claimed(0, did, 0, 0, date, 1, 0))
    base, keys = workspace.config.newsletter.url, workspace.store.vault.link_keys
    at = datetime.now(UTC)
    links = [
        tokens.link(base, purpose, did, keys, at) for purpose in ("unsubscribe", "preferences", "web")
    ]  # nobody's: they change nothing
    parcel = Parcel(did, edition(look.name, letter, name), compose.Reader(address, name, *links), letter_of)
    try:
        answer = provider.hand_over("editors", secrets.token_hex(16), [parcel])
    except DigestError as error:
        return str(error)
    receipt = next(iter(answer.receipts), None)
    if receipt is not None and receipt.outcome in ("accepted", "uncertain"):
        return ""
    return answer.stop or (receipt.reason if receipt else "") or "the provider did not take it"


def edition(newsletter: str, letter: Letter, name: str = "") -> compose.Edition:
    """The letter as an email: plain text, and the same as simple HTML that any reader scales."""
    hello = f"Hello {name}," if name else "Hello,"
    ending = f"{newsletter}, sent by Digest to its editors (editors: in config.yaml)."
    text = "\n\n".join((hello, *letter.paragraphs, f"-- \n{ending}")) + "\n"
    html = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark"><title>' + escape(letter.subject) + "</title></head>\n"
        '<body style="font-family:sans-serif;font-size:18px;line-height:1.5;max-width:38em;margin:0 auto;padding:16px">\n'
        + "\n".join(_paragraph(one) for one in (hello, *letter.paragraphs))
        + f'\n<p style="border-top:1px solid;padding-top:8px;font-size:16px">{escape(ending)}</p>\n</body></html>\n'
    )
    return compose.Edition(
        subject=letter.subject,
        preheader="",
        html=Body.of(html),
        text=Body.of(text),
        bounds={},
        teasers=0,
        newsletter=newsletter,
        greetings=Phrases({"greeting_plain": (Part.of("Hello,"),), "greeting": (Part.of("Hello,"),)}),
    )


def _paragraph(text: str) -> str:
    """Lines that are indented are commands or figures: they keep their form."""
    out, block = [], list[str]()
    for line in [*text.split("\n"), ""]:
        if line.startswith(" "):
            block.append(escape(line.strip() if line.startswith("  digest") else line))
            continue
        if block:
            out.append('<pre style="font-size:17px;white-space:pre-wrap;margin:0 0 0 1em">' + "\n".join(block) + "</pre>")
            block = []
        if line:
            linked = re.sub(r"https://[^\s<>\"]+", r'<a href="\g<0>" style="color:inherit">\g<0></a>', escape(line))
            out.append(f'<p style="margin:1em 0 0.5em">{linked}</p>')
    return "\n".join(out)
