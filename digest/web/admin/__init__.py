"""The admin: behind a log-in, for the people who make the newsletter. Pages hang on it as routers of their own.

Every route is made with `guard.guarded`, which names what it does in the words of ``accounts.ACTIONS``; a route that is not is
found by a test. Other surfaces (the desk) put `guard.who` before their own routes.
"""

from fastapi import FastAPI

from digest.web.admin import (
    account,
    elsewhere,
    entering,
    fetching,
    guard,
    hooks,
    issues,
    keys,
    list_changes,
    lists,
    log,
    overview,
    people,
    reader,
    reader_files,
    readers,
    reports,
    settings,
    source_trial,
    sources,
)

__all__ = ["fetching", "guard", "mount"]

PARTS = (
    entering,
    elsewhere,
    overview,
    issues,
    lists,
    list_changes,
    sources,
    source_trial,
    readers,
    reader_files,
    reader,
    reports,
    account,
    people,
    keys,
    hooks,
    log,
    settings,
)


def mount(app: FastAPI) -> None:
    """Add the admin's pages and what answers whoever may not see them."""
    for part in PARTS:
        app.include_router(part.router)
    for kind, answer in guard.HANDLERS.items():
        app.add_exception_handler(kind, answer)
