"""What service mails say, in each language, and how they are composed: with the newsletter's own styles, as HTML and text."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from digest import skeleton
from digest.compose import Look, clean, markers
from digest.compose.parts import Part
from digest.compose.render import limits_for, read_templates, render
from digest.compose.view import common
from digest.errors import RenderError
from digest.model import Slot
from digest.tongue import Tongue, tongue

KINDS = ("confirm", "links", "known", "back")
SLOTS = ("CONFIRM", "NEVER", "PREFERENCES", "UNSUBSCRIBE")
_FOLDER = Path(__file__).parent / "mails"
_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Words:
    """What one service mail says. Texts are plain; urls may be slots."""

    subject: str
    preheader: str
    title: str
    lines: tuple[str, ...]
    buttons: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    items: tuple[Mapping[str, str], ...] = ()


def words_of(kind: str, tongue: Tongue, name: str, items: tuple[Mapping[str, str], ...] = ()) -> Words:
    """The words of a kind of mail, ``confirm``, ``links``, ``known`` or ``back``, for a newsletter of that name."""
    t = tongue.t
    own = ((t("Change what you get"), markers.slot("PREFERENCES")),)
    leave = ((t("Unsubscribe"), markers.slot("UNSUBSCRIBE")),)
    if kind == "confirm":
        return Words(
            subject=t("Please confirm: {newsletter}", newsletter=name),
            preheader=t("One press, and you get the newsletter. Without it you get nothing."),
            title=t("Do you want this newsletter?"),
            lines=(
                t("Somebody, probably you, asked for {newsletter} at this address.", newsletter=name),
                t("If it was you, please confirm. The link opens a page with one button."),
            ),
            buttons=((t("Confirm my subscription"), markers.slot("CONFIRM")),),
            after=(
                t("If it was not you, do nothing: you will not hear from us again. To make sure nobody can ask again, use the link below."),
            ),
            links=((t("Never write to this address again"), markers.slot("NEVER")),),
        )
    if kind == "links":
        return Words(
            subject=t("Your links: {newsletter}", newsletter=name),
            preheader=t("With these you choose what you get, pause or leave."),
            title=t("Your links"),
            lines=(t("You asked for the links to your subscription. With them you choose what you get, pause or leave."),),
            buttons=own,
            after=(t("If you did not ask for this, you need not do anything. Nothing has changed."),),
            links=leave,
        )
    if kind == "known":
        return Words(
            subject=t("You are subscribed already: {newsletter}", newsletter=name),
            preheader=t("There is nothing you need to do."),
            title=t("You are subscribed already"),
            lines=(
                t(
                    "Somebody, probably you, asked for {newsletter} at this address. It is subscribed already, so nothing has changed.",
                    newsletter=name,
                ),
            ),
            buttons=own,
            after=(t("If it was not you, you need not do anything."),),
            links=leave,
        )
    return Words(
        subject=t("While you were away: {newsletter}", newsletter=name),
        preheader=t("Your pause is over. Here is what you missed."),
        title=t("While you were away"),
        lines=(
            t("Your pause is over, and you will get the newsletter again."),
            t("This is what came out meanwhile in the subjects you follow.")
            if items
            else t("Nothing came out meanwhile in the subjects you follow."),
        ),
        buttons=own,
        links=leave,
        items=items,
    )


# --- composing -----------------------------------------------------------------------------------------------------------


@functools.lru_cache(128)
def compile_kind(templates: Path, look: Look, tongue_code: str, region: str, kind: str, stamp: tuple[int, ...]) -> tuple[Part, Part]:
    """A kind of mail in a language, rendered once, its links still slots."""
    spoken = tongue(tongue_code, region)
    return compile_words(templates, look, spoken, words_of(kind, spoken, look.name))


def compile_words(templates: Path, look: Look, tongue: Tongue, words: Words) -> tuple[Part, Part]:
    """HTML and text of a mail with these words. A workspace whose own styles are broken still gets its mails out, in ours.

    Raises:
        RenderError: it cannot be composed at all.
    """
    try:
        return _render(templates, look, tongue, words)
    except RenderError:
        return _render(skeleton.origin() / "templates", look, tongue, words)


def _render(templates: Path, look: Look, tongue: Tongue, words: Words) -> tuple[Part, Part]:
    own = {file.name: file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.j2"))}
    sources = {**read_templates(templates), **own}

    def guard(text: str) -> str:
        return markers.guard(clean.clean(text))

    def url(link: str) -> str:
        return link if markers.SLOT.fullmatch(link) else clean.link(link)

    data = {
        "mail": {
            "language": tongue.locale.language,
            "dir": tongue.dir,
            "title": guard(words.title),
            "preheader": guard(words.preheader),
            "lines": [guard(line) for line in words.lines],
            "after": [guard(line) for line in words.after],
            "buttons": [{"label": guard(label), "url": url(link)} for label, link in words.buttons],
            "links": [{"label": guard(label), "url": url(link)} for label, link in words.links],
            "items": [{key: url(value) if key == "url" else guard(value) for key, value in item.items()} for item in words.items],
        }
    }
    slot = Slot.model_validate({"cadence": "mail", "local_date": "2000-01-01", "opens_after": _LONG_AGO, "due_at": _LONG_AGO})
    shared = common(look, slot)
    shared["newsletter"] |= {"start": "right" if tongue.dir == "rtl" else "left", "end": "left" if tongue.dir == "rtl" else "right"}
    documents = [("mail.mjml.j2", data), ("mail.txt.j2", data)]
    rendered = render(sources, shared, documents, [], limits_for(4 + len(words.items)))
    if rendered.problems:
        raise RenderError("\n".join(str(problem) for problem in rendered.problems))
    html, text = rendered.documents
    return Part.of(html), Part.of(text)
