"""An issue full of awkward values, compiled once with the repository's own templates."""

from __future__ import annotations

import pytest

from digest.compose import CompiledIssue, compile_issue
from tests.support.compose import INTERESTS, LOOK, SLOT, TEMPLATES, summaries


@pytest.fixture(scope="session")
def compiled() -> CompiledIssue:
    return compile_issue(TEMPLATES, LOOK, SLOT, summaries(), INTERESTS)
