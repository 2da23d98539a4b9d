"""A file is replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def put(file: Path, text: str, mode: int = 0o644) -> None:
    """Put the file in place whole, with the rights it had, a new one with ``mode``: a crash leaves the old one or the new one, and so
    do others who write it at the same time.

    Raises:
        OSError: it cannot be written; the old one is there.
    """
    target = file.resolve()  # a link goes on pointing where it did
    mode = target.stat().st_mode & 0o777 if target.exists() else mode
    number, name = tempfile.mkstemp(prefix=f".{target.stem}-", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as out:
            os.fchmod(out.fileno(), mode)
            out.write(text.encode("utf-8"))
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
