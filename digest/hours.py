"""Delivery at the hour of the reader's own zone, where a cadence says ``clock: reader``."""

from __future__ import annotations

from sqlalchemy import Connection

from digest import calendar
from digest.store import people, plans
from digest.store.issues import IssueRow
from digest.workspace import Workspace


def set_own_hours(tx: Connection, workspace: Workspace, row: IssueRow) -> int:
    """Put each planned delivery off until the cadence's hour has come where its reader lives. Returns how many zones there are.

    Who names no zone lives in the newsletter's. An hour that the clocks leave out or repeat follows `calendar.instant`.
    """
    rule = workspace.config.cadences.get(row.cadence)
    if rule is None or rule.clock == "newsletter":
        return 0
    zones = people.zones(tx, row.cadence)
    hours = {zone: calendar.instant(row.local_date, rule.at, zone) for zone in zones}
    plans.put_off(tx, row.id, hours, otherwise=calendar.instant(row.local_date, rule.at, workspace.zone))
    return len(zones)
