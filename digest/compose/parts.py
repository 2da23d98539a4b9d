"""Rendered documents as parts with slots: cut once per issue, joined for each selection, filled for each reader."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from digest.compose import markers, wire
from digest.errors import RenderError

EDITION_SLOTS = frozenset({"PREHEADER", "INTRO", "OVERFLOW", "WHY"})
FRAME_SLOTS = frozenset({"PREHEADER", "INTRO"})  # those of them that stand outside of parts
READER_SLOTS = frozenset({"GREETING", "UNSUBSCRIBE", "PREFERENCES", "WEB"})
# Where parts of a kind belong; a group is the run of places that a document keeps for it.
GROUPS = {"notice": "notices", "section": "sections", "teaser": "sections", "highlights": "highlights", "overflow": "overflow"}


_SOUND = re.compile(rb"(?:(?!\.)[\t\x20-\x7e]*\r\n)*+")


def escape(text: str) -> str:
    """Plain text as libxml2 writes it between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Piece:
    """A stretch of text with nothing of a reader in it. What is asked of it is found once, however many editions share it."""

    slot = ""  # see `Slot`

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Piece) and (self.text, self.slot) == (other.text, other.slot)

    def __hash__(self) -> int:
        return hash((self.text, self.slot))

    @cached_property
    def wire(self) -> bytes:
        """It in quoted-printable."""
        return wire.encode(self.text)

    @cached_property
    def size(self) -> int:
        """Bytes after decoding."""
        return wire.size(self.text)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of its text."""
        return hashlib.sha256(self.text.encode()).digest()

    @cached_property
    def sound(self) -> bool:
        """Whether it can go over the wire as it is: whole lines of ASCII, each ended by CRLF, none with a dot in front. A lone CR
        or LF is a line end to some servers: a message within a message (RELIABILITY section 4, VU#302671).
        """
        return _SOUND.fullmatch(self.wire) is not None

    @cached_property
    def sound_wire(self) -> bytes:
        """Its `wire`.

        Raises:
            ValueError: it cannot go over the wire as it is.
        """
        if not self.sound:
            raise ValueError("the message has a character that must not be on the wire")
        return self.wire


class Slot(Piece):
    """The place of a value: a piece without text, told from others by its name."""

    def __init__(self, slot: str) -> None:
        super().__init__("")
        self.slot = slot

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of its name, in a form that no text has."""
        return hashlib.sha256(b"\xff" + self.slot.encode()).digest()


class Run:
    """Pieces that always stand together: a part as all editions have it. The line that an edition puts into it (`EDITION_SLOTS`)
    stands beside it, see `Spot`: there are few parts and few lines, and what they have to be asked is asked once of each.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self.laid: list[Any] = [None] * 4  # as `digest.compose.mould` holds it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)

    def told(self, line: Piece | None) -> tuple[Piece, ...]:
        """Its pieces with the line in its place."""
        if line is None:
            return self.pieces
        return tuple([line if piece.slot in EDITION_SLOTS else piece for piece in self.pieces])

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The names of its readers' slots, in order, with repetitions."""
        return tuple([piece.slot for piece in self.pieces if piece.slot in READER_SLOTS])

    @cached_property
    def lines(self) -> int:
        """How often its line stands in it."""
        return sum([piece.slot in EDITION_SLOTS for piece in self.pieces])

    @cached_property
    def sound(self) -> bool:
        """Whether each of its pieces can go over the wire as it is, see `Piece.sound`."""
        return all(piece.sound for piece in self.pieces)

    @cached_property
    def size(self) -> int:
        """Bytes after decoding, its slots not counted."""
        return sum([piece.size for piece in self.pieces])

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """The digests of its pieces, one after another, cut where its line belongs."""
        found: list[list[bytes]] = [[]]
        for piece in self.pieces:
            if piece.slot in EDITION_SLOTS:
                found.append([])
            else:
                found[-1].append(piece.digest)
        return tuple([b"".join(one) for one in found])


Spot = tuple[Run, Piece | None]  # a part in its place in an edition, and the line that it has there


@dataclass(frozen=True)
class Part:
    """Text with slots. ``pieces`` alternate: text, name of a slot, text, …; there is always a text at both ends."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Part:
        """The part that a template gave, guards taken out."""
        pieces = markers.SLOT.split(text)
        return cls(tuple(piece if n % 2 else markers.unguard(piece) for n, piece in enumerate(pieces)))

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots, in order, with repetitions."""
        return self.pieces[1::2]

    @cached_property
    def stretches(self) -> tuple[Piece, ...]:
        """The same: stretches that hold something, and slots."""
        return tuple(Slot(piece) if n % 2 else Piece(piece) for n, piece in enumerate(self.pieces) if n % 2 or piece)

    @cached_property
    def plain(self) -> Run:
        """The part with none of its slots known."""
        return Run(self.stretches)

    def filled(self, values: Mapping[str, Piece]) -> Run:
        """The part with the slots known so far filled in; those without a value stay slots."""
        return Run([values.get(piece.slot, piece) if piece.slot else piece for piece in self.stretches])

    @cached_property
    def between_lines(self) -> tuple[Run | str, ...]:
        """The part cut at the slots that an edition fills: what stands between them never changes, their names do not, either."""
        found: list[Run | str] = []
        pieces: list[Piece] = []
        for piece in (*self.stretches, None):
            if piece is not None and piece.slot not in FRAME_SLOTS:
                pieces.append(piece)
                continue
            if pieces:
                found.append(Run(pieces))
                pieces = []
            if piece is not None:
                found.append(piece.slot)
        return tuple(found)

    @cached_property
    def size(self) -> int:
        """Bytes of its fixed text after decoding."""
        return sum(wire.size(piece) for piece in self.pieces[::2])

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every slot replaced by its value."""
        return "".join([values[piece] if n % 2 else piece for n, piece in enumerate(self.pieces)])


class Body:
    """One side (HTML or text) of an edition: fixed pieces, and the slots of its reader between them."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self.spots = spots

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Body) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)

    @classmethod
    def of(cls, text: str) -> Body:
        """One that is the same for everybody."""
        return cls(((Run((Piece(text),)), None),))

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All of its pieces."""
        return tuple([piece for run, line in self.spots for piece in run.told(line)])

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots, in order, with repetitions."""
        return tuple([slot for run, _ in self.spots for slot in run.slots])

    @property
    def ends_in_slot(self) -> bool:
        """Whether what comes last is the reader's."""
        return next((run.pieces[-1].slot in READER_SLOTS for run, _ in reversed(self.spots) if run.pieces), False)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What stands before, between and after the slots."""
        return tuple("".join([piece.text for piece in run]) for run in self._between())

    @cached_property
    def wires(self) -> tuple[bytes, ...]:
        """The same in quoted-printable."""
        return tuple([b"".join([piece.wire for piece in run]) for run in self._between()])

    def _between(self) -> list[Sequence[Piece]]:
        at = [-1, *[n for n, piece in enumerate(self.pieces) if piece.slot], len(self.pieces)]
        return [self.pieces[before + 1 : after] for before, after in zip(at, at[1:], strict=False)]

    def fill(self, values: Mapping[str, str]) -> str:
        """The whole text for one reader."""
        out = [self.texts[0]]
        for slot, text in zip(self.slots, self.texts[1:], strict=True):
            out += (values[slot], text)
        return "".join(out)

    def fill_wire(self, values: Mapping[str, bytes]) -> bytes:
        """The whole in quoted-printable, its values encoded by `wire.encode`."""
        out = [self.wires[0]]
        for slot, text in zip(self.slots, self.wires[1:], strict=True):
            out += (values[slot], text)
        return b"".join(out)

    @cached_property
    def sound(self) -> bool:
        """Whether each of its pieces can go over the wire as it is, see `Piece.sound`."""
        return all(run.sound and (line is None or line.sound) for run, line in self.spots)

    @cached_property
    def size(self) -> int:
        """Bytes of the fixed stretches after decoding."""
        return sum([run.size + (run.lines * line.size if line else 0) for run, line in self.spots])

    @cached_property
    def digest(self) -> bytes:
        """What tells it from any other, made of its pieces' digests: their texts are hashed once for all editions."""
        return hashlib.sha256(b"".join([(line.digest if line else b"").join(run.digests) for run, line in self.spots])).digest()


def join(parts: Iterable[tuple[Part, Mapping[str, str]]]) -> Body:
    """Parts one after another with the values known so far; slots without one stay slots."""
    return Body([(part.filled({slot: Piece(value) for slot, value in values.items()}), None) for part, values in parts])


@dataclass(frozen=True)
class Document:
    """A template rendered with everything an issue has. ``frame`` holds fixed parts and, between them, names of groups."""

    frame: tuple[Part | str, ...]
    parts: Mapping[str, Part]

    @property
    def frame_parts(self) -> tuple[Part, ...]:
        """What every edition has."""
        return tuple(item for item in self.frame if isinstance(item, Part))

    @cached_property
    def layout(self) -> tuple[Run | str, ...]:
        """The frame cut where an edition has something of its own: runs, names of slots and of groups."""
        return tuple(one for item in self.frame for one in (item.between_lines if isinstance(item, Part) else (item,)))

    def as_json(self) -> dict[str, object]:
        """Plain lists and dicts, see `from_json`."""
        frame = [list(item.pieces) if isinstance(item, Part) else item for item in self.frame]
        return {"frame": frame, "parts": {name: list(part.pieces) for name, part in sorted(self.parts.items())}}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Document:
        """What `as_json` gave."""
        frame, parts = data["frame"], data["parts"]
        if not isinstance(frame, list) or not isinstance(parts, dict):
            raise RenderError("a stored issue cannot be read; draft it again")
        return cls(
            tuple(item if isinstance(item, str) else Part(tuple(item)) for item in frame),
            {str(name): Part(tuple(pieces)) for name, pieces in parts.items()},
        )


def split(name: str, text: str, *, html: bool) -> Document:
    """The document that template ``name`` gave, cut at its marks.

    Raises:
        RenderError: parts that could not be left out or moved by themselves, or a slot that does not exist.
    """
    file = f"templates/{name}"
    try:
        stretches = markers.stretches(text, html=html)
    except ValueError as error:
        raise RenderError(f"{file}: {error}; look at its {{% part %}} tags") from error
    frame: list[Part | str] = []
    parts: dict[str, Part] = {}
    for stretch in stretches:
        group = GROUPS.get(stretch.part.partition(":")[0], "")
        if not stretch.part:
            if stretch.text:
                frame.append(Part.of(stretch.text))
            continue
        if frame and frame[-1] == group:
            pass
        elif group in frame:
            raise RenderError(f"{file}: text stands between two parts of {group}; put it inside a {{% part %}} or before the first")
        else:
            frame.append(group)
        parts[stretch.part] = _known(file, Part.of(stretch.text))
    for item in frame:
        if isinstance(item, Part):
            _known(file, item)
    return Document(tuple(frame), parts)


def _known(file: str, part: Part) -> Part:
    unknown = sorted(set(part.slots) - EDITION_SLOTS - READER_SLOTS)
    if unknown:
        raise RenderError(f"{file}: @@{unknown[0]}@@ is not a slot; write {{{{ … }}}} with a field of the data")
    return part
