"""Readers between two cadences: what the ledger knows of them, for `carry` to decide from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from digest import carry, select
from digest.carry import Candidate, Given, Ledger, Piece
from digest.model import Slot
from digest.store import carried, catalogue, issues
from digest.store.catalogue import Stored
from digest.workspace import Workspace


@dataclass(frozen=True)
class Between:
    """The readers for whom an issue may carry something, with all that decides it."""

    readers: Sequence[Candidate]
    given: Mapping[int, Sequence[Given]]
    ledger: Ledger
    sendable: Sequence[Stored]
    pieces: Sequence[Piece]


def load(tx: Connection, workspace: Workspace, slot: Slot, among: Collection[int] | None = None) -> Between:
    """Everything about an issue's readers between cadences; only of those rows where ``among`` is given."""
    readers = [one for one in carried.candidates(tx, slot.cadence) if among is None or one.row in among]
    if not readers:
        return Between((), {}, Ledger({}, {}), (), ())
    given = carried.given(tx, [one.row for one in readers])
    past = carried.past_issues(tx, slot)
    # Archive as each cadence sees it now: the slot's own window is the floor for a cadence that has had no issue yet.
    ends = {cadence: issues.archive_ends_of(tx, cadence) for cadence in {issue.cadence for issue in past.values()}}
    sendable = [stored for stored in catalogue.load(tx) if not select.unwanted(stored.summary, slot.due_at)]
    pieces = [Piece(stored.row, stored.source, stored.summary.published_at) for stored in sendable]
    return Between(readers, given, Ledger(past, ends), sendable, pieces)


def carried_for(found: Between, slot: Slot, own: frozenset[int], reader: Candidate) -> frozenset[int]:
    """The rows that the issue offers this reader besides its members."""
    return carry.carried(slot, own, found.pieces, found.ledger, found.given[reader.row], reader)
