"""Workers behind PgBouncer in transaction mode: each transaction may meet another session of the server."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time

import psycopg
import pytest
from sqlalchemy import make_url, text

from digest.errors import StoreError
from digest.store import open_store
from digest.workspace import open_workspace
from tests.support.fleet import ON, Fleet
from tests.support.ports import free_port

SETTINGS = """
[databases]
* = host={folder} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
query_wait_timeout = 20
log_connections = 0
log_disconnections = 0
"""


@pytest.fixture
def pooled(postgres, tmp_path):
    """The address of a database of its own through a pooler that has fewer sessions than its clients have connections."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PGBOUNCER IS NOT TRIED: it is not installed")
    if not hasattr(postgres, "folder"):
        pytest.skip("a server that was given to the tests is not put behind a pooler")
    direct = make_url(postgres.database())
    port, folder = free_port(), postgres.folder / "pooler"  # where a user other than root can read
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "settings").write_text(SETTINGS.format(folder=postgres.folder, user=direct.username, port=port, size=5), encoding="ascii")
    (folder / "settings").chmod(0o644)  # a command that an earlier test ran in this process may have set the umask
    as_whom = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with (tmp_path / "pooler.log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "settings")], stdout=log, stderr=log, cwd=folder, **as_whom)
    url = f"postgresql://{direct.username}@127.0.0.1:{port}/{direct.database}"
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
                break
            assert process.poll() is None and time.monotonic() < until, (tmp_path / "pooler.log").read_text()
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def test_workers_share_an_issue_through_a_pooler(tmp_path, pooled):
    fleet = Fleet(tmp_path / "letter", pooled, 60, planned=False)
    try:
        first, second = (fleet.start("--delay", "0.01", "--batch", "3", "--lanes", "4", "--lease-margin", "1", "--knows") for _ in "ab")
        fleet.wait(lambda: len(fleet.taken()) >= 6)
        first.kill()  # the pooler gives its session to the next, whatever state it was in
        first.wait()
        fleet.wait_finished()
        taken, stands = fleet.taken(), fleet.status()
        assert set(taken.values()) == {1} and len(taken) == stands.accepted == 60
        second.terminate()
        assert second.wait(timeout=30) == 0
        with open_workspace(fleet.folder, ON) as opened, opened.store.engine.connect() as connection:
            left = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one()
            assert left == 0
    finally:
        fleet.kill()


def test_a_session_that_was_made_weak_by_somebody_else_is_refused(tmp_path, pooled):
    """What was looked at when we connected may have been another session: each writer looks again."""
    with contextlib.closing(open_store(tmp_path, pooled, None)) as store:
        with contextlib.ExitStack() as stack:  # all the pooler has, so that whichever comes next is one of them
            others = [stack.enter_context(psycopg.connect(pooled, prepare_threshold=None)) for _ in range(3)]
            for other in others:
                other.execute("SET synchronous_commit = off")
            for other in others:
                other.commit()
        with pytest.raises(StoreError, match="does not keep what it commits"):
            for _ in range(20):
                with store.write() as tx:
                    tx.execute(text("SELECT 1"))
