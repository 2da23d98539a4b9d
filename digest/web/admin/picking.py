"""A fetched page as it is shown for picking: its words in their order and nothing else, in a frame that can reach nothing.

Of the page's own markup only the kinds of elements stay, each with its place in the document: no address, no style, no script, no
picture. The frame's origin is opaque, its policy lets run only the few lines below, which tell the page around it what was clicked.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from digest.sources import fetch, trial
from digest.sources.layout import MOST_ELEMENTS, elements

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

_TAGS = frozenset(
    "a abbr address article aside b blockquote br caption center cite code dd details dfn div dl dt em figcaption figure footer h1 h2 h3 h4"
    " h5 h6 header hgroup hr i ins del kbd li main mark nav ol p pre q s samp section small span strong sub summary sup table tbody td"
    " tfoot th thead time tr u ul var".split()
)
_GONE = frozenset(
    "script style template title head iframe object embed svg math select option textarea button input audio video canvas noembed"
    " noframes noscript xmp plaintext dialog".split()
)
_STYLE = """\
:root { color-scheme: light dark; --part: #0b4f8a; --piece: #5d747c; }
@media (prefers-color-scheme: dark) { :root { --part: #a9d3ff; --piece: #8ba3ab; } body { background: #18242a; color: #eef3f4; } }
body { font: 1.1rem/1.5 Verdana, Geneva, sans-serif; margin: 1rem; overflow-wrap: anywhere; cursor: crosshair; }
a { color: var(--part); text-decoration: underline; }
td, th { padding: .3rem .6rem; text-align: start; vertical-align: top; }
[data-at]:hover:not(:has([data-at]:hover)) { outline: 3px dashed var(--part); outline-offset: 2px; }
[data-part=item] { outline: 1px dotted var(--piece); }
[data-part=title], [data-part=date], [data-part=link], [data-part=takeaway] { outline: 2px solid var(--part); outline-offset: 1px; }
[data-part]::before { font: bold .8rem sans-serif; background: var(--part); color: Canvas; padding: 0 .3rem; margin-inline-end: .3rem; }
[data-part=title]::before { content: "title"; } [data-part=date]::before { content: "date"; }
[data-part=link]::before { content: "link"; } [data-part=takeaway]::before { content: "takeaway"; }
[data-part=item]::before { content: none; }
"""
_SCRIPT = """\
"use strict";
addEventListener("click", (event) => {
  event.preventDefault();
  const met = event.target.closest ? event.target.closest("[data-at]") : null;
  if (met) parent.postMessage({ picked: Number(met.dataset.at) }, "*");
}, true);
addEventListener("message", (event) => {
  if (event.source !== parent || !event.data || typeof event.data.marks !== "object") return;
  for (const one of document.querySelectorAll("[data-part]")) delete one.dataset.part;
  for (const part of ["item", "takeaway", "link", "date", "title"])
    for (const at of event.data.marks[part] || [])
      for (const one of document.querySelectorAll(`[data-at="${Number(at)}"]`)) one.dataset.part = part;
});
parent.postMessage({ ready: true }, "*");
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; form-action 'none'; base-uri 'none'; "
        "sandbox allow-scripts; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
}


def framed(page: fetch.Page) -> str:
    """The page for the frame.

    Raises:
        SourceError: it cannot be parsed.
    """
    html = trial.parsed(page)
    return (
        '<!doctype html><html lang="und"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>The fetched page</title><style>{_STYLE}</style></head>"
        f"<body><main>{bare(html)}</main><script>{_SCRIPT}</script></body></html>"
    )


def bare(html: LexborHTMLParser) -> str:
    """The words of a page with the kinds of its elements and their places, as safe HTML."""
    import nh3

    for place, node in enumerate(elements(html)):
        if place < MOST_ELEMENTS:
            node.attrs["data-at"] = str(place)
        elif "data-at" in node.attributes:
            del node.attrs["data-at"]
    return nh3.clean(html.html or "", tags=_TAGS, clean_content_tags=_GONE, attributes={"*": {"data-at"}}, link_rel=None)


# --- between the steps ---------------------------------------------------------------------------------------------------


def packed(page: fetch.Page) -> bytes:
    """A page in one piece, to be kept until the next step."""
    head = json.dumps({"url": page.url, "type": page.content_type}).encode()
    return head + b"\n" + page.content


def unpacked(content: bytes) -> fetch.Page:
    """The page again."""
    head, _, body = content.partition(b"\n")
    said = json.loads(head)
    return fetch.Page(status=200, url=said["url"], content=body, content_type=said["type"])
