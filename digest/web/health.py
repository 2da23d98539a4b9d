"""How the process is doing, for whoever supervises it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import JSONResponse, PlainTextResponse, Response

from digest.errors import DigestError
from digest.store import beat
from digest.web.look import workspace_of

router = APIRouter(include_in_schema=False)


@router.api_route("/healthz", methods=["GET", "HEAD"])
def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok")


@router.api_route("/readyz", methods=["GET", "HEAD"])
def readyz(request: Request) -> Response:
    """It can do its work: the database can be read, and events can be checked."""
    try:
        with workspace_of(request).store.read() as tx:
            database, scheduler = tx.execute(text("SELECT 1")).scalar() == 1, beat.word(tx)
    except DigestError:
        database, scheduler = False, "not known"
    keys = len(request.app.state.sendgrid.keys)
    # A scheduler that is late does not take the pages out of service: another process may be the one that has it.
    body = {"database": "ok" if database else "not readable", "webhook_keys": keys, "scheduler": scheduler}
    return JSONResponse(body, status_code=200 if database else 503)
