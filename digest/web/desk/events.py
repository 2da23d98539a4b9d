"""Telling open pages that a file was saved: watchfiles on one end, server-sent events on the other."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from digest.web.desk import guard
from digest.web.desk.guard import Person

router = APIRouter(include_in_schema=False)

_ENDINGS = (".j2", ".yaml", ".yml", ".md", ".txt", ".html", ".csv", ".json", ".xml")
_PING_S = 15


class News:
    """Whoever listens hears of everything that is told from then on."""

    def __init__(self) -> None:
        self._listening: set[asyncio.Queue[str | None]] = set()
        self.number = 0

    def tell(self, what: str) -> None:
        """To all who listen; from the loop's own thread."""
        self.number += 1
        for queue in self._listening:
            queue.put_nowait(what)

    def end(self) -> None:
        """Let everybody go: a server does not end before they have."""
        for queue in self._listening:
            queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[str]:
        """What is told, until the end."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._listening.add(queue)
        try:
            while (what := await queue.get()) is not None:
                yield what
        finally:
            self._listening.discard(queue)


@router.get("/events")
async def events(request: Request, _: Annotated[Person, Depends(guard.viewer)]) -> Response:
    """A stream of ``saved``: something that issues are made of has changed."""
    news: News = request.app.state.news

    async def stream() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data=str(news.number), event="begun", retry=1000)
        async for what in news.listen():
            yield ServerSentEvent(data=what, event="saved", id=str(news.number))

    return EventSourceResponse(stream(), ping=_PING_S, headers={"Cache-Control": "no-store"})


@contextlib.asynccontextmanager
async def watching(folder: Path, news: News, soon: Callable[[], None]) -> AsyncIterator[None]:
    """While this is open, a file saved below ``folder`` is told. ``soon`` is called, in a thread, at the same moment."""
    from watchfiles import Change, DefaultFilter, awatch

    class Edited(DefaultFilter):
        """What people edit: not the database, not what is written to the outbox."""

        def __call__(self, change: Change, path: str) -> bool:
            parts = Path(path).relative_to(folder.resolve()).parts if Path(path).is_relative_to(folder.resolve()) else ("",)
            return parts[0] != "var" and path.endswith(_ENDINGS) and super().__call__(change, path)

    stop = asyncio.Event()

    async def watch() -> None:
        async for changes in awatch(folder.resolve(), watch_filter=Edited(), debounce=25, step=8, stop_event=stop, recursive=True):
            threading.Thread(target=soon, daemon=True).start()
            news.tell(", ".join(sorted({Path(path).name for _, path in changes})[:5]))

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        stop.set()
        news.end()
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(task, 3)
