"""Reading sources: one file per kind, each returning a Harvest or raising SourceError for that source alone.

The reader of a kind, with the libraries it needs, is imported when a source of that kind is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import cast

from digest import config
from digest.model import Harvest


@dataclass(frozen=True)
class Context:
    """What reading a source needs besides the source itself.

    ``timezone`` is the newsletter's, used where the source names none; ``now`` is aware, in UTC; ``etag`` and
    ``last_modified`` are what the source's server said last time.
    """

    workspace: Path
    timezone: str
    fetch: config.Fetch
    now: datetime
    etag: str = ""
    last_modified: str = ""


Reader = Callable[[config.Source, Context], Harvest]

# A new kind is one file with a function ``read``, one line here, and its model in config.py.
READERS = {
    "folder": "digest.sources.folder",
    "feed": "digest.sources.feed",
    "page": "digest.sources.page",
    "text": "digest.sources.text",
    "json": "digest.sources.jsonapi",
}


def read(source: config.Source, context: Context) -> Harvest:
    """Everything the source has now: what was taken, and what was not with the reason.

    Raises:
        SourceError: the source as a whole could not be read; the text says why and what to do.
    """
    reader = cast(Reader, import_module(READERS[source.kind]).read)
    return reader(source, context)


def release() -> None:
    """Give back what reading keeps open: the processes that parse feeds."""
    if "digest.sources.feedpool" in sys.modules:
        from digest.sources.feedpool import POOL

        POOL.close()
