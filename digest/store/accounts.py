"""The people who make the newsletter, and their sessions, as rows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from digest.accounts import Person, Role
from digest.store import schema as t
from digest.store.database import now
from digest.vault import Vault


class Known(NamedTuple):
    """A person with what only a log-in needs. ``row`` is the database's own number."""

    row: int
    person: Person
    password: str
    totp: bytes | None  # the secret, opened
    totp_step: int | None


def add(tx: Connection, name: str, role: Role, password: str, *, must_change: bool) -> str:
    """A new person; ``password`` is its hash. Returns the id."""
    pid = secrets.token_hex(16)
    tx.execute(insert(t.person).values(pid=pid, name=name, role=role.value, password=password, must_change=must_change, created_at=now(tx)))
    return pid


def everybody(tx: Connection) -> list[Person]:
    """All of them by name."""
    return [_person(row) for row in tx.execute(select(t.person).order_by(t.person.c.name))]


def any_person(tx: Connection) -> bool:
    """Whether there is anybody."""
    return tx.execute(select(t.person.c.id).limit(1)).scalar() is not None


def named(tx: Connection, vault: Vault, name: str) -> Known | None:
    """The person of that name."""
    return _known(vault, tx.execute(select(t.person).where(t.person.c.name == name)).one_or_none())


def find(tx: Connection, vault: Vault, pid: str) -> Known | None:
    """The person of that id."""
    return _known(vault, tx.execute(select(t.person).where(t.person.c.pid == pid)).one_or_none())


def _known(vault: Vault, row: Any) -> Known | None:
    if row is None:
        return None
    secret = bytes.fromhex(vault.open(row.totp, "totp")) if row.totp is not None else None
    return Known(row.id, _person(row), row.password, secret, row.totp_step)


def _person(row: Any) -> Person:
    return Person(
        id=row.pid,
        name=row.name,
        role=Role(row.role),
        second_factor=row.totp is not None,
        must_change=row.must_change,
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
        disabled_at=row.disabled_at,
    )


def admins(tx: Connection) -> int:
    """How many may do everything, and may log in."""
    query = select(func.count()).where(t.person.c.role == Role.ADMIN.value, t.person.c.disabled_at.is_(None))
    return tx.execute(query).scalar_one()


def change(tx: Connection, person: int, **values: Any) -> None:
    """Write some of a person's columns."""
    tx.execute(update(t.person).where(t.person.c.id == person).values(**values))


def seal_totp(tx: Connection, vault: Vault, person: int, secret: bytes | None) -> None:
    """Give a person a second factor, or take it away with its recovery codes."""
    change(tx, person, totp=None if secret is None else vault.seal(secret.hex(), "totp"), totp_step=None)
    if secret is None:
        tx.execute(delete(t.recovery_code).where(t.recovery_code.c.person_id == person))


def use_step(tx: Connection, person: int, step: int) -> bool:
    """Use a code up. False if somebody was faster with it, or with a later one."""
    p = t.person.c
    unused = (p.totp_step.is_(None)) | (p.totp_step < step)
    return bool(tx.execute(update(t.person).where(p.id == person, unused).values(totp_step=step)).rowcount)


def put_codes(tx: Connection, person: int, hashes: Sequence[str]) -> None:
    """Recovery codes in the place of all earlier ones."""
    tx.execute(delete(t.recovery_code).where(t.recovery_code.c.person_id == person))
    tx.execute(insert(t.recovery_code), [{"person_id": person, "code_hash": one} for one in hashes])


def use_code(tx: Connection, person: int, hash: str) -> bool:
    """Use a recovery code up; False if there is none such."""
    c = t.recovery_code.c
    mine = (c.person_id == person) & (c.code_hash == hash) & c.used_at.is_(None)
    return bool(tx.execute(update(t.recovery_code).where(mine).values(used_at=now(tx))).rowcount)


def codes_left(tx: Connection, person: int) -> int:
    """How many recovery codes are unused."""
    c = t.recovery_code.c
    return tx.execute(select(func.count()).where(c.person_id == person, c.used_at.is_(None))).scalar_one()


# --- sessions ------------------------------------------------------------------------------------------------------------


class SessionRow(NamedTuple):
    """A session. ``stage`` is ``code`` while the second factor is still to come, then ``full``."""

    sid: str
    person: int
    stage: str
    made_at: datetime
    seen_at: datetime
    fresh_at: datetime
    network: str
    browser: str
    wrong_codes: int


_SESSION = (
    t.session.c.sid,
    t.session.c.person_id,
    t.session.c.stage,
    t.session.c.made_at,
    t.session.c.seen_at,
    t.session.c.fresh_at,
    t.session.c.network,
    t.session.c.browser,
    t.session.c.wrong_codes,
)


def put_session(
    tx: Connection, person: int, token_hash: str, stage: str, network: str, browser: str, fresh_at: datetime | None = None
) -> str:
    """A new session; the store knows its token by the hash alone. Returns what it is called."""
    sid, at = secrets.token_hex(16), now(tx)
    values = {"sid": sid, "token_hash": token_hash, "person_id": person, "stage": stage, "network": network, "browser": browser}
    tx.execute(insert(t.session).values(**values, made_at=at, seen_at=at, fresh_at=min(at, fresh_at or at)))
    return sid


def session(tx: Connection, vault: Vault, token_hash: str) -> tuple[SessionRow, Known] | None:
    """A session and whose it is."""
    row = tx.execute(select(*_SESSION).where(t.session.c.token_hash == token_hash)).one_or_none()
    if row is None:
        return None
    whose = _known(vault, tx.execute(select(t.person).where(t.person.c.id == row.person_id)).one())
    assert whose is not None
    return SessionRow(*row), whose


def sessions(tx: Connection, person: int) -> list[SessionRow]:
    """A person's sessions, the one used last first."""
    query = select(*_SESSION).where(t.session.c.person_id == person).order_by(t.session.c.seen_at.desc(), t.session.c.id)
    return [SessionRow(*row) for row in tx.execute(query)]


def renew(tx: Connection, sid: str, token_hash: str, *, stage: str) -> bool:
    """Give a session another token, and take it for proven now. False if it has ended meanwhile."""
    at = now(tx)
    values = {"token_hash": token_hash, "stage": stage, "seen_at": at, "fresh_at": at, "wrong_codes": 0}
    return bool(tx.execute(update(t.session).where(t.session.c.sid == sid).values(**values)).rowcount)


def proved(tx: Connection, sid: str) -> bool:
    """Whoever uses the session has proven again who they are. False if it has ended meanwhile."""
    at = now(tx)
    return bool(tx.execute(update(t.session).where(t.session.c.sid == sid).values(seen_at=at, fresh_at=at)).rowcount)


def seen(tx: Connection, sid: str) -> None:
    """It was used."""
    tx.execute(update(t.session).where(t.session.c.sid == sid).values(seen_at=now(tx)))


def wrong_code(tx: Connection, sid: str) -> int:
    """A wrong code was typed. Returns how many that were."""
    tx.execute(update(t.session).where(t.session.c.sid == sid).values(wrong_codes=t.session.c.wrong_codes + 1))
    return tx.execute(select(t.session.c.wrong_codes).where(t.session.c.sid == sid)).scalar() or 0


def end(tx: Connection, sid: str) -> int:
    """End one session."""
    return tx.execute(delete(t.session).where(t.session.c.sid == sid)).rowcount


def end_all(tx: Connection, person: int, but: str = "") -> int:
    """End a person's sessions, or all but one. Returns how many."""
    return tx.execute(delete(t.session).where(t.session.c.person_id == person, t.session.c.sid != but)).rowcount


def end_old(tx: Connection, seen_before: datetime, made_before: datetime) -> int:
    """Let go the sessions that nobody used since the one instant, or that began before the other."""
    s = t.session.c
    return tx.execute(delete(t.session).where((s.seen_at < seen_before) | (s.made_at < made_before))).rowcount
