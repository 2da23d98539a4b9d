"""Calls that may be repeated: whoever lost the answer asks again under the same word, and gets the same answer.

Only what was done is kept: where a call was refused nothing was changed, so that it may be asked again, mended. A call whose process
died at it is asked anew after some minutes; whatever it did is then found done, for every step of ours says so when it is repeated.

Answers are kept sealed, for they may repeat what was sent; what is asked for is kept as a keyed hash, for it may hold an address.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import NamedTuple

from digest.errors import DigestError, StoreError
from digest.store import api_answers, now
from digest.workspace import Workspace

KEPT = timedelta(days=1)
_FIELD = "api answer"
_DIED = timedelta(minutes=15)  # longer than any call takes


class Answer(NamedTuple):
    """What a call was answered."""

    status: int
    location: str
    body: str


class OtherBody(DigestError):
    """The same word stood over something else."""


class AtWork(DigestError):
    """The first call is not answered yet."""


def begin(workspace: Workspace, key: str, word: str, asked: str) -> Answer | None:
    """The answer that was given to the same before; None where the call is to be done now, and then `finish` or `forget` it.

    Raises:
        OtherBody: ``word`` was used for something else within the day.
        AtWork: the same is being done just now.
    """
    mark, what = _mark(workspace, word), workspace.store.vault.proof("api call", asked)
    with workspace.store.write() as tx:
        known, at = api_answers.find(tx, key, mark), now(tx)
        if known is not None and at - known.begun_at <= KEPT:
            if known.asked != what:
                raise OtherBody("this Idempotency-Key was used for another call; take a new one for each")
            if known.status is not None and (body := _opened(workspace, known.body)) is not None:
                return Answer(known.status, known.location, body)
            if known.status is None and at - known.begun_at <= _DIED:
                raise AtWork("the same call is at work; ask again in a moment")
        api_answers.begin(tx, key, mark, what)
    return None


def finish(workspace: Workspace, key: str, word: str, answer: Answer) -> None:
    """Keep what it was answered."""
    body = base64.b64encode(workspace.store.vault.seal(answer.body, _FIELD)).decode()
    with workspace.store.write() as tx:
        api_answers.finish(tx, key, _mark(workspace, word), status=answer.status, location=answer.location, body=body)


def forget(workspace: Workspace, key: str, word: str) -> None:
    """Nothing was done."""
    with workspace.store.write() as tx:
        api_answers.forget(tx, key, _mark(workspace, word))


def _opened(workspace: Workspace, body: str) -> str | None:
    """The body again; None where its secret was taken away since."""
    try:
        return workspace.store.vault.open(base64.b64decode(body), _FIELD)
    except StoreError:
        return None


def _mark(workspace: Workspace, word: str) -> str:
    return workspace.store.vault.proof("idempotency key", word)
