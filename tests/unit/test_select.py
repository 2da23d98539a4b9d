"""The rules of DESIGN section 4, by properties where inputs are many and by example where a rule is a sentence."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.config import SelectionRules
from digest.edits import Edits
from digest.model import Follower, Interest, Notice, Rule
from digest.select import Costs, Fate, Known, Reason, catalogue, fate, holds, match, select, with_news
from tests.support.make import at, make_interest, make_interests, make_summary

TAGS = ["gut", "diet", "vision", "sleep"]
# A tree: gut > diet; vision; sleep.
TREE = make_interests(make_interest("gut"), make_interest("diet", parent="gut"), make_interest("vision"), make_interest("sleep"))
FREE = Costs()


@st.composite
def pieces(draw):
    count = draw(st.integers(0, 25))
    return [
        make_summary(
            f"p{n}",
            tags=tuple(draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=3))),
            published_at=at("2026-04-02") + timedelta(hours=draw(st.integers(0, 600))),
            weight=draw(st.integers(-1, 2)),
            highlight=draw(st.booleans()),
        )
        for n in range(count)
    ]


@st.composite
def cases(draw):
    found = draw(pieces())
    ids = [piece.id for piece in found]
    reader = Follower(
        interests=tuple(draw(st.lists(st.sampled_from(TAGS), unique=True))),
        seen=frozenset(draw(st.lists(st.sampled_from(ids), unique=True)) if ids else ()),
    )
    rules = SelectionRules(
        max_teasers=draw(st.integers(1, 15)),
        max_per_interest=draw(st.integers(1, 6)),
        max_html_kb=30,
        when_empty=draw(st.sampled_from(["skip", "highlights"])),
    )
    sizes = {id: draw(st.integers(500, 6000)) for id in ids}
    costs = Costs(frame=draw(st.integers(2000, 12000)), teaser=sizes, section=dict.fromkeys(TAGS, 600))
    return found, reader, rules, costs


@given(cases())
def test_no_summary_stands_twice_and_none_that_was_seen(case):
    found, reader, rules, costs = case
    shown = select(catalogue(found, TREE), reader, rules, costs).selection.teasers
    assert len(shown) == len(set(shown))
    assert not set(shown) & reader.seen


@given(cases())
def test_every_summary_is_accounted_for_once(case):
    found, reader, rules, costs = case
    selection, decisions = select(catalogue(found, TREE), reader, rules, costs)
    assert set(decisions) == {piece.id for piece in found}
    shown = {id for id, decision in decisions.items() if decision.reason in (Reason.SHOWN, Reason.HIGHLIGHT)}
    over = {id for id, decision in decisions.items() if decision.reason.startswith("over_")}
    assert shown == set(selection.teasers)
    assert over - set(selection.highlights) == set(selection.left_out) - set(selection.highlights)


@given(cases())
def test_caps_and_budget_are_kept(case):
    found, reader, rules, costs = case
    selection = select(catalogue(found, TREE), reader, rules, costs).selection
    assert len(selection.teasers) <= rules.max_teasers or selection.highlights
    assert all(len(section.teasers) <= rules.max_per_interest for section in selection.sections)
    size = costs.frame + sum(costs.teaser[id] for id in selection.teasers) + sum(costs.section[s.interest] for s in selection.sections)
    assert len(selection.teasers) <= 1 or size <= rules.max_html_kb * 1024


@given(cases(), st.randoms())
def test_the_order_in_which_summaries_come_changes_nothing(case, random):
    found, reader, rules, costs = case
    shuffled = random.sample(found, len(found))
    assert select(catalogue(found, TREE), reader, rules, costs) == select(catalogue(shuffled, TREE), reader, rules, costs)


@given(cases())
def test_an_interest_without_news_and_an_audience_that_does_not_count_change_nothing(case):
    found, reader, rules, costs = case
    issue = catalogue(found, TREE)
    news = with_news(issue)
    narrowed = {"interests": tuple(interest for interest in reader.interests if interest in news)}
    if not rules.by_audience:
        narrowed["audience"] = ()
    less = reader.model_copy(update=narrowed)
    assert select(issue, reader, rules, costs).selection == select(issue, less, rules, costs).selection


@given(cases())
def test_a_summary_stands_under_the_readers_first_interest_that_takes_it(case):
    found, reader, rules, costs = case
    issue = catalogue(found, TREE)
    for section in select(issue, reader, rules, costs).selection.sections:
        for placed in section.teasers:
            fitting = [interest for interest in reader.interests if interest in issue.follows[placed.summary]]
            assert [section.interest, *placed.also_in] == fitting


@given(cases())
def test_sections_keep_the_readers_order_and_are_never_empty(case):
    found, reader, rules, costs = case
    order = [section.interest for section in select(catalogue(found, TREE), reader, rules, costs).selection.sections]
    assert order == [interest for interest in reader.interests if interest in order]


def choose(found, *follows, rules=None, **reader):
    return select(catalogue(found, TREE), Follower(interests=follows, **reader), rules or SelectionRules(), FREE).selection


def test_a_parent_interest_includes_its_children():
    assert choose([make_summary("x", tags=("diet",))], "gut").teasers


def test_within_an_interest_weight_comes_before_newest():
    old, new = make_summary("old", tags=("gut",), published_at=at("2026-04-02"), weight=1), make_summary("new", tags=("gut",))
    assert choose([new, old], "gut").teasers == (old.id, new.id)


def test_an_editors_pin_comes_first_and_needs_no_rule():
    tree = make_interests(make_interest("gut", pin=("pinned",)))
    found = [make_summary("heavy", tags=("gut",), weight=9), make_summary("pinned")]
    chosen = select(catalogue(found, tree), Follower(interests=("gut",)), SelectionRules(), FREE).selection
    assert chosen.teasers == (found[1].id, found[0].id)


def test_an_exclusion_holds_against_rule_and_children():
    tree = make_interests(make_interest("gut", exclude=("https://letter.example.org/x/",)), make_interest("diet", parent="gut"))
    issue = catalogue([make_summary("x", tags=("gut", "diet"))], tree)
    assert select(issue, Follower(interests=("gut",)), SelectionRules(), FREE).selection.empty
    assert not select(issue, Follower(interests=("diet",)), SelectionRules(), FREE).selection.empty


def test_nobody_gets_an_empty_email_unless_highlights_are_wanted():
    pick = make_summary("pick", tags=("vision",), highlight=True)
    assert choose([pick], "sleep").empty
    kept = choose([pick], "sleep", rules=SelectionRules(when_empty="highlights"))
    assert kept.highlights == (pick.id,) and not kept.sections


def test_what_does_not_fit_is_named():
    found = [make_summary(f"p{n}", tags=("gut",), published_at=at(f"2026-04-{n + 2:02}")) for n in range(8)]
    chosen = choose(found, "gut", rules=SelectionRules(max_per_interest=3))
    assert len(chosen.teasers) == 3 and len(chosen.left_out) == 5


def test_a_notice_alone_is_reason_enough_to_write():
    assert not choose([], "gut", owed=("doi:10.1/x",)).empty


@pytest.mark.parametrize(
    ("readers", "pieces_for", "rules", "shown"),
    [
        (("patients",), ("clinicians",), SelectionRules(by_audience=True), False),
        (("patients",), ("clinicians",), SelectionRules(), True),
        ((), ("clinicians",), SelectionRules(by_audience=True), True),
        (("patients",), (), SelectionRules(by_audience=True), True),
    ],
)
def test_audience_counts_where_the_workspace_says_so(readers, pieces_for, rules, shown):
    found = [make_summary("x", tags=("gut",), audience=pieces_for)]
    assert bool(choose(found, "gut", rules=rules, audience=readers).teasers) is shown


# --- rules of interests --------------------------------------------------------------------------------------------------

PIECE = make_summary(
    "x",
    title="Gut bacteria and the microbiome",
    tags=("Gut", "early"),
    evidence="animal",
    journal="Small",
    audience=("patients",),
    takeaway="Das Mikrobiom der Maus.",
)


@pytest.mark.parametrize(
    ("rule", "holds_for_piece"),
    [
        ({"tag": ["gut"]}, True),
        ({"tag": ["diet", "EARLY"]}, True),
        ({"tag": ["gu"]}, False),
        ({"words": ["gut bacteria"]}, True),
        ({"words": ["GUT  BACTERIA"]}, True),
        ({"words": ["bacteri"]}, False),
        ({"words": ["mikrobiom"]}, True),
        ({"source": ["ours"]}, True),
        ({"source": ["theirs"]}, False),
        ({"journal": ["small"]}, True),
        ({"journal": ["smaller"]}, False),
        ({"audience": ["patients"]}, True),
        ({"evidence": ["animal", "laboratory"]}, True),
        ({"evidence": ["trial"]}, False),
        ({"tag": ["gut"], "evidence": ["trial"]}, False),
        ({"any": [{"tag": ["diet"]}, {"words": ["microbiome"]}]}, True),
        ({"any": [{"tag": ["diet"]}]}, False),
        ({"all": [{"tag": ["gut"]}, {"words": ["microbiome"]}]}, True),
        ({"all": [{"tag": ["gut"]}, {"tag": ["diet"]}]}, False),
        ({"tag": ["gut"], "not": [{"evidence": ["animal"]}]}, False),
        ({"tag": ["gut"], "not": [{"evidence": ["trial"]}]}, True),
        ({"not": [{"evidence": ["trial"]}]}, True),
        ({"any": [{"all": [{"tag": ["gut"]}, {"not": [{"tag": ["diet"]}]}]}]}, True),
        ({}, False),
    ],
)
def test_rules(rule, holds_for_piece):
    assert holds(Rule.model_validate(rule), PIECE).takes is holds_for_piece


def test_a_match_says_why():
    assert match(PIECE, Interest(id="gut", label="Gut", match=Rule(tag=("gut",), evidence=("animal",)))).why == "tag gut, evidence animal"


# --- membership ----------------------------------------------------------------------------------------------------------

DUE = at("2026-05-01T08:00")
OPENS = at("2026-04-01T08:00")


@pytest.mark.parametrize(
    ("values", "taken_by", "expected"),
    [
        ({"published_at": at("2026-05-01")}, None, Fate.MEMBER),
        ({"published_at": DUE}, None, Fate.MEMBER),
        ({"published_at": DUE + timedelta(microseconds=1)}, None, Fate.FUTURE),
        ({"published_at": at("2026-12-31")}, None, Fate.FUTURE),
        ({"published_at": OPENS}, None, Fate.ARCHIVE),
        ({"published_at": OPENS + timedelta(seconds=1)}, None, Fate.MEMBER),
        ({"published_at": at("2026-04-20")}, "monthly-2026-04-01", Fate.TAKEN),
        ({"hold": True}, None, Fate.HELD),
        ({"notice": Notice(kind="retraction", at=at("2026-04-20"), text="Withdrawn.")}, None, Fate.RETRACTED),
        ({"notice": Notice(kind="retraction", at=at("2026-06-20"), text="Withdrawn.")}, None, Fate.MEMBER),
        ({"notice": Notice(kind="correction", at=at("2026-04-20"), text="A word.")}, None, Fate.MEMBER),
    ],
)
def test_membership(values, taken_by, expected):
    assert fate(Known(make_summary("x", **values), OPENS, taken_by), DUE) is expected


# --- what the editors of one issue say -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(cases(), st.data())
def test_the_editors_of_an_issue_have_the_last_word(case, data):
    found, reader, rules, costs = case
    ids = [piece.id for piece in found]
    some = st.lists(st.sampled_from(ids), unique=True) if ids else st.just([])
    order, pinned, out = (tuple(data.draw(some)) for _ in range(3))
    edits = Edits(order=order, pin=dict.fromkeys(pinned, ()), exclude=dict.fromkeys(out, ()))
    issue = catalogue(found, TREE, edits)
    chosen = select(issue, reader, rules, costs)
    shown = chosen.selection.teasers
    assert not set(out) & set(shown) and set(out) <= issue.excluded
    for section in chosen.selection.sections:
        placed = [one.summary for one in section.teasers]
        named = [id for id in placed if id in order]
        assert placed[: len(named)] == named == sorted(named, key=order.index)
    # A pinned piece falls out only where all that stays is pinned too.
    dropped = {id for id in chosen.selection.left_out if id in pinned}
    for id in dropped:
        under = chosen.decisions[id]
        beside = [one.summary for s in chosen.selection.sections if s.interest == under.interest for one in s.teasers]
        rivals = beside if under.reason is Reason.OVER_INTEREST_CAP else shown
        assert set(rivals) <= set(pinned)


def test_a_pin_to_an_interest_brings_a_piece_there_and_wins_over_the_lists():
    piece = make_summary("a", tags=("vision",))
    lists = make_interests(make_interest("gut", exclude=(piece.id,)), make_interest("vision"))
    assert catalogue([piece], lists).follows[piece.id] == {"vision"}
    assert catalogue([piece], lists, Edits(pin={piece.id: ("gut",)})).follows[piece.id] == {"gut", "vision"}
    edits = Edits(pin={piece.id: ("gut",)}, exclude={piece.id: ("vision",)})
    assert catalogue([piece], lists, edits).follows[piece.id] == {"gut"}


def test_words_of_this_issue_change_nothing_about_who_gets_a_piece():
    piece = make_summary("a", title="About gut")
    lists = make_interests(Interest(id="gut", label="Gut", match=Rule(words=("gut",))))
    edits = Edits(teasers={piece.id: {"title": "Something else"}})
    assert edits.shown(piece).title == "Something else" and edits.shown(piece).takeaway == piece.takeaway
    assert catalogue([piece], lists, edits).follows[piece.id] == {"gut"}


def test_what_is_excluded_is_nobodys_highlight():
    piece = make_summary("a", highlight=True)
    lists, rules = make_interests(make_interest("gut")), SelectionRules(when_empty="highlights")
    assert select(catalogue([piece], lists), Follower(interests=("gut",)), rules, FREE).selection.highlights == (piece.id,)
    edited = catalogue([piece], lists, Edits(exclude={piece.id: ()}))
    assert select(edited, Follower(interests=("gut",)), rules, FREE).selection.empty
