"""Tries to log in: counted for all who serve together, and no stranger elsewhere locks anybody out."""

import re
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from digest import readers, signin, staff, tries
from digest.store import schema as t
from digest.tries import Try
from digest.workspace import open_workspace
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add, code_of

BUDGETS = "admin: {budgets: {try_per_hour: 3, name_per_hour: 6, network_per_hour: 20, all_per_hour: 1000}}\n"


def tried(site, network, name, password="wrong wrong wrong", browser=None):
    fields = {"name": name, "password": password}
    return (browser or Browser(site)).post("/admin/login", fields, X_Forwarded_For=f"198.51.{network}.7").status


def test_all_who_serve_count_together_and_so_do_many_at_once(tmp_path, on_both):
    folder = make_site_folder(tmp_path / "w", BUDGETS)
    with ExitStack() as stack:
        sites = [stack.enter_context(serving(folder)) for _ in range(2)]
        add(sites[0], "nora")
        assert [tried(sites[n % 2], 1, "nora") for n in range(5)] == [403, 403, 403, 429, 429]
        assert [tried(sites[n % 2], 1, "ghost") for n in range(5)] == [403, 403, 403, 429, 429]  # as for nobody
    with open_workspace(folder) as one, open_workspace(folder) as other:
        let, threads = [], []
        for n in range(12):
            asked = Try("password", "ben", f"10.{n}.0.0/24")
            work = lambda on, asked=asked: let.append(tries.admits(on, asked))  # noqa: E731
            threads.append(threading.Thread(target=work, args=(one if n % 2 else other,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(let) == [False] * 6 + [True] * 6


def test_a_stranger_elsewhere_locks_nobody_out(tmp_path):
    with serving(make_site_folder(tmp_path / "w", BUDGETS)) as site:
        add(site, "nora")
        own = Browser(site)
        assert tried(site, 1, "nora", PASSWORD, own) == 303
        mark = own.cookies["digest-browser"]
        for name in ("nora", "ghost"):  # many networks, one name: what is left of its hour is soon used up
            assert [tried(site, 100 + n, name) for n in range(8)][-2:] == [429] * 2
            assert tried(site, 120, name, PASSWORD) == 429
        assert tried(site, 1, "nora", PASSWORD) == 303  # from where she came in before, with any browser
        own.cookies = {"digest-browser": mark}
        assert tried(site, 50, "nora", PASSWORD, own) == 303  # from anywhere, with the browser she came in with before
        # The mark is good for her name alone and cannot be made up or kept for good, and what it lets in is counted, too.
        other = Browser(site)
        for forged in (mark.replace(mark[:4], "0000", 1), mark[:-1] + ("0" if mark[-1] != "0" else "1"), "", "x" * 5000):
            other.cookies = {"digest-browser": forged}
            assert tried(site, 60, "nora", PASSWORD, other) == 429
        other.cookies = {"digest-browser": mark}
        assert tried(site, 60, "ghost", PASSWORD, other) == 429
        other.cookies = {"digest-browser": mark}
        assert [tried(site, 61 + n, "nora", "wrong wrong", other) for n in range(4)] == [403, 403, 403, 429]


def test_a_mark_of_a_browser_ends(tmp_path, monkeypatch):
    with open_workspace(make_site_folder(tmp_path / "w", BUDGETS)) as workspace:
        good = tries.browser_mark(workspace, "nora")
        monkeypatch.setattr(tries, "BROWSER", timedelta(seconds=-1))
        over = tries.browser_mark(workspace, "nora")
        for n in range(6):
            assert tries.admits(workspace, Try("password", "nora", f"10.{n}.0.0/24"))
        assert tries.admits(workspace, Try("password", " NORA ", "10.9.0.0/24", good))
        assert not tries.admits(workspace, Try("password", "nora", "10.9.0.0/24", over))


def test_who_knows_a_password_cannot_guess_codes_without_end(tmp_path):
    with serving(make_site_folder(tmp_path / "w", BUDGETS)) as site:
        nora = add(site, "nora")
        with site.open() as workspace:
            secret = staff.new_secret()
            staff.turn_on(workspace, "nora", secret, code_of(secret, -1))
        said = []
        for n in range(9):
            guesser = Browser(site)
            with site.open() as workspace:
                token = signin.begin(workspace, nora.model_copy(update={"second_factor": True}), "x", "y")
            guesser.cookies["digest"], guesser.csrf = token, signin.csrf(token)
            said.append(guesser.post("/admin/code", {"code": "000000"}, X_Forwarded_For=f"198.51.{n}.7").status)
        assert said == [403] * 6 + [429] * 3
        # Nobody's tries of passwords use up what she has for codes, nor the other way round.
        assert tried(site, 80, "nora") == 403


def test_a_database_that_cannot_be_written_to_opens_no_door(tmp_path, monkeypatch):
    monkeypatch.setattr("digest.web.app._TURN_S", 0.2)
    looked, said = [], []
    monkeypatch.setattr(signin, "check", lambda *_: looked.append(1))
    with serving(make_site_folder(tmp_path / "w", BUDGETS)) as site:
        add(site, "nora")
        asks = [threading.Thread(target=lambda: said.append(tried(site, 1, "nora", PASSWORD))) for _ in range(3)]
        with site.open() as workspace, workspace.store.write():
            for ask in asks:
                ask.start()
            end = time.monotonic() + 30
            while len(said) < 2 and time.monotonic() < end:  # at most one waits for the database; the others are told to come back
                time.sleep(0.02)
            assert said == [503] * len(said) and len(said) >= 2 and looked == []
        for ask in asks:
            ask.join()
        assert len(looked) == said.count(403)


def test_what_is_counted_tells_no_name_and_no_network_and_is_forgotten(tmp_path, on_both):
    with open_workspace(make_site_folder(tmp_path / "w", BUDGETS)) as workspace:
        one = Try("password", "nora", "198.51.100.0/24")
        assert tries.admits(workspace, one)
        tries.right(workspace, one)
        assert tries.admits(workspace, one._replace(step="again", session="5e55107"))
        with workspace.store.read() as tx:
            scopes = [row.scope for row in tx.execute(t.throttle.select())]
        assert len(scopes) == 5 and all(re.fullmatch(r"(asks|known):login (\w+ [0-9a-f]{32}|all)", scope) for scope in scopes), scopes
        with workspace.store.write() as tx:
            tx.execute(t.throttle.update().values(at=datetime(2020, 1, 1, tzinfo=UTC)))
        readers.tidy(workspace)
        with workspace.store.read() as tx:
            assert not tx.execute(t.throttle.select()).all()
