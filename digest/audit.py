"""The audit log: who did what, when, to what, in a chain that shows whether a record was changed, removed, added or moved.

Each record carries a keyed hash over the one before and itself, so that without the workspace's key none can be made or
mended. The end of the log is sealed in the database and noted in a file of each machine (`store.anchor`). Subjects are ids:
an issue's name, a reader's opaque id, a person's name; never an address, and never what a reader follows.

Every step that people take records itself, in the transaction that does it: `record`.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from digest.errors import DigestError
from digest.model import Frozen, Instant
from digest.store import audit
from digest.store.anchor import Anchor
from digest.workspace import Workspace, who

_MOST_FAULTS = 20


class Entry(Frozen):
    """A record as it is shown."""

    seq: int
    at: Instant
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


class Verdict(Frozen):
    """Whether the log is as it was written. ``seq`` and ``hash`` are its end: kept elsewhere, they find what was taken off since."""

    records: int
    seq: int
    hash: str
    faults: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """The end in one word, as ``--anchor`` takes it."""
        return f"{self.seq}:{self.hash}"


def record(tx: Connection, workspace: Workspace, action: str, subject: str = "", /, **detail: Any) -> None:
    """Write down in ``tx`` what somebody does in it: both last, or neither.

    ``workspace.who`` is who; where that is not the account at this machine, the account is told, too.
    """
    store, account = workspace.store, who()
    if account != workspace.who and not workspace.web:
        detail["account"] = account
    audit.append(tx, store.vault, store.anchor, workspace.who, action, subject, detail)


def note(workspace: Workspace, action: str, subject: str = "", /, **detail: Any) -> None:
    """The same in a transaction of its own, for what changes nothing in the database: an export, a look at somebody's data."""
    with workspace.store.write() as tx:
        record(tx, workspace, action, subject, **detail)


def page(
    workspace: Workspace, most: int = 50, before: int | None = None, who: str = "", action: str = "", subject: str = ""
) -> list[Entry]:
    """The newest records, or those before a number; filtered. ``action`` may end in a dot: all that begin with it."""
    with workspace.store.read() as tx:
        rows = audit.page(tx, most, before, who, action, subject)
    return [_entry(row) for row in rows]


def _entry(row: audit.Record) -> Entry:
    return Entry(**{**row._asdict(), "detail": json.loads(row.detail)})


def named(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Everybody who stands in the log, and every action."""
    with workspace.store.read() as tx:
        return audit.named(tx)


def verify(workspace: Workspace, anchor: str = "") -> Verdict:
    """Walk the whole log and check every link. ``anchor`` is an end that was kept elsewhere, ``SEQ:HASH``.

    Raises:
        DigestError: ``anchor`` is none.
    """
    store = workspace.store
    kept = [("the file of this machine", found)] if (found := store.anchor.read()) else []
    if anchor:
        kept.append(("the anchor you gave", _anchor(anchor)))
    faults: list[str] = []
    with store.read() as tx:
        head = audit.head(tx)
        previous, last, count, wrong = audit.START, 0, 0, 0
        for row in audit.everything(tx):
            count += 1
            if row.seq != last + 1:
                faults.append(f"{_numbers(last + 1, row.seq - 1)} missing")
            if audit.link(store.vault, previous, row) != row.hash:
                faults.append(f"record {row.seq} is not as it was written, or not in its place")
                wrong += 1
            previous, last = row.hash, row.seq
        faults += _end_faults(workspace, head, last, previous)
        for name, one in kept:
            if one.seq == 0 and one.hash == "unreadable":
                faults.append("the file of this machine cannot be read, so it says nothing about the end of the log")
            elif one.seq and not audit.knows(tx, one):
                gone = f"the newest were taken off, or an older copy of the database was restored; it ends at {last}"
                faults.append(f"{name} names record {one.seq}, which is {'another' if one.seq <= last else f'not there: {gone}'}")
    if len(faults) > _MOST_FAULTS:
        faults = [*faults[:_MOST_FAULTS], f"and {len(faults) - _MOST_FAULTS} more"]
    return Verdict(records=count, seq=last, hash=previous, faults=tuple(faults))


def _end_faults(workspace: Workspace, head: audit.Head | None, last: int, previous: str) -> list[str]:
    if head is None:
        return ["the end of the log is not sealed: its seal was removed"] if last else []
    if audit.seal(workspace.store.vault, head.seq, head.hash) != head.seal:
        return ["the seal at the end of the log was not made with this workspace's key"]
    if head.seq > last:
        return [f"{_numbers(last + 1, head.seq)} taken off the end"]
    if (head.seq, head.hash) != (last, previous):
        return [f"the log was sealed at record {head.seq}, but goes on to {last}, or that record is another"]
    return []


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _anchor(text: str) -> Anchor:
    seq, _, hash = text.strip().partition(":")
    if not seq.isdecimal() or len(seq) > 9 or len(hash) != 64:
        raise DigestError("an anchor is NUMBER:HASH as `digest audit verify` prints it")
    return Anchor(seq=int(seq), hash=hash)


def accept(workspace: Workspace, why: str) -> None:
    """Let the file of this machine begin anew at the end of the log as it is, after a backup was restored; recorded with the reason.

    Raises:
        DigestError: no reason, or nothing to accept.
    """
    store = workspace.store
    if not why.strip():
        raise DigestError("say why: --because WORDS")
    with store.write() as tx:
        kept = store.anchor.read()
        if kept is None or audit.knows(tx, kept):
            raise DigestError("this machine's file agrees with the log; there is nothing to accept")
        record(tx, workspace, "audit.accept", "", why=why.strip(), knew=kept.seq, hash=kept.hash)
        head = audit.head(tx)
        assert head is not None
        audit.end_at(tx, head)
