"""Checks of what is about to leave: one rule, one function; pure, over composed editions. docs/lint.md lists them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from digest.lint import inbox, links, looks, pictures, reading, structure, support, weight
from digest.lint.letter import Letter, Piece
from digest.lint.rule import Finding, Found, Level, Rule

RULES: tuple[Rule, ...] = (
    *inbox.RULES,
    *links.RULES,
    *pictures.RULES,
    *looks.RULES,
    *structure.RULES,
    *reading.RULES,
    *weight.RULES,
    *support.RULES,
)

_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.ADVICE: 2}

__all__ = ["RULES", "Finding", "Found", "Level", "Letter", "Piece", "Rule", "by_id", "check", "gather"]


def by_id(rules: Iterable[Rule] = RULES) -> dict[str, Rule]:
    """The rules by their ids."""
    return {rule.id: rule for rule in rules}


def check(letters: Sequence[Letter], rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """What the rules find in these editions: the errors first, each fault once, with the editions that have it."""
    return gather((rule, letter.name, found) for rule in rules for letter in letters for found in rule.check(letter))


def gather(found: Iterable[tuple[Rule, str, Found]]) -> tuple[Finding, ...]:
    """Faults as findings, equal ones put together."""
    places: dict[tuple[str, Found], tuple[Rule, list[str]]] = {}
    for rule, edition, one in found:
        editions = places.setdefault((rule.id, one), (rule, []))[1]
        if edition and edition not in editions:
            editions.append(edition)
    findings = [
        Finding(rule.id, rule.level, one.text, one.place, rule.file, tuple(editions)) for (_, one), (rule, editions) in places.items()
    ]
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.level]))
