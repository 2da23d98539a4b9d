"""How many log-ins are tried: counted in the database for all processes at once, for names that exist and names that do not alike.

A budget is what one hour may take, and comes back evenly. Somebody elsewhere who spends the budget of a name, or that of all,
locks nobody out of a network that people have come in from, nor out of a browser that they came in with: both are counted by
themselves. What is asked never depends on whether somebody has that name.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from digest.config import LoginBudgets
from digest.store import budgets
from digest.store import now as clock
from digest.vault import Vault
from digest.workspace import Workspace

KNOWN = timedelta(days=30)  # how long a network counts as one that people come in from, after the last who did
BROWSER = timedelta(days=90)  # the same of a browser


class Try(NamedTuple):
    """One try of a password, of a code after it, of what another service says (``elsewhere``, of no name yet), or (``again``) of
    somebody who is logged in and proves who they are.

    ``network`` is where from, coarsely; ``browser`` what it was given by `browser_mark`; ``session`` the session's id.
    """

    step: Literal["password", "code", "elsewhere", "again"]
    name: str
    network: str
    browser: str = ""
    session: str = ""


def admits(workspace: Workspace, one: Try) -> bool:
    """Whether that try is within the budgets. It is counted, durably, before its password is looked at; a refused one is not.

    Raises:
        StoreError: it could not be counted, and so must not go on.
    """
    store, limits = workspace.store, workspace.config.admin.budgets
    with store.read() as tx:
        asked = _asked(tx, store.vault, limits, one)
        if budgets.spent(tx, asked):  # a flood costs a look, and no write
            return False
    with store.write(together=True) as tx:
        return not budgets.take(tx, asked)


def right(workspace: Workspace, one: Try) -> None:
    """It was the person: what they mistyped from there counts no more, and from now on people come in from there."""
    store = workspace.store
    with store.write(together=True) as tx:
        budgets.give_back(tx, _own(tx, store.vault, one))
        budgets.remember(tx, _network(store.vault, one.network), clock(tx) + KNOWN)


def browser_mark(workspace: Workspace, name: str) -> str:
    """What to give a browser that somebody came in with: it says so, of that name alone, and does not tell the name."""
    until = int((datetime.now(UTC) + BROWSER).timestamp())
    body = f"{secrets.token_hex(12)}.{until}"
    return f"{body}.{_mac(workspace.store.vault, name, body)}"


def _asked(tx: Connection, vault: Vault, limits: LoginBudgets, one: Try) -> dict[str, int]:
    """The budgets that a try is taken from."""
    own = {_own(tx, vault, one): limits.try_per_hour}
    if one.step == "again" or _is_known_browser(tx, vault, one):
        return own
    network = _network(vault, one.network)
    asked = {network: limits.network_per_hour} if one.step == "elsewhere" else {**own, network: limits.network_per_hour}
    if not budgets.known(tx, network):
        if one.step != "elsewhere":
            asked[f"login {one.step} {_hash(vault, 'name', _plain(one.name))}"] = limits.name_per_hour
        asked["login all"] = limits.all_per_hour
    return asked


def _own(tx: Connection, vault: Vault, one: Try) -> str:
    """What is counted for this one alone: their session, their browser, or their name where they are."""
    if one.step == "again":
        return f"login again {_hash(vault, 'session', one.session)}"
    if _is_known_browser(tx, vault, one):
        return f"login browser {_hash(vault, 'browser', one.browser)}"
    return f"login one {_hash(vault, 'one', f'{one.network} {_plain(one.name)}')}"


def _is_known_browser(tx: Connection, vault: Vault, one: Try) -> bool:
    found = re.fullmatch(r"([0-9a-f]{24}\.([0-9]{1,12}))\.([0-9a-f]{64})", one.browser)
    if found is None or not hmac.compare_digest(found[3], _mac(vault, one.name, found[1])):
        return False
    return int(found[2]) > clock(tx).timestamp()


def _mac(vault: Vault, name: str, body: str) -> str:
    return vault.proof("log-in browser", f"{_plain(name)} {body}")


def _plain(name: str) -> str:
    """A name as it is looked up; longer ones are nobody's."""
    return name.strip().lower()[:41]


def _network(vault: Vault, network: str) -> str:
    return f"login network {_hash(vault, 'network', network)}"


def _hash(vault: Vault, kind: str, text: str) -> str:
    return vault.proof(f"log-in {kind}", text)[:32]
