"""Reading the mailbox that bounces go to: a Maildir, whose messages are marked as read, or an mbox file, which stays as it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from digest.errors import ConfigError


def read(path: Path, limit: int) -> Iterator[tuple[bytes, Callable[[], None]]]:
    """The messages of a mailbox, the first ``limit`` bytes of each, with what is to be called once each is kept.

    Raises:
        ConfigError: there is no such mailbox.
    """
    if (path / "new").is_dir() and (path / "cur").is_dir():
        yield from _maildir(path, limit)
    elif path.is_file():
        yield from _mbox(path, limit)
    else:
        raise ConfigError(f"{path}: neither a Maildir (a folder with new and cur) nor an mbox file")


def _maildir(path: Path, limit: int) -> Iterator[tuple[bytes, Callable[[], None]]]:
    waiting = [file for folder in ("new", "cur") for file in sorted((path / folder).iterdir()) if not _seen(file)]
    for file in waiting:
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # no link out of the mailbox, no pipe to hang on
        except OSError:
            continue  # taken away meanwhile, or not ours to read
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            continue
        with os.fdopen(handle, "rb") as opened:
            raw = opened.read(limit)

        def done(file: Path = file) -> None:
            base, _, flags = file.name.partition(":2,")
            file.rename(path / "cur" / f"{base}:2,{''.join(sorted({*flags, 'S'}))}")

        yield raw, done


def _seen(file: Path) -> bool:
    return file.name.startswith(".") or "S" in file.name.partition(":2,")[2]


def _mbox(path: Path, limit: int) -> Iterator[tuple[bytes, Callable[[], None]]]:
    kept: list[bytes] = []
    size, begun, after_blank = 0, False, True
    with path.open("rb") as opened:
        while line := opened.readline(64 * 1024):  # a line without an end must not fill the memory
            if after_blank and line.startswith(b"From "):
                if begun:
                    yield b"".join(kept), _nothing
                kept, size, begun = [], 0, True
            elif begun and size < limit:
                kept.append(line)
                size += len(line)
            after_blank = line in (b"\n", b"\r\n")
    if begun:
        yield b"".join(kept)[:limit], _nothing


def _nothing() -> None:
    """An mbox file is left as it is: what was taken is known by its hash."""
