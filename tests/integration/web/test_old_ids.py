"""Pages that lay open, and links that were kept, while the interest lists were changed; and what is retired."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from digest import interests, jobs, readers
from digest.admin import interest_lists
from digest.admin import interest_moves as moves
from digest.model import Rule
from digest.workspace import open_workspace
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
    old, new = site.get("/feeds/vision.xml"), site.get("/feeds/eyes.xml")
    assert (old.status, new.status) == (200, 200)
    assert old.body == new.body
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


def test_an_old_address_of_a_subject_has_its_pieces(site):
    site.add("ana@example.org", interests=("gut",))
    with open_workspace(site.folder, date(2026, 5, 1)) as opened:
        jobs.run(opened, "monthly")
    had = site.get("/feeds/vision.json").text
    pieces = [one["title"] for one in json.loads(had)["items"]]
    assert pieces
    change(site, lambda now: moves.rename(now, "vision", "eyes"))
    for path in ("/feeds/vision.json", "/feeds/eyes.json"):
        assert [one["title"] for one in json.loads(site.get(path).text)["items"]] == pieces
    assert pieces[0] in site.get("/archive/subjects/vision").text


def test_who_ended_a_subject_that_got_another_id_can_take_that_back(site):
    ana = site.add("ana@example.org", interests=("gut", "vision"), fewer=("vision",))
    path = f"/u/{site.token('unsubscribe', ana.id)}"
    fields = dict(re.findall(r'name="(undo|dropped|place|less)" value="([^"]+)"', site.post(path, {"do": "stop", "what": "vision"}).text))
    change(site, lambda now: moves.rename(now, "vision", "eyes"))
    site.post(path, {"do": "undo", **fields})
    now = site.reader("ana@example.org")
    assert (now.interests, now.fewer) == (("gut", "eyes"), ("eyes",))


def test_saving_keeps_what_this_copy_of_the_lists_does_not_know(site):
    ana = site.add("ana@example.org", interests=("hands", "vision", "gut"), fewer=("hands",))
    path = f"/p/{site.token('preferences', ana.id)}"
    form = {"cadence": "monthly", "language": "en", "followed": ["vision", "gut"]}
    assert site.post(path, {**form, "interest": ["gut"]}).status == 303
    now = site.reader("ana@example.org")
    assert (now.interests, now.fewer) == (("gut", "hands"), ("hands",))
    assert site.post(path, form).status == 422, "nothing that is on the page was ticked"
    assert site.reader("ana@example.org") == now


def test_a_page_between_the_file_and_the_rows_of_a_change_ends_nothing(site):
    """The file says eyes already, this reader's row still vision."""
    file = site.folder / interests.FILE
    file.write_text(file.read_text().replace("{id: vision,", "{id: eyes, was: [vision],"))
    ana = site.add("ana@example.org", interests=("vision", "gut"), fewer=("vision",))
    path = f"/p/{site.token('preferences', ana.id)}"
    shown = site.get(path).text
    assert re.findall(r'name="followed" value="([a-z-]+)"', shown) == ["eyes", "gut"]
    assert len(re.findall(r'name="interest" value="(?:eyes|gut)"[^>]* checked', shown)) == 2
    form = {"cadence": "monthly", "language": "en", "followed": ["eyes", "gut"], "interest": ["eyes", "gut"], "fewer": ["eyes"]}
    assert site.post(path, form).status == 303
    now = site.reader("ana@example.org")
    assert (now.interests, now.fewer) == (("eyes", "gut"), ("eyes",))


def test_a_rename_at_the_moment_of_saving_leaves_no_old_id(site, monkeypatch):
    ana = site.add("ana@example.org", interests=("vision", "gut"))
    save = readers.change

    def late(*given):
        change(site, lambda now: moves.rename(now, "vision", "eyes"))
        return save(*given)

    monkeypatch.setattr(readers, "change", late)
    form = {"cadence": "monthly", "language": "en", "followed": ["vision", "gut"], "interest": ["vision", "gut"]}
    assert site.post(f"/p/{site.token('preferences', ana.id)}", form).status == 303
    assert site.reader("ana@example.org").interests == ("eyes", "gut")
