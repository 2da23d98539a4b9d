"""Findings in SARIF 2.1.0, which code hosts show beside the lines of a change.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0, sections 3.13 (log), 3.14 (run), 3.27 (result), 3.49 (rule).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from digest.lint.rule import Finding, Level, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.ADVICE: "note"}


def log(issue: str, findings: Iterable[Finding], rules: Iterable[Rule], version: str) -> dict[str, Any]:
    """One log with one run. The place of a result is the file where it is most likely mended, and the edition that shows it."""
    listed = sorted(rules, key=lambda rule: rule.id)
    index = {rule.id: number for number, rule in enumerate(listed)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "digest lint",
                        "semanticVersion": version,
                        "rules": [_rule(rule) for rule in listed],
                    }
                },
                "automationDetails": {"id": f"digest/{issue}"},
                "columnKind": "unicodeCodePoints",
                "results": [_result(issue, finding, index[finding.rule]) for finding in findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.reason},
        "fullDescription": {"text": f"{rule.reason} Source: {rule.source}."},
        "help": {"text": f"Breaks it: {rule.example}"},
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }


def _result(issue: str, finding: Finding, index: int) -> dict[str, Any]:
    where = f" ({finding.place})" if finding.place else ""
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.level],
        "message": {"text": f"{finding.text}{where}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": finding.file}},
                "logicalLocations": [{"name": name, "fullyQualifiedName": f"{issue}/{name}"} for name in finding.editions[:10]],
            }
        ],
        "partialFingerprints": {"digestLint/v1": finding.fingerprint},
    }
    if finding.accepted:
        found["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return found
