"""Looking after the people who make the newsletter: add, roles, passwords, second factors, recovery codes. Each step records itself."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from digest import audit, passwords, totp
from digest.accounts import Person, Role, check_password, clean_name
from digest.errors import AccountError
from digest.store import accounts, now
from digest.store.accounts import Known
from digest.workspace import Workspace


def everybody(workspace: Workspace) -> list[Person]:
    """All of them, by name."""
    with workspace.store.read() as tx:
        return accounts.everybody(tx)


def anybody(workspace: Workspace) -> bool:
    """Whether anybody may log in at all."""
    with workspace.store.read() as tx:
        return accounts.any_person(tx)


def add(workspace: Workspace, name: str, role: Role, password: str, *, must_change: bool = False) -> Person:
    """A new person. ``must_change``: somebody else knows the password, so it is good for one log-in.

    Raises:
        AccountError: the name is taken or none, or the password is too weak.
    """
    try:
        name = clean_name(name)
        check_password(password, name)
    except ValueError as error:
        raise AccountError(str(error)) from error
    kept = passwords.hashed(password)
    with workspace.store.write() as tx:
        if accounts.named(tx, workspace.store.vault, name) is not None:
            raise AccountError(f"{name} is there already; names stay taken, so that the audit log means one person by each")
        accounts.add(tx, name, role, kept, must_change=must_change)
        audit.record(tx, workspace, "people.add", name, role=role.value)
        return _named(tx, workspace, name).person


def set_role(workspace: Workspace, name: str, role: Role) -> Person:
    """Another role. Open sessions go on with it.

    Raises:
        AccountError: nobody has that name, or it would leave no admin.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if known.person.role is role:
            return known.person
        accounts.change(tx, known.row, role=role.value)
        _keep_an_admin(tx, known)
        audit.record(tx, workspace, "people.role", known.person.name, old=known.person.role.value, new=role.value)
        return _named(tx, workspace, name).person


def set_password(workspace: Workspace, name: str, password: str, *, must_change: bool = False, but: str = "") -> int:
    """Another password; ends all sessions, or all but the one called ``but``. Returns how many.

    Raises:
        AccountError: nobody has that name, or the password is too weak.
    """
    try:
        check_password(password, name.strip().lower())
    except ValueError as error:
        raise AccountError(str(error)) from error
    kept = passwords.hashed(password)
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        accounts.change(tx, known.row, password=kept, must_change=must_change)
        ended = accounts.end_all(tx, known.row, but)
        audit.record(tx, workspace, "people.password", known.person.name, ended=ended, one_time=must_change)
        return ended


def has_password(workspace: Workspace, name: str, password: str) -> bool:
    """Whether that is the password somebody has now.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.read() as tx:
        kept = _named(tx, workspace, name).password
    return passwords.fits(kept, password)


def disable(workspace: Workspace, name: str) -> int:
    """They may no longer log in, and their sessions end. The name stays, for the log. Returns how many sessions.

    Raises:
        AccountError: nobody has that name, or it would leave no admin.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if known.person.disabled_at is not None:
            return 0
        accounts.change(tx, known.row, disabled_at=now(tx))
        _keep_an_admin(tx, known)
        ended = accounts.end_all(tx, known.row)
        audit.record(tx, workspace, "people.disable", known.person.name, ended=ended)
        return ended


def enable(workspace: Workspace, name: str) -> None:
    """They may log in again.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if known.person.disabled_at is not None:
            accounts.change(tx, known.row, disabled_at=None)
            audit.record(tx, workspace, "people.enable", known.person.name)


def _keep_an_admin(tx: Connection, known: Known) -> None:
    if known.person.role is Role.ADMIN and known.person.disabled_at is None and not accounts.admins(tx):
        raise AccountError(f"{known.person.name} is the only admin; make another one first. Nothing was changed")


# --- the second factor ---------------------------------------------------------------------------------------------------


def new_secret() -> bytes:
    """A secret for an authenticator app, not yet anybody's."""
    return secrets.token_bytes(totp.SECRET_BYTES)


def turn_on(workspace: Workspace, name: str, secret: bytes, typed: str) -> tuple[str, ...]:
    """Ask for a code at every log-in from now on, once a code of the app shows that it works. Returns the recovery codes.

    Raises:
        AccountError: nobody has that name, or the code does not fit.
    """
    codes = passwords.recovery_codes()
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        step = totp.matching_step(secret, typed.replace(" ", ""), now(tx), None)
        if step is None:
            raise AccountError("the code does not fit; type the newest one, and see that the clock of the device is right")
        accounts.seal_totp(tx, workspace.store.vault, known.row, secret)
        accounts.use_step(tx, known.row, step)
        accounts.put_codes(tx, known.row, [code_hash(workspace, known.person.id, one) for one in codes])
        audit.record(tx, workspace, "people.second_factor_on", known.person.name)
    return tuple(codes)


def turn_off(workspace: Workspace, name: str) -> bool:
    """Ask for the password alone. Returns whether there was a second factor.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if known.totp is None:
            return False
        accounts.seal_totp(tx, workspace.store.vault, known.row, None)
        audit.record(tx, workspace, "people.second_factor_off", known.person.name)
    return True


def new_codes(workspace: Workspace, name: str) -> tuple[str, ...]:
    """Recovery codes in the place of the earlier ones.

    Raises:
        AccountError: nobody has that name, or they have no second factor.
    """
    codes = passwords.recovery_codes()
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if known.totp is None:
            raise AccountError(f"{known.person.name} has no second factor, so there is nothing to recover")
        accounts.put_codes(tx, known.row, [code_hash(workspace, known.person.id, one) for one in codes])
        audit.record(tx, workspace, "people.recovery_codes", known.person.name)
    return tuple(codes)


def codes_left(workspace: Workspace, name: str) -> int:
    """How many recovery codes somebody has not used.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.read() as tx:
        return accounts.codes_left(tx, _named(tx, workspace, name).row)


def code_hash(workspace: Workspace, pid: str, code: str) -> str:
    """What is kept of a recovery code, however it was typed."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return workspace.store.vault.proof("recovery code", f"{pid}:{plain}")


# --- sessions ------------------------------------------------------------------------------------------------------------


def sessions(workspace: Workspace, name: str) -> list[accounts.SessionRow]:
    """A person's sessions, the one used last first.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.read() as tx:
        return accounts.sessions(tx, _named(tx, workspace, name).row)


def revoke(workspace: Workspace, name: str, sid: str = "", *, but: str = "") -> int:
    """End one of a person's sessions (its id or the beginning of it), or all of them, or all but one. Returns how many.

    Raises:
        AccountError: nobody has that name, or no such session.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if sid:
            found = [one.sid for one in accounts.sessions(tx, known.row) if one.sid.startswith(sid)]
            if len(found) != 1:
                raise AccountError(f"{known.person.name} has {'no' if not found else 'more than one'} session that begins with {sid[:32]}")
            ended = accounts.end(tx, found[0])
        else:
            ended = accounts.end_all(tx, known.row, but)
        if ended:
            audit.record(tx, workspace, "people.sessions_ended", known.person.name, ended=ended)
        return ended


def _named(tx: Connection, workspace: Workspace, name: str) -> Known:
    known = accounts.named(tx, workspace.store.vault, name.strip().lower())
    if known is None:
        raise AccountError("nobody has that name; `digest people list` shows who there is")
    return known
