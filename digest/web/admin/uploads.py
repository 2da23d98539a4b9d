"""A file that somebody puts in: read within limits, kept sealed between the steps, for whoever put it in and for an hour."""

from __future__ import annotations

import contextlib
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from digest.errors import StoreError
from digest.web.admin import guard
from digest.web.look import Form, form_of
from digest.workspace import Workspace

MOST_MB = 16  # some 150,000 readers; `digest subscribers import` takes any file
_KEPT_S = 3600


class Upload(NamedTuple):
    """What came: the name it had, cut short, and its bytes."""

    name: str
    content: bytes


async def form_with_file(request: Request) -> Form:
    """The form in a request, its file aside in ``request.state.upload``. Who is not logged in sends nothing large.

    Raises:
        SignIn, Nobody: nobody is logged in.
        HTTPException: 411, it does not say how large it is; 413, it is too large.
    """
    request.state.upload = None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        return await form_of(request)
    await run_in_threadpool(guard.session_of, request)
    size = request.headers.get("content-length", "")
    if not size.isdecimal():
        raise HTTPException(411)
    if int(size) > MOST_MB * 1024 * 1024:
        raise HTTPException(413)
    async with request.form(max_files=1, max_fields=50) as data:
        file = data.get("file")
        if isinstance(file, UploadFile) and file.filename:
            request.state.upload = Upload(file.filename[-80:], await file.read())
        return Form([(key, value) for key, value in data.multi_items() if isinstance(value, str)])


def keep(workspace: Workspace, whose: str, content: bytes) -> str:
    """Keep a file for the next step. Returns the word it is found by; what is older than an hour goes."""
    folder = _folder(workspace)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > _KEPT_S:
                old.unlink()
    token = secrets.token_hex(16)
    file = folder / token
    file.touch(mode=0o600)
    file.write_bytes(workspace.store.vault.seal(content.decode("latin-1"), _field(whose)))
    return token


def kept(workspace: Workspace, whose: str, token: str) -> bytes:
    """The file again.

    Raises:
        Refused: it is not there any more, or somebody else's.
    """
    gone = guard.Refused("The file is gone", "A file is kept for an hour, for whoever put it in. Put it in once more.", 404)
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        raise gone
    try:
        return workspace.store.vault.open((_folder(workspace) / token).read_bytes(), _field(whose)).encode("latin-1")
    except (OSError, StoreError) as error:
        raise gone from error


def drop(workspace: Workspace, token: str) -> None:
    """It is not needed any more."""
    if re.fullmatch(r"[0-9a-f]{32}", token):
        (_folder(workspace) / token).unlink(missing_ok=True)


@contextlib.contextmanager
def opened(workspace: Workspace, content: bytes) -> Iterator[Path]:
    """The file in the clear, for as long as a step reads it; its owner alone can."""
    with tempfile.NamedTemporaryFile(dir=_folder(workspace), prefix="open-") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def _folder(workspace: Workspace) -> Path:
    return workspace.path / "var" / "uploads"


def _field(whose: str) -> str:
    return f"upload of {whose}"
