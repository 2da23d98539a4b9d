"""Looking after webhooks: add, list, try, rotate their secret, disable, remove. For admins; every change is in the audit log."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from digest import audit
from digest.errors import HookError
from digest.hooks.kinds import TEST
from digest.hooks.post import Answer, check_url, host_of, post
from digest.hooks.signature import headers, new_secret
from digest.hooks.telling import body_of
from digest.sources.fetch import shown
from digest.store import hooks
from digest.store.hooks import Hook, Told
from digest.workspace import Workspace

OLD_FOR = timedelta(hours=24)  # how long the secret before signs, too: time to change it at the receiver
STATES = {"waiting": "waits", "inflight": "in hand", "delivered": "handed over", "failed": "given up"}
MOST = 50  # hooks of one workspace: each event is written once for each


def add(workspace: Workspace, url: str, topics: Sequence[str], *, with_addresses: bool = False) -> tuple[Hook, str]:
    """A new hook, and its secret, which is shown this once.

    Raises:
        HookError: the address cannot be told, or there are too many hooks.
    """
    check_url(url, workspace.config.hooks)
    hid, secret, vault = secrets.token_hex(4), new_secret(), workspace.store.vault
    with workspace.store.write() as tx:
        if len(hooks.every(tx, vault)) >= MOST:
            raise HookError(f"there are {MOST} webhooks already; remove one first")
        hooks.add(tx, vault, hid, url, secret, topics, workspace.who, with_addresses=with_addresses)
        told = ",".join(topics)
        audit.record(tx, workspace, "hooks.add", hid, host=host_of(url), events=told, with_addresses=with_addresses)
        made = _find(tx, workspace, hid)
    return made, secret


def every(workspace: Workspace) -> list[Hook]:
    """All hooks, in the order in which they were made."""
    with workspace.store.read() as tx:
        return hooks.every(tx, workspace.store.vault)


def _find(tx: Connection, workspace: Workspace, hid: str) -> Hook:
    found = [one for one in hooks.every(tx, workspace.store.vault) if hid and one.hid.startswith(hid)]
    if len(found) != 1:
        raise HookError(f'there is no webhook "{hid[:20]}"; `digest hooks list` shows them')
    return found[0]


def remove(workspace: Workspace, hid: str) -> Hook:
    """Take a hook away, and what waits for it.

    Raises:
        HookError: there is no such hook.
    """
    with workspace.store.write() as tx:
        one = _find(tx, workspace, hid)
        hooks.remove(tx, one.row)
        audit.record(tx, workspace, "hooks.remove", one.hid, host=host_of(one.url), waiting=one.waiting)
    return one


def enable(workspace: Workspace, hid: str) -> Hook:
    """Tell a hook again, what waited for it first.

    Raises:
        HookError: there is no such hook.
    """
    with workspace.store.write() as tx:
        one = _find(tx, workspace, hid)
        if hooks.enable(tx, one.row):
            audit.record(tx, workspace, "hooks.enable", one.hid, waiting=one.waiting)
    return one


def disable(workspace: Workspace, hid: str) -> Hook:
    """Tell a hook nothing more until it is enabled; what waits stays, what happens meanwhile is not kept for it.

    Raises:
        HookError: there is no such hook.
    """
    with workspace.store.write() as tx:
        one = _find(tx, workspace, hid)
        if hooks.disable(tx, one.row, f"by {workspace.who}"):
            audit.record(tx, workspace, "hooks.disable", one.hid, host=host_of(one.url))
    return one


def rotate(workspace: Workspace, hid: str) -> tuple[Hook, str, datetime]:
    """A new secret, shown this once; the one before signs, too, until the instant that is returned.

    Raises:
        HookError: there is no such hook.
    """
    secret = new_secret()
    with workspace.store.write() as tx:
        one = _find(tx, workspace, hid)
        until = hooks.rotate(tx, workspace.store.vault, one.row, secret, OLD_FOR)
        audit.record(tx, workspace, "hooks.rotate", one.hid)
    return one, secret, until


def send_test(workspace: Workspace, hid: str) -> Answer:
    """Hand over one event of the kind `hook.test`, once and now, whether or not the hook is enabled. Changes nothing here.

    Raises:
        HookError: there is no such hook.
    """
    with workspace.store.read() as tx:
        one = _find(tx, workspace, hid)
        keys = hooks.secrets_of(tx, workspace.store.vault, one.row)
    body = body_of(TEST, datetime.now(UTC), {"newsletter": workspace.config.newsletter.name})
    audit.note(workspace, "hooks.test", one.hid)
    id = f"msg_test{secrets.token_hex(12)}_{one.hid}"
    return post(one.url, headers(keys, id, int(time.time()), body), body, workspace.config.hooks)


def deliveries(workspace: Workspace, hid: str = "", *, failing: bool = False, most: int = 50) -> list[Told]:
    """The newest events and what became of them, of one hook or of all; ``failing``: only those that were tried in vain.

    Raises:
        HookError: there is no such hook.
    """
    with workspace.store.read() as tx:
        row = _find(tx, workspace, hid).row if hid else None
        return hooks.told(tx, row, failing=failing, most=most)


def place(hook: Hook) -> str:
    """Its address as it may be shown: without the query, which may hold a key."""
    return shown(hook.url)


def topics(hook: Hook) -> str:
    """What it is told of, in words."""
    return "everything" if "*" in hook.topics else ", ".join(hook.topics)


def said(answer: Answer) -> str:
    """An answer to a test in a few words."""
    if answer.status is None:
        return answer.trouble
    return f"it answered {answer.status}" + ("" if 200 <= answer.status < 300 else ", which counts as a failure")
