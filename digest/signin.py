"""Logging in: a password, perhaps a code, then a session; and the proof again before what cannot be taken back.

Whoever tries learns nothing about who there is: a name that nobody has costs the same work and gives the same answer.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from digest import audit, passwords, staff, totp
from digest.accounts import Person, clean_name
from digest.store import accounts, now
from digest.store.accounts import Known
from digest.workspace import Workspace

CODE_MINUTES = 5  # from the password to the code
MOST_WRONG_CODES = 5
_SEEN_EVERY = timedelta(minutes=1)  # how often a session that is in use is written to
_LONGEST = 1024  # bytes of a password that are looked at


class Session(NamedTuple):
    """A session that is good. ``fresh``: the person proved who they are within the last few minutes."""

    sid: str
    person: Person
    stage: str
    fresh: bool
    csrf: str


def check(workspace: Workspace, name: str, password: str) -> Person | None:
    """Whose name and password these are; None if nobody's, or of somebody who may not log in. The work is the same for all."""
    store = workspace.store
    try:
        wanted = clean_name(name)
    except ValueError:
        wanted = ""
    with store.read() as tx:
        known = accounts.named(tx, store.vault, wanted)
    good = passwords.fits(known.password if known else None, password[:_LONGEST])
    if good and known is not None and known.person.disabled_at is None:
        return known.person
    with store.write() as tx:  # one record whoever it was: what nobody is called may be a password typed in the wrong place
        audit.record(tx, _as(workspace, "(not logged in)"), "login.refused", known.person.name if known else "")
    return None


def begin(
    workspace: Workspace,
    person: Person,
    network: str,
    browser: str,
    *,
    code_first: bool | None = None,
    how: str = "password",
    proved_at: datetime | None = None,
) -> str:
    """A session for somebody whose password was right. Returns its token, which is kept nowhere.

    With a second factor it is good for nothing but the code; ``code_first`` says otherwise. ``how`` they came in where not by a password,
    and when they proved there who they are.
    """
    token = secrets.token_urlsafe(32)
    waits = person.second_factor if code_first is None else code_first
    with workspace.store.write() as tx:
        rules = workspace.config.admin
        accounts.end_old(tx, now(tx) - timedelta(minutes=rules.idle_minutes), now(tx) - timedelta(hours=rules.session_hours))
        known = _known(tx, workspace, person)
        stage = "code" if waits else "full"
        accounts.put_session(tx, known.row, token_hash(token), stage, network, browser[:200], fresh_at=proved_at)
        if not waits:
            _in(tx, workspace, known, how)
    return token


def read(workspace: Workspace, token: str) -> Session | None:
    """The session of a token; None if there is none, it is too old, or its person may no longer log in."""
    store, rules = workspace.store, workspace.config.admin
    if not 20 <= len(token) <= 100:
        return None
    with store.read() as tx:
        found, at = accounts.session(tx, store.vault, token_hash(token)), now(tx)
    if found is None:
        return None
    row, known = found
    idle = timedelta(minutes=CODE_MINUTES if row.stage == "code" else rules.idle_minutes)
    if at - row.seen_at > idle or at - row.made_at > timedelta(hours=rules.session_hours) or known.person.disabled_at is not None:
        return None
    if at - row.seen_at > _SEEN_EVERY and row.stage == "full":
        with store.write() as tx:
            accounts.seen(tx, row.sid)
    fresh = row.stage == "full" and at - row.fresh_at <= timedelta(minutes=rules.fresh_minutes)
    return Session(row.sid, known.person, row.stage, fresh, csrf(token))


def finish(workspace: Workspace, session: Session, typed: str) -> str | None:
    """The code of a session that waits for one. Returns its new token, or None if the code was wrong.

    After a few wrong ones the session ends, and the password is asked for again.
    """
    token = secrets.token_urlsafe(32)
    with workspace.store.write() as tx:
        known = _known(tx, workspace, session.person)
        how = _code_fits(tx, workspace, known, typed)
        if how and accounts.renew(tx, session.sid, token_hash(token), stage="full"):
            _in(tx, workspace, known, how)
            return token
        audit.record(tx, _as(workspace, known.person.name), "login.wrong_code", known.person.name)
        if accounts.wrong_code(tx, session.sid) >= MOST_WRONG_CODES:
            accounts.end(tx, session.sid)
    return None


def prove(workspace: Workspace, session: Session, password: str, typed: str) -> bool:
    """Prove again who one is: password, and code where there is a second factor. The session is fresh from then on."""
    person = check(workspace, session.person.name, password)
    if person is None or person.id != session.person.id:
        return False
    with workspace.store.write() as tx:
        known = _known(tx, workspace, person)
        if known.totp is not None and not _code_fits(tx, workspace, known, typed):
            audit.record(tx, _as(workspace, known.person.name), "login.wrong_code", known.person.name)
            return False
        if not accounts.proved(tx, session.sid):
            return False
        audit.record(tx, _as(workspace, known.person.name), "login.proved_again", known.person.name)
    return True


def proved_elsewhere(workspace: Workspace, session: Session, person: Person) -> bool:
    """Another service asked again who it is, and it is the person of the session. The session is fresh from then on."""
    if person.id != session.person.id:
        return False
    with workspace.store.write() as tx:
        if not accounts.proved(tx, session.sid):
            return False
        audit.record(tx, _as(workspace, session.person.name), "login.proved_again", session.person.name, how="oidc")
    return True


def leave(workspace: Workspace, session: Session) -> None:
    """Log out."""
    with workspace.store.write() as tx:
        if accounts.end(tx, session.sid):
            audit.record(tx, _as(workspace, session.person.name), "logout", session.person.name)


def token_hash(token: str) -> str:
    """What the store knows a session by. The token has 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf(token: str) -> str:
    """What every form of a session carries; follows from the token, and does not tell it."""
    return hashlib.sha256(b"form of " + token.encode()).hexdigest()


def _as(workspace: Workspace, name: str) -> Workspace:
    return replace(workspace, who=name, web=True)


def _known(tx: Connection, workspace: Workspace, person: Person) -> Known:
    known = accounts.find(tx, workspace.store.vault, person.id)
    assert known is not None, "people are never deleted"
    return known


def _in(tx: Connection, workspace: Workspace, known: Known, how: str) -> None:
    at: datetime = now(tx)
    accounts.change(tx, known.row, signed_in_at=at)
    audit.record(tx, _as(workspace, known.person.name), "login", known.person.name, how=how)


def _code_fits(tx: Connection, workspace: Workspace, known: Known, typed: str) -> str:
    """By what kind of code the person is known: ``code``, ``recovery code``; empty where it does not fit. Each counts once."""
    if known.totp is None:
        return ""
    plain = typed.replace(" ", "")[:100]
    step = totp.matching_step(known.totp, plain, now(tx), known.totp_step)
    if step is not None:
        return "code" if accounts.use_step(tx, known.row, step) else ""
    return "recovery code" if accounts.use_code(tx, known.row, staff.code_hash(workspace, known.person.id, plain)) else ""
