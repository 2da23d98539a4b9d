"""Lists, readers, issues and reports in the admin, from outside: what is shown before it is made, and what never stands in an address."""

import csv
import io
import json
import re
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from digest import audit, jobs, readers, suppress
from digest.accounts import Role
from digest.interests import load
from digest.model import Status
from digest.store import now
from digest.store import schema as t
from digest.web.admin import issues
from digest.workspace import open_workspace
from tests.support.make import write_summary
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add

ISSUE = "monthly-2026-05-01"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = make_site_folder(tmp_path_factory.mktemp("pages") / "w")
    write_summary(folder, "three", "2026-04-17", "diet")
    with serving(folder) as site:
        site.nora = add(site, "nora")
        site.add("held@example.org", interests=("gut", "vision"))
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


@pytest.fixture
def browser(site):
    return Browser(site).enter(site.nora)


def lists(site):
    return (site.folder / "subscribers/interests.yaml").read_text()


def go(answer):
    """What the button “Do this” would send."""
    return re.search(r'name="go" value="([0-9a-f]+)"', answer.text)[1]


def told(site, action):
    with site.open() as workspace:
        return [one.subject for one in audit.page(workspace, 50, action=action)]


# --- interest lists ------------------------------------------------------------------------------------------------------


def test_a_rule_is_tried_before_anything_is_saved_then_made_and_taken_back(site, browser):
    before, path = lists(site), "/admin/interests/change/rule/vision"
    typed = {"rule": "{any: [{tag: vision}, {tag: diet}]}"}
    shown = browser.post(path, typed)
    assert "2 pieces of the last year" in shown.text and "1 more than now, 0 fewer" in shown.text
    assert lists(site) == before
    live = browser.post(path, {**typed, "live": "1"})
    assert "1 more than now, 0 fewer" in live.text and 'name="go"' not in live.text
    done = browser.post(path, {**typed, "go": go(shown)})
    assert (done.status, done.headers["location"]) == (303, "/admin/interests?done=made")
    assert load(site.folder).get("vision").match.any
    back = browser.post("/admin/interests/undo")
    assert "Take back: another rule" in back.text and lists(site) != before
    assert browser.post("/admin/interests/undo", {"go": go(back)}).status == 303
    assert lists(site) == before
    assert "taken back" in browser.get("/admin/interests/history").text
    assert len(told(site, "interests.change")) == 2


def test_what_was_shown_is_what_is_made(site, browser):
    """Between looking and pressing the button somebody else changed the lists, or the form was altered."""
    path, before = "/admin/interests/change/label/vision", lists(site)
    shown = browser.post(path, {"label": "Sight", "language": ""})
    other = browser.post(path, {"label": "Something else", "language": "", "go": go(shown)})
    assert other.status == 200 and "changed meanwhile" in other.text and lists(site) == before
    assert browser.post(path, {"label": "Sight", "go": "0" * 32}).status == 200 and lists(site) == before


@pytest.mark.parametrize(
    "path, form, words",
    [
        ("create", {"id": "sleep", "label": "Sleep", "rule": "{tag: sleep}"}, "Create"),
        ("change/rename/diet", {"id": "food"}, "Rename"),
        ("change/move/diet", {"parent": ""}, "Move"),
        ("change/merge/diet", {"into": "gut"}, "Merge"),
        ("change/split/gut", {"id1": "flora", "rule1": "{words: [flora]}"}, "Split"),
        ("change/retire/vision", {"successor": "gut"}, "Retire"),
        ("change/label/gut", {"language": "de", "label": "Darm"}, "Label of"),
    ],
)
def test_every_change_is_shown_made_recorded_and_taken_back(site, browser, path, form, words):
    before = lists(site)
    assert browser.get(f"/admin/interests/{path}").status == 200
    shown = browser.post(f"/admin/interests/{path}", form)
    assert words in shown.text and "0 would get a piece again" in shown.text and lists(site) == before
    assert browser.post(f"/admin/interests/{path}", {**form, "go": go(shown)}).status == 303
    assert lists(site) != before
    undone = browser.post("/admin/interests/undo")
    assert browser.post("/admin/interests/undo", {"go": go(undone)}).status == 303
    assert lists(site) == before


@pytest.mark.parametrize(
    "path, form",
    [
        ("change/rule/gut", {"rule": "{tagg: gut}"}),
        ("change/rule/gut", {"rule": "["}),
        ("create", {"id": "No Id", "label": "x"}),
        ("change/rename/gut", {"id": "vision"}),
        ("change/merge/gut", {"into": "gut"}),
        ("change/split/gut", {}),
        ("import", {"text": "- nonsense"}),
    ],
)
def test_what_cannot_be_is_said_beside_what_was_typed(site, browser, path, form):
    answer = browser.post(f"/admin/interests/{path}", form)
    assert answer.status == 422 and 'role="alert"' in answer.text
    assert all(str(value).split("{")[0] in answer.text for value in form.values())


def test_a_file_edited_by_hand_stops_changes_until_one_is_chosen(site, browser):
    file = site.folder / "subscribers/interests.yaml"
    form = {"label": "Diet itself"}  # from the first change on the database knows the lists
    browser.post("/admin/interests/change/label/diet", {**form, "go": go(browser.post("/admin/interests/change/label/diet", form))})
    before = file.read_text()
    file.write_text(before.replace("label: Vision", "label: Eyesight"))
    assert "differ" in browser.get("/admin/interests").text and "+" in browser.get("/admin/interests/compare").text
    assert "use-file" in browser.post("/admin/interests/change/rename/diet", {"id": "food"}).text
    shown = browser.post("/admin/interests/use-database")
    assert file.read_text() != before
    assert browser.post("/admin/interests/use-database", {"go": go(shown)}).status == 303
    assert file.read_text() == before
    text = before + "- {id: fresh, label: Fresh, match: {tag: fresh}}\n"
    shown = browser.post("/admin/interests/import", {"text": text})
    assert browser.post("/admin/interests/import", {"text": text, "go": go(shown)}).status == 303
    assert browser.get("/admin/interests/export").text == file.read_text() == text
    undone = browser.post("/admin/interests/undo")
    browser.post("/admin/interests/undo", {"go": go(undone)})
    assert file.read_text() == before


# --- readers -------------------------------------------------------------------------------------------------------------


def test_a_reader_is_found_by_exact_address_or_id_and_no_address_of_a_page_says_who(site, browser):
    one = site.add("zoë.exact@example.org", name="Zoë", interests=("vision",))
    found = browser.post("/admin/readers/find", {"who": " ZOË.exact@Example.org "})
    path = found.headers["location"]
    assert path == f"/admin/readers/about/{one.id}"
    assert browser.post("/admin/readers/find", {"who": one.id}).headers["location"] == path
    page = browser.get(path).text
    assert "zoë.exact@example.org" in page and "Vision" in page
    for part in ("zoë.exact@example.or", "nobody@example.org", "f" * 32, "not an address@"):
        answer = browser.post("/admin/readers/find", {"who": part})
        assert answer.status == 422 and "location" not in answer.headers
    for address in re.findall(r'(?:href|action|src)="([^"]*)"', page + browser.get("/admin/readers").text):
        assert "example.org" not in address and "vision" not in address and "gut" not in address, address
    assert one.id in told(site, "readers.find")


def test_filters_pages_and_saved_filters(site, browser):
    for n in range(60):
        site.add(f"page{n:02}@example.org", interests=("diet",), cadence="weekly", status=Status.PAUSED if n == 7 else Status.ACTIVE)
    met, form = [], {"interest": "diet", "cadence": "weekly"}
    while True:
        page = browser.post("/admin/readers", form)
        met += re.findall(r">(page\d\d)@example.org<", page.text)
        following = re.search(r'name="after" value="(\d+)"', page.text)
        if following is None:
            break
        form["after"] = following[1]
    assert met == [f"page{n:02}" for n in range(60)]
    paused = {"interest": "diet", "status": "paused"}
    assert re.findall(r">(page\d\d)@", browser.post("/admin/readers", paused).text) == ["page07"]
    assert "1 reader in all" in browser.post("/admin/readers", {**paused, "count": "1"}).text
    assert browser.post("/admin/readers/segments", {**paused, "name": "on-holiday"}).status == 303
    assert re.findall(r">(page\d\d)@", browser.get("/admin/readers?segment=on-holiday").text) == ["page07"]
    assert browser.post("/admin/readers/segments/remove", {"name": "on-holiday"}).status == 303
    assert browser.get("/admin/readers?segment=on-holiday").status == 404
    for wrong in (
        {"older": "x"},
        {"older": "999999999"},
        {"status": "erased"},
        {"interest": "none"},
        {"cadence": "hourly"},
        {"status": "erased-not"},
    ):
        assert browser.post("/admin/readers", wrong).status == 422, wrong
    for wrong in ("Upper", "with space", ""):
        assert browser.post("/admin/readers/segments", {"name": wrong}).status == 422
    taken = browser.post("/admin/readers/export", paused)
    rows = list(csv.DictReader(io.StringIO(taken.text)))
    assert [row["email"] for row in rows] == ["page07@example.org"] and "readers.csv" in taken.headers["content-disposition"]


def test_an_admin_does_what_a_reader_asked_for_and_it_stands_in_both_records(site, browser):
    one = site.add("asks@example.org", name="Asks", interests=("gut",), consent_source="form")
    path = f"/admin/readers/about/{one.id}"
    form = {
        "name": "Asked",
        "interests": "vision, gut",
        "cadence": "weekly",
        "form": "large",
        "most": "5",
        "language": "de",
        "audience": "patients",
    }
    assert browser.post(path + "/edit", form).status == 303
    now_is = site.reader("asks@example.org")
    assert (now_is.name, now_is.interests, now_is.cadence, now_is.large_print, now_is.max_teasers) == (
        "Asked",
        ("vision", "gut"),
        "weekly",
        True,
        5,
    )
    for wrong in ({"most": "999"}, {"interests": "gut, nothing-like-it"}, {"cadence": "hourly"}, {"language": "xx"}):
        assert browser.post(path + "/edit", {**form, **wrong}).status == 422, wrong
    assert browser.post(path + "/pause", {"until": "2099-01-01"}).status == 303
    assert site.reader("asks@example.org").paused_until == date(2099, 1, 1)
    for wrong in ("2001-01-01", "soon"):
        assert browser.post(path + "/pause", {"until": wrong}).status == 422
    assert browser.post(path + "/resume").status == 303 and site.reader("asks@example.org").status is Status.ACTIVE
    assert browser.post(path + "/resume").status == 422
    assert browser.post(path + "/suppress").status == 303 and "Nobody writes to this address" in browser.get(path).text
    assert browser.post(path + "/allow").status == 303
    with site.open() as workspace:
        assert "asks@example.org" not in [line.email for line in suppress.listing(workspace, addresses=True)]
    data = json.loads(browser.post(path + "/export").text)
    assert data["subscriber"]["email"] == "asks@example.org" and ["changed", "admin"] in [[c["kind"], c["source"]] for c in data["consent"]]
    assert browser.post(path + "/leave").status == 303 and site.reader("asks@example.org").status is Status.UNSUBSCRIBED
    assert browser.post(path + "/forget").status == 422  # the box was not ticked
    assert browser.post(path + "/forget", {"sure": "yes"}).status == 303
    assert browser.get(path).status == 404 and not site.knows("asks@example.org")
    done = {action for action in ("readers.change", "readers.leave", "readers.export", "readers.forget") if one.id in told(site, action)}
    assert done == {"readers.change", "readers.leave", "readers.export", "readers.forget"}


def test_an_edit_changes_what_the_admin_changed_and_keeps_what_the_reader_did_meanwhile(site, browser):
    one = site.add("both@example.org", name="Both", interests=("gut", "vision"), audience=("patients",))
    path = f"/admin/readers/about/{one.id}/edit"
    shown = browser.get(path).text
    form = dict(re.findall(r'<input type="hidden" name="(was_\w+)" value="([^"]*)"', shown))
    assert set(form) == {"was_name", "was_interests", "was_cadence", "was_language", "was_audience", "was_form", "was_most"}
    with site.open() as workspace:  # the reader, while that form is open
        fields = {"interests": ("vision",), "audience": (), "cadence": "weekly", "large_print": True, "max_teasers": 3}
        readers.change(workspace, one.id, lambda now: now.model_copy(update=fields), "preference page")
    typed = {"name": "Better", "interests": "gut, vision, diet", "cadence": "monthly", "language": "", "form": "", "most": ""}
    assert browser.post(path, {**form, **typed, "audience": ["patients", "caregivers"]}).status == 303
    after = site.reader(one.email)
    assert (after.name, after.interests, [word.value for word in after.audience]) == ("Better", ("vision", "diet"), ["caregivers"])
    assert (after.cadence, after.large_print, after.max_teasers) == ("weekly", True, 3)


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_who_leaves_while_an_admin_pauses_or_resumes_has_left(site, browser, monkeypatch, act):
    status = Status.ACTIVE if act == "pause" else Status.PAUSED
    one = site.add(f"{act}@leaves.example.org", status=status)
    change = readers.change

    def after_a_click(workspace, sid, alter, what):
        readers.leave(workspace, sid, "one click")
        return change(workspace, sid, alter, what)

    monkeypatch.setattr(readers, "change", after_a_click)
    assert browser.post(f"/admin/readers/about/{one.id}/{act}").status == 422
    assert site.reader(one.email).status is Status.UNSUBSCRIBED


def test_exports_and_erasure_ask_again_who_it_is(site, browser):
    one = site.add("again@example.org")
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values(fresh_at=now(tx) - timedelta(minutes=6)))
    for path, form in (("readers/export", {}), (f"readers/about/{one.id}/export", {}), (f"readers/about/{one.id}/forget", {"sure": "yes"})):
        answer = browser.post(f"/admin/{path}", form)
        assert answer.status == 200 and "Is it still you?" in answer.text and "again@example.org" not in answer.text, path
    assert site.knows("again@example.org")
    done = browser.post(f"/admin/readers/about/{one.id}/forget", {"sure": "yes", "again_password": PASSWORD})
    assert done.status == 303 and not site.knows("again@example.org")


def test_why_not_this_piece(site, browser):
    one = site.reader("held@example.org")
    page = browser.get(f"/admin/readers/about/{one.id}/why/{ISSUE}").text
    assert "follows Gut and diet: tag gut" in page and "Accepted" in page
    assert browser.get(f"/admin/readers/about/{one.id}/why/monthly-1999-01-01").status == 404


# --- files ---------------------------------------------------------------------------------------------------------------


def put_in(browser, content, name="list.csv", csrf=None):
    edge = "edge-of-parts"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{browser.csrf if csrf is None else csrf}\r\n--{edge}\r\n'
    head += f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    cookie = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    headers = {"Content_Type": f"multipart/form-data; boundary={edge}", "Origin": browser.site.url, "Cookie": cookie}
    return browser.site.ask("POST", "/admin/readers/import", body, **headers)


def test_a_file_with_columns_of_its_own_is_mapped_tried_and_brought_in(site, browser):
    text = "E-Mail;Vorname;Thema;Notiz\r\nfile1@example.org;Jürgen;gut;x\r\nnonsense;Y;gut;\r\nfile2@example.org;=1+1;nothing-like-it;\r\n"
    taken = put_in(browser, text.encode("cp1252"))
    path = taken.headers["location"]
    assert taken.status == 303
    files = list((site.folder / "var/uploads").iterdir())
    assert files and all(b"file1" not in file.read_bytes() and file.stat().st_mode & 0o077 == 0 for file in files)
    page = browser.get(path).text
    chosen = dict(re.findall(r'<select id="c-(\w+)"(?:(?!</select>).)*<option selected>([^<]*)<', page, re.S))
    assert chosen == {"email": "E-Mail", "name": "Vorname"}
    assert re.search(r"<option selected>semicolon<", page) and re.search(r"<option selected>cp1252<", page)
    form = {"delimiter": "semicolon", "encoding": "cp1252", "c-email": "E-Mail", "c-name": "Vorname", "c-interests": "Thema"}
    tried = browser.post(path, form)
    assert "1 would be added" in tried.text and "Line 3" in tried.text and "Line 4" in tried.text and not site.knows("file1@example.org")
    report = list(csv.reader(io.StringIO(browser.post(path + "/report", form).text)))
    assert [row[0] for row in report] == ["line", "3", "4"]
    stranger = Browser(site).enter(add(site, "otto"))
    assert stranger.get(path).status == 404 and stranger.post(path, {**form, "go": "yes"}).status == 404
    done = browser.post(path, {**form, "go": "yes"})
    assert "1 were added" in done.text and site.reader("file1@example.org").name == "Jürgen"
    assert browser.get(path).status == 404  # nothing is kept
    assert "" in told(site, "readers.import")


def test_a_column_that_is_not_wanted_is_passed_over(site, browser):
    path = put_in(browser, b"email,name\nplain1@example.org,Secret\n").headers["location"]
    browser.post(path, {"delimiter": "comma", "encoding": "utf-8", "c-email": "email", "c-name": "", "go": "yes"})
    assert site.reader("plain1@example.org").name == ""


def test_nobody_puts_in_a_file_without_a_log_in_or_one_without_end(site, browser):
    stranger = Browser(site)
    assert put_in(stranger, b"email\nx@example.org\n").headers["location"].startswith("/admin/login")
    assert put_in(browser, b"email\nx@example.org\n", csrf="0" * 64).status == 403
    assert put_in(Browser(site).enter(add(site, "vera", Role.VIEWER)), b"email\nx@example.org\n").status == 403
    assert put_in(browser, b"").status == 422
    cookie = f"digest={browser.cookies['digest']}"
    large = {"Content_Type": "multipart/form-data; boundary=x", "Origin": site.url, "Cookie": cookie}
    assert site.ask("POST", "/admin/readers/import", b"x", **{**large, "Content_Length": str(17 * 1024 * 1024)}).status == 413
    assert not site.knows("x@example.org")


# --- issues and reports --------------------------------------------------------------------------------------------------


def test_an_issue_with_its_sums_and_every_message_made_again(site, browser):
    page = browser.get(f"/admin/issues/about/{ISSUE}").text
    assert "Together they are the 1 that were planned" in page and "Gut and diet" in page and "Piece one" in page
    assert ISSUE in browser.get("/admin/issues").text and browser.get("/admin/issues/about/monthly-1999-01-01").status == 404
    checked = browser.post(f"/admin/issues/about/{ISSUE}/check").text
    assert "1 message came out byte for byte" in checked
    (file,) = (site.folder / "var/outbox" / ISSUE).glob("*.eml")
    taken = browser.post(f"/admin/issues/about/{ISSUE}/message", {"did": file.stem})
    assert taken.body == file.read_bytes() and taken.headers["digest-likeness"] == "same"
    assert browser.post(f"/admin/issues/about/{ISSUE}/message", {"did": "0" * 32}).status == 422
    with issues.CHECKING:
        assert browser.post(f"/admin/issues/about/{ISSUE}/check").status == 409  # one at a time


def test_a_check_in_the_admin_stops_at_its_limit_and_says_so(site, browser, monkeypatch):
    monkeypatch.setattr(issues, "CHECKED", 0)
    assert "the first 0" in browser.post(f"/admin/issues/about/{ISSUE}/check").text


def test_held_hand_overs_are_decided_and_recorded(site, browser):
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.delivery).values(state="held", reason="no word came back"))
    path = f"/admin/issues/about/{ISSUE}"
    page = browser.get(path).text
    did = re.search(r'name="did" value="([0-9a-f]{32})"', page)[1]
    assert "h…@example.org" in page and "held@example.org" not in page
    approver = Browser(site).enter(add(site, "anna", Role.APPROVER))
    assert "h…@example.org" not in approver.get(path).text  # no reader's address for who may not see readers
    for wrong in ({"to": "sent"}, {"did": did}, {"did": did, "to": "twice"}, {"did": "0" * 32, "to": "sent"}):
        assert browser.post(path + "/decide", wrong).status == 422, wrong
    assert approver.post(path + "/decide", {"did": did, "to": "sent"}).status == 303
    assert "treat" not in browser.get(path).text.lower() or "no word came back" not in browser.get(path).text
    assert ISSUE in told(site, "issue.decide")


def test_a_draft_is_paused_resumed_and_cancelled(site, browser):
    write_summary(site.folder, "june", "2026-05-20", "gut")
    with open_workspace(site.folder, date(2026, 6, 1)) as workspace:
        jobs.gather.gather(workspace)
        jobs.issue.draft(workspace, "monthly")
    path = "/admin/issues/about/monthly-2026-06-01"
    assert browser.post(path + "/approve").status == 404  # nobody approves what they have not looked at
    assert '/desk/issues/monthly-2026-06-01/approve"' in browser.get(path).text
    assert browser.post(path + "/resume").status == 422
    assert browser.post(path + "/pause", {"reason": "a mistake in it"}).status == 303 and "a mistake in it" in browser.get(path).text
    assert browser.post(path + "/resume").status == 303
    assert browser.post(path + "/cancel").status == 422  # the box was not ticked
    assert browser.post(path + "/cancel", {"sure": "yes"}).status == 303 and browser.post(path + "/pause").status == 422
    wanted = ("issue.pause", "issue.resume", "issue.cancel")
    assert [action for action in wanted if "monthly-2026-06-01" in told(site, action)] == list(wanted)


@pytest.mark.parametrize("name", ["readers", "interests", "joins", "deliveries", "domains", "pieces", "sources"])
def test_every_report_has_a_picture_a_table_and_a_file(site, name):
    viewer = Browser(site).enter(add(site, f"viewer-{name}", Role.VIEWER))
    page = viewer.get(f"/admin/reports/about/{name}?since=2026-04-01")
    assert page.status == 200 and "@example.org" not in page.text
    picture = viewer.get(f"/admin/reports/picture/{name}?since=2026-04-01")
    assert picture.text.startswith("<svg") and "sandbox" in picture.headers["content-security-policy"]
    rows = list(csv.reader(io.StringIO(viewer.get(f"/admin/reports/csv/{name}?since=2026-04-01").text)))
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)<', page.text)
    assert [head.replace("&#39;", "'") for head in heads] == (rows[0] if len(rows) > 1 else heads)
    assert viewer.get(f"/admin/reports/about/{name}?since=soon").status == 404


def test_a_report_that_there_is_not(site, browser):
    assert [browser.get(f"/admin/reports/{kind}/opens").status for kind in ("about", "picture", "csv")] == [404] * 3
