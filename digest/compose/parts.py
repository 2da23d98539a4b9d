"""Rendered documents as parts with slots: cut once per issue, joined for each selection, filled for each reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from digest.compose import markers, wire
from digest.errors import RenderError

EDITION_SLOTS = frozenset({"PREHEADER", "INTRO", "OVERFLOW", "WHY"})
READER_SLOTS = frozenset({"GREETING", "UNSUBSCRIBE", "PREFERENCES", "WEB"})
# Where parts of a kind belong; a group is the run of places that a document keeps for it.
GROUPS = {"notice": "notices", "section": "sections", "teaser": "sections", "highlights": "highlights", "overflow": "overflow"}


_SOUND = re.compile(rb"(?:(?!\.)[\t\x20-\x7e]*\r\n)*+")


def escape(text: str) -> str:
    """Plain text as libxml2 writes it between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
    def wire(self) -> tuple[bytes, ...]:
        """The pieces encoded as quoted-printable (slots empty)."""
        return tuple(b"" if n % 2 else wire.encode(piece) for n, piece in enumerate(self.pieces))

    @cached_property
    def size(self) -> int:
        """Bytes of its fixed text after decoding."""
        return sum(wire.size(piece) for piece in self.pieces[::2])

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every slot replaced by its value."""
        return "".join(values[piece] if n % 2 else piece for n, piece in enumerate(self.pieces))


@dataclass(frozen=True)
class Body:
    """One side (HTML or text) of an edition. ``texts`` and ``wires`` are its fixed stretches, ``slots`` what stands between."""

    texts: tuple[str, ...]
    wires: tuple[bytes, ...]
    slots: tuple[str, ...]

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
        """Whether its fixed stretches can go over the wire as they are: whole lines of ASCII, each ended by CRLF, none with a dot
        in front. A lone CR or LF is a line end to some servers: a message within a message (RELIABILITY section 4, VU#302671).
        """
        return all(_SOUND.fullmatch(piece) for piece in self.wires)

    @cached_property
    def size(self) -> int:
        """Bytes of the fixed stretches after decoding."""
        return sum(wire.size(text) for text in self.texts)


def join(parts: Iterable[tuple[Part, Mapping[str, str]]]) -> Body:
    """Parts one after another with the values known so far; slots without one stay slots."""
    texts: list[list[str]] = [[]]
    wires: list[list[bytes]] = [[]]
    slots: list[str] = []
    for part, values in parts:
        for n, (piece, coded) in enumerate(zip(part.pieces, part.wire, strict=True)):
            if n % 2 == 0:
                texts[-1].append(piece)
                wires[-1].append(coded)
            elif piece in values:
                texts[-1].append(values[piece])
                wires[-1].append(wire.encode(values[piece]))
            else:
                slots.append(piece)
                texts.append([])
                wires.append([])
    return Body(tuple(map("".join, texts)), tuple(map(b"".join, wires)), tuple(slots))


@dataclass(frozen=True)
class Document:
    """A template rendered with everything an issue has. ``frame`` holds fixed parts and, between them, names of groups."""

    frame: tuple[Part | str, ...]
    parts: Mapping[str, Part]

    @property
    def frame_parts(self) -> tuple[Part, ...]:
        """What every edition has."""
        return tuple(item for item in self.frame if isinstance(item, Part))

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
