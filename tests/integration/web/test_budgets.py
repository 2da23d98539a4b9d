"""Budgets of requests with an address: shared by all who serve, with a way in for browsers that work for it, and one without scripts."""

import base64
import hashlib
import json
import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from digest import join, proof
from digest.admission import Asker, TooMany
from digest.store import schema as t
from tests.support.site import Site, make_site_folder, serving

BUDGETS = "pages: {budgets: {network_per_hour: 6, all_per_hour: 1000}}\n"


@pytest.fixture
def folder(tmp_path, on_both, monkeypatch):
    monkeypatch.setattr(proof, "MOST", 200)  # the browser tests solve real ones
    return make_site_folder(tmp_path / "w", BUDGETS)


@pytest.fixture
def site(folder):
    with serving(folder) as site:
        STAMPS.clear()
        yield site


STAMPS: dict[str, str] = {}


def joined(site: Site, n: int, solution: str = "") -> int:
    if site.url not in STAMPS:
        STAMPS[site.url] = site.stamp()
    stamp = STAMPS[site.url]
    form = {"email": f"n{n}@example.org", "interest": "gut", "cadence": "monthly", "stamp": stamp, "proof": solution}
    return site.post("/subscribe", form).status


def puzzle_in(page: str) -> dict:
    found = re.search(r'data-puzzle="([^"]+)"', page)
    return json.loads(unescape(found[1])) if found else {}


def solution(puzzle: dict) -> str:
    hashes = {hashlib.sha256(f"{puzzle['salt']}{n}".encode()).hexdigest(): n for n in range(201)}
    said = {**puzzle, "number": hashes[puzzle["challenge"]]}
    return base64.b64encode(json.dumps(said).encode()).decode()


def taken_in(site: Site) -> int:
    with site.open() as workspace, workspace.store.read() as tx:
        return tx.exec_driver_sql("SELECT count(*) FROM signup").scalar()


def test_who_solves_the_puzzle_is_let_in_beside_what_is_kept_for_people_without_scripts(site):
    assert [joined(site, n) for n in range(3)] == [303] * 3
    assert not puzzle_in(site.get("/").text) and not json.loads(site.get("/api/interests").body)["puzzle"]
    assert joined(site, 3) == 303
    # More than half is used: from here on forms carry a puzzle, and the API hands one out.
    page = site.get("/").text
    assert puzzle_in(page) and puzzle_in(site.get("/links").text) and "proof.js" in page and "proof" not in site.get("/archive").text
    for n in range(4, 12):
        assert joined(site, n, solution(puzzle_in(site.get("/").text))) == 303
    api = json.loads(site.get("/api/interests").body)
    body = {"email": "api@example.org", "interests": ["gut"], "consent_hash": api["consent_hash"], "proof": solution(api["puzzle"])}
    assert site.ask("POST", "/api/subscribe", json.dumps(body).encode(), Content_Type="application/json").status == 202
    assert [joined(site, n) for n in (20, 21, 22)] == [303, 303, 429]  # without one: what was left, and no more
    assert taken_in(site) == 4 + 8 + 1 + 2
    assert joined(site, 23, solution(puzzle_in(site.get("/").text))) == 303


def test_a_solution_counts_once_and_not_for_ever_and_what_is_none_is_like_having_none(site):
    assert [joined(site, n) for n in range(4)] == [303] * 4
    good = solution(puzzle_in(site.get("/").text))
    assert joined(site, 4, good) == 303
    with site.open() as workspace:
        old = proof.puzzle(workspace.store.vault.link_keys, datetime.now(UTC) - timedelta(hours=3))
    # The second use, an old one and nonsense take the two places that are left for people without scripts.
    assert [joined(site, 5, good), joined(site, 6, solution(old)), joined(site, 7, "nonsense"), joined(site, 8, good)] == [
        303,
        303,
        429,
        429,
    ]
    assert taken_in(site) == 7


def test_a_spent_budget_is_told_in_friendly_words_with_the_time_and_fills_again(site):
    assert [joined(site, n) for n in range(6)] == [303] * 6
    form = {"email": "late@example.org", "interest": "gut", "cadence": "monthly", "lang": "en", "stamp": site.stamp()}
    answer = site.post("/subscribe", form)
    assert answer.status == 429 and 570 <= int(answer.headers["retry-after"]) <= 600
    assert "Nothing you typed is lost: please press the button again in 10 minutes." in answer.text
    assert 'value="late@example.org"' in answer.text and puzzle_in(answer.text)
    links = site.post("/links", {"email": "late@example.org", "stamp": site.stamp(), "lang": "en"})
    assert links.status == 429 and "retry-after" in links.headers and puzzle_in(links.text)
    api = json.loads(site.get("/api/interests").body)
    body = {"email": "api@example.org", "interests": ["gut"], "consent_hash": api["consent_hash"]}
    refused = site.ask("POST", "/api/subscribe", json.dumps(body).encode(), Content_Type="application/json")
    assert refused.status == 429 and 570 <= int(refused.headers["retry-after"]) <= 600
    assert taken_in(site) == 6
    with site.open() as workspace, workspace.store.write() as tx:
        rows = tx.execute(t.throttle.select()).all()
        for row in rows:  # ten minutes later
            tx.execute(t.throttle.update().where(t.throttle.c.scope == row.scope).values(at=row.at - timedelta(minutes=10)))
    assert [joined(site, 30), joined(site, 31)] == [303, 429]
    assert not any("127" in row.scope or "example" in row.scope for row in rows)


def test_all_who_serve_share_the_budgets_and_old_ones_are_forgotten(folder):
    from digest import readers

    with ExitStack() as stack:
        sites = [stack.enter_context(serving(folder)) for _ in range(3)]
        assert [joined(sites[n % 3], n) for n in range(8)] == [303] * 6 + [429] * 2
        with sites[0].open() as workspace:
            with workspace.store.write() as tx:
                tx.execute(t.throttle.update().values(at=datetime(2020, 1, 1, tzinfo=UTC)))
            readers.tidy(workspace)
            with workspace.store.read() as tx:
                assert not tx.execute(t.throttle.select()).all()


def test_of_those_written_together_each_over_the_budget_is_refused_alone_and_keeps_its_proof(site):
    asker = Asker("192.0.2.0/24")
    with site.open() as workspace:
        many = [(join.Application(email=f"n{n}@example.org", interests=("gut",)), asker) for n in range(8)]
        said = join.apply_all(workspace, many)
        assert [type(one) for one in said] == [str] * 6 + [TooMany] * 2 and taken_in(site) == 6
        with workspace.store.write() as tx:
            tx.execute(t.throttle.update().values(at=datetime(2100, 1, 1, tzinfo=UTC)))
        keys, at = workspace.store.vault.link_keys, datetime.now(UTC)
        solved = proof.check(solution(proof.puzzle(keys, at)), keys, at)
        with workspace.store.write() as tx:
            large = {"scope": "asks:proven all", "at": datetime(2100, 1, 1, tzinfo=UTC), "taken": 0}
            tx.execute(t.throttle.insert().values(**large))
        assert isinstance(join.apply_all(workspace, [(many[0][0], asker._replace(solved=solved))])[0], TooMany)
        with workspace.store.read() as tx:
            assert not [row for row in tx.execute(t.throttle.select()) if row.scope.startswith("proof:")]


def test_a_flood_is_turned_away_before_it_reaches_the_database(site):
    statuses = [joined(site, n) for n in range(6 * 11 + 1)]
    assert statuses.count(303) == 6 and statuses[-1] == 429
    with site.open() as workspace, workspace.store.write():  # nothing can be written meanwhile
        assert joined(site, 99) == 429
