"""What steps refuse, said on a page: the words are those of the step, which say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from digest.errors import BusyError, ConfigError, DigestError, StoreError
from digest.web.admin import guard

DONE = "done"


@contextlib.contextmanager
def told(title: str = "Nothing was changed", status: int = 422) -> Iterator[None]:
    """Answer what a step refuses with a page that says why.

    Raises:
        Refused: in place of what the step raised. A database that is away is not refused but tried again.
    """
    try:
        yield
    except BusyError as error:
        raise guard.Refused("Somebody is at work", str(error), 409) from error
    except StoreError:
        raise
    except (DigestError, ConfigError, ValueError) as error:
        raise guard.Refused(title, str(error) or type(error).__name__, status) from error


def back(path: str, done: str = "") -> Response:
    """On to a page that says what was done; ``done`` names the words, which stand in that page's own table."""
    return RedirectResponse(f"{path}?{DONE}={quote(done)}" if done else path, status_code=303)
