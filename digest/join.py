"""Joining: a request is taken in without a look at who it is, worked on afterwards, and counts once its mail is answered.

So the answer to a request is the same, in bytes and time, whether or not the address is known (RELIABILITY section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from digest import interests
from digest.addresses import Address, parse
from digest.admission import Asker, TooMany, let_in
from digest.events import Suppression
from digest.model import Audience, Frozen, Slug, Status, Subscriber
from digest.store import mails, now, people, signups, suppressions
from digest.store.signups import Signup
from digest.workspace import Workspace

ERASURE = "erased by the reader"  # the source of a suppression that a new consent of the person lifts
# What one address is sent at most, whoever asks: kinds of mail, days, number.
_BUDGETS = {
    "join": (("confirm", "known"), ((1, 1), (30, 3))),
    "links": (("links",), ((1, 2), (30, 10))),
}
_BATCH = 50


class Application(Frozen):
    """What somebody filled in. ``channel`` is ``page``, ``embed`` or ``api``, ``network`` where from, coarsely.

    ``consent`` are the words that were shown, in ``language``.
    """

    email: str
    name: str = ""
    interests: tuple[Slug, ...] = ()
    cadence: Slug = ""
    language: str = ""
    audience: tuple[Audience, ...] = ()
    consent: str = ""
    channel: str = "page"
    network: str = ""


def text_hash(text: str) -> str:
    """The version of a text that people agree to."""
    return hashlib.sha256(text.encode()).hexdigest()


def apply(workspace: Workspace, application: Application, asker: Asker | None = None) -> None:
    """Take an application in. Once this returns it is durable; the same work for every address.

    Raises:
        TooMany: the budgets that count for ``asker`` are spent.
    """
    said = apply_all(workspace, ((application, asker),))[0]
    if isinstance(said, TooMany):
        raise said


def apply_all(workspace: Workspace, applications: Sequence[tuple[Application, Asker | None]]) -> list[str | TooMany]:
    """The same for several in one transaction. Returns for each, in order, the id of the request or why it was not taken in."""
    said: list[str | TooMany] = []
    with workspace.store.write() as tx:
        for one, asker in applications:
            try:
                with tx.begin_nested():  # a refusal counts nothing, not even the proof of work that came with it
                    said.append(_take(tx, workspace, "join", one.model_dump(mode="json"), asker))
            except TooMany as error:
                said.append(error)
    return said


def ask_for_links(workspace: Workspace, email: str, language: str, asker: Asker | None = None) -> None:
    """Take in that somebody wants the links of their subscription mailed; the same work for every address.

    Raises:
        TooMany: the budgets that count for ``asker`` are spent.
    """
    with workspace.store.write() as tx:
        _take(tx, workspace, "links", {"email": email, "language": language}, asker)


def _take(tx: Connection, workspace: Workspace, kind: str, body: dict[str, Any], asker: Asker | None) -> str:
    if asker is not None:
        let_in(tx, workspace.store.vault, workspace.config.pages.budgets, asker)
    return signups.put(tx, workspace.store.vault, kind, body)


def work(workspace: Workspace) -> int:
    """Work on what was taken in: decide who is mailed what. Returns how many requests that were."""
    done = 0
    while True:
        with workspace.store.write() as tx:
            batch = signups.fresh(tx, workspace.store.vault, _BATCH)
            for one in batch:
                mailed = _decide(tx, workspace, one)
                keep = mailed and one.kind == "join"
                signups.move(tx, workspace.store.vault, one.row, "waiting" if keep else "done", keep_body=keep)
        done += len(batch)
        if len(batch) < _BATCH:
            return done


def _decide(tx: Connection, workspace: Workspace, one: Signup) -> bool:
    """Queue the mail that answers a request; False where nothing more can come of it."""
    vault = workspace.store.vault
    address = parse(one.body["email"])
    index = vault.index(address.key)
    if not may_be_asked(tx, index) or _spent(tx, index, one.kind):
        return False
    person = people.find(tx, vault, address)
    subscribed = person is not None and person.subscriber.status in (Status.ACTIVE, Status.PAUSED)
    body = {"email": address.spelling, "language": one.body["language"]}
    if one.kind == "join" and not subscribed:
        mails.put(tx, vault, "confirm", index, {**body, "name": one.body["name"], "about": one.sid})
        return True
    if person is not None and subscribed:
        own = {"name": person.subscriber.name, "language": person.subscriber.language or body["language"], "about": person.subscriber.id}
        mails.put(tx, vault, "known" if one.kind == "join" else "links", index, {**body, **own})
    return False


def may_be_asked(tx: Connection, address_index: bytes) -> bool:
    """Whether a mail may ask at that address: not where it is suppressed, unless it was the person who had all erased."""
    found = suppressions.find(tx, address_index)
    return found is None or found.source == ERASURE


def _spent(tx: Connection, address_index: bytes, kind: str) -> bool:
    kinds, limits = _BUDGETS[kind]
    return any(mails.sent_since(tx, address_index, kinds, now(tx) - timedelta(days=days)) >= most for days, most in limits)


def send_links(workspace: Workspace, sid: str) -> None:
    """Mail a reader, who has shown a genuine link, a fresh one."""
    with workspace.store.write() as tx:
        vault = workspace.store.vault
        person = people.find_by_id(tx, vault, sid)
        if person is None:
            return
        index = vault.index(parse(person.subscriber.email).key)
        if may_be_asked(tx, index) and not _spent(tx, index, "links"):
            reader = person.subscriber
            mails.put(tx, vault, "links", index, {"email": reader.email, "name": reader.name, "language": reader.language, "about": sid})


def waiting(workspace: Workspace, sid: str) -> Signup | None:
    """The request that a confirmation link is about, while it is kept."""
    with workspace.store.read() as tx:
        found = signups.find(tx, workspace.store.vault, sid)
    return found if found is not None and found.kind == "join" and found.state != "new" else None


def confirm(workspace: Workspace, sid: str) -> str | None:
    """The person has said yes: they are a subscriber from now on, by the choices they made. Returns their id.

    Once it is done, doing it again changes nothing: a link that is found in an old mail brings nobody back who left.
    """
    store = workspace.store
    with store.write() as tx:
        found = signups.find(tx, store.vault, sid)
        if found is None or found.kind != "join" or found.state == "new":
            return None
        if found.state == "done":
            return found.body.get("subscriber")
        choices = Application.model_validate(dict(found.body))
        address = parse(choices.email)
        index = store.vault.index(address.key)
        if not may_be_asked(tx, index):
            return None
        suppressions.drop(tx, index)
        id = _subscribe(tx, workspace, address, choices)
        signups.move(tx, store.vault, found.row, "done", keep_body=False)
        signups.note(tx, store.vault, found.row, {"subscriber": id})
    return id


def _subscribe(tx: Connection, workspace: Workspace, address: Address, choices: Application) -> str:
    vault, at = workspace.store.vault, now(tx)
    cadences = tuple(workspace.config.cadences)
    values: dict[str, Any] = {
        "name": choices.name,
        "interests": interests.examine(workspace.path)[0].today(choices.interests) or choices.interests,
        "cadence": choices.cadence if choices.cadence in cadences else cadences[0],
        "language": choices.language,
        "audience": choices.audience,
        "status": Status.ACTIVE,
        "consent_at": at,
        "consent_source": f"confirmed, {choices.channel}",
    }
    person = people.find(tx, vault, address)
    if person is None:
        row = people.add(tx, vault, address, Subscriber(id="", email=address.spelling, **values), at)
    else:
        row = person.row
        values |= {"paused_until": None, "fewer": ()}
        people.change(tx, vault, row, person.subscriber.model_copy(update=values), at)
    detail = {
        "choices": choices.model_dump(mode="json", include={"interests", "cadence", "language", "audience"}),
        "channel": choices.channel,
        "network": choices.network,
    }
    source, version = f"confirmed, {choices.channel}", text_hash(choices.consent)
    signups.put_consent(tx, vault, row, "confirmed", source, text=choices.consent, text_hash=version, detail=detail)
    found = people.find(tx, vault, address)
    assert found is not None
    return found.subscriber.id


def never(workspace: Workspace, sid: str) -> bool:
    """Somebody did not ask for the mail: never write to that address again. Returns whether the request was known."""
    store = workspace.store
    with store.write() as tx:
        found = signups.find(tx, store.vault, sid)
        if found is None or found.kind != "join" or not found.body.get("email"):
            return False
        index = store.vault.index(parse(found.body["email"]).key)
        suppressions.put(tx, index, Suppression("request", now(tx), "never again, by the link in a confirmation"))
        signups.move(tx, store.vault, found.row, "done", keep_body=False)
    return True
