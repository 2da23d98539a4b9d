"""The order of the texts inside the list of an issue's dynamic template, and what to flag for a part of an edition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from digest.compose.parts import Part
from digest.providers.sendgrid_joints import NOTHING, Joint, Side
from digest.providers.sendgrid_lines import Fragments, PreheaderLines, WhyLines
from digest.providers.sendgrid_source import Source

# Where parts stand in the template: those of the first line before all lines, the others after everything that follows a line.
_EARLY = ("notice", "section", "highlights", "teaser")


class Place(NamedTuple):
    """A flag, and where in the template its text stands: what an item flags must rise."""

    flag: str
    at: int


class Steps(NamedTuple):
    """What to flag for a part: its own flag, then line by line what the edition says, and what follows that line, which may stand
    behind the part's own flag once more (None: nothing does).
    """

    own: Place | None
    lines: tuple[tuple[str, int, Place | None], ...]  # name of the line, where its fragments stand, what follows


class Tables(NamedTuple):
    """What lines are made of."""

    why: WhyLines | None
    preheader: PreheaderLines | None

    def of(self, line: str) -> Fragments:
        """Those of the line of that name."""
        found = self.why if line == "WHY" else self.preheader
        assert found is not None
        return found.fragments


class Order(NamedTuple):
    """The order of the texts inside the list: early parts, lines, what follows lines, late parts."""

    joints: Mapping[str, Joint]
    early: tuple[str, ...]
    late: tuple[str, ...]
    lines: tuple[str, ...]
    alone: Mapping[Side, str]  # the early part whose flag serves for what follows its first line: no other part has the same
    shared: tuple[Side, ...]  # what else follows lines, behind flags of their own

    @classmethod
    def of(cls, joints: Mapping[str, Joint]) -> Order:
        early = tuple(name for kind in _EARLY for name in joints if name.partition(":")[0] == kind)
        count = Counter(side for joint in joints.values() for side in joint.sides[1:] if side != NOTHING)
        firsts = [(joints[name].sides[1], name) for name in early if joints[name].lines]
        alone = {side: name for side, name in firsts if count[side] == 1}
        used = {line for joint in joints.values() for line in joint.lines}
        return cls(
            joints,
            early,
            tuple(name for name in joints if name not in set(early)),
            tuple(line for line in ("WHY", "PREHEADER") if line in used),
            alone,
            tuple(side for side in count if side not in alone),
        )

    def blocks(self, source: Source, tables: Tables, shown: set[str], *, html: bool) -> Iterator[str]:
        """The texts."""

        def block(flag: str, side: Side) -> str:
            part: Part = side.html if html else side.text
            return source.block(flag, source.part(flag, part, html=html, inside=True), inside=True)

        yield from (block(_key(name), self.joints[name].sides[0]) for name in self.early)
        for line in self.lines:
            if line in shown:
                yield from source.fragments(tables.of(line), html=html, inside=True)
        yield from (block(_key(name), side) for side, name in self.alone.items())
        yield from (block(f"u{n}", side) for n, side in enumerate(self.shared))
        yield from (block(_key(name), self.joints[name].sides[0]) for name in self.late)

    def steps(self) -> dict[str, Steps]:
        """What to flag for each part."""
        at = {name: n for n, name in enumerate(self.early, 1)}
        line_at = {line: n for n, line in enumerate(self.lines, len(at) + 1)}
        after = len(at) + len(line_at) + 1  # where everything stands that is behind the flag of an early part once more
        shared = {side: Place(f"u{n}", after + 1 + n) for n, side in enumerate(self.shared)}
        at |= {name: n for n, name in enumerate(self.late, after + len(shared) + 1)}
        found = {}
        for name, joint in self.joints.items():
            own = Place(_key(name), at[name])
            follows = [shared.get(side) for side in joint.sides[1:]]
            twice = bool(follows) and self.alone.get(joint.sides[1]) == name
            if twice:
                follows[0] = Place(own.flag, after)
            lines = zip(joint.lines, [line_at[line] for line in joint.lines], follows, strict=True)
            found[name] = Steps(own if twice or joint.sides[0] != NOTHING else None, tuple(lines))
        return found


def _key(part: str) -> str:
    kind, _, number = part.partition(":")
    return f"{kind[0]}{number}"
