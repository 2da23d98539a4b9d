"""Any input at all ends in summaries, refusals or a SourceError: never in another exception."""

import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from digest import config
from digest.sources import Context, entry, fetch, folder, jsonapi, jsonfeed, text

CONTEXT = Context(Path(), "UTC", config.Fetch(), datetime(2026, 5, 1, tzinfo=UTC))
USUAL = st.sampled_from(["2026-05-01", "https://example.org/", "Trial", "10.1002/x", "\ud800", "https://example.org/\ud800"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.just("2026-05-01"), st.just("https://example.org/")
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=12
)
FIELDS = (
    "id",
    "title",
    "published",
    "url",
    "takeaway",
    "body",
    "tags",
    "evidence",
    "authors",
    "journal",
    "doi",
    "pmid",
    "limits",
    "language",
)
API = config.JsonSource(name="api", kind="json", url="https://example.org/", fields={name: name for name in FIELDS})
FEED_KEYS = ("id", "url", "title", "date_published", "content_html", "tags", "authors")
KEYS = ("title", "published", "url", "tags", "audience", "evidence", "doi", "pmid", "image", "notice", "weight", "limits", "authors", "x")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)))
def test_any_item_of_an_api(item):
    collected, warnings = entry.Collected(), []
    jsonapi._take(item, "https://example.org/", API, CONTEXT, collected, warnings, "item 1")
    assert len(collected.summaries) + len(collected.refused) == 1


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FEED_KEYS, JSON)))
def test_any_item_of_a_json_feed(item):
    page = fetch.Page(200, "https://example.org/", json.dumps({"version": "https://jsonfeed.org/version/1", "items": [item]}).encode())
    harvest = jsonfeed.harvest(page, config.FeedSource(name="news", kind="feed", url=page.url), CONTEXT)
    assert len(harvest.summaries) + len(harvest.refused) == 1


@given(JSON, st.text("ab0.-1*", max_size=8))
def test_any_path_into_anything(data, path):
    jsonapi.at(data, path)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_any_front_matter(tmp_path_factory, values):
    workspace = tmp_path_factory.getbasetemp() / "hostile"
    (workspace / "s").mkdir(parents=True, exist_ok=True)
    file = workspace / "s" / "a.md"
    file.write_text(f"---\n{json.dumps(values, allow_nan=True)}\n---\nText.\n", encoding="utf-8", errors="replace")
    source = config.FolderSource(name="ours", kind="folder", path="s")
    context = Context(workspace, "UTC", config.Fetch(), CONTEXT.now)
    harvest = folder.read(source, context)
    assert len(harvest.summaries) + len(harvest.refused) == 1
    errors = [p for p in folder.examine(source, context) if p.severity == "error"]
    assert bool(errors) == bool(harvest.refused)


@given(st.text(max_size=200))
def test_any_markdown(body):
    assert all(section.text for section in folder.sections(body))


@given(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\n/1R")), max_size=200).map(
        lambda t: t.replace("R", "Read More")
    )
)
def test_any_saved_page(content):
    saved = text.split(content)
    assert all(line for line in saved.article)
