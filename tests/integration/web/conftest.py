"""Served workspaces for the tests of a file that leave them as they were: one with SQLite; nightly one with PostgreSQL, too."""

import os

import pytest

from tests.support.site import PAGES, make_site_folder, serving

# On a push the store's own tests run on both, and the pages on one: what they ask of it is the same.
STORES = ["sqlite", "postgresql"] if os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly" else ["sqlite"]


@pytest.fixture(scope="module", params=STORES)
def stored(request):
    """The lines of ``config.yaml`` that say which database: whatever uses it is tried on both, nightly."""
    if request.param == "sqlite":
        return ""
    return f'store: {{url: "{request.getfixturevalue("own_postgres_url")}"}}\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    with serving(make_site_folder(tmp_path_factory.mktemp("site") / "w", PAGES + stored)) as site:
        yield site
