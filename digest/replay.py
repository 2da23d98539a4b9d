"""An old issue again: each message made from what was frozen when it was planned, and held against what was written down of it.

What is frozen is the composed parts, the selection of each edition, the message's date and id. The reader's address and name
are today's, and so are the sender and the list's domain: where one of them has changed since, or the reader was erased, the
message cannot be the same, and it is said which it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from digest import compose, issue
from digest.addresses import parse
from digest.addressing import envelope, slots
from digest.errors import DeliveryRejected, IssueError
from digest.model import Selection
from digest.readiness import Ready
from digest.store import outcomes, people, replays
from digest.store.ledger import Claimed
from digest.store.replays import Given
from digest.workspace import Workspace

Likeness = Literal["same", "changed", "unknown"]  # unknown: no hash was kept of what left
_PAGE = 500


class Message(NamedTuple):
    """One message made again. ``likeness``: whether it is, byte for byte, what left."""

    did: str
    content: bytes
    likeness: Likeness


class Unmade(NamedTuple):
    """One that cannot be made again, and why."""

    did: str
    why: str


def every(workspace: Workspace, name: str) -> Iterator[Message | Unmade]:
    """All messages of an issue that were handed over, in the order of the ledger.

    Raises:
        IssueError: no such issue, or nothing of it was planned.
    """
    ready = _ready(workspace, name)
    last = 0
    while True:
        with workspace.store.read() as tx:
            page = replays.given(tx, ready.row.id, last, _PAGE)
        if not page:
            return
        yield from _made(workspace, ready, page)
        last = page[-1].id


def one(workspace: Workspace, name: str, *, did: str = "", address: str = "") -> Message:
    """The message of one delivery, or that of one reader.

    Raises:
        IssueError: no such issue or delivery, or it cannot be made again.
    """
    ready = _ready(workspace, name)
    with workspace.store.read() as tx:
        if address:
            try:
                person = people.find(tx, workspace.store.vault, parse(address))
            except ValueError as error:
                raise IssueError(f"that is not an address: it {error}") from error
            delivery = outcomes.delivery_of(tx, ready.row.id, person.row) if person else None
            did = delivery.did if delivery else ""
        found = replays.given_as(tx, ready.row.id, did)
    if found is None:
        raise IssueError(f"nothing of {name} was handed over for that reader")
    made = next(_made(workspace, ready, [found]))
    if isinstance(made, Unmade):
        raise IssueError(made.why)
    return made


def _ready(workspace: Workspace, name: str) -> Ready:
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        if not issue.is_frozen(row):
            raise IssueError(f"{name} is {row.state}: nothing of it has left yet; `digest send --test` shows what would")
        material = issue.material_of(tx, workspace, row)
    return Ready(row, material, issue.compiled_of(workspace, row, material))


def _made(workspace: Workspace, ready: Ready, page: Sequence[Given]) -> Iterator[Message | Unmade]:
    with workspace.store.read() as tx:
        readers = people.particulars(tx, workspace.store.vault, [one.subscriber for one in page])
        bodies = outcomes.edition_selections(tx, sorted({one.edition for one in page}))
    editions = {id: compose.make_edition(ready.compiled, Selection.model_validate_json(body)) for id, body in bodies.items()}
    look = compose.look_of(workspace.config)
    secrets = dict(workspace.store.vault.link_keys)
    for given in page:
        sid, address, name = readers[given.subscriber]
        if not address:
            yield Unmade(given.did, "its reader was erased: nobody knows any more who it was for")
            continue
        claimed = Claimed(given.id, given.did, given.subscriber, given.edition, given.date_header, 1, 0)
        made = b""
        # Links are signed with the newest secret there was: where keys were rotated since, an older one.
        for number in sorted(secrets, reverse=True):
            keys = {number: secrets[number]}
            reader = slots(workspace, given.did, sid, address, name, given.date_header, keys)
            try:
                again = compose.make_message(editions[given.edition], reader, envelope(look, ready.row.cadence, claimed))
            except DeliveryRejected as error:
                yield Unmade(given.did, str(error))
                break
            made = made or again
            if not given.sha256 or hashlib.sha256(again).hexdigest() == given.sha256:
                yield Message(given.did, again, "same" if given.sha256 else "unknown")
                break
        else:
            yield Message(given.did, made, "changed")
