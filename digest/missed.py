"""What came out in the subjects a reader follows while they were away: the pieces of the issues they were not sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from digest import issue, select
from digest.errors import DigestError
from digest.model import Evidence, Follower, IssueState, Summary
from digest.store import issues, people, readers
from digest.tongue import Tongue
from digest.workspace import Workspace

_MOST = 20


def missed(workspace: Workspace, sid: str, since: datetime, tongue: Tongue) -> tuple[Mapping[str, str], ...]:
    """The missed pieces, newest issue first, each as a service mail shows it; at most twenty."""
    with workspace.store.read() as tx:
        person = people.find_by_id(tx, workspace.store.vault, sid)
        if person is None:
            return ()
        rows = [row for row in issues.every(tx) if row.cadence == person.subscriber.cadence and row.due_at >= since]
        materials = [issue.material_of(tx, workspace, row) for row in rows if row.state in (IssueState.SENDING, IssueState.FINISHED)]
        given = readers.given_ever(tx, person.row)
    found: dict[str, Summary] = {}
    for material in materials:
        follower = Follower(
            interests=person.subscriber.interests,
            audience=person.subscriber.audience,
            seen=frozenset(id for row, id in material.ids.items() if row in given),
        )
        try:
            selection = select.select(material.catalogue, follower, material.rules, select.Costs()).selection
        except DigestError:
            continue
        for id in selection.teasers:
            piece = material.catalogue.summaries[id]
            if not select.unwanted(piece, workspace.at):
                found.setdefault(id, piece)
    return tuple(_item(piece, tongue, workspace.zone) for piece in list(found.values())[:_MOST])


def _item(piece: Summary, tongue: Tongue, zone: str) -> Mapping[str, str]:
    day = tongue.day(piece.published_at.astimezone(ZoneInfo(zone)).date())
    return {
        "title": piece.title,
        "about": f"{evidence(piece.evidence, tongue)} · {day}" if piece.evidence else day,
        "takeaway": piece.takeaway,
        "limits": f"{tongue.t('Limits:')} {piece.limits}" if piece.limits else "",
        "url": piece.url,
        "read": tongue.t("Read: {title}", title=piece.title),
    }


def evidence(kind: Evidence, tongue: Tongue) -> str:
    """What kind of study it was, in words."""
    return {
        Evidence.LABORATORY: tongue.t("Laboratory study"),
        Evidence.ANIMAL: tongue.t("Animal study"),
        Evidence.REVIEW: tongue.t("Review of studies"),
        Evidence.OBSERVATIONAL: tongue.t("Observational study"),
        Evidence.TRIAL: tongue.t("Clinical trial"),
        Evidence.GUIDELINE: tongue.t("Guideline"),
    }[kind]
