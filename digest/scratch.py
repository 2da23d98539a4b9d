"""A workspace whose database is a copy that is thrown away: to try the real steps without a trace."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from sqlalchemy import make_url

from digest.config import Config, load
from digest.errors import ConfigError, StoreError
from digest.store import open_store
from digest.workspace import Workspace, opened_on


@contextlib.contextmanager
def scratch(path: Path, on: date | None = None, *, beside: bool = False) -> Iterator[Workspace]:
    """The workspace with a copy of its database, which is only read, and nothing is made where there is none.

    ``beside``: the copy lies on the same disk as the database, so that waiting for the disk costs what it costs there; else
    in the system's folder for temporary files. Addresses lie as sealed in the copy as in the database.

    Raises:
        ConfigError: ``config.yaml`` is missing or wrong, or the database is none that can be copied.
    """
    config = load(path)
    file = _file_of(config, path)
    place = file.parent if beside and file.exists() else None
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=place) as folder:
        if file.exists():
            _copy(file, Path(folder) / "digest.db")
        store = open_store(Path(folder), "sqlite:///digest.db", _secret(config, path))
        try:
            yield opened_on(path, config, store, on)
        finally:
            store.close()


def _file_of(config: Config, path: Path) -> Path:
    url = make_url(config.store.url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError("config.yaml: store.url: only an SQLite database can be copied to try something on it")
    return path / url.database


def _secret(config: Config, path: Path) -> str | None:
    """The workspace's key; None where it has none yet, for then its database is empty too."""
    if config.secret_key is not None:
        return config.secret_key.get_secret_value()
    with contextlib.suppress(FileNotFoundError):
        return (path / "var" / "secret.key").read_text(encoding="ascii")
    return None


def _copy(source: Path, target: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as there:
            with contextlib.closing(sqlite3.connect(target)) as here:
                there.backup(here)
    except sqlite3.Error as error:
        raise StoreError(f"the database could not be copied: {error}") from error
