"""Foreign text made safe and plain: one line, paragraphs, HTML to text, sentences, cuts.

Everything that a source gives passes through here before it becomes part of a Summary. Nothing that comes out holds
markup, a control character or a bidirectional override.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

ELLIPSIS = "…"
MAX_TEXT = 50_000  # characters of one section: several times the longest summary, far below what hurts
MAX_HTML = 1_000_000  # characters of markup that one text is taken from
MAX_DEPTH = 1000  # browsers stop at 512
MAX_CLUSTER = 16  # code points a cluster may take before a cut counts them apart (stacked accents)

# Bidi embeddings, overrides and isolates reorder what follows them; the rest is invisible and splits words or lines.
_DROPPED = re.compile("[\u00ad\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BROKEN = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", _DROPPED.sub("", _BROKEN.sub("\ufffd", text)))


def clean_line(text: str) -> str:
    """One line of plain text: no control, line-parting or bidi-override characters, single spaces, NFC.

    ``=?`` is broken into ``= ?``: some Pythons unfold it into a real header line (CVE-2024-6923), so it never gets near one.
    """
    line = re.sub(r"\s+", " ", _CONTROL.sub(" ", _tidy(text))).strip()
    return line.replace("=?", "= ?")


def clean_text(text: str) -> str:
    """Plain paragraphs parted by one blank line, each a single clean line; cut after ``MAX_TEXT`` characters."""
    unified = re.sub(r"\r\n?|[\u2028\u0085\x0b\x0c]", "\n", text[: 2 * MAX_TEXT]).replace("\u2029", "\n\n")
    paragraphs = (clean_line(part) for part in re.split(r"\n[^\S\n]*\n", unified))
    return cut("\n\n".join(part for part in paragraphs if part), MAX_TEXT)


def clean_tag(text: str) -> str:
    """A tag as interests name it: lower case, words joined by hyphens."""
    return re.sub(r"[\s_]+", "-", clean_line(text).casefold()).strip("-#,;.")


_MARKUP = re.compile(
    r"</?(?:a|abbr|article|b|blockquote|br|code|div|em|figure|font|h[1-6]|hr|i|iframe|img|li|ol|p|pre|script|section|small|span|strong"
    r"|style|su[bp]|table|t[dhr]|u|ul|video)(?:\s[^<>]*)?/?>",
    re.I,
)


def looks_like_html(text: str) -> bool:
    """Whether ``text`` holds a tag that people use; ``p < 0.05`` is none."""
    return _MARKUP.search(text) is not None


def plain(text: str, *, markup: bool | None = None) -> str:
    """Paragraphs of plain text from HTML, or from text that may hold entities.

    Args:
        markup: whether the text is known to be HTML; None leaves it to what it looks like.
    """
    if markup is None:
        markup = looks_like_html(text)
    return html_to_text(text) if markup else clean_text(html.unescape(text))


def plain_line(text: str, *, markup: bool | None = None) -> str:
    """The same as one line, for titles and names."""
    return clean_line(plain(text, markup=markup))


_SKIPPED = frozenset("script style template head iframe object embed svg math noscript select textarea audio video canvas title".split())
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer h1 h2 h3 h4 h5 h6 header hr html li"
    " main nav ol p pre section summary table tbody tfoot thead tr ul".split()
)


def html_to_text(source: str) -> str:
    """The text that a reader would see, as plain paragraphs. Scripts, forms, media and hidden elements are left out."""
    from selectolax.lexbor import LexborHTMLParser

    source = source[:MAX_HTML]
    if too_deep(source):
        return clean_text(html.unescape(re.sub(r"<[^<>]*>", " ", source)))
    root = LexborHTMLParser(source).root
    return node_text(root) if root is not None else ""


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Elements that hold nothing, or that the parser closes by itself when the next begins.
_FLAT = frozenset(
    "area base br col embed hr img input link meta source track wbr p li td th tr tbody thead tfoot dt dd option body html".split()
)


def too_deep(source: str) -> bool:
    """Whether elements nest beyond ``MAX_DEPTH``. The parser takes the square of the depth: 12 s for 100,000 nested ``div``."""
    open_now: dict[str, int] = {}
    depth = 0
    for closing, name in _TAG.findall(source):
        name = name.lower()
        if name in _FLAT:
            continue
        if not closing:
            open_now[name] = open_now.get(name, 0) + 1
            depth += 1
        elif open_now.get(name, 0):
            open_now[name] -= 1
            depth -= 1
        if depth > MAX_DEPTH:
            return True
    return False


def node_text(root: LexborNode) -> str:
    """The visible text under one element. Walks without recursion: nesting has no limit in the wild."""
    parts: list[str] = []
    node: LexborNode | None = root
    leaving = False
    while node is not None:
        if not leaving:
            opened = _enter(node, parts)
            child = node.first_child if opened else None
            if child is not None:
                node = child
                continue
        if node.tag in _BLOCKS:
            parts.append("\n\n")
        if node.mem_id == root.mem_id:
            break
        sibling = node.next
        leaving = sibling is None
        node = node.parent if leaving else sibling
    return clean_text("".join(parts))


def _enter(node: LexborNode, parts: list[str]) -> bool:
    """Note what an element opens with; False where its content is not for readers."""
    tag = node.tag
    if node.is_text_node:
        parts.append(re.sub(r"\s+", " ", node.text_content or ""))
        return False
    if tag in _SKIPPED or _hidden(node.attributes):
        return False
    if tag == "br":
        parts.append("\n")
    elif tag in _BLOCKS:
        parts.append("\n\n• " if tag == "li" else "\n\n")
    elif tag in ("td", "th"):
        parts.append(" ")
    return True


def _hidden(attributes: Any) -> bool:
    if not attributes:
        return False
    return "hidden" in attributes or bool(re.search(r"display\s*:\s*none", attributes.get("style") or "", re.I))


# A full stop after one of these does not end a sentence. With their case: "Ms." is a title, "MS." is the disease.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Z]|e\.g|i\.e|cf|vs|et al|[Aa]pprox|[Cc]a|Dr|Prof|Mr|Mrs|Ms|St|[Ff]igs?|Eqs?|Nos?|[Vv]ol|pp|Jan|Feb|Mar|Apr"
    r"|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|U\.S|U\.K|Ph\.D|[Dd]ept|spp?|subsp|[Rr]efs?|[Ii]ncl|resp)\.$"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s+[\"'“‘(\[«¿¡•]*[^\sa-z])|[。！？｡]+[」』”’）]*")


def first_sentence(text: str, *, at_least: int = 0) -> str:
    """The first sentence of the first paragraph, or as many as make ``at_least`` characters there."""
    paragraph = text.split("\n\n", 1)[0].removeprefix("• ")
    for end in _SENTENCE_END.finditer(paragraph):
        head = paragraph[: end.end()]
        if len(head) >= at_least and not (end.group().startswith(".") and _ABBREVIATION.search(head[-12:])):
            return head.strip()
    return paragraph.strip()


def cut(text: str, limit: int) -> str:
    """At most ``limit`` grapheme clusters, the ellipsis included; ends at a sentence if one ends late enough, else at a word.

    Text without spaces (Japanese) is cut between clusters.
    """
    if len(text) <= limit:
        return text
    import regex

    kept: list[str] = []
    for match in regex.finditer(r"\X", text):
        kept.append(match.group()[:MAX_CLUSTER])
        if len(kept) > limit:
            break
    else:
        return "".join(kept)
    head = "".join(kept[:limit])
    ends = [end.end() for end in _SENTENCE_END.finditer(head + " X") if end.end() <= len(head)]
    if ends and ends[-1] >= 0.6 * len(head):
        return head[: ends[-1]]
    head = "".join(kept[: limit - 1])
    space = -1 if kept[limit - 1].isspace() else head.rfind(" ")
    if space >= 0.6 * len(head):
        head = head[:space]
    return end_with_ellipsis(head)


def end_with_ellipsis(text: str) -> str:
    """``text`` without what dangles at its end, and an ellipsis."""
    return re.sub(r"[\s,;:.–—(\[“‘-]+$", "", text) + ELLIPSIS
