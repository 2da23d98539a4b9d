"""Served workspaces for the tests of a file that leave them as they were: one with SQLite, one with PostgreSQL."""

import pytest

from tests.support.site import PAGES, make_site_folder, serving


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request):
    """The lines of ``config.yaml`` that say which database: whatever uses it is tried on both."""
    if request.param == "sqlite":
        return ""
    return f'store: {{url: "{request.getfixturevalue("own_postgres_url")}"}}\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    with serving(make_site_folder(tmp_path_factory.mktemp("site") / "w", PAGES + stored)) as site:
        yield site
