"""What readers do to their own subscription: change it, pause it, leave, come back at once, take their data, be erased."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection

from digest import audit, repeats, unfinished
from digest.addresses import parse
from digest.events import Suppression
from digest.join import ERASURE
from digest.model import Frozen, Status, Subscriber
from digest.store import api_answers, budgets, lists, mails, now, people, readers, signups, suppressions
from digest.store.people import Person
from digest.workspace import Workspace

LEAVE_REASONS = ("too_many", "not_for_me", "never_asked", "hard_to_read", "other")


def find(workspace: Workspace, sid: str) -> Subscriber | None:
    """The reader that a link is about; None where there is none, or who it was is erased."""
    with workspace.store.read() as tx:
        person = people.find_by_id(tx, workspace.store.vault, sid)
    return person.subscriber if person else None


def find_exact(workspace: Workspace, text: str) -> str:
    """The id of the reader of exactly that address or id; empty where there is none. That somebody was looked up is recorded.

    Raises:
        ValueError: the address is none.
    """
    sid = ""
    if "@" in text:
        address = parse(text)
        with workspace.store.read() as tx:
            person = people.find(tx, workspace.store.vault, address)
        sid = person.subscriber.id if person and person.subscriber.status is not Status.ERASED else ""
    elif re.fullmatch(r"[0-9a-f]{32}", text):
        sid = text if find(workspace, text) else ""
    if sid:
        audit.note(workspace, "readers.find", sid)
    return sid


def change(workspace: Workspace, sid: str, alter: Callable[[Subscriber], Subscriber], what: str) -> Subscriber | None:
    """Write what a reader chose, by what they have at that moment. ``what`` names the kind of change in the consent record."""
    store = workspace.store
    with store.write() as tx:
        person = people.find_by_id(tx, store.vault, sid)
        if person is None:
            return None
        new = alter(person.subscriber)
        if new != person.subscriber:
            people.change(tx, store.vault, person.row, new, now(tx))
            if new.paused_until != person.subscriber.paused_until:
                readers.mark_pause(tx, person.row, now(tx) if new.paused_until else None)
            signups.put_consent(tx, store.vault, person.row, "changed", what, detail=_choices(new))
            _note(tx, workspace, "readers.change", sid)
    return new


def _note(tx: Connection, workspace: Workspace, action: str, sid: str) -> None:
    """What people do to readers in the admin stands in the audit log; what readers do themselves is their own."""
    if workspace.web:
        audit.record(tx, workspace, action, sid)


def _choices(reader: Subscriber) -> dict[str, Any]:
    return reader.model_dump(
        mode="json", include={"interests", "cadence", "language", "audience", "fewer", "paused_until", "plain_text", "large_print"}
    )


def leave(workspace: Workspace, sid: str, how: str, reason: str = "") -> bool:
    """End a subscription. Whoever has left already stays so. Returns whether there is such a reader."""
    with workspace.store.write() as tx:
        return _leave(tx, workspace, sid, how, reason)


def leave_all(workspace: Workspace, sids: Sequence[str], how: str) -> list[bool]:
    """The same for several readers in one transaction, in order."""
    with workspace.store.write() as tx:
        return [_leave(tx, workspace, sid, how, "") for sid in sids]


def _leave(tx: Connection, workspace: Workspace, sid: str, how: str, reason: str) -> bool:
    vault = workspace.store.vault
    person = people.find_by_id(tx, vault, sid)
    if person is None:
        return False
    was = person.subscriber.status
    if was not in (Status.UNSUBSCRIBED, Status.SUPPRESSED):
        people.set_status(tx, person.row, was, Status.UNSUBSCRIBED, now(tx))
        detail = {"was": was.value, **({"reason": reason} if reason in LEAVE_REASONS else {})}
        signups.put_consent(tx, vault, person.row, "withdrawn", how, detail=detail)
        _note(tx, workspace, "readers.leave", sid)
    elif reason in LEAVE_REASONS:
        signups.put_consent(tx, vault, person.row, "reason", how, detail={"reason": reason})
    return True


def come_back(workspace: Workspace, sid: str) -> bool:
    """Undo a leave, as the reader asks on the page that it brought. Only what was ended there comes back."""
    store = workspace.store
    with store.write() as tx:
        person = people.find_by_id(tx, store.vault, sid)
        if person is None or person.subscriber.status is not Status.UNSUBSCRIBED:
            return person is not None and person.subscriber.status in (Status.ACTIVE, Status.PAUSED)
        last = signups.last_withdrawal(tx, store.vault, person.row)
        was = Status.PAUSED if last and last.get("was") == Status.PAUSED.value else Status.ACTIVE
        people.change(tx, store.vault, person.row, person.subscriber.model_copy(update={"status": was}), now(tx))
        signups.put_consent(tx, store.vault, person.row, "undone", "page")
    return True


def data_of(workspace: Workspace, sid: str) -> dict[str, Any] | None:
    """Everything kept about a reader, as they may take it with them."""
    store = workspace.store
    with store.read() as tx:
        person = people.find_by_id(tx, store.vault, sid)
        return None if person is None else _data(tx, workspace, person)


def data_of_address(workspace: Workspace, email: str) -> dict[str, Any] | None:
    """The same for an operator who was asked by mail.

    Raises:
        ValueError: not an address.
    """
    store = workspace.store
    with store.read() as tx:
        person = people.find(tx, store.vault, parse(email))
        return None if person is None or person.subscriber.status is Status.ERASED else _data(tx, workspace, person)


def _data(tx: Connection, workspace: Workspace, person: Person) -> dict[str, Any]:
    vault = workspace.store.vault
    return {
        "subscriber": person.subscriber.model_dump(mode="json"),
        "consent": [line._asdict() for line in signups.consents(tx, vault, person.row)],
        "choices_before": lists.of_reader(tx, person.row),
        "issues": readers.history(tx, person.row),
        "suppression": (found._asdict() if (found := suppressions.find(tx, vault.index(parse(person.subscriber.email).key))) else None),
    }


def erase(workspace: Workspace, sid: str, by: str = ERASURE) -> bool:
    """Let go who a reader was: address, name, interests, what they agreed to. The ledger's rows stay, about nobody.

    Their address stays suppressed by its hash alone, so that no list brings it back; only their own new sign-up does.
    """
    store = workspace.store
    with store.write() as tx:
        person = people.find_by_id(tx, store.vault, sid)
        if person is None:
            return False
        _erase(tx, workspace, person, by)
        _note(tx, workspace, "readers.forget", sid)
    return True


def forget_address(workspace: Workspace, email: str) -> bool:
    """The same for an operator who was asked by mail; requests that were never confirmed go, too.

    Raises:
        ValueError: not an address.
    """
    store = workspace.store
    address = parse(email)
    with store.write() as tx:
        person = people.find(tx, store.vault, address)
        signups.forget_address(tx, store.vault, address.key, lambda text: parse(text).key)
        mails.forget_address(tx, store.vault.index(address.key))
        if person is None:
            audit.record(tx, workspace, "readers.forget", "", known=False)
            return False
        _erase(tx, workspace, person, ERASURE)
        audit.record(tx, workspace, "readers.forget", person.subscriber.id, known=True)
    return True


def _erase(tx: Connection, workspace: Workspace, person: Person, by: str) -> None:
    vault = workspace.store.vault
    address = parse(person.subscriber.email)
    index = vault.index(address.key)
    suppressions.put(tx, index, Suppression("request", now(tx), by))
    signups.forget_address(tx, vault, address.key, lambda text: parse(text).key)
    mails.forget_address(tx, index)
    people.record_consent(tx, person.row, "erased", now(tx), by, now(tx))
    readers.blank(tx, vault, person.row, secrets.token_bytes(32))


# --- what runs by itself -------------------------------------------------------------------------------------------------


class Tidied(Frozen):
    """What a run of the retention rules let go, and who is back from a pause."""

    unconfirmed: int = 0
    mails: int = 0
    left: int = 0
    back: int = 0


def tidy(workspace: Workspace) -> Tidied:
    """Let go what is kept no longer than it must be, and end the pauses that are over. Safe to run at any time."""
    store, rules = workspace.store, workspace.config.retention
    unfinished.settle(workspace.path, store)
    with store.write() as tx:
        at = now(tx)
        unconfirmed = signups.forget(tx, at - timedelta(days=rules.unconfirmed_days))
        mails.expire(tx, store.vault, at - timedelta(days=rules.unconfirmed_days))
        budgets.sweep(tx)
        api_answers.sweep(tx, at - repeats.KEPT)
        settled = mails.forget(tx, at - timedelta(days=rules.mail_days))
        gone = readers.left_before(tx, at - timedelta(days=rules.left_days)) if rules.left_days is not None else []
    for sid in gone:
        erase(workspace, sid, "retention")
    return Tidied(unconfirmed=unconfirmed, mails=settled, left=len(gone), back=end_pauses(workspace))


def end_pauses(workspace: Workspace, on: date | None = None) -> int:
    """Readers whose pause is over are written to again; who wanted to catch up is mailed what they missed."""
    store = workspace.store
    with store.write() as tx:
        over = readers.pauses_over(tx, on or workspace.on)
        for row, paused_at in over:
            person = people.find_by_id(tx, store.vault, row)
            if person is None:
                continue
            reader = person.subscriber
            back = reader.model_copy(update={"status": Status.ACTIVE, "paused_until": None, "catch_up": False})
            people.change(tx, store.vault, person.row, back, now(tx))
            readers.mark_pause(tx, person.row, None)
            if reader.catch_up and paused_at is not None:
                body = {"email": reader.email, "name": reader.name, "language": reader.language, "about": reader.id}
                mails.put(tx, store.vault, "back", store.vault.index(parse(reader.email).key), {**body, "since": paused_at.isoformat()})
    return len(over)
