"""Counts of one issue in groups: nothing is lost in a group, and no small domain is named."""

from hypothesis import given
from hypothesis import strategies as st

from digest.admin.issue_figures import HIDDEN, by_domain, by_interest_and_piece
from digest.model import Placed, SelectedSection, Selection

DOMAINS = st.sampled_from(["a.example", "b.example", "c.example"])


@given(st.lists(DOMAINS, max_size=60))
def test_every_address_counts_once_and_small_domains_have_no_name(domains):
    found = by_domain(f"r{n}@{domain}" for n, domain in enumerate(domains))
    assert sum(one.count for one in found) == len(domains)
    assert all(one.count == domains.count(one.domain) >= HIDDEN for one in found if one.domain)
    assert [one.domain for one in found].count("") <= 1


def test_readers_count_under_each_interest_and_each_piece_of_their_edition():
    def edition(*sections):
        placed = tuple(SelectedSection(interest=id, teasers=tuple(Placed(summary=one) for one in pieces)) for id, pieces in sections)
        return Selection(sections=placed).model_dump_json()

    found = by_interest_and_piece([(edition(("gut", "ab")), 3), (edition(("gut", "a"), ("vision", "c")), 2), ("", 7)])
    assert found == ({"gut": 5, "vision": 2}, {"a": 5, "b": 3, "c": 2})
