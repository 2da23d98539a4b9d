"""In by another service in a real browser: across sites, there and back, by mouse and by keyboard; and each page without fault."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from digest import identities
from digest.accounts import Role
from digest.store import now
from digest.store import schema as t
from tests.browser.test_admin import BUDGETS, DESK, PHONE, check, fresh_page
from tests.support.hands import Keyboard, Mouse
from tests.support.oidc_provider import CLIENT, SECRET, providing
from tests.support.site import make_site_folder, serving
from tests.support.staff import add

__all__ = ["fresh_page"]  # a fixture


@pytest.fixture(scope="module")
def provider():
    with providing("localhost") as provider:  # another site than 127.0.0.1, as in real life
        yield provider


@pytest.fixture(scope="module")
def site(provider, tmp_path_factory):
    allow = urlsplit(provider.url).netloc
    rules = f"fetch: {{allow: ['{allow}']}}\nlogin: {{oidc: {{issuer: '{provider.url}', client_id: {CLIENT}, label: Example ID}}}}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGEST_OIDC_SECRET", SECRET)
        with serving(make_site_folder(tmp_path_factory.mktemp("elsewhere") / "w", rules + BUDGETS)) as site:
            add(site, "nora")
            yield site


@pytest.mark.parametrize("with_hand, size, scheme", [(Mouse, PHONE, "dark"), (Keyboard, DESK, "light")], ids=["mouse", "keyboard"])
def test_in_there_and_back_and_proved_again_beside_a_form(site, provider, fresh_page, with_hand, size, scheme):
    name = f"ben-{with_hand.by}"
    ben = add(site, name, Role.ADMIN)
    with site.open() as workspace:
        identities.expect(workspace, name, f"{name}@example.org")
    provider.claims = {"sub": name, "email": f"{name}@example.org", "email_verified": True}
    page = fresh_page(viewport=size, color_scheme=scheme)
    page.set_default_timeout(15_000)
    hand = with_hand(page)
    page.goto(site.url + "/admin/people")
    check(page, "log-in")
    hand.go("Log in with Example ID")
    page.get_by_role("heading", name="People", exact=True).wait_for()  # where they wanted to go
    hand.go(name)
    page.get_by_text("Linked since").wait_for()
    check(page, "linked")
    hand.go("People")
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values(fresh_at=now(tx) - timedelta(minutes=9)))
    hand.write("Name to log in with", f"caro-{with_hand.by}")
    hand.go("Add")
    page.get_by_role("heading", name="Is it still you?").wait_for()
    check(page, "again")
    with page.context.expect_page() as opened:
        hand.press("Prove it with Example ID")
    opened.value.get_by_role("heading", name="It is you").wait_for()
    check(opened.value, "proved")
    opened.value.close()
    page.bring_to_front()
    hand.go("I have proved it: go on")
    page.get_by_role("heading", name=f"A password for caro-{with_hand.by}").wait_for()
    page.goto(site.url + f"/admin/people/{ben.id}")
    hand.go("Undo the link")
    page.get_by_role("heading", name="Log in").wait_for()  # that was one's own
    hand.go("Log in with Example ID")
    page.get_by_role("heading", name="That did not let you in").wait_for()
    check(page, "refused")
