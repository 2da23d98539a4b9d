"""Who of the people who make the newsletter is whom at another service: linked by an address once, then by issuer and subject."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from digest import audit, passwords
from digest.accounts import Person, Role, clean_name
from digest.addresses import parse
from digest.config import Oidc
from digest.errors import AccountError
from digest.oidc import LASTS, Begun, Claims, Refusal
from digest.store import accounts, budgets, identities
from digest.store.accounts import Known
from digest.store.identities import Identity
from digest.workspace import Workspace


def of(workspace: Workspace, name: str) -> Identity | None:
    """Somebody's identity elsewhere, or that an address waits for them.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.read() as tx:
        return identities.of_person(tx, _named(tx, workspace, name).row)


def expect(workspace: Workspace, name: str, address: str) -> None:
    """Whoever the provider says has that address is this person, once. The address itself is not kept.

    Raises:
        AccountError: nobody has that name, it is no address, or somebody else waits for it.
    """
    index = _index(workspace, address)
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if identities.expected_elsewhere(tx, known.row, index):
            raise AccountError("somebody else is to be linked by that address; nothing was changed")
        identities.expect(tx, known.row, index)
        audit.record(tx, workspace, "people.elsewhere_expected", known.person.name)


def unlink(workspace: Workspace, name: str) -> bool:
    """They can log in by their password alone again; their sessions end. Returns whether there was anything.

    Raises:
        AccountError: nobody has that name.
    """
    with workspace.store.write() as tx:
        known = _named(tx, workspace, name)
        if not identities.unlink(tx, known.row):
            return False
        ended = accounts.end_all(tx, known.row)
        audit.record(tx, workspace, "people.elsewhere_off", known.person.name, ended=ended)
        return True


def use_once(workspace: Workspace, begun: Begun) -> bool:
    """Use up a log-in under way: its answer counts once."""
    with workspace.store.write(together=True) as tx:
        mark = workspace.store.vault.proof("log-in elsewhere", begun.state)[:32]
        return budgets.spend(tx, f"elsewhere {mark}", begun.at + LASTS + timedelta(minutes=5))


def person_of(workspace: Workspace, claims: Claims, rules: Oidc, *, only_linked: bool = False) -> Person:
    """Who that is here. Linked or made on the way, where the rules say so; but not with ``only_linked``.

    Raises:
        Refusal: nobody who may log in.
    """
    vault = workspace.store.vault
    subject = vault.proof("subject elsewhere", f"{claims.issuer}\0{claims.subject}")
    named = rules.roles.get(claims.subject)
    ours = not rules.email_domains or claims.email.rpartition("@")[2].lower() in rules.email_domains
    kept = passwords.hashed(secrets.token_urlsafe(32)) if _may_be_made(rules, named, ours) else ""
    refused = replace(workspace, who="(not logged in)", web=True)
    with workspace.store.write() as tx:
        known = identities.who(tx, vault, subject)
        allowed = named is not None or ours
        if known is None and allowed and not only_linked:
            known = _link(tx, workspace, claims, subject) or _make(tx, workspace, claims, rules, named, subject, kept)
        if known is not None and allowed and known.person.disabled_at is None:
            return known.person
        audit.record(tx, refused, "login.refused", known.person.name if known else "", how="oidc")
    raise Refusal("nobody here may log in as that")


def _may_be_made(rules: Oidc, named: Role | None, ours: bool) -> bool:
    return named is not None or (rules.provision is not None and ours)


def _link(tx: Connection, workspace: Workspace, claims: Claims, subject: str) -> Known | None:
    """The person who waits for that address, if the provider says whose it is."""
    if not claims.email:
        return None
    try:
        index = _index(workspace, claims.email)
    except AccountError:
        return None
    known = identities.waiting(tx, workspace.store.vault, index)
    if known is None or known.person.disabled_at is not None:
        return None
    identities.link(tx, known.row, claims.issuer, subject)
    audit.record(tx, replace(workspace, who=known.person.name, web=True), "people.elsewhere_linked", known.person.name)
    return known


def _make(tx: Connection, workspace: Workspace, claims: Claims, rules: Oidc, named: Role | None, subject: str, kept: str) -> Known | None:
    """A new person, where the rules give them a role: with a password that nobody knows."""
    role = named if named is not None else rules.provision
    if role is None or not kept:
        return None
    name = _free_name(tx, workspace, claims.preferred or claims.email.partition("@")[0])
    accounts.add(tx, name, role, kept, must_change=False)
    known = _named(tx, workspace, name)
    identities.link(tx, known.row, claims.issuer, subject)
    audit.record(tx, replace(workspace, who=name, web=True), "people.add", name, role=role.value, how="oidc")
    return known


def _free_name(tx: Connection, workspace: Workspace, wish: str) -> str:
    plain = re.sub(r"[^a-z0-9._-]+", "-", wish.partition("@")[0].lower()).strip("._-")[:30]
    plain = plain if len(plain) >= 2 else "person"
    for n in range(1, 1000):
        name = clean_name(plain if n == 1 else f"{plain}-{n}")
        if accounts.named(tx, workspace.store.vault, name) is None:
            return name
    raise Refusal("no name is free")


def _index(workspace: Workspace, address: str) -> bytes:
    """What an address of the people is looked up by; not what the same address of a reader is."""
    try:
        return workspace.store.vault.index(f"log-in elsewhere\n{parse(address).key}")
    except ValueError as error:
        raise AccountError(f"the address {error}") from error


def _named(tx: Connection, workspace: Workspace, name: str) -> Known:
    known = accounts.named(tx, workspace.store.vault, name.strip().lower())
    if known is None:
        raise AccountError("nobody has that name; `digest people list` shows who there is")
    return known
