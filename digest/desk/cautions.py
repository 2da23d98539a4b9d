"""What an editor should know of a draft before it leaves that is no fault of the letter: sources that are down, rules that are gone."""

from __future__ import annotations

from typing import Literal

from digest.issue import Material
from digest.model import Frozen
from digest.workspace import Workspace

CautionKind = Literal["source_down", "no_rule", "lost_rule", "gone_piece", "gone_interest", "newer_revision"]


class Caution(Frozen):
    """One of them: ``about`` is a source's name, an interest's or a piece's id; ``text`` says what is wrong and what to do."""

    kind: CautionKind
    about: str
    text: str


def cautions(workspace: Workspace, name: str, material: Material) -> tuple[Caution, ...]:
    """All there are of an issue."""
    raise NotImplementedError
