"""A source brings in only the libraries that its kind needs."""

import subprocess
import sys

import pytest

HEAVY = {"httpx2", "feedparser", "selectolax", "markdown_it", "dateutil", "charset_normalizer", "regex"}


@pytest.mark.parametrize(
    ("module", "needs"), [("digest.sources", set()), ("digest.sources.folder", set()), ("digest.sources.feed", {"httpx2"})]
)
def test_importing_a_kind_is_light(module, needs):
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert HEAVY & loaded == needs
