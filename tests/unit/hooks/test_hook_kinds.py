"""Which events there are, how one asks for them, and what a reader's change is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config import Hooks
from digest.errors import HookError
from digest.hooks.kinds import KINDS, TOPICS, read_topics
from digest.hooks.post import check_url
from digest.model import IssueState, Status
from digest.store.hooks import kind_of


@given(st.lists(st.sampled_from(TOPICS), min_size=1), st.sampled_from([",", ", ", " "]))
def test_topics_are_read_each_once(words, between):
    assert read_topics(between.join(words)) == tuple(dict.fromkeys(words))


@pytest.mark.parametrize(("text", "said"), [("", "say which"), ("reader.joind", "did you mean reader.joined"), ("hook.test", "no event")])
def test_what_is_none_is_refused_with_the_nearest(text, said):
    with pytest.raises(HookError, match=said):
        read_topics(text)


def test_every_state_of_an_issue_but_planning_has_a_kind():
    assert {f"issue.{state.value}" for state in IssueState if state is not IssueState.PLANNING} <= set(KINDS)


@given(st.one_of(st.none(), st.sampled_from([one.value for one in Status])), st.sampled_from(list(Status)))
def test_every_change_of_a_reader_has_a_kind_or_is_nobodys_business(old, new):
    kind = kind_of(old, new)
    assert (kind == "") == (new is Status.PENDING) and (not kind or kind in KINDS)


def test_joining_is_told_once_somebody_can_be_written_to():
    assert [kind_of(old, Status.ACTIVE) for old in (None, "pending", "unsubscribed", "paused", "active")] == [
        *["reader.joined"] * 3,
        *["reader.changed"] * 2,
    ]


OWN = Hooks(allow=("127.0.0.1:8080", "inside.example.org"))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?key=1",
        "https://example.org:443/",
        "http://127.0.0.1:8080/hook",
        "http://inside.example.org/",
        "https://inside.example.org/x",
    ],
)
def test_addresses_that_may_be_told(url):
    assert check_url(url, OWN) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/", "use https"),
        ("http://127.0.0.1:8081/", "hooks.allow"),
        ("https://example.org:8443/", "only 443"),
        ("ftp://example.org/", "needs an address"),
        ("example.org", "needs an address"),
        ("", "needs an address"),
        ("https://", "needs an address"),
        ("https://user:word@example.org/", "user name"),
        ("https://example.org/#x", "a #"),
        ("https://example.org/\n", "address"),
        ("https://exa mple.org/", "address"),
        ("https://example.org/" + "x" * 2000, "needs an address"),
        ("https://[::1", "not an address"),
    ],
)
def test_addresses_that_may_not(url, said):
    with pytest.raises(HookError, match=said):
        check_url(url, OWN)
