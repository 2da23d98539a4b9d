"""An editor's Markdown as the email may have it: a few elements, built here and cleaned once more, and the same as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import TYPE_CHECKING, NamedTuple

from digest.compose import clean, markers
from digest.compose.parts import escape
from digest.compose.teaser import wrap

if TYPE_CHECKING:
    from markdown_it.token import Token

NOTE, INTRO = 3000, 600  # characters of Markdown: a letter on top of the letter is not read
_CLASSES = {"p": "p", "ul": "list", "ol": "list", "li": "item", "h2": "h3", "a": "inline"}


class Rich(NamedTuple):
    """The same words twice. Both are guarded (see `markers`), so that nothing in them works as a slot, a mark or a tag of MJML."""

    html: str
    text: str


def rich(markdown: str, direction: str = "ltr", language: str = "") -> Rich:
    """Paragraphs, headings of one level, lists, emphasis and links; pictures become their text, HTML stays the text it is.

    Args:
        direction: of the letter around it; what runs the other way says so. language: where it is not the letter's.
    Raises:
        ValueError: a link leads nowhere that an email may lead to.
    """
    import nh3

    blocks = list(_blocks(markdown))
    html = nh3.clean(
        "".join(_html(block, direction, language) for block in blocks),
        tags={"p", "strong", "em", "br", "a", *_CLASSES},
        attributes={"a": {"href"}, **{tag: {"dir", "lang"} for tag in ("p", "ul", "ol", "h2")}},
        allowed_classes={tag: {name, "other-ltr", "other-rtl"} for tag, name in _CLASSES.items()},
        url_schemes={"https"},
        link_rel=None,
    )
    # What is written for a browser, as MJML wants it.
    html = html.replace("<br>", "<br />").replace("&nbsp;", "\u00a0")
    text = "\n\n".join(_text(block) for block in blocks)
    return Rich(markers.guard(html), markers.guard(text))


class _Run(NamedTuple):
    """A stretch of a line: its text, the elements around it, and where it links to. An empty tag ``br`` ends a line."""

    text: str
    around: tuple[str, ...] = ()
    url: str = ""


class _Block(NamedTuple):
    """A paragraph or heading (one item) or a list (several)."""

    tag: str
    items: tuple[tuple[_Run, ...], ...]


def _blocks(markdown: str) -> Iterator[_Block]:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": False}).parse(markdown.replace("\r\n", "\n"))
    lists: list[tuple[str, list[tuple[_Run, ...]], int]] = []
    tag = "p"
    for token in tokens:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                lists.append((token.tag, [], token.level))
            case "bullet_list_close" | "ordered_list_close":
                kind, items, level = lists.pop()
                if lists:  # a list in a list becomes more of the outer one: an email has one level
                    lists[-1][1].extend(items)
                elif items:
                    yield _Block(kind, tuple(items))
            case "heading_open":
                tag = "h2"
            case "heading_close":
                tag = "p"
            case "inline" | "fence" | "code_block":
                runs = tuple(_runs(token.children)) if token.type == "inline" else tuple(_plain(token.content))
                if runs and lists:
                    lists[-1][1].append(runs)
                elif runs:
                    yield _Block(tag, (runs,))


def _plain(text: str) -> Iterator[_Run]:
    for n, line in enumerate(clean.paragraphs(text)):
        if n:
            yield _Run("", ("br",))
        yield _Run(line)


def _runs(tokens: Sequence[Token] | None) -> Iterator[_Run]:
    around: list[str] = []
    url = ""
    for token in tokens or ():
        match token.type:
            case "strong_open" | "em_open":
                around.append(token.tag)
            case "strong_close" | "em_close":
                around.remove(token.tag)
            case "link_open":
                url = clean.link(str(token.attrs.get("href", "")))
            case "link_close":
                url = ""
            case "softbreak":
                yield _Run(" ")
            case "hardbreak":
                yield _Run("", ("br",))
            case _:  # text, code, a picture's words
                if text := _spaced(token.content):
                    yield _Run(text, tuple(around), url)


def _spaced(text: str) -> str:
    """Clean, with the blanks at its ends that part it from its neighbours."""
    inner = clean.clean(text)
    before = " " if text[:1].isspace() else ""
    return f"{before}{inner}{' ' if inner and text[-1:].isspace() else ''}"


def _html(block: _Block, direction: str, language: str) -> str:
    words = "".join(run.text for item in block.items for run in item)
    own = "rtl" if clean.runs_right_to_left(words) else "ltr"
    name = _CLASSES[block.tag] + (f" other-{own}" if own != direction else "")
    # Right to left is said on each element, as the templates do: mail programs take an email out of its page.
    way = f' dir="{own}"' if own != direction or own == "rtl" else ""
    tongue = f' lang="{escape(language)}"' if language else ""
    items = ["".join(_run(run) for run in item) for item in block.items]
    inside = "".join(f'<li class="item">{item}</li>' for item in items) if block.tag in ("ul", "ol") else items[0]
    return f'<{block.tag}{way}{tongue} class="{name}">{inside}</{block.tag}>'


def _run(run: _Run) -> str:
    if run.around == ("br",) and not run.text:
        return "<br>"
    html = escape(run.text)
    for tag in reversed(run.around):
        html = f"<{tag}>{html}</{tag}>"
    return f'<a class="inline" href="{escape(run.url)}">{html}</a>' if run.url else html


def _text(block: _Block) -> str:
    """The block in lines of at most 72 characters, each link on a line of its own behind it."""
    lines = []
    for n, item in enumerate(block.items, start=1):
        mark = "" if block.tag in ("p", "h2") else "- " if block.tag == "ul" else f"{n}. "
        said = "".join("\n" if run.around == ("br",) and not run.text else run.text for run in item)
        wrapped = "\n".join(wrap(line.strip(), 72 - len(mark)) for line in said.split("\n"))
        lines.append(mark + wrapped.replace("\n", "\n" + " " * len(mark)))
        links: dict[str, str] = {}
        for run in item:
            if run.url:
                links[run.url] = links.get(run.url, "") + run.text
        for url, words in links.items():
            lines += ["", *([wrap(f"{words.strip()}:")] if words.strip() not in ("", url) else []), url, ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def bare(text: str) -> str:
    """What of a rendered stretch is text, without any white space: to see whether words stand in it."""
    return "".join(unescape(re.sub(r"<[^>]*>", "", text)).split())
