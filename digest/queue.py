"""The queue between machines: it carries hints, the ledger is the truth. Losing, doubling or delaying a hint changes nothing.

One engine is behind it, Procrastinate on the same PostgreSQL; whatever takes its place needs only ``defer`` and ``work``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import make_url

from digest.errors import StoreError

_POLL_S = 1.0
_STALLED_S = 30.0  # Procrastinate's workers tell that they live every ten seconds
_LOCK = (0x64696765, 3)  # one process at a time makes the queue's tables


class Hint(NamedTuple):
    """That there may be work: a ``step``, and of what (an issue, a cadence). ``n`` tells apart hints for several at once."""

    step: str
    of: str = ""
    n: int = 0


class Queue:
    """Hints in the database at ``url``. Nothing is kept in a session, so a pooler may stand between."""

    def __init__(self, url: str) -> None:
        from procrastinate import App, PsycopgConnector

        dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._dsn = dsn
        self._app = App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=8, kwargs={"prepare_threshold": None}))
        self._run: Callable[[Hint], None] | None = None
        self._app.task(name="digest", queue="digest", pass_context=False)(self._do)

    def _do(self, step: str, of: str, n: int) -> None:
        assert self._run is not None
        self._run(Hint(step, of, n))

    def make(self) -> None:
        """Make the queue's own tables where they are missing."""
        import psycopg

        with _explained(), psycopg.connect(self._dsn, prepare_threshold=None) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
            if connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone() == (None,):
                connection.execute(self._app.schema_manager.get_schema().encode())

    def defer(self, *hints: Hint) -> int:
        """Put hints into the queue; one that is waiting there already is not put in again. Returns how many were."""
        from procrastinate.exceptions import AlreadyEnqueued

        done = 0
        with _explained(), self._app.open():
            for hint in hints:
                name = f"{hint.step}:{hint.of}:{hint.n}"
                with contextlib.suppress(AlreadyEnqueued):
                    self._app.configure_task("digest", queue="digest", queueing_lock=name).defer(**hint._asdict())
                    done += 1
        return done

    def work(self, run: Callable[[Hint], None], *, concurrency: int, halt: threading.Event) -> None:
        """Do what is hinted at until ``halt`` is set, or SIGTERM or SIGINT comes, which set it; what is begun is ended."""
        self._run = run
        asyncio.run(self._work(concurrency, halt))

    async def _work(self, concurrency: int, halt: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread: a test
                loop.add_signal_handler(number, halt.set)
        with _explained():
            async with self._app.open_async():
                worker = asyncio.create_task(
                    self._app.run_worker_async(
                        queues=["digest"],
                        concurrency=concurrency,
                        fetch_job_polling_interval=_POLL_S,
                        listen_notify=False,  # a session's matter, so not to be had through a pooler
                        install_signal_handlers=False,
                        delete_jobs="always",  # the ledger keeps what happened
                        name="digest",
                    )
                )
                try:
                    while not halt.is_set() and not worker.done():
                        await self._rescue()
                        await self._wait(halt, worker)
                finally:
                    worker.cancel()  # it takes no more, and waits for what it has begun
                    with contextlib.suppress(asyncio.CancelledError):
                        await worker

    async def _wait(self, halt: threading.Event, worker: asyncio.Task[None]) -> None:
        for _ in range(100):
            if halt.is_set() or worker.done():
                return
            await asyncio.sleep(0.1)

    async def _rescue(self) -> None:
        """Hints that a dead worker had taken are there for others again."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(queue="digest", seconds_since_heartbeat=_STALLED_S):
            await manager.retry_job(job)


@contextlib.contextmanager
def _explained() -> Any:
    import psycopg
    from procrastinate.exceptions import ConnectorException

    try:
        yield
    except (psycopg.Error, ConnectorException) as error:
        told = str(error.__cause__ or error).splitlines() or [""]
        raise StoreError(f"the queue cannot be reached ({told[0]}); run the same command again") from error
