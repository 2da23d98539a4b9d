"""The admin over HTTP, for programs with keys: one noun a file, each route made with `guard.scoped`.

An application of its own under ``/api/v1``: no cookie counts here, no key counts elsewhere, and it describes itself at
``/api/v1/openapi.json``. Routes do what the pages do, by the same functions.
"""

from digest.web.admin_api.app import PATH, make_api

__all__ = ["PATH", "make_api"]
