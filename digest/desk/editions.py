"""Every distinct edition of an issue, before anything is planned: how many readers, how large, with which faults.

`Editions` keeps what is dear to work out, for as long as nothing changes that it follows from: one for a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from digest.desk.cautions import Caution
from digest.issue import Ready
from digest.lint.editions import Looked
from digest.model import Audience, Form, Frozen
from digest.workspace import Workspace

Sort = Literal["readers", "largest", "smallest", "warnings"]


class EditionLine(Frozen):
    """One edition. ``id`` is what `review.find_edition` takes; ``roles`` are ``most readers``, ``largest``, ``smallest``,
    ``imagined reader``; ``name`` says what an imagined reader follows.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    readers: int
    teasers: int
    notices: int
    left_out: int
    html_bytes: int
    subject: str
    preheader: str
    form: Form
    language: str
    warnings: tuple[str, ...]


class EditionTable(Frozen):
    """All editions of an issue, those of most readers first. ``imagined``: there are no readers, so these are of imagined ones.

    ``nothing_for`` readers get nothing. ``readers_of``: how many get each piece, by id. ``cautions`` are about the draft.
    """

    issue: str
    content_hash: str
    imagined: bool
    readers: int
    nothing_for: int
    lines: tuple[EditionLine, ...]
    readers_of: dict[str, int]
    cautions: tuple[Caution, ...]

    def sorted(self, by: Sort = "readers") -> tuple[EditionLine, ...]:
        """The lines in another order."""
        raise NotImplementedError


class Page(NamedTuple):
    """An edition as it would leave, to an imagined reader with links of nobody's."""

    looked: Looked
    subject: str
    preheader: str
    html: str
    text: str
    eml: bytes


class Editions:
    """Answers for one process, from several threads. Give it the workspace each time: its configuration may have changed."""

    def ready(self, workspace: Workspace, name: str) -> Ready:
        """The issue composed as it is now; composed again only where something it follows from has changed.

        Raises:
            IssueError: no such issue. RenderError: a template is wrong. ConfigError: the interest lists are.
        """
        raise NotImplementedError

    def last_good(self, name: str) -> Ready | None:
        """What `ready` gave last without an error."""
        raise NotImplementedError

    def table(self, workspace: Workspace, name: str) -> EditionTable:
        """Every distinct edition; without readers those of imagined ones: one who follows everything, and one for each interest."""
        raise NotImplementedError

    def find(self, workspace: Workspace, name: str, wanted: str) -> Looked:
        """The edition of that role or id.

        Raises:
            IssueError: there is none.
        """
        raise NotImplementedError


def of_reader(workspace: Workspace, ready: Ready, address: str) -> Looked:
    """What a subscriber got of the issue, or would get now.

    Raises:
        IssueError: nobody has that address, or there is nothing for them; the text never repeats it.
    """
    raise NotImplementedError


def of_imagined(
    ready: Ready,
    interests: Sequence[str],
    audience: Sequence[Audience] = (),
    form: Form = "",
    language: str = "",
    max_teasers: int | None = None,
) -> Looked:
    """What somebody would get who follows these, in this order, and never got anything.

    Raises:
        IssueError: there is no such interest, or nothing for them.
    """
    raise NotImplementedError


def page(workspace: Workspace, ready: Ready, looked: Looked) -> Page:
    """An edition as it would leave.

    Raises:
        RenderError: it cannot be composed.
    """
    raise NotImplementedError


def write(shown: Page, folder: Path) -> tuple[Path, ...]:
    """Write HTML, text and ``.eml`` of an edition into a folder."""
    raise NotImplementedError
