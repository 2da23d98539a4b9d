"""Links that show a draft to somebody without an account, read-only, until they expire or are taken back."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from digest import audit, issue, review, tokens
from digest.errors import IssueError, LinkError
from digest.model import Frozen
from digest.store import now, shares
from digest.store.shares import Share
from digest.workspace import Workspace

MAX_DAYS = 60


class Shared(Frozen):
    """A link to a draft. ``edition`` is an id or a role; empty shows the usual ones. ``url`` ends in the token."""

    id: str
    issue: str
    edition: str
    url: str
    who: str
    made_at: datetime
    expires_at: datetime
    revoked: bool = False


def make(workspace: Workspace, name: str, *, days: int = 7, edition: str = "") -> Shared:
    """A new link.

    Raises:
        IssueError: no such issue or edition, or not 1 to 60 days.
    """
    if not 1 <= days <= MAX_DAYS:
        raise IssueError(f"a link lasts 1 to {MAX_DAYS} days")
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if edition:
        review.find_edition(workspace, review.ready(workspace, name), edition)
    sid = secrets.token_hex(16)
    with workspace.store.write() as tx:
        at = now(tx).replace(microsecond=0)
        shares.put(tx, sid, row.id, edition, workspace.who, at, at + timedelta(days=days))
        made = shares.find(tx, sid)
        audit.record(tx, workspace, "share.make", name, link=sid, days=days)
    assert made is not None
    return _shared(workspace, made)


def read(workspace: Workspace, token: str) -> Shared:
    """What a token shows.

    Raises:
        LinkError: not ours, expired or taken back; the text does not say which.
    """
    said = tokens.read("draft", token, workspace.store.vault.link_keys)
    with workspace.store.read() as tx:
        found, at = shares.find(tx, said.about), now(tx)
    ended = said.made_at is None or said.made_at <= at  # the token's own end, whatever became of the row
    if found is None or ended or found.revoked_at is not None or found.expires_at <= at:
        raise LinkError("this link is not one of ours")
    return _shared(workspace, found)


def every(workspace: Workspace, name: str = "") -> tuple[Shared, ...]:
    """All links that still work, the newest first."""
    with workspace.store.read() as tx:
        found = shares.alive(tx)
    return tuple(_shared(workspace, one) for one in found if name in ("", one.issue))


def revoke(workspace: Workspace, id: str) -> None:
    """Take a link back.

    Raises:
        IssueError: there is none with that id.
    """
    with workspace.store.write() as tx:
        found = shares.find(tx, id)
        if found is None:
            raise IssueError(f'there is no link "{id}"; `digest share --list` shows those that work')
        shares.revoke(tx, id)
        audit.record(tx, workspace, "share.revoke", found.issue, link=id)


def _shared(workspace: Workspace, one: Share) -> Shared:
    url = tokens.link(workspace.config.newsletter.url, "draft", one.sid, workspace.store.vault.link_keys, one.expires_at)
    return Shared(
        id=one.sid,
        issue=one.issue,
        edition=one.edition,
        url=url,
        who=one.who,
        made_at=one.made_at,
        expires_at=one.expires_at,
        revoked=one.revoked_at is not None,
    )
