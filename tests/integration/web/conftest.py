"""One served workspace for the tests of a file that leave it as it was."""

import pytest

from tests.support.site import make_site_folder, serving

PAGES = """\
pages:
  languages: [en, de, es, fr, ar]
  api: [https://www.example.org]
  embed: [https://www.example.org]
  budgets: {network_per_hour: 100000, all_per_hour: 100000}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(make_site_folder(tmp_path_factory.mktemp("site") / "w", PAGES)) as site:
        yield site
