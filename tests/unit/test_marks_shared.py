"""Mark and anchor beside one database: several processes of a machine write the same file, and nobody ever reads half of one."""

import threading

import pytest

from digest.store.anchor import Anchor, AnchorFile
from digest.store.mark import Guard

WRITERS, EACH = 4, 250


def mark(database):
    guard = Guard(database, shared=True)
    return guard.read, lambda n: guard.write("epoch", n, f"monthly-2026-05-{n % 28 + 1:02}", now=True), lambda found: found.epoch == "epoch"


def anchor(database):
    file = AnchorFile(database)
    return file.read, lambda n: file.write(Anchor(seq=n + 1, hash="f" * 64)), lambda found: found.seq > 0


@pytest.mark.parametrize("kind", [mark, anchor])
def test_nobody_reads_half_of_what_several_write(tmp_path, kind):
    """An unreadable mark is taken for a restored copy: everything that is open would be paused and held."""
    read, write, whole = kind(tmp_path / "digest.db")
    write(0)
    threads = [threading.Thread(target=lambda: [kind(tmp_path / "digest.db")[1](n) for n in range(EACH)]) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        assert whole(read())
        seen += 1
    assert seen and whole(read())
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name or file.name.startswith(".")] == []
