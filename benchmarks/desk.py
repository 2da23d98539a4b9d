"""How long the desk takes to answer: the list of an issue with many editions, and an edition after a template was saved.

    python -m benchmarks.desk [--editions 5000] [--saves 10] [--browser]

``--browser`` measures what an editor sees instead: `digest preview` and the system's Chromium, from the moment a template is
saved until the renewed email is loaded in the page, the watching of files, the server's answers and the frame included.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

from playwright.sync_api import sync_playwright
from starlette.testclient import TestClient

from digest import gather, issue, subscribe
from digest.compose.render import kept_ready
from digest.interests import load
from digest.web.desk.app import make_desk
from digest.web.desk.guard import Person, Role
from digest.web.desk.table import Table
from digest.workspace import open_workspace
from tests.support.desk import NAME as DESK_ISSUE
from tests.support.desk import make_desk_folder, sitting
from tests.support.make import CONFIG, make_workspace, write_summary

ON, NAME = date(2026, 5, 1), "monthly-2026-05-01"
INTERESTS = 8  # in each order of some of them lies another edition


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--editions", type=int, default=5000)
    asked.add_argument("--saves", type=int, default=10)
    asked.add_argument("--browser", action="store_true")
    options = asked.parse_args()
    if options.browser:
        _seen(options.saves)
        return
    with tempfile.TemporaryDirectory() as folder:
        workspace = _workspace(Path(folder) / "w", options.editions)
        with open_workspace(workspace, ON) as opened, kept_ready():
            _measure(opened, workspace, options.saves)


def _workspace(folder: Path, editions: int) -> Path:
    interests = "".join(f"- {{id: i{n}, label: Interest {n}, match: {{tag: t{n}}}}}\n" for n in range(INTERESTS))
    orders = itertools.islice((one for some in range(2, 7) for one in itertools.permutations(range(INTERESTS), some)), editions)
    people = "email,name,interests,cadence\n" + "".join(
        f"r{n}@example.org,,{';'.join(f'i{id}' for id in order)},monthly\n" for n, order in enumerate(orders)
    )
    made = make_workspace(folder, config=CONFIG, interests=interests, subscribers=people)
    for n in range(INTERESTS * 2):
        write_summary(made, f"piece-{n}", "2026-04-15", f"t{n % INTERESTS}")
    with open_workspace(made, ON) as opened, opened.store.alone():
        subscribe.import_file(opened, made / "subscribers/people.csv", load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
    return made


def _measure(opened: object, folder: Path, saves: int) -> None:
    table = Table(opened, live=True, on=ON)  # type: ignore[arg-type]
    client = TestClient(make_desk(table, lambda _: Person("bench", Role.ADMIN, "s")), base_url="http://127.0.0.1")

    def timed(path: str) -> float:
        begun = time.perf_counter()
        assert client.get(path).status_code == 200
        return time.perf_counter() - begun

    first = timed(f"/issues/{NAME}")
    again = [
        timed(f"/issues/{NAME}?sort={sort}&page={page}") for sort in ("readers", "largest", "smallest", "warnings") for page in (1, 50)
    ]
    count = len(table.lines(NAME).table.lines)
    said = (
        f"{count} editions: the first list {first:.2f} s, then {statistics.median(again) * 1000:.0f} ms ({max(again) * 1000:.0f} at most)"
    )
    print(said)  # noqa: T201
    header, found = folder / "templates/parts/header.mjml.j2", []
    good = header.read_text(encoding="utf-8")
    for n in range(saves):
        time.sleep(1)  # the process for the next rendering is started meanwhile, as between two savings of a person
        header.write_text(good.replace("{{ newsletter.name }}", f"{{{{ newsletter.name }}}} {n}"), encoding="utf-8")
        found.append(timed(f"/issues/{NAME}/editions/imagined:all"))
    print(f"an edition after a template was saved: {statistics.median(found) * 1000:.0f} ms ({max(found) * 1000:.0f} at most)")  # noqa: T201


def _seen(saves: int) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        made, found = make_desk_folder(Path(folder) / "w"), []
        header = made / "templates/parts/header.mjml.j2"
        good = header.read_text(encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        with sitting(made) as desk:
            page = browser.new_page()
            page.goto(desk.opened.url)
            page.goto(f"{desk.url}/issues/{DESK_ISSUE}/editions/imagined:all")
            for n in range(saves):
                time.sleep(1.5)
                page.evaluate("delete document.documentElement.dataset.shown")
                saved_at = time.time()
                header.write_text(good.replace("{{ newsletter.name }}", f"{{{{ newsletter.name }}}} {n}"), encoding="utf-8")
                while not (shown_at := page.evaluate("document.documentElement.dataset.shown")):
                    time.sleep(0.01)
                found.append(int(shown_at) / 1000 - saved_at)
        browser.close()
    print(f"saved -> seen: {statistics.median(found) * 1000:.0f} ms ({max(found) * 1000:.0f} at most, of {saves})")  # noqa: T201


if __name__ == "__main__":
    main()
