"""The rules as a page: what docs/lint.md says of each."""

from __future__ import annotations

from collections.abc import Iterable

from digest.lint.rule import Level, Rule

_HEADINGS = {
    Level.ERROR: "Errors: they stop approval",
    Level.WARNING: "Warnings: mend them, or accept them with a word",
    Level.ADVICE: "Advice",
}


def markdown(rules: Iterable[Rule]) -> str:
    """All rules, parted by level, in the order they are kept in."""
    listed = list(rules)
    lines = []
    for level, heading in _HEADINGS.items():
        lines += [f"### {heading}", ""]
        for rule in listed:
            if rule.level is level:
                lines += [
                    f"- **`{rule.id}`** {rule.reason}",
                    f"  Breaks it: `` {rule.example} ``.",
                    f"  Source: {rule.source}. Mended in `{rule.file}`.",
                ]
        lines += [""]
    return "\n".join(lines)
