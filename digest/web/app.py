"""The web application of one workspace: the subscriber pages, the JSON API, what providers post to, and how it is doing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import digest
from digest import feedback, join, mail, oidc_wire, readers, retention
from digest.admission import Asker, TooMany
from digest.desk.editions import Editions
from digest.errors import DigestError
from digest.glimpse import Glimpse
from digest.signin import Session
from digest.web import (
    admin,
    api,
    archives,
    confirming,
    drafts,
    failures,
    health,
    joining,
    leaving,
    links,
    look,
    preferences,
    reading,
    theme,
    webhooks,
)
from digest.web.admin_api import PATH, make_api
from digest.web.desk.app import make_desk
from digest.web.desk.guard import Person, Role
from digest.web.desk.table import Table
from digest.web.guard import Gate
from digest.web.together import Together
from digest.workspace import Workspace, open_workspace

log = logging.getLogger(__name__)

_TURN_S = 5.0
_GATHER_S = 1.0  # bodies that come within this time are applied together
_RETRY_S = 10.0
_APART_S = 0.3
_random = random.SystemRandom()  # nobody who knows a seed foretells it
_MAIL_EVERY_S = 20.0  # also without a sign-up: what was put off, or asked for through another process
_TIDY_EVERY_S = 3600.0
_PRUNE_AFTER_S = 60.0
_PRUNE_EVERY_S = 24 * 3600.0


def make_app(workspace_path: Path) -> FastAPI:
    """The application; it opens the workspace when it starts and closes it when it ends.

    Raises (at start-up):
        ConfigError: ``config.yaml`` is wrong, or a webhook key is none.
        StoreError: the database cannot be opened.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_workspace(workspace_path) as workspace:
            news, asked = asyncio.Event(), asyncio.Event()
            news.set()  # what an earlier process took in and did not apply
            asked.set()
            loop = asyncio.get_running_loop()
            # Where the database is held up, one waits for it and the others are told to come back: threads must stay free to read.
            workspace.store.backend.turn_s = _TURN_S
            app.state.workspace = workspace
            programs.state.workspace = workspace
            app.state.glimpse = Glimpse(workspace)
            app.state.shelf = archives.Shelf(workspace, app.state.glimpse)
            app.state.editions = Editions()
            app.state.provider = oidc_wire.open_provider(workspace.config, workspace.path)
            app.state.gate = Gate(workspace.config.pages.budgets)
            desk = make_desk(Table(workspace, live=False, web=True), _at_the_desk)
            app.mount("/desk", admin.guard.Behind(desk, "issues.see", {"/approve": "issues.approve", "/test": "issues.test"}))
            app.state.applied = Together[tuple[join.Application, Asker | None], str | TooMany](
                lambda many: join.apply_all(workspace, many), _TURN_S
            )
            app.state.fetching = admin.fetching.Fetching()
            app.state.one_clicks = Together[str, bool](lambda sids: readers.leave_all(workspace, sids, "one click"), _TURN_S)
            app.state.asked = lambda: loop.call_soon_threadsafe(asked.set)
            app.state.sendgrid = webhooks.of_workspace(
                workspace.path, workspace.store, workspace.config.delivery.sendgrid.webhook_keys, news.set
            )
            background = _Background()
            loops = (
                _apply(workspace, news, background),
                _mail(workspace, asked, background),
                _tidy(workspace, background),
                _prune(workspace, background),
                _warm(app.state.glimpse, app.state.shelf, background),
            )
            tasks = [asyncio.create_task(work) for work in loops]
            try:
                yield
            finally:
                background.ends = True
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await background.rest()
                await asyncio.to_thread(app.state.fetching.close)

    app = FastAPI(
        title="Digest",
        version=digest.__version__,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for part in (joining, confirming, preferences, leaving, links, reading, archives, drafts, theme, health, api):
        app.include_router(part.router)
    programs = make_api()
    app.mount(PATH, programs)
    app.add_api_route("/webhooks/sendgrid", webhooks.endpoint, methods=["POST"], include_in_schema=False)
    app.mount("/static", _Static(directory=look.STATIC))
    app.add_api_route("/favicon.ico", _favicon, methods=["GET", "HEAD"], include_in_schema=False)
    admin.mount(app)
    failures.handle(app)
    app.add_middleware(api.Origins)
    app.add_middleware(look.Headers)
    return app


def _at_the_desk(request: Request) -> Person:
    """Who sits at the desk; the log-in before it has let them through."""
    session: Session = request.state.session
    return Person(session.person.name, Role[session.person.role.name], session.csrf)


class _Background:
    """Work in threads that ends before the workspace is closed: a thread cannot be cancelled, only waited for."""

    def __init__(self) -> None:
        self.ends = False
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, work: Callable[..., Any], *arguments: Any) -> None:
        future = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        await asyncio.shield(future)

    async def rest(self) -> None:
        await asyncio.gather(*self._running, return_exceptions=True)


class _Static(StaticFiles):
    """The stylesheet and its like; their address changes with what is in them, so they may be kept."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if answer.status_code == 200:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


async def _favicon() -> Response:
    return RedirectResponse(look.asset("icon.svg"), status_code=301)


async def _apply(workspace: Workspace, news: asyncio.Event, background: _Background) -> None:
    """Apply what was taken in, one run at a time. A failure is tried again: nothing taken in is lost."""
    while True:
        await news.wait()
        await asyncio.sleep(_GATHER_S)
        news.clear()
        try:
            await background.run(feedback.apply, workspace)
        except Exception as error:  # this loop must outlive whatever happens in one run
            _complain("events could not be applied", "apply", error)
            news.set()
            await asyncio.sleep(_RETRY_S)


async def _prune(workspace: Workspace, background: _Background) -> None:
    """Once a day, take away what has been kept long enough; not at once, a start should be quick."""
    await asyncio.sleep(_PRUNE_AFTER_S)
    while True:
        try:
            await background.run(retention.prune, workspace)
        except Exception as error:  # tomorrow is another day
            _complain("what was kept long enough could not be taken away", "prune", error)
        await asyncio.sleep(_PRUNE_EVERY_S)


async def _mail(workspace: Workspace, asked: asyncio.Event, background: _Background) -> None:
    """Work on sign-ups and send the mails that answer them: when somebody asked, and every now and then."""

    def work() -> None:
        join.work(workspace)
        sent = mail.send(workspace, lambda: not background.ends)
        if sent.stop:
            log.error("service mails could not be sent", extra={"action": "mail", "why": sent.stop})

    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), _MAIL_EVERY_S)
            # How much there is to do depends on who it is about: done at once, it would slow down the answer that is on its way.
            await asyncio.sleep(_APART_S * (1 + _random.random()))
        asked.clear()
        try:
            await background.run(work)
        except Exception as error:  # as above
            _complain("sign-ups could not be worked on", "mail", error)
            asked.set()
            await asyncio.sleep(_RETRY_S)


async def _warm(glimpse: Glimpse, shelf: archives.Shelf, background: _Background) -> None:
    """Work out what the first visitors would wait for."""

    def work() -> None:
        glimpse.counts()
        shelf.warm()

    try:
        await background.run(work)
    except Exception as error:  # it is tried again when somebody asks
        _complain("the archive could not be read", "warm", error)


async def _tidy(workspace: Workspace, background: _Background) -> None:
    """Let go what need not be kept, and end the pauses that are over."""
    while True:
        try:
            await background.run(readers.tidy, workspace)
        except Exception as error:  # as above
            _complain("old records could not be let go", "tidy", error)
        await asyncio.sleep(_TIDY_EVERY_S)


def _complain(what: str, action: str, error: Exception) -> None:
    why = str(error) if isinstance(error, DigestError) else type(error).__name__
    log.error(what, extra={"action": action, "why": why})
