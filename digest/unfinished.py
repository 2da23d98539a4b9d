"""A change of the interest lists that was cut in two: finished or undone when the workspace is opened next.

The file and the readers' rows cannot be changed by one stroke. So the intent is written down first, with the file before and
after it; then the file is put in place whole; then the rows follow, some thousand readers at a time. How far it came is told by the file,
and by the record of what each reader had.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from digest import wholefile
from digest.errors import BusyError, ConfigError
from digest.interests import FILE
from digest.store import Store, lists
from digest.store.lists import Move


def settle(path: Path, store: Store) -> str:
    """Finish or undo what was cut short, unless whoever began it is still at it. Says what was done, or nothing."""
    with store.read() as tx:
        if lists.unfinished(tx) is None:
            return ""
    with contextlib.suppress(BusyError), store.alone():
        with store.read() as tx:
            move = lists.unfinished(tx)
        if move is None:
            return ""
        text = read(path)
        if text == move.new_text:
            finish(store, move)
            return f'the change "{move.what}" was cut short and is finished now'
        if text == move.old_text and not lists.irreversible(move):
            give_up(store, move)
            return f'the change "{move.what}" was cut short; the file is as it was before, and so are readers\' choices'
    return ""


def give_up(store: Store, move: Move) -> None:
    """It counts no more: choices that it wrote already are as they were before, with what readers chose since."""
    last: int | None = 0
    while last is not None and move.takes_back is None:
        with store.write() as tx:
            last = lists.retreat(tx, move, last)
    with store.write() as tx:
        lists.drop(tx, move.id)


def finish(store: Store, move: Move) -> int:
    """The file is in place: write the readers' choices. Returns how many readers that were."""
    last: int | None = 0
    while last is not None:
        with store.write() as tx:
            last = lists.advance(tx, move, last)
    with store.write() as tx:
        return lists.end(tx, move)


def read(path: Path) -> str:
    """The interest lists as they are written, line ends and all.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return (path / FILE).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE}: cannot be read: {error}") from error


def put(path: Path, text: str) -> None:
    """Put the file in place whole, with the rights it had: a crash leaves the old one or the new one.

    Raises:
        ConfigError: it cannot be written; the old one is there.
    """
    try:
        wholefile.put(path / FILE, text)
    except OSError as error:
        raise ConfigError(f"{FILE}: cannot be written: {error.strerror}; it is as it was") from error
