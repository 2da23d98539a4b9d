"""A small issue to try templates with: one of everything that a template can meet."""

from __future__ import annotations

from datetime import UTC, date, datetime

from digest.compose.look import Look
from digest.model import Evidence, Image, Interest, Notice, Slot, Summary

LOOK = Look(
    name="Sample Digest",
    tagline="Plain words about new research",
    notice="This is information, not medical advice.",
    url="https://digest.example.org",
    postal_address="Sample House, 1 Sample Street, Sample Town",
    sender="Sample Digest <digest@example.org>",
    reply_to="editors@example.org",
)
SLOT = Slot(
    cadence="monthly",
    local_date=date(2026, 5, 1),
    opens_after=datetime(2026, 4, 1, 8, tzinfo=UTC),
    due_at=datetime(2026, 5, 1, 8, tzinfo=UTC),
)
INTERESTS = (
    Interest(id="gut", label="Gut and diet", description="What food and the microbiome have to do with it."),
    Interest(id="treatment", label="Treatments & trials"),
    Interest(id="symptoms", label="Symptoms"),
)


def summaries() -> tuple[Summary, ...]:
    """One of every kind of study, one with each thing that may be missing, one with a notice, one in another script."""
    found = [_summary(n, evidence) for n, evidence in enumerate([*Evidence, None])]
    found[0] = found[0].model_copy(update={"image": Image(src="https://example.org/a.jpg", alt="A chart")})
    found[1] = found[1].model_copy(update={"illustration": True, "limits": "", "journal": ""})
    found[2] = found[2].model_copy(update={"title": "دراسة جديدة", "language": "ar", "takeaway": ""})
    for n, kind in ((3, "correction"), (4, "retraction")):
        notice = Notice.model_validate({"kind": kind, "at": SLOT.due_at, "text": "A figure was wrong; it has been put right."})
        found[n] = found[n].model_copy(update={"notice": notice})
    return tuple(found)


def _summary(n: int, evidence: Evidence | None) -> Summary:
    return Summary(
        identifiers=(f"source:sample:{n}",),
        title=f'What sample study {n} found about "rest" & walking',
        published_at=datetime(2026, 4, 3 + n, tzinfo=UTC),
        url=f"https://example.org/summaries/{n}?a=1&b=2",
        source="sample",
        takeaway="People who rested between walks were less tired in the evening than those who did not.",
        limits="A small study without a comparison group.",
        evidence=evidence,
        journal="Journal of Samples",
    )
