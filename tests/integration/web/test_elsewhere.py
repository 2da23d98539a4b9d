"""Logging in by another service, against a provider on this machine that can lie in every way that matters."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from digest import audit, doctor, identities, oidc, oidc_wire, staff
from digest.accounts import Role
from digest.config import Oidc
from digest.errors import AccountError
from digest.oidc import Claims, Refusal
from digest.store import now
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.support.oidc_provider import CLIENT, SECRET, Keys, b64, pem, providing, public_ec, public_rsa, signed
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add, code_of

BUDGETS = "admin: {budgets: {try_per_hour: 100000, name_per_hour: 100000, network_per_hour: 100000, all_per_hour: 100000}}\n"
WRONG = "That did not let you in"


def config(provider, more=""):
    allow = urlsplit(provider.url).netloc
    return (
        f"fetch: {{allow: ['{allow}']}}\nlogin: {{oidc: {{issuer: '{provider.url}', client_id: {CLIENT}, label: Example ID{more}}}}}\n"
        + BUDGETS
    )


@pytest.fixture(scope="module")
def lying():
    with providing() as provider:
        yield provider


@pytest.fixture
def provider(lying):
    lying.reset()
    return lying


@pytest.fixture(scope="module")
def served(lying, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGEST_OIDC_SECRET", SECRET)
        with serving(make_site_folder(tmp_path_factory.mktemp("elsewhere") / "w", config(lying, ", roles: {mapped: editor}"))) as site:
            add(site, "somebody")
            yield site


@pytest.fixture
def site(served, provider, monkeypatch):
    monkeypatch.setattr(oidc_wire, "_AWAY_S", 0.0)
    monkeypatch.setattr(oidc_wire, "_KEPT_S", 0.0)  # what the provider says changes from test to test
    return served


@pytest.fixture
def nora(site, n=[0]):  # noqa: B006
    """Somebody who waits to be linked by an address of their own."""
    n[0] += 1
    person = add(site, f"nora{n[0]}", Role.EDITOR)
    with site.open() as workspace:
        identities.expect(workspace, person.name, f"{person.name}@example.org")
    return person


def theirs(person, **more):
    return {"sub": f"sub-{person.name}", "email": f"{person.name}@example.org", "email_verified": True, **more}


def follow(browser, provider, path="/admin/oidc?to=/admin/account"):
    """Off to the provider and back, as a browser goes."""
    off = browser.get(path)
    assert off.status == 303, off.text
    assert off.headers["location"].startswith(provider.url + "/authorize?tenant=1&")
    return back(browser, provider.authorize(urlsplit(off.headers["location"]).query))


def back(browser, address):
    parts = urlsplit(address)
    assert parts.netloc == urlsplit(browser.site.url).netloc and parts.path == "/admin/oidc/back"
    return browser.get(f"{parts.path}?{parts.query}")


def came_in(browser, answer):
    return answer.status == 303 and answer.headers["location"] == "/admin/account" and browser.get("/admin/account").status == 200


def gets_in(site, provider):
    """A browser that went there and came back logged in; None if it did not."""
    browser = Browser(site)
    return browser if came_in(browser, follow(browser, provider)) else None


def test_linked_by_a_verified_address_once_and_by_the_subject_from_then_on(site, provider, nora):
    provider.claims = theirs(nora)
    browser = Browser(site)
    assert "Log in with Example ID" in browser.get("/admin/login?to=/admin/account").text
    assert came_in(browser, follow(browser, provider))
    with site.open() as workspace:
        assert identities.of(workspace, nora.name).issuer == provider.url
        said = [(one.who, one.action, dict(one.detail).get("how")) for one in audit.page(workspace, 2)]
        assert said == [(nora.name, "login", "oidc"), (nora.name, "people.elsewhere_linked", None)]
        with workspace.store.read() as tx:
            kept = repr(tx.execute(t.identity.select()).all())
            assert "example.org" not in kept and f"sub-{nora.name}" not in kept
    provider.claims = {"sub": f"sub-{nora.name}"}  # another address, or none: the subject counts
    other = gets_in(site, provider)
    assert other
    provider.claims = theirs(nora, sub="another subject with her address")  # which counted once
    answer = follow(Browser(site), provider)
    assert answer.status == 403 and WRONG in answer.text
    with site.open() as workspace:
        assert identities.unlink(workspace, nora.name) and not identities.unlink(workspace, nora.name)
    provider.claims = theirs(nora)
    assert follow(Browser(site), provider).status == 403
    assert other.get("/admin/account").status == 303  # the session went with the link


def test_nobody_else_gets_in_and_nothing_is_told_or_made(site, provider, nora):
    with site.open() as workspace:
        before = len(staff.everybody(workspace))
        with pytest.raises(AccountError, match="somebody else"):
            identities.expect(workspace, "somebody", f"{nora.name}@example.org")
    answers = set()
    for claims in (
        {"sub": "stranger", "email": "stranger@example.org", "email_verified": True},
        theirs(nora, email_verified=False),
        {"sub": "x", "email": f"{nora.name}@example.org"},
        {"sub": "x", "email": "nonsense", "email_verified": True},
        {"sub": "x", "email": [f"{nora.name}@example.org"], "email_verified": True},
    ):
        provider.claims = claims
        answer = follow(Browser(site), provider)
        answers.add((answer.status, answer.text))
    assert len(answers) == 1 and next(iter(answers))[0] == 403
    with site.open() as workspace:
        assert len(staff.everybody(workspace)) == before
        assert identities.of(workspace, nora.name).issuer == ""
    provider.claims = theirs(nora)
    assert gets_in(site, provider)
    with site.open() as workspace:
        staff.disable(workspace, nora.name)
    refused = follow(Browser(site), provider)
    assert (refused.status, refused.text) in answers


# What a token may be like, and nobody gets in by it; the last lines are what everybody does get in by.
def lie(**claims):
    return lambda header, found: found.update(claims)


def without(name):
    return lambda header, found: found.pop(name) and None


def hs256(header, claims):
    return signed({"alg": "HS256", "kid": "one"}, claims, pem(Keys.ours))


def hs256_by_modulus(header, claims):
    return signed({"alg": "HS256", "kid": "one"}, claims, public_rsa(Keys.ours, "one")["n"].encode())


def altered(header, claims):
    head, body, signature = signed(header, claims, Keys.ours).split(".")
    return f"{head}.{b64(json.dumps({**claims, 'sub': 'another'}).encode())}.{signature}"


LIES = {
    "another nonce": lie(nonce="n" * 43),
    "no nonce": without("nonce"),
    "another audience": lie(aud="somebody-else"),
    "several audiences, not given to us": lie(aud=[CLIENT, "somebody-else"]),
    "given to somebody else": lie(azp="somebody-else"),
    "another issuer": lie(iss="https://evil.example.org"),
    "no issuer": without("iss"),
    "expired": lie(exp=int(time.time()) - 300),
    "no end": without("exp"),
    "made in the future": lie(iat=int(time.time()) + 3600),
    "nobody": lie(sub=""),
    "no subject": without("sub"),
    "a subject that is no text": lie(sub=17),
    "not signed": lambda header, claims: signed({"alg": "none"}, claims, None),
    "not signed, spelt otherwise": lambda header, claims: signed({"alg": "none"}, claims, None).replace(
        b64(b'{"alg": "none"}'), b64(b'{"alg": "nOnE"}')
    ),
    "by HS256 with the public key": hs256,
    "by HS256 with the modulus": hs256_by_modulus,
    "by another key": lambda header, claims: signed(header, claims, Keys.strange),
    "by an unknown key": lambda header, claims: signed({**header, "kid": "none of these"}, claims, Keys.strange),
    "by a key in its own header": lambda header, claims: signed(
        {**header, "kid": "own", "jwk": public_rsa(Keys.strange, "own")}, claims, Keys.strange
    ),
    "by RS512": lambda header, claims: signed({"alg": "RS512", "kid": "one"}, claims, Keys.ours),
    "altered": altered,
    "no token": lambda header, claims: "a.b.c",
    "an empty token": lambda header, claims: "..",
}


@pytest.mark.parametrize("what", LIES)
def test_a_token_that_does_not_count(site, provider, what):
    provider.claims, provider.twist = {"sub": "mapped"}, LIES[what]
    with site.open() as workspace:
        before = len(staff.everybody(workspace))
    browser = Browser(site)
    answer = follow(browser, provider)
    assert (answer.status, WRONG in answer.text) == (403, True), what
    assert browser.get("/admin/account").status == 303 and not any("digest=" in one for one in answer.cookies)
    with site.open() as workspace:
        assert len(staff.everybody(workspace)) == before


def test_what_counts(site, provider, nora):
    """The controls: the same person by the same way, with nothing wrong, gets in."""
    provider.claims = {"sub": "mapped"}
    assert gets_in(site, provider)
    provider.claims = theirs(nora)
    assert gets_in(site, provider)
    for header, key, claims in (
        ({"alg": "ES256", "kid": "two"}, Keys.curve, {}),
        ({"alg": "RS256"}, Keys.ours, {}),  # without the name of the key, where there is but one of its kind
        ({"alg": "RS256", "kid": "one"}, Keys.ours, {"aud": [CLIENT, "x"], "azp": CLIENT}),
        ({"alg": "RS256", "kid": "one"}, Keys.ours, {"exp": int(time.time()) - 20}),  # two clocks differ
    ):
        provider.header, provider.key, provider.claims = header, key, theirs(nora, **claims)
        assert gets_in(site, provider), header
    provider.published, provider.header = [public_rsa(Keys.strange, "new")], {"alg": "RS256", "kid": "new"}  # keys were changed
    provider.key = Keys.strange
    assert gets_in(site, provider)
    provider.published, provider.key = [public_rsa(Keys.short, "new")], Keys.short
    assert follow(Browser(site), provider).status == 403  # a key of 1024 bits
    provider.published = [public_rsa(Keys.ours, "one"), public_rsa(Keys.strange, "other")]
    provider.header, provider.key = {"alg": "RS256"}, Keys.ours
    assert follow(Browser(site), provider).status == 403  # which of the two?
    provider.published = [{**public_ec(Keys.curve, "two"), "use": "enc"}]
    provider.header, provider.key = {"alg": "ES256", "kid": "two"}, Keys.curve
    assert follow(Browser(site), provider).status == 403


def test_an_answer_counts_once_for_the_browser_that_asked_and_in_time(site, provider, nora):
    provider.claims = theirs(nora)
    browser, stranger = Browser(site), Browser(site)
    off = browser.get("/admin/oidc?to=/admin/account")
    begun = dict(browser.cookies)
    asked = urlsplit(off.headers["location"]).query
    address = provider.authorize(asked)
    assert back(stranger, address).status == 403  # log-in CSRF: an answer in a browser that began nothing
    stranger.get("/admin/oidc")
    assert back(stranger, address).status == 403  # or something else
    posts = provider.posts
    assert came_in(browser, back(browser, address)) and provider.posts == posts + 1
    assert "digest-oidc" not in browser.cookies
    browser.cookies = dict(begun)
    assert back(browser, provider.authorize(asked)).status == 403  # the same state with a fresh code
    assert provider.posts == posts + 1
    browser = Browser(site)
    off = browser.get("/admin/oidc?to=/admin/account")
    address = provider.authorize(urlsplit(off.headers["location"]).query)
    browser.cookies = {name: value[:-6] + "AAAA==" for name, value in browser.cookies.items()}
    assert back(browser, address).status == 403  # altered
    for made_up in ("code=x", "state=x", "error=access_denied", "code=x&state=y&iss=z", ""):
        assert Browser(site).get(f"/admin/oidc/back?{made_up}").status == 403


def test_an_answer_that_comes_too_late(site, provider, nora, monkeypatch):
    provider.claims = theirs(nora)
    browser = Browser(site)
    off = browser.get("/admin/oidc?to=/admin/account")
    address = provider.authorize(urlsplit(off.headers["location"]).query)
    monkeypatch.setattr("digest.oidc.LASTS", timedelta(seconds=-90))
    assert back(browser, address).status == 403


def test_an_answer_of_another_provider_is_told_by_its_name(site, provider, nora):
    provider.claims = theirs(nora)
    provider.answer_as = {"iss": "https://evil.example.org"}
    assert follow(Browser(site), provider).status == 403
    provider.answer_as, provider.described = {}, {"authorization_response_iss_parameter_supported": True}
    assert follow(Browser(site), provider).status == 403
    provider.answer_as = {"iss": provider.url}
    assert gets_in(site, provider)


@pytest.mark.parametrize(
    "to", ["https://evil.example.org/", "//evil.example.org", "/\\evil.example.org", "/p/x", "/admin/../x", "javascript:x"]
)
def test_it_leads_nowhere_but_to_our_own_pages(site, provider, nora, to):
    provider.claims = theirs(nora)
    from urllib.parse import quote

    answer = follow(Browser(site), provider, f"/admin/oidc?to={quote(to)}")
    assert (answer.status, answer.headers["location"]) == (303, "/admin")


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://evil.example.org"},
        {"token_endpoint": "ftp://127.0.0.1/x"},
        {"jwks_uri": None},
        {"token_endpoint": "http://192.168.0.1/token"},  # inside a private network: the guard
        {"jwks_uri": "http://169.254.169.254/latest"},
        {"token_endpoint": "http://user@127.0.0.1/token"},
    ],
)
def test_a_provider_that_describes_itself_as_what_it_is_not(site, provider, nora, described):
    provider.claims, provider.described = theirs(nora), described
    browser = Browser(site)
    off = browser.get("/admin/oidc")
    answer = off if off.status != 303 else back(browser, provider.authorize(urlsplit(off.headers["location"]).query))
    assert answer.status == 503 and "does not answer" in answer.text
    assert browser.get("/admin/account").status == 303


def test_a_provider_that_fails_or_is_away(site, provider, nora, monkeypatch):
    provider.claims, provider.status = theirs(nora), 500
    assert follow(Browser(site), provider).status == 503
    provider.status = 200
    monkeypatch.setattr(oidc_wire, "_KEPT_S", 3600.0)
    browser = Browser(site)
    follow(browser, provider)
    monkeypatch.setattr(oidc_wire.fetch, "get", lambda *_, **__: pytest.fail("it is kept for an hour"))
    assert browser.get("/admin/oidc").status == 303


# --- proving it again, and the second factor -----------------------------------------------------------------------------


def stale(site):
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values(fresh_at=now(tx) - timedelta(minutes=30)))


def test_proving_it_again_there(site, provider, nora):
    provider.claims = theirs(nora, auth_time=int(time.time()))
    browser = Browser(site)
    follow(browser, provider)
    assert browser.get("/admin/account/password").status == 200  # it was a moment ago
    stale(site)
    asked = browser.get("/admin/account/password")
    assert asked.headers["location"] == "/admin/again?to=/admin/account/password"
    page = browser.get(asked.headers["location"]).text
    way = re.search(r'href="(/admin/oidc\?again=1[^"]+)"', page)[1].replace("&amp;", "&")
    provider.claims = theirs(nora, auth_time=int(time.time()) - 3600)
    assert follow(browser, provider, way).status == 403  # it did not ask
    provider.claims = theirs(nora)
    provider.twist = without("auth_time")
    assert follow(browser, provider, way).status == 403  # or does not say so
    provider.twist = lambda header, claims: None
    provider.claims = {"sub": "mapped elsewhere", "email": "x@example.org", "email_verified": True}
    assert follow(browser, provider, way).status == 403
    assert browser.get("/admin/account/password").status == 303
    provider.claims = theirs(nora)
    answer = follow(browser, provider, way)
    assert answer.headers["location"] == "/admin/account/password" and browser.get("/admin/account/password").status == 200
    assert [(asked.get("prompt"), asked.get("max_age")) for asked in provider.asked] == [(None, None)] + [("login", "0")] * 4
    with site.open() as workspace:
        assert audit.page(workspace, 1)[0].action == "login.proved_again"


def test_somebody_else_does_not_prove_it_for_her_and_her_form_is_kept(site, provider, nora):
    other = add(site, f"{nora.name}-other", Role.ADMIN)
    with site.open() as workspace:
        identities.expect(workspace, other.name, f"{other.name}@example.org")
    browser, session_of_other = Browser(site), Browser(site)
    provider.claims = theirs(nora)
    follow(browser, provider)
    provider.claims = theirs(other)
    follow(session_of_other, provider)
    stale(site)
    assert follow(browser, provider, "/admin/oidc?again=1&to=/admin/account/password").status == 403
    assert browser.get("/admin/account/password").status == 303
    session_of_other.get("/admin/people")
    fields = {"name": f"{nora.name}-new", "role": "editor"}
    kept = session_of_other.post("/admin/people", fields).text
    assert "in a new tab" in kept and f'value="{nora.name}-new"' in kept
    assert follow(session_of_other, provider, "/admin/oidc?again=1&to=/admin/oidc/proved").headers["location"] == "/admin/oidc/proved"
    assert "It is you" in session_of_other.get("/admin/oidc/proved").text
    session_of_other.get("/admin/people")
    assert f"A password for {nora.name}-new" in session_of_other.post("/admin/people", fields).text


def test_a_log_in_of_long_ago_over_there_is_no_fresh_proof(site, provider, nora):
    for claims in ({"auth_time": int(time.time()) - 3600}, {}, {"auth_time": "soon"}):
        provider.claims = theirs(nora, **claims)
        browser = Browser(site)
        assert came_in(browser, follow(browser, provider))
        assert browser.get("/admin/account/password").status == 303


def test_our_second_factor_is_asked_for_unless_theirs_was(site, provider, nora):
    provider.claims = theirs(nora)
    follow(Browser(site), provider)
    with site.open() as workspace:
        secret = staff.new_secret()
        staff.turn_on(workspace, nora.name, secret, code_of(secret, -1))
    for methods in ([], ["pwd"], "mfa", None):
        provider.claims = theirs(nora, amr=methods)
        browser = Browser(site)
        assert follow(browser, provider).headers["location"] == "/admin/code?to=/admin/account", methods
        assert browser.get("/admin/account").status == 303
    browser.get("/admin/code")
    assert browser.post("/admin/code", {"code": code_of(secret), "to": "/admin/account"}).headers["location"] == "/admin/account"
    assert browser.get("/admin/account").status == 200
    provider.claims = theirs(nora, amr=["pwd", "mfa"])
    strong = gets_in(site, provider)
    assert strong
    provider.claims = theirs(nora, amr=["pwd"])
    assert follow(strong, provider, "/admin/oidc?again=1&to=/admin/account").status == 403


# --- who is let in without an account -----------------------------------------------------------------------------------


def test_people_are_made_only_where_the_rules_say_so(provider, tmp_path, monkeypatch):
    file = tmp_path / "w" / "client.secret"
    rules = ", secret_file: client.secret, email_domains: [Example.org], roles: {boss: admin}, provision: viewer"
    folder = make_site_folder(tmp_path / "w", config(provider, rules))
    file.write_text(SECRET + "\n")
    with serving(folder) as site:
        add(site, "ann")
        for claims, name, role in (
            ({"sub": "1", "email": "Ann@example.org", "email_verified": True}, "ann-2", Role.VIEWER),  # a name that is taken stays so
            ({"sub": "boss", "preferred_username": "The Boss!"}, "the-boss", Role.ADMIN),
            ({"sub": "3", "email": "é@EXAMPLE.ORG", "email_verified": True}, "person", Role.VIEWER),
        ):
            provider.claims = claims
            assert gets_in(site, provider), claims
            with site.open() as workspace:
                assert {one.name: one.role for one in staff.everybody(workspace)}[name] is role
            assert Browser(site).log_in(name, PASSWORD).status == 403  # nobody knows the password
        for claims in (
            {"sub": "4", "email": "x@evil-example.org", "email_verified": True},
            {"sub": "5", "email": "x@example.org", "email_verified": False},
            {"sub": "6", "preferred_username": "ann"},
        ):
            provider.claims = claims
            assert follow(Browser(site), provider).status == 403, claims
        provider.claims = {"sub": "1", "email": "ann@elsewhere.example.net", "email_verified": True}
        assert follow(Browser(site), provider).status == 403  # who has left the domain is out
        with site.open() as workspace:
            assert len(staff.everybody(workspace)) == 4
            staff.set_role(workspace, "the-boss", Role.EDITOR)
        provider.claims = {"sub": "boss"}
        assert gets_in(site, provider)
        with site.open() as workspace:
            assert {one.name: one.role for one in staff.everybody(workspace)}["the-boss"] is Role.EDITOR  # looked after here from then on


def test_without_it_there_is_nothing(tmp_path):
    with serving(make_site_folder(tmp_path / "w")) as site:
        add(site, "ann")
        assert [Browser(site).get(path).status for path in ("/admin/oidc", "/admin/oidc/back?code=x&state=y")] == [404, 404]
        assert "Log in with" not in Browser(site).get("/admin/login").text


def test_links_on_either_database(on_both, tmp_path):
    rules = Oidc(issuer="https://id.example.org", client_id="x", email_domains=("example.org",), provision=Role.VIEWER)
    ann = Claims(issuer=rules.issuer, subject="1", email="ann@example.org", preferred="ann")
    with open_workspace(make_site_folder(tmp_path / "w")) as workspace:
        staff.add(workspace, "nora", Role.ADMIN, PASSWORD)
        identities.expect(workspace, "nora", "ann@example.org")
        identities.expect(workspace, "nora", "ANN@example.org")  # again, and spelt otherwise
        assert [identities.person_of(workspace, ann, rules).name for _ in range(2)] == ["nora", "nora"]
        identities.expect(workspace, "nora", "nora@example.org")  # another address: what was linked counts no more
        assert identities.person_of(workspace, ann, rules).name == "ann"
        with pytest.raises(Refusal):
            identities.person_of(workspace, ann.model_copy(update={"subject": "2"}), rules, only_linked=True)
        begun = oidc.begin("/admin", datetime.now(UTC))
        assert [identities.use_once(workspace, begun) for _ in range(2)] == [True, False]
        assert identities.unlink(workspace, "ann") and identities.of(workspace, "ann") is None


def test_the_doctor_asks_whether_it_would_do(provider, tmp_path, monkeypatch):
    folder = make_site_folder(tmp_path / "w", config(provider, ", secret_file: client.secret"))
    (folder / "client.secret").write_text(SECRET)
    (folder / "client.secret").chmod(0o644)

    def found():
        return [(one.level, one.text) for one in doctor.examine_all(folder) if one.about == "log-in"]

    assert [level for level, _ in found()] == ["error", "ok"]  # others can read the secret
    (folder / "client.secret").chmod(0o600)
    assert found() == [("ok", f"{provider.url} answers")]
    provider.described = {"issuer": "https://evil.example.org"}
    assert [level for level, _ in found()] == ["error"] and "calls itself by another name" in found()[0][1]
