"""Pages that lay open, and links that were kept, while the interest lists were changed; and what is retired."""

from __future__ import annotations

import re

import pytest

from digest.admin import interest_lists
from digest.admin import interest_moves as moves
from digest.model import Rule
from tests.support.site import make_site_folder, serving


@pytest.fixture
def site(tmp_path):
    with serving(make_site_folder(tmp_path / "w")) as site:
        yield site


def change(site, what):
    with site.open() as opened:
        interest_lists.make(opened, interest_lists.propose(opened, what))


def test_a_form_and_a_feed_of_before_a_change_mean_what_it_became(site):
    ana = site.add("ana@example.org", interests=("vision", "gut"))
    path = f"/p/{site.token('preferences', ana.id)}"
    assert 'value="vision"' in site.get(path).text
    change(site, lambda now: moves.rename(now, "vision", "eyes"))
    assert 'value="eyes"' in site.get(path).text
    form = {"interest": ["vision"], "fewer": ["vision"], "cadence": "monthly", "language": "en"}
    assert site.post(path, form).status == 303
    now = site.reader("ana@example.org")
    assert (now.interests, now.fewer) == (("eyes",), ("eyes",))
    assert (site.get("/feeds/vision.xml").status, site.get("/feeds/eyes.xml").status) == (200, 200)
    assert site.get("/feeds/never.xml").status == 404


def test_what_is_retired_is_offered_to_nobody_new_and_kept_by_who_has_it(site):
    ana = site.add("ana@example.org", interests=("vision",))
    ben = site.add("ben@example.org", interests=("gut",))
    change(site, lambda now: moves.retire(now, "vision", "gut"))
    assert 'value="vision"' not in site.get("/").text
    assert 'value="gut"' in site.get("/").text
    assert 'value="vision"' in site.get(f"/p/{site.token('preferences', ana.id)}").text
    assert 'value="vision"' not in site.get(f"/p/{site.token('preferences', ben.id)}").text
    assert site.reader("ana@example.org").interests == ("vision",)


def test_a_page_that_lay_open_while_an_interest_was_split_ends_nothing_that_came_of_it(site):
    ana = site.add("ana@example.org", interests=("vision", "gut"))
    path = f"/p/{site.token('preferences', ana.id)}"
    followed = re.findall(r'name="followed" value="([a-z-]+)"', site.get(path).text)
    change(site, lambda now: moves.split(now, "vision", [("optic", "Optic nerve", Rule(tag=("optic",)))]))
    assert site.reader("ana@example.org").interests == ("vision", "optic", "gut")
    form = {"interest": ["vision"], "followed": followed, "cadence": "monthly", "language": "en"}
    assert site.post(path, form).status == 303
    assert site.reader("ana@example.org").interests == ("vision", "optic")
