"""Links that show a draft to somebody without an account, read-only, until they expire or are taken back."""

from __future__ import annotations

from datetime import datetime

from digest.model import Frozen
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
    raise NotImplementedError


def read(workspace: Workspace, token: str) -> Shared:
    """What a token shows.

    Raises:
        LinkError: not ours, expired or taken back; the text does not say which.
    """
    raise NotImplementedError


def every(workspace: Workspace, name: str = "") -> tuple[Shared, ...]:
    """All links that still work, the newest first."""
    raise NotImplementedError


def revoke(workspace: Workspace, id: str) -> None:
    """Take a link back.

    Raises:
        IssueError: there is none with that id.
    """
    raise NotImplementedError
