"""What events mean: pure rules, one at a time."""

import itertools
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.bounces import Bounce
from digest.events import (
    Event,
    Facts,
    Standing,
    Suppression,
    facts,
    from_bounce,
    from_detail,
    join,
    read_sendgrid,
    soft_suppression,
    stronger,
    suppression_of,
)
from digest.model import DeliveryState as S
from digest.verdict import classify, classify_sendgrid
from tests.support.make import at

DID, AID, OTHER = "d" * 32, "a" * 32, "b" * 32
NOW = at("2026-05-02T09:00")
STAMP = int(at("2026-05-01T09:00").timestamp())


def read(*items, raw=None):
    return list(read_sendgrid(raw if raw is not None else json.dumps(items).encode(), NOW))


def event(kind="delivered", hours=0, aid=AID, verdict="", code=""):
    return Event(DID, aid, kind, at("2026-05-01T09:00") + timedelta(hours=hours), verdict, code)


# --- reading -------------------------------------------------------------------------------------------------------------


def test_an_event_is_read_by_what_we_gave_it_and_nothing_else():
    [found] = read({"email": "ana@example.org", "event": "delivered", "timestamp": STAMP, "did": DID, "aid": AID, "sg_event_id": "x"})
    assert found[:4] == (DID, AID, "delivered", at("2026-05-01T09:00"))
    assert "ana" not in found.detail + found.words


def test_the_same_event_under_another_id_is_the_same():
    item = {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "no", "timestamp": STAMP, "did": DID}
    assert read({**item, "sg_event_id": "x"}) == read({**item, "sg_event_id": "y", "sg_message_id": "z", "email": "q@example.org"})


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"{}", b"null", b'"x"', b"\xff\xfe", b"[" * 200_000, b"1e9", b"9" * 10_000, b"NaN"], ids=range(10)
)
def test_a_body_that_is_no_list_is_kept_as_unreadable(raw):
    [found] = read(raw=raw)
    assert (found.kind, found.did, found.at) == ("unreadable", "", NOW)


@pytest.mark.parametrize(
    "item",
    [
        1,
        None,
        [],
        {},
        {"event": "open"},
        {"event": "open", "timestamp": True},
        {"event": "open", "timestamp": -1},
        {"event": "open", "timestamp": 1e9},
        {"event": "open", "timestamp": "soon"},
        {"event": "open", "timestamp": "१७७७६२६०००"},
        {"event": "open", "timestamp": 10**30},
        {"event": "open", "timestamp": STAMP + 10**9},
        {"event": "open", "timestamp": 5},
    ],
)
def test_one_bad_event_does_not_take_the_others_with_it(item):
    good = {"event": "delivered", "timestamp": STAMP, "did": DID}
    assert [found.kind for found in read(good, item, good)] == ["delivered", "unreadable", "delivered"]


@pytest.mark.parametrize("did", ["", "x", DID.upper(), DID + "0", 7, None, ["d"], {"d": 1}, "\ud800" * 32, "d" * 31 + "\n"], ids=range(10))
def test_what_is_not_an_id_of_ours_is_nobodys(did):
    [found] = read({"event": "delivered", "timestamp": STAMP, "did": did})
    assert found.did == ""


def test_half_a_character_does_no_harm():
    [found] = read({"event": "bounce", "type": "bounce", "reason": "\ud800 no such user", "timestamp": STAMP, "did": DID})
    found.words.encode()
    assert found.verdict == "hard"


def test_an_unknown_kind_of_event_is_still_evidence():
    [found] = read({"event": "brand_new", "timestamp": STAMP, "did": DID})
    assert found.kind == "other"
    assert join(Standing(S.UNCERTAIN, "", Facts(), AID), [found], ()).state is S.ACCEPTED


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("Bounced Address", "hard"),
        ("Invalid", "hard"),
        ("Spam Reporting Address", "complaint"),
        ("Unsubscribed Address", "left"),
        ("Spam Content", ""),
        ("Invalid SMTPAPI header", ""),
        ("Recipient List over Package Quota", ""),
        ("something about ana@example.org", ""),
    ],
)
def test_a_drop_counts_by_its_reason(reason, verdict):
    [found] = read({"event": "dropped", "reason": reason, "timestamp": STAMP, "did": DID})
    assert found.verdict == verdict
    assert "ana" not in found.detail


def test_what_is_kept_of_an_event_comes_back():
    for one in (event("bounce", verdict="hard", code="5.1.1"), event()):
        assert from_detail(one.did, one.aid, one.kind, one.at, one.detail) == one


_FIELDS = st.sampled_from(["event", "timestamp", "did", "aid", "reason", "type", "status"])
_JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(_FIELDS, inner))


@given(st.binary(max_size=400) | st.lists(_JSON).map(lambda value: json.dumps(value).encode()))
def test_no_body_whatever_makes_it_fail(raw):
    for found in read(raw=raw):
        assert found.kind
        (found.detail + found.words).encode()


# --- what a refusal means (EMAIL section 10) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "verdict"),
    [
        ("5.1.1", "", "hard"),
        ("5.1.2", "", "hard"),
        ("5.1.3", "", "hard"),
        ("5.1.6", "", "hard"),
        ("5.1.10", "550 5.1.10 the domain takes no mail", "hard"),
        ("5.2.1", "account disabled", "hard"),
        ("5.4.4", "host not found", "hard"),
        ("", "550 5.1.1 <x> not here", "hard"),
        ("5.0.0", "user unknown", "hard"),
        ("5.7.1", "550 5.7.1 no such user", "hard"),
        ("", "550 unknown user", "hard"),
        ("", "553 sorry, no mailbox here by that name", "hard"),
        ("5.2.2", "user unknown says the small print", "soft"),
        ("4.2.2", "mailbox full", "soft"),
        ("", "552 over quota", "soft"),
        ("4.1.1", "450 4.1.1 user unknown", "soft"),
        ("4.7.0", "greylisted, come back later", "soft"),
        ("", "421 too many connections", "soft"),
        ("", "451 try again", "soft"),
        ("5.7.1", "blocked by policy", "blocked"),
        ("5.7.26", "not authenticated", "blocked"),
        ("5.7.26", "user unknown", "blocked"),
        ("5.7.27", "", "blocked"),
        ("5.7.515", "", "blocked"),
        ("", "554 your message was found to be spam", "blocked"),
        ("5.3.4", "message too big", "blocked"),
        ("5.2.3", "", "blocked"),
        ("5.6.1", "", "blocked"),
        ("5.0.0", "no reason given", "soft"),
        ("", "", "soft"),
        ("nonsense", "a" * 100_000, "soft"),
    ],
)
def test_a_refusal_is_about_the_address_the_moment_or_us(status, words, verdict):
    assert classify(status, words) == verdict


@pytest.mark.parametrize(
    ("type", "status", "classification", "words", "verdict"),
    [
        ("bounce", "5.1.1", "Invalid Address", "no such user", "hard"),
        ("bounce", "", "Unclassified", "rejected", "hard"),  # it is on SendGrid's own list now
        ("bounce", "5.0.0", "", "", "hard"),
        ("bounce", "5.7.1", "Reputation", "blocked for its reputation", "blocked"),
        ("bounce", "5.0.0", "Content", "we do not like it", "blocked"),
        ("bounce", "5.2.2", "Mailbox Unavailable", "full", "soft"),
        ("bounce", "4.4.1", "Technical", "no answer from host", "soft"),
        ("blocked", "5.7.1", "Reputation", "", "blocked"),
        ("blocked", "4.7.0", "Frequency/Volume", "slow down", "blocked"),
        ("blocked", "4.2.2", "", "over quota", "soft"),
        ("blocked", "5.1.1", "", "no such user", "hard"),
    ],
)
def test_sendgrids_own_sorting_counts(type, status, classification, words, verdict):
    assert classify_sendgrid(type, status, classification, words) == verdict


# --- the join ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(S))
def test_the_state_moves_only_toward_more_evidence(state):
    found = join(Standing(state, "", Facts(), AID), [event()], {AID})
    if state in (S.SKIPPED, S.FAILED, S.EXPIRED, S.QUARANTINED):
        assert (found.state, found.contradictions) == (state, {f"event for a {state.value} delivery"})
    else:
        assert found.state is S.ACCEPTED and not found.contradictions
    assert found.facts.delivered_at == event().at
    assert join(Standing(state, "", Facts(), AID), [], ()).state is state


def test_two_attempts_of_one_delivery_with_events_contradict():
    found = join(Standing(S.INFLIGHT, "", Facts(), OTHER), [event(), event("processed", aid=OTHER)], {AID, OTHER})
    assert found.contradictions == {"two attempts", "claimed again after an attempt that was accepted"}
    assert join(Standing(S.READY, "", Facts(), AID), [event()], {AID}).contradictions == set()


def test_an_attempt_of_another_issue_is_no_second_attempt():
    assert join(Standing(S.UNCERTAIN, "", Facts(), AID), [event(), event(aid=OTHER)], {AID}).contradictions == set()


_TOLD = st.lists(st.tuples(st.sampled_from(["delivered", "bounce", "dropped", "complaint", "open"]), st.integers(0, 50)), max_size=8)


@given(_TOLD, st.randoms())
def test_facts_do_not_depend_on_order_or_portions(told, random):
    events = [event(kind, hours) for kind, hours in told]
    shuffled = events * 2
    random.shuffle(shuffled)
    cut = random.randint(0, len(shuffled))
    assert facts(shuffled[cut:], facts(shuffled[:cut])) == facts(events)


# --- people --------------------------------------------------------------------------------------------------------------


def test_what_is_older_than_the_consent_suppresses_nobody():
    hard = [event("bounce", 0, verdict="hard"), event("complaint", 2, verdict="complaint")]
    assert suppression_of(hard, None).reason == "complaint"
    assert suppression_of(hard, event(hours=2).at) is None
    assert suppression_of(hard[:1], event(hours=-1).at) == Suppression("bounce", event().at, "hard bounce")
    assert suppression_of([event("bounce", verdict="blocked"), event("bounce", verdict="soft")], None) is None


def test_soft_bounces_count_by_message_and_within_the_time():
    points = [(at(f"2026-0{month}-01"), did) for month, did in ((1, "x"), (2, "y"), (3, "z"), (6, "w"))]
    assert soft_suppression(points, None, 3, 120) == Suppression("bounce", at("2026-03-01"), "soft bounces")
    assert soft_suppression(points, None, 4, 120) is None
    assert soft_suppression(points, None, 4, 200).at == at("2026-06-01")
    assert soft_suppression(points, at("2026-01-01"), 3, 110) is None
    assert soft_suppression(points, at("2026-01-01"), 3, 120).at == at("2026-06-01")  # the first is exactly 120 days back
    assert soft_suppression([(time, "x") for time, _ in points], None, 2, 400) is None  # one message, however often


_POINT = st.tuples(st.integers(0, 400), st.sampled_from("uvwxyz"))


@given(st.lists(_POINT, max_size=10), _POINT)
def test_one_more_soft_bounce_can_only_make_it_earlier(points, more):
    def when(some):
        found = soft_suppression([(at("2026-01-01") + timedelta(days=day), did) for day, did in some], None, 3, 120)
        return found.at if found else at("2099-01-01")

    assert when([*points, more]) <= when(points)


def test_of_two_reasons_the_stronger_stays_whichever_came_first():
    known = [Suppression(reason, at(f"2026-05-0{n}"), "x") for reason in ("bounce", "complaint", "operator", "request") for n in (1, 2)]
    for order in itertools.permutations(known, 3):
        kept = None
        for one in order:
            kept = stronger(kept, one)
        assert kept == stronger(stronger(order[2], order[1]), order[0])
    assert stronger(known[0], known[3]).reason == "complaint"


def test_a_bounce_that_dates_itself_impossibly_counts_from_when_it_came():
    for said, meant in ((at("2026-05-01"), at("2026-05-01")), (at("2036-01-01"), NOW), (at("1999-01-01"), NOW), (None, NOW)):
        assert from_bounce(Bounce("bounce", DID, "", "hard", "5.1.1", said), NOW).at == meant
