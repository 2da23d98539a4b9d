"""Somebody who looks after the sources, at a terminal."""

from __future__ import annotations

import json

from digest.config import load
from tests.support.listings import listings
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.pages_server import running
from tests.support.person import Person


def test_an_address_is_tried_added_read_and_looked_after(tmp_path):
    rows = next(one for one in listings() if one.name == "table rows")
    with running() as server:
        server.answers["/rows"] = (200, {"Content-Type": "text/html"}, rows.html)
        folder = make_workspace(tmp_path / "letter", config=CONFIG + f"fetch: {{allow: ['{server.allow[0]}']}}  # ours\n")
        write_summary(folder, "one")
        person = Person(folder)
        tried = person.types("sources", "try", server.url("/rows"))
        assert tried.returncode == 0 and "Would gather 5 pieces, and refuse 0" in tried.stdout and "item: 'tr:has(td)'" in tried.stdout
        assert "2026-05-01  Sleep and fatigue" in tried.stdout  # midnight in London is of that day
        assert len(load(folder).sources) == 1
        given = ("sources", "try", server.url("/rows"), "--item", "tr", "--json")
        said = json.loads(person.types(*given, "--add", "clinic").stdout)
        assert (said["kind"], said["added"], len(said["gathered"]), len(said["refused"])) == ("page", True, 5, 1)
        assert said["source"] == {"name": "clinic", "kind": "page", "url": server.url("/rows"), "item": "tr", "title": "a", "date": "td"}
        assert load(folder).sources[1].name == "clinic" and "# ours" in (folder / "config.yaml").read_text()
        read = person.types("sources", "fetch", "clinic", "--json")
        assert read.returncode == 0 and json.loads(read.stdout)["new"] == 5
        listed = person.types("sources", "list")
        assert "ours: it was never read" in listed.stdout and "clinic: " not in listed.stdout
        server.answers["/rows"] = (200, {"Content-Type": "text/html"}, "<html><body><p>Anew</p></body></html>")
        failed = person.types("sources", "fetch", "clinic")
        assert failed.returncode == 1 and "matches nothing" in failed.stdout
        shown = json.loads(person.types("sources", "show", "clinic", "--json").stdout)
        assert [one["result"] for one in shown["readings"]] == ["nothing", "read"] and len(shown["items"]) == 5
        assert [sign["kind"] for sign in shown["signs"]] == ["nothing"]
