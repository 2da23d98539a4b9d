"""What no reader's edition shows is put on sheets, so that everything of an issue is looked at."""

from hypothesis import given
from hypothesis import strategies as st

from digest.lint.editions import PER_SHEET, sheets
from digest.model import Placed, SelectedSection, Selection


class Compiled:
    """As much of a compiled issue as the sheets ask for."""

    def __init__(self, summaries: int, interests: int, notices: int) -> None:
        self.numbers = {f"s{n}": n for n in range(summaries)}
        self.section_numbers = {f"i{n}": n for n in range(interests)}
        self.notice_bytes = {f"s{n}": 100 for n in range(min(notices, summaries))}


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 12), st.integers(0, 10))
def test_everything_is_on_one_sheet_or_was_seen(summaries, interests, notices, seen):
    compiled = Compiled(summaries, interests, notices)
    shown = Selection(
        sections=(SelectedSection(interest="i0", teasers=tuple(Placed(summary=f"s{n}") for n in range(seen))),) if seen else ()
    )
    made = [sheet.selection for sheet in sheets(compiled, [shown])]
    teasers = [id for one in made for id in one.teasers]
    told = [id for one in made for id in one.notices]
    assert sorted(teasers) == sorted(set(compiled.numbers) - {f"s{n}" for n in range(seen)})
    assert sorted(told) == sorted(compiled.notice_bytes)
    assert all(len(one.teasers) <= PER_SHEET and not one.empty for one in made)
    assert len({sheet.name for sheet in sheets(compiled, [shown])}) == len(made)
