"""What an issue's chip says: its state, and whether an approval of it still holds."""

from __future__ import annotations

from typing import NamedTuple

from digest import approval
from digest.model import IssueState
from digest.web.desk.table import Composed
from digest.workspace import Workspace


class Standing(NamedTuple):
    """``kind`` is the chip's class; ``holds``: the content as it is now has all the approvals it needs."""

    words: str
    kind: str
    holds: bool = False


def standing(workspace: Workspace, composed: Composed) -> Standing:
    """How the issue stands as it is composed now. The state in the ledger stays "approved" when what was approved has changed."""
    draft, ready = composed.draft, composed.ready
    if not draft.drafted:
        return Standing("not drafted yet", "undrafted")
    row, state = draft.row, draft.row.state
    plain = Standing(state.value.replace("_", " "), state.value)
    if not draft.editable:
        return plain
    with workspace.store.read() as tx:
        if composed.wrong or ready is None:
            return Standing("approval void", "warn") if state is IssueState.APPROVED else plain
        if ready.material.languages != draft.material.languages:  # composed in haste, in one language: what was approved had all
            return Standing("approved before", "before") if state is IssueState.APPROVED else plain
        given = len(approval.given(tx, row, ready.material.content_hash(ready.compiled)))
    needed = approval.needed(workspace, row.cadence)
    if given >= needed:
        return Standing("approved", "approved", holds=True)
    if given:
        return Standing(f"approved by {given} of {needed}", "before")
    return Standing("approval void", "warn") if state is IssueState.APPROVED else plain
