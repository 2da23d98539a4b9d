"""The web application of one workspace: so far what providers post to, and how it is doing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from digest import feedback, retention
from digest.errors import DigestError
from digest.store import beat
from digest.web import webhooks
from digest.workspace import Workspace, open_workspace

log = logging.getLogger(__name__)

_GATHER_S = 1.0  # bodies that come within this time are applied together
_RETRY_S = 30.0
_PRUNE_AFTER_S = 60.0
_PRUNE_EVERY_S = 24 * 3600.0


def make_app(workspace_path: Path) -> Starlette:
    """The application; it opens the workspace when it starts and closes it when it ends.

    Raises (at start-up):
        ConfigError: ``config.yaml`` is wrong, or a webhook key is none.
        StoreError: the database cannot be opened.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with open_workspace(workspace_path) as workspace:
            news = asyncio.Event()
            news.set()  # what an earlier process took in and did not apply
            app.state.workspace = workspace
            app.state.sendgrid = webhooks.of_workspace(
                workspace.path, workspace.store, workspace.config.delivery.sendgrid.webhook_keys, news.set
            )
            tasks = [asyncio.create_task(_apply(workspace, news)), asyncio.create_task(_prune(workspace))]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    routes = [
        Route("/webhooks/sendgrid", _sendgrid, methods=["POST"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _apply(workspace: Workspace, news: asyncio.Event) -> None:
    """Apply what was taken in, one run at a time. A failure is tried again: nothing taken in is lost."""
    while True:
        await news.wait()
        await asyncio.sleep(_GATHER_S)
        news.clear()
        try:
            await run_in_threadpool(feedback.apply, workspace)
        except Exception as error:  # this loop must outlive whatever happens in one run
            why = str(error) if isinstance(error, DigestError) else type(error).__name__
            log.error("events could not be applied", extra={"action": "apply", "why": why})
            news.set()
            await asyncio.sleep(_RETRY_S)


async def _prune(workspace: Workspace) -> None:
    """Once a day, take away what has been kept long enough; not at once, a start should be quick."""
    await asyncio.sleep(_PRUNE_AFTER_S)
    while True:
        try:
            await run_in_threadpool(retention.prune, workspace)
        except Exception as error:  # tomorrow is another day
            why = str(error) if isinstance(error, DigestError) else type(error).__name__
            log.error("what was kept long enough could not be taken away", extra={"action": "prune", "why": why})
        await asyncio.sleep(_PRUNE_EVERY_S)


async def _sendgrid(request: Request) -> Response:
    webhook: webhooks.SendGridWebhook = request.app.state.sendgrid
    return await webhook.receive(request)


async def _healthz(request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok")


async def _readyz(request: Request) -> Response:
    """It can do its work: the database can be read, and events can be checked."""
    workspace: Workspace = request.app.state.workspace

    def look() -> tuple[bool, str]:
        try:
            with workspace.store.read() as tx:
                return tx.execute(text("SELECT 1")).scalar() == 1, beat.word(tx)
        except DigestError:
            return False, "not known"

    database, scheduler = await run_in_threadpool(look)
    # A scheduler that is late does not take the pages out of service: another process may be the one that has it.
    body = {"database": "ok" if database else "not readable", "webhook_keys": len(request.app.state.sendgrid.keys), "scheduler": scheduler}
    return JSONResponse(body, status_code=200 if database else 503)
