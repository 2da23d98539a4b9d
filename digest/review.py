"""Looking at an issue before it leaves: which editions there are, what the checks say of them, what a person let pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from digest import audit, explain, issue, lint, plan, select
from digest.errors import IssueError
from digest.lint import edges
from digest.lint.editions import Looked, letter, sheets
from digest.lint.letter import Letter
from digest.lint.rule import Finding, Found, Level, Rule
from digest.model import Follower, Selection
from digest.readiness import Ready
from digest.store import holding, outcomes
from digest.workspace import Workspace

ACCEPTED = "accept warning"  # how a decision calls it; its subject is the issue
ALL_RULES: tuple[Rule, ...] = (*lint.RULES, *edges.RULES)
IMAGINED = "imagined reader"


@dataclass(frozen=True)
class Report:
    """What the checks say of an issue. ``editions`` were looked at; ``skipped`` could not be checked, with the reason."""

    issue: str
    editions: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def count(self, level: Level, *, accepted: bool = False) -> int:
        """How many findings of a level nobody accepted, or somebody did."""
        return sum(finding.level is level and bool(finding.accepted) is accepted for finding in self.findings)


def ready(workspace: Workspace, name: str) -> Ready:
    """The issue as it is now, composed; nothing is written.

    Raises:
        IssueError: no such issue.
        RenderError: a template is wrong.
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        material = issue.material_of(tx, workspace, row)
    return Ready(row, material, issue.compiled_of(workspace, row, material))


def selection_id(selection: Selection) -> str:
    """What an edition is called by: ten hex digits of the hash that the ledger keeps."""
    return hashlib.sha256(selection.model_dump_json().encode()).hexdigest()[:10]


def editions(workspace: Workspace, now: Ready) -> tuple[Looked, ...]:
    """Every distinct edition that readers get or would get, the one of most readers first; named by `selection_id`."""
    return named(counted(workspace, now))


def counted(workspace: Workspace, now: Ready) -> list[tuple[str, int]]:
    """Each selection (JSON) that readers get or would get with their number; the empty string stands for those who get nothing."""
    with workspace.store.read() as tx:
        planned = outcomes.selections(tx, now.row.id) if now.row.planned is not None else None
    return explain.forecast_of(workspace, now) if planned is None else planned


def named(found: Iterable[tuple[str, int]]) -> tuple[Looked, ...]:
    """The same as editions, the one of most readers first."""
    chosen = [(Selection.model_validate_json(body), readers) for body, readers in found if body]
    looked = [Looked(selection_id(selection), readers, selection) for selection, readers in chosen]
    return tuple(sorted(looked, key=lambda one: (-one.readers, one.name)))


def imagined(now: Ready) -> Looked | None:
    """The edition of somebody who follows everything and never got anything; None where there is nothing to show."""
    follower = Follower(interests=tuple(interest.id for interest in now.material.interests.all))
    rules = now.material.rules
    found = select.select(now.material.catalogue, follower, rules, plan.costs_of(now.compiled)).selection
    return None if found.empty else Looked(IMAGINED, 0, found)


def usual(now: Ready, real: Sequence[Looked]) -> tuple[Looked, ...]:
    """The editions looked at unless others are asked for: most readers', the largest, the smallest, an imagined reader's."""
    chosen: dict[Selection, list[str]] = {}
    if real:
        weigh = {one.name: _weight(now, one.selection) for one in real}
        for role, one in (
            ("most readers", real[0]),
            ("largest", max(real, key=lambda one: weigh[one.name])),
            ("smallest", min(real, key=lambda one: weigh[one.name])),
        ):
            chosen.setdefault(one.selection, []).append(role)
    if (everything := imagined(now)) is not None:
        chosen.setdefault(everything.selection, []).append(everything.name)
    readers = {one.selection: one.readers for one in real}
    return tuple(Looked(", ".join(roles), readers.get(selection, 0), selection) for selection, roles in chosen.items())


def _weight(now: Ready, selection: Selection) -> int:
    sizes, compiled = now.compiled.teaser_bytes, now.compiled
    headings = sum(compiled.section_bytes.get(section.interest, 0) for section in selection.sections)
    return sum(sizes.get(id, 0) for id in selection.teasers) + headings + sum(compiled.notice_bytes.get(id, 0) for id in selection.notices)


def find_edition(workspace: Workspace, now: Ready, wanted: str) -> Looked:
    """The edition that is called so: a role (``largest``, ``smallest``, ``most readers``, ``imagined reader``), or the beginning
    of an id that `digest lint --json` shows.

    Raises:
        IssueError: there is none of that name.
    """
    real = editions(workspace, now)
    for one in usual(now, real):
        if wanted.replace("-", " ") in one.name.split(", "):
            return one
    found = [one for one in real if one.name.startswith(wanted.lower())] if len(wanted) >= 4 else []
    if len(found) == 1:
        return found[0]
    known = ", ".join(one.name for one in usual(now, real)) or "none, for nobody would get anything"
    raise IssueError(f'{now.row.name} has no edition "{wanted}" ({known}, or an id of `digest lint {now.row.name} --json --all`)')


def letters(workspace: Workspace, now: Ready, looked: Iterable[Looked]) -> tuple[Letter, ...]:
    """These editions as the checks see them."""
    mailbox = workspace.config.sender.unsubscribe_mailbox
    budget = now.material.rules.max_html_kb * 1024
    mailto = f"mailto:{mailbox}" if mailbox else ""
    return tuple(letter(now.compiled, one, now.material.shown, budget, now.row.cadence, mailto) for one in looked)


def check(
    workspace: Workspace, name: str, *, every: bool = False, fetch: bool = False, spelling: bool = False, spam: bool = True
) -> Report:
    """Check an issue: the usual editions, or ``every`` one, and whatever no edition shows.

    Args:
        fetch: ask each linked address once. spelling: ask hunspell or aspell. spam: ask SpamAssassin where it is installed.
    Raises:
        IssueError: no such issue. RenderError: a template is wrong.
    """
    now = ready(workspace, name)
    real = editions(workspace, now)
    looked = [*usual(now, real)]
    if every:
        looked += [one for one in real if one.selection not in {chosen.selection for chosen in looked}]
    looked += sheets(now.compiled, [one.selection for one in looked])
    seen = letters(workspace, now, looked)
    findings = [*lint.check(seen)]
    asked: list[tuple[Rule, Callable[[], Iterable[Found]]]] = []
    if spam and seen:
        asked.append((edges.spam, lambda: edges.spam_score(seen[0])))
    if spelling:
        asked.append((edges.spelling, lambda: edges.misspelt(seen, workspace.config.newsletter.language, _written(now))))
    if fetch:
        asked.append((edges.dead, lambda: _dead(workspace, seen)))
    skipped = []
    for rule, ask in asked:
        try:
            findings += lint.gather([(rule, seen[0].name if rule is edges.spam else "", found) for found in ask()])
        except edges.Skipped as why:
            skipped.append((rule.id, str(why)))
    return Report(name, tuple(one.name for one in looked), _with_words(workspace, name, findings), tuple(skipped))


def _dead(workspace: Workspace, seen: Sequence[Letter]) -> Iterable[Found]:
    config = workspace.config
    hrefs = edges.addresses(seen, config.newsletter.url)
    return edges.dead_links(list(dict.fromkeys((*hrefs, *edges.pictures(seen)))), config.fetch)


def _written(now: Ready) -> tuple[str, ...]:
    """What editors wrote for the whole issue; the rest of their words stands in the pieces."""
    edits = now.material.edits
    return tuple(filter(None, (edits.subject, edits.preheader, edits.note, *edits.intros.values())))


def _with_words(workspace: Workspace, name: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    words: dict[str, str] = {}
    with workspace.store.read() as tx:
        for at, who, what, detail in holding.decisions(tx, name):
            if what == ACCEPTED:
                kept = json.loads(detail)
                words |= dict.fromkeys(kept["findings"], f"{kept['word']} ({who}, {at:%Y-%m-%d %H:%M} UTC)")
    return tuple(replace(one, accepted="" if one.blocks else words.get(one.fingerprint, "")) for one in findings)


def accept(workspace: Workspace, report: Report, rule: str, word: str) -> int:
    """Let pass what a rule found in an issue, with a word that says why; recorded. A later fault is a new one. Returns how many.

    Raises:
        IssueError: no such rule, nothing to accept, an error, or no word.
    """
    known = lint.by_id(ALL_RULES)
    if rule not in known:
        raise IssueError(f'"{rule}" is no rule; `digest lint --rules` lists them')
    if known[rule].level is Level.ERROR:
        raise IssueError(f"{rule} is an error, which nobody can let pass; mend it")
    found = [finding.fingerprint for finding in report.findings if finding.rule == rule and not finding.accepted]
    if not found:
        raise IssueError(f"{rule} finds nothing in {report.issue} that waits for a word")
    if not word.strip():
        raise IssueError("say why it may pass: --because WORDS")
    detail = json.dumps({"rule": rule, "findings": found, "word": word.strip()}, ensure_ascii=False)
    with workspace.store.write() as tx:
        holding.record(tx, workspace.who, ACCEPTED, report.issue, detail)
        audit.record(tx, workspace, "issue.accept_warning", report.issue, rule=rule, findings=len(found), why=word.strip())
    return len(found)


def recalled(workspace: Workspace, report: Report) -> Report:
    """The same report with what has been accepted since."""
    return replace(report, findings=_with_words(workspace, report.issue, report.findings))


def as_json(report: Report) -> dict[str, Any]:
    """What ``digest lint --json`` prints."""
    return {
        "issue": report.issue,
        "errors": report.count(Level.ERROR),
        "warnings": report.count(Level.WARNING),
        "accepted": report.count(Level.WARNING, accepted=True),
        "advice": report.count(Level.ADVICE),
        "editions": list(report.editions),
        "findings": [
            {
                "rule": one.rule,
                "level": one.level.value,
                "text": one.text,
                "place": one.place,
                "file": one.file,
                "editions": list(one.editions),
                "fingerprint": one.fingerprint,
                "accepted": one.accepted,
            }
            for one in report.findings
        ],
        "skipped": [{"rule": rule, "why": why} for rule, why in report.skipped],
    }
