"""Databases for the integration tests: whatever is promised of one is tried on both."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from digest.compose.render import kept_ready
from digest.store import open_store
from tests.support.postgres import NoServer, Server, empty, start_server

_LONG = ("test_schedulers", "test_crash_points", "test_care", "test_editors_week", "test_workers", "test_crew")  # a minute or two each


def pytest_collection_modifyitems(items):
    """The long files first: one that begins last is waited for by every other process."""
    items.sort(key=lambda item: _LONG.index(item.path.stem) if item.path.stem in _LONG else len(_LONG))


@pytest.fixture(scope="session", autouse=True)
def _rendering():
    """The process that renders is loaded once for all tests: starting it takes longer than what it renders in most of them."""
    with kept_ready():
        yield


@pytest.fixture(autouse=True)
def _umask():
    """Commands that write what nobody else may read set it for their process, which here is everybody's."""
    os.umask(0o022)
    yield
    os.umask(0o022)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of these tests' own."""
    try:
        server: Server = start_server()
    except NoServer as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL must be tried where CI=true, and none could be started: {error}")
        pytest.skip(f"PostgreSQL IS NOT TRIED: {error}")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _migrated(postgres):
    dsn = postgres.database()
    with tempfile.TemporaryDirectory() as folder:
        open_store(Path(folder), dsn, None).close()
    return dsn


@pytest.fixture
def postgres_url(_migrated):
    """A database with our tables and nothing in them, its numbers beginning at 1."""
    empty(_migrated)
    return _migrated


@pytest.fixture(scope="module")
def own_postgres_url(postgres, _migrated):
    """The same, for all tests of a file and for nobody else."""
    made = postgres.database(_migrated)
    empty(made)
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def on_both(request, monkeypatch):
    """The test runs twice: with the file in the workspace, and with a server."""
    if request.param == "postgresql":
        monkeypatch.setenv("DIGEST_STORE__URL", request.getfixturevalue("postgres_url"))
    return request.param
