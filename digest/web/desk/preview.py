"""`digest preview`: the desk on this machine alone, the emails from a second port, both until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date

import uvicorn

from digest.compose.render import kept_ready
from digest.errors import DigestError, IssueError
from digest.web.desk.app import make_desk, make_frames
from digest.web.desk.events import News, watching
from digest.web.desk.guard import Door, KeyToCookie, OwnHost, own_names
from digest.web.desk.table import Table
from digest.workspace import Workspace

log = logging.getLogger(__name__)

HOST = "127.0.0.1"  # never another: there is no login


@dataclass
class Preview:
    """A desk that is open: ``url`` has the key in it."""

    url: str
    table: Table
    servers: tuple[uvicorn.Server, ...]

    def end(self) -> None:
        """Close it."""
        for server in self.servers:
            server.should_exit = True


def first_issue(workspace: Workspace, asked: str) -> str:
    """The name of the issue that is asked for by its own name or its cadence; empty where nothing was asked for.

    Raises:
        IssueError: there is neither an issue nor a cadence of that name.
    """
    from digest import issue
    from digest.store import issues
    from digest.web.desk.draft import slot_named

    if not asked:
        return ""
    if asked in workspace.config.cadences:
        return issue.slot_of(workspace, asked).name
    with workspace.store.read() as tx:
        if (row := issues.named(tx, asked)) is not None:
            return row.name
    try:
        return slot_named(workspace, asked).name
    except IssueError as error:
        raise IssueError(f"{error}; or name a cadence") from error


def _listen(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        raise DigestError(f"port {port} cannot be used ({error.strerror}); choose another with --port, or 0 for any") from error
    return made


async def serve(workspace: Workspace, asked: str, on: date | None, port: int, opened: Callable[[Preview], None]) -> None:
    """Serve until somebody ends it; ``opened`` is told once it answers.

    Raises:
        DigestError: the port is taken. IssueError: there is no such issue.
    """
    name = first_issue(workspace, asked)
    table = Table(workspace, live=True, on=on)
    with contextlib.ExitStack() as stack:
        desk_socket, frames_socket = (stack.enter_context(contextlib.closing(_listen(one))) for one in (port, 0))
        at, frames_port = desk_socket.getsockname()[1], frames_socket.getsockname()[1]
        door, key, news = Door(workspace.who, at), secrets.token_urlsafe(18), News()
        names = own_names(at)
        desk = make_desk(table, door.who, frames_at=f"http://{HOST}:{frames_port}/mail/{key}", news=news)
        desk.add_middleware(KeyToCookie, door=door)
        desk.add_middleware(OwnHost, names=names)
        frames = make_frames(table, key, " ".join(f"http://{one}" for one in sorted(names)))
        frames.add_middleware(OwnHost, names=own_names(frames_port))
        servers = tuple(_Server(_settings(app)) for app in (desk, frames))
        url = f"http://{HOST}:{at}/{f'issues/{name}' if name else ''}?key={door.token}"
        stack.enter_context(kept_ready())
        async with watching(workspace.path, news, lambda: _ahead(table)), _ended(news, servers):
            running = [asyncio.create_task(server.serve([one])) for server, one in zip(servers, (desk_socket, frames_socket), strict=True)]
            while not all(server.started for server in servers) and not any(task.done() for task in running):
                await asyncio.sleep(0.01)
            opened(Preview(url, table, servers))
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for server in servers:
                server.should_exit = True
            news.end()
            await asyncio.gather(*running)


@contextlib.asynccontextmanager
async def _ended(news: News, servers: tuple[uvicorn.Server, ...]) -> AsyncIterator[None]:
    """Both servers end together, with Ctrl-C or when one is told to. An open stream would keep a server from ending: it is let go."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True
        news.end()

    async def watch() -> None:
        while not any(server.should_exit for server in servers):
            await asyncio.sleep(0.1)
        stop()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()


class _Server(uvicorn.Server):
    """One of two in a process: signals are for both, so neither takes them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them alone."""
        yield


def _settings(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
        lifespan="off",
    )


def _ahead(table: Table) -> None:
    """Compose what was looked at last at the moment a file is saved: the page asks for it in a moment."""
    name = table.last_looked_at
    if not name:
        return
    try:
        table.quickly(name)
    except DigestError:
        pass  # the page says it
    except Exception as error:
        log.error("composing ahead failed: %s", type(error).__name__)
