"""A disk whose power can be cut, under SQLite: what was written and not synced is kept only as chance has it.

The disk lives in memory. A write is seen at once by who reads through the same disk, and survives for certain once its file was
synced. At a cut each file, apart from the others, loses all of its unsynced writes, or keeps all, the first few, some, or some of
their 512-byte sectors. The device says of itself what SQLite's own unix one does (powersafe overwrite, 4,096-byte sectors).

``store_on`` gives the program's own ``Store`` on such a disk: its SQL, its settings at every connection, its transactions.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import apsw
from sqlalchemy import StaticPool, create_engine, event, make_url

from digest.store import Store, sqlite
from digest.vault import Vault

SECTOR = 512
WAYS = ("drop", "keep", "prefix", "subset", "torn")
DATABASE = "/disk/digest.db"


class PowerCut(apsw.IOError):
    """The power is gone."""


class Write(NamedTuple):
    """One unsynced change of a file: bytes at a place, or (``data`` None) its new length."""

    at: int
    data: bytes | None

    def to(self, body: bytearray) -> None:
        """Do it."""
        if self.data is None:
            del body[self.at :]
            return
        if len(body) < self.at:
            body.extend(bytes(self.at - len(body)))
        body[self.at : self.at + len(self.data)] = self.data

    def sectors(self) -> list[Write]:
        """The pieces that reach the platter apart from each other."""
        if self.data is None:
            return [self]
        ends = [*range((self.at // SECTOR + 1) * SECTOR, self.at + len(self.data), SECTOR), self.at + len(self.data)]
        starts = [self.at, *ends[:-1]]
        return [Write(start, self.data[start - self.at : end - self.at]) for start, end in zip(starts, ends, strict=True)]


class Content:
    """A file: ``live`` as readers see it, ``durable`` as it was last synced, and what lies between."""

    def __init__(self, body: bytes = b"", *, named: bool = False) -> None:
        self.live, self.durable = bytearray(body), bytearray(body)
        self.unsynced: list[Write] = []
        self.named = named  # whether its name is in the folder for certain

    def change(self, write: Write) -> None:
        write.to(self.live)
        self.unsynced.append(write)

    def sync(self) -> None:
        self.durable, self.named = bytearray(self.live), True
        self.unsynced.clear()


class Disk:
    """Files, and a fuse: after so many changes, syncs and ticks the power is gone, in the midst of the last one."""

    def __init__(self, source: random.Random, files: dict[str, bytes]) -> None:
        self.source = source
        self.files = {name: Content(body, named=True) for name, body in files.items()}
        self.doomed: dict[str, Content] = {}  # deleted, and not yet for certain
        self.out = False
        self._left: int | None = None
        self.ways: Counter[str] = Counter()
        self.lost_bytes = 0

    def arm(self, ticks: int | None) -> None:
        """Lay a fuse of that length; None: no cut."""
        self._left = ticks

    def tick(self) -> None:
        """A moment at which the power may go.

        Raises:
            PowerCut: it went.
        """
        self.look()
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.out = True
                raise PowerCut("the power is gone")

    def look(self) -> None:
        """A moment at which nothing changes.

        Raises:
            PowerCut: the power is gone already.
        """
        if self.out:
            raise PowerCut("the power is gone")

    def restart(self) -> None:
        """Switch on again, with what chance has kept."""
        for name, content in self.doomed.items():
            if name not in self.files and self.source.random() < 0.5:
                self.files[name] = content
        kept = {}
        for name, content in self.files.items():
            body = self._survivor(content)
            if content.named or body or self.source.random() < 0.5:
                kept[name] = Content(bytes(body), named=True)
        self.files, self.doomed = kept, {}
        self.out, self._left = False, None

    def _survivor(self, content: Content) -> bytearray:
        if not content.unsynced:
            return content.durable
        way = self.source.choice(WAYS)
        self.ways[way] += 1
        body = bytearray(content.durable)
        survivors = list(self._chosen(way, content.unsynced))
        for write in survivors:
            write.to(body)
        self.lost_bytes += sum(len(write.data or b"") for write in content.unsynced)
        self.lost_bytes -= sum(len(write.data or b"") for write in survivors)
        return body

    def _chosen(self, way: str, writes: Sequence[Write]) -> Iterable[Write]:
        if way == "drop":
            return []
        if way == "keep":
            return writes
        if way == "prefix":
            return writes[: self.source.randrange(len(writes) + 1)]
        share = self.source.random()
        pieces = writes if way == "subset" else [piece for write in writes for piece in write.sectors()]
        return [piece for piece in pieces if self.source.random() < share]


class _File(apsw.VFSFile):
    """An open file of the disk."""

    def __init__(self, disk: Disk, content: Content) -> None:  # the parent's would open a real file
        self._disk, self._content = disk, content

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.look()
        return bytes(self._content.live[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.look()
        self._content.change(Write(offset, bytes(data)))
        self._disk.tick()

    def xTruncate(self, newsize: int) -> None:
        self._disk.look()
        self._content.change(Write(newsize, None))
        self._disk.tick()

    def xSync(self, flags: int) -> None:
        self._disk.tick()  # gone before the sync is through: nothing of it is certain
        self._content.sync()

    def xFileSize(self) -> int:
        self._disk.look()
        return len(self._content.live)

    def xClose(self) -> None:
        pass

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


class PowerVFS(apsw.VFS):
    """SQLite's way to a disk; clock and chance come from the real system."""

    def __init__(self, disk: Disk) -> None:
        self.disk, self.vfs_name = disk, f"power-{id(disk)}"
        super().__init__(self.vfs_name, "")

    def xFullPathname(self, name: str) -> str:
        return name

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:
        self.disk.look()
        flags[1] = flags[0]
        if name is None:
            return _File(self.disk, Content())
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _File(self.disk, self.disk.files.setdefault(path, Content()))

    def xAccess(self, pathname: str, flags: int) -> bool:
        self.disk.look()
        return pathname in self.disk.files

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.disk.tick()
        content = self.disk.files.pop(filename, None)
        if content is not None and not syncdir:
            self.disk.doomed[filename] = content


# --- SQLAlchemy over apsw: as much of the DB-API as the pysqlite dialect asks for ----------------------------------------------


class _Cursor:
    arraysize = 1

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.rowcount, self.lastrowid = -1, 0

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> _Cursor:
        cursor = self._connection.cursor()
        found: list[tuple[tuple[str, str], ...]] = []
        cursor.exec_trace = lambda made, _, __: found.append(made.get_description()) or True
        self._rows = list(cursor.execute(sql, tuple(parameters)))[::-1]
        self.description = tuple((name, *[None] * 6) for name, _ in found[-1]) if found and found[-1] else None
        self.rowcount, self.lastrowid = self._connection.changes(), self._connection.last_insert_rowid()
        return self

    def executemany(self, sql: str, several: Iterable[Sequence[Any]]) -> _Cursor:
        for parameters in several:
            self.execute(sql, parameters)
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop() if self._rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        return [self._rows.pop() for _ in range(min(size, len(self._rows)))]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        self._rows = []


class _Connection:
    isolation_level: str | None = None  # as the program sets it

    def __init__(self, disk: Disk) -> None:
        self._disk, self._vfs = disk, PowerVFS(disk)
        self._real = apsw.Connection(DATABASE, vfs=self._vfs.vfs_name)
        # A VFS of Python's has no shared memory; with it gone the WAL's index is in the heap, the rest is as ever.
        self._real.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()

    def cursor(self) -> _Cursor:
        return _Cursor(self._real)

    def create_function(self, name: str, n: int, function: Any, **_: Any) -> None:
        pass

    def commit(self) -> None:
        if self._real.in_transaction:
            self._real.execute("COMMIT")

    def rollback(self) -> None:
        if not self._disk.out and self._real.in_transaction:
            self._real.execute("ROLLBACK")

    def close(self) -> None:
        with contextlib.suppress(apsw.Error):  # without power there is nothing to tidy
            self._real.close(True)


_DBAPI = SimpleNamespace(
    paramstyle="qmark",
    sqlite_version_info=tuple(int(part) for part in apsw.sqlite_lib_version().split(".")),
    sqlite_version=apsw.sqlite_lib_version(),
    Binary=bytes,
    Error=apsw.Error,
    DatabaseError=apsw.Error,
    OperationalError=apsw.Error,
    IntegrityError=apsw.ConstraintError,
    ProgrammingError=apsw.SQLError,
    InterfaceError=apsw.MisuseError,
    InternalError=apsw.InternalError,
    DataError=apsw.MismatchError,
    NotSupportedError=apsw.MisuseError,
)


def store_on(disk: Disk, vault: Vault, synchronous: str, autocheckpoint: int, beside: Path) -> Store:
    """The program's store on a disk, its settings as the program makes them; ``synchronous`` other than FULL is the control."""
    engine = create_engine("sqlite://", module=_DBAPI, creator=lambda: _Connection(disk), poolclass=StaticPool)
    event.listen(engine, "connect", sqlite._prepare)
    event.listen(engine, "begin", sqlite._begin)

    def change(connection: Any, _: Any) -> None:
        connection.cursor().execute(f"PRAGMA wal_autocheckpoint={autocheckpoint}")
        if synchronous != "FULL":
            connection.cursor().execute(f"PRAGMA synchronous={synchronous}")

    event.listen(engine, "connect", change)
    backend = sqlite.SqliteFile(beside, make_url("sqlite:///digest.db"))
    backend.engine = backend.reader = engine
    backend.writer = backend.together = engine.execution_options(digest_write=True)
    return Store(backend, vault)
