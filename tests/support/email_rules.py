"""The musts of EMAIL section 1, checked on the bytes of one message.

``check_message`` returns a list of sentences, each beginning with the number of the rule it breaks; empty is good.

Checked: 1 (one From with a name, no free mail), 2, 3, 4, 5 (form; that Message-IDs differ between messages is for the
caller, who sees several), 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18 (sizes, alignment and contrast of what is left when
``<style>`` is thrown away), 19 (height of each link as its inline style gives it), 20, 21, 22.
Not checked: 9 and the alignment half of 1, because the signature is the relay's; contrast in dark mode (18) and true
geometry (19), because they need a browser: ``tests/browser/test_email_look.py`` measures both.
"""

from __future__ import annotations

import re
from email import message_from_string, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import regex
from lxml import etree

FREE_MAIL = {
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "aol.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "gmx.de",
    "web.de",
    "icloud.com",
}
ONCE = {
    "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
    "Precedence", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
}  # fmt: skip
_REMAINS = re.compile(
    r"\{\{|\}\}|\{%|%\}|%recipient|\\u\{|@@[A-Z]|\blocalhost\b|127\.0\.0\.1|http://|<mj-|\bNone\b|\bundefined\b|(?<![\w-])-[a-z_]+-(?![\w-])"
)
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200c\u2060\ufeff\u2800]")
_BLOCKS = {"p", "h1", "h2", "h3", "h4", "td", "div", "li", "a", "span", "strong", "body"}


# How the sentence that says why one gets this begins, by the language of the email.
REASONS = {
    "en": "You get this email because",
    "de": "Sie bekommen diese E-Mail, weil",
    "es": "Recibe este correo porque",
    "fr": "Vous recevez cet e-mail parce que",
    "ar": "تصلك هذه الرسالة لأنك",
}


def check_message(raw: bytes, *, base_url: str, postal_address: str = "", reason: str | None = None) -> list[str]:
    """Every rule that the message breaks.

    Args:
        raw: the message as it goes over the wire, CRLF line ends.
        base_url: where the newsletter's own pages are; unsubscribe, preferences and web copy links must be below it.
        postal_address: must stand in both parts, if given. reason: how the sentence that says why one gets this begins, if
            other than in our templates.
    """
    message = message_from_string(raw.decode("utf-8", "replace"), policy=policy.compat32)
    head = raw.partition(b"\r\n\r\n")[0]
    found = _addresses(message) + _subject(message) + _identity(message) + _lists(message, base_url) + _bytes(raw, head, message)
    parts = message.get_payload()
    if message.get_content_type() != "multipart/alternative" or not isinstance(parts, list) or len(parts) != 2:
        return [*found, "11: not multipart/alternative of exactly two parts"]
    found += _mime(raw, parts)
    text, html = (_decoded(part) for part in parts)
    tree = etree.fromstring(html, etree.HTMLParser())
    links = [a.get("href", "") for a in tree.iter("a")]
    found += _size(html) + _document(tree, html) + _preheader(tree, _header(message, "Subject")) + _structure(tree) + _images(tree)
    found += _links(tree, _header(message, "To")) + _readability(tree) + _targets(tree)
    found += _furniture(message, tree, text, links, base_url, postal_address, reason) + _text(text, tree, links)
    return found + _clean(html, text, tree)


def _header(message: Message, name: str) -> str:
    value = re.sub(r"\r?\n(?=[ \t])", "", str(message.get(name, "")))
    return str(make_header(decode_header(value))) if value.isascii() else value


def _decoded(part: Any) -> str:
    return part.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n")


def _addresses(message: Message) -> list[str]:
    found = []
    senders = getaddresses(message.get_all("From", []))
    if len(senders) != 1 or not _header(message, "From").split("<")[0].strip(' "'):
        found.append("1: From is not one address with a display name")
    elif senders[0][1].rpartition("@")[2].lower() in FREE_MAIL:
        found.append("1: From is at a free-mail domain")
    if len(getaddresses(message.get_all("To", []))) != 1:
        found.append("2: To does not hold exactly one recipient")
    if "Cc" in message or "Bcc" in message:
        found.append("2: there is a Cc or Bcc")
    answers = getaddresses(message.get_all("Reply-To", message.get_all("From", [])))
    if not answers or re.search(r"no-?reply|do-?not-?reply", answers[0][1], re.I):
        found.append("3: replies go to nobody")
    return found


def _subject(message: Message) -> list[str]:
    subject = _header(message, "Subject")
    found = []
    if not subject.strip() or re.search(r"[\r\n\x00-\x1f]", subject) or re.match(r"(?:re|fwd?|aw|wg)\s*:", subject, re.I):
        found.append("4: the subject is empty, breaks a line or pretends to be an answer")
    if _REMAINS.search(subject):
        found.append("4: template remains in the subject")
    length = len(regex.findall(r"\X", subject))
    if not 15 <= length <= 78:
        found.append(f"4: the subject has {length} characters")
    return found


def _identity(message: Message) -> list[str]:
    found = []
    try:
        if parsedate_to_datetime(message.get("Date", "")).tzinfo is None:
            found.append("5: Date has no zone")
    except (TypeError, ValueError):
        found.append("5: Date is missing or malformed")
    message_id = message.get("Message-ID", "").strip()
    to = getaddresses([message.get("To", "@")])[0][1]
    if not re.fullmatch(r"<[^\s<>@]+@[A-Za-z0-9.-]+>", message_id):
        found.append("5: Message-ID is missing or malformed")
    elif to.partition("@")[0] and to.lower() in message_id.lower():
        found.append("5: the recipient's address stands in Message-ID")
    return found


def _lists(message: Message, base_url: str) -> list[str]:
    found = []
    field = message.get("List-Unsubscribe", "")
    uris = re.findall(r"<([^<>\s]+)>", field)
    https = [uri for uri in uris if uri.startswith("https://")]
    if len(https) != 1 or not https[0].startswith(base_url) or "=?" in field or len(uris) != field.count("<"):
        found.append("6: List-Unsubscribe does not hold exactly one https address of ours, unencoded")
    if not any(uri.startswith("mailto:") for uri in uris):
        found.append("6: List-Unsubscribe has no mailto")
    if message.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        found.append("6: List-Unsubscribe-Post is not exactly List-Unsubscribe=One-Click")
    if not re.fullmatch(r".*\S.*<[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+>", _header(message, "List-Id")):
        found.append("7: List-Id is not a readable name and <label.domain>")
    if message.get("Precedence") != "bulk" or message.get("X-Auto-Response-Suppress") != "OOF, AutoReply":
        found.append("8: Precedence or X-Auto-Response-Suppress is missing")
    return found


def _bytes(raw: bytes, head: bytes, message: Message) -> list[str]:
    found = [f"10: {name} stands {message.keys().count(name)} times" for name in sorted(ONCE) if message.keys().count(name) != 1]
    found += [f"10: {name} stands twice" for name in set(message.keys()) - ONCE if message.keys().count(name) > 1]
    if max(map(len, raw.split(b"\r\n"))) > 998:
        found.append("10: a line has more than 998 octets")
    # An unsubscribe address is never parted, nor put on a line after its field's name: some programs look for it there.
    if any(len(line) > 78 and b" " in line.strip() and not line.startswith(b"List-Unsubscribe:") for line in head.split(b"\r\n")):
        found.append("10: a header line is longer than 78 and could be folded")
    # One address may hold letters outside ASCII before its @, as they are (RFC 6532).
    local = getaddresses([message.get("To", "")])[0][1].rpartition("@")[0].encode()
    narrow = raw.replace(b"To: " + local, b"To: ", 1).replace(b"<" + local + b"@", b"<@", 1) if not local.isascii() else raw
    if re.search(rb"[^\x09\x0a\x0d\x20-\x7e]", narrow):
        found.append("10: a control character or raw 8-bit")
    if re.search(rb"(?<!\r)\n|\r(?!\n)", raw):
        found.append("11: a bare CR or LF")
    return found


def _mime(raw: bytes, parts: list[Any]) -> list[str]:
    found = []
    if [part.get_content_type() for part in parts] != ["text/plain", "text/html"]:
        found.append("11: not text/plain first and text/html second")
    for part in parts:
        if part.get_content_charset() != "utf-8" or part.get("Content-Transfer-Encoding") != "quoted-printable":
            found.append("11: a part is not utf-8 in quoted-printable")
        if part.get("Content-Disposition") or max(map(len, part.get_payload().splitlines()), default=0) > 76:
            found.append("11: an attachment, or an encoded line over 76")
    return found


def _size(html: str) -> list[str]:
    found = []
    size = len(html.encode()) + html.count("\n")
    if size > 102 * 1024:
        found.append(f"12: the HTML has {size} bytes; Gmail clips it")
    if any(len(style.encode()) > 16 * 1024 for style in re.findall(r"<style[^>]*>(.*?)</style>", html, re.S)):
        found.append("12: a <style> is larger than 16 KB")
    return found


def _document(tree: Any, html: str) -> list[str]:
    found = []
    wrappers = [div for div in tree.find("body").findall("div") if div.get("lang") and div.get("dir")]
    metas = {meta.get("name"): meta.get("content", "") for meta in tree.iter("meta")}
    for missing, there in (
        ("<!DOCTYPE html>", html.lstrip().startswith("<!DOCTYPE html>")),
        ("lang and dir on <html>", tree.get("lang") not in (None, "", "und") and tree.get("dir") in ("ltr", "rtl")),
        ("lang and dir on the body wrapper", bool(wrappers)),
        ("a <title>", bool((tree.findtext("head/title") or "").strip())),
        ("a charset", "charset=utf-8" in html.lower()),
        ("a viewport that may be zoomed", "width=device-width" in metas.get("viewport", "") and "user-scalable" not in metas["viewport"]),
        ("color-scheme", "dark" in metas.get("color-scheme", "") and "dark" in metas.get("supported-color-schemes", "")),
    ):
        if not there:
            found.append(f"13: {missing} is missing")
    return found


def _preheader(tree: Any, subject: str) -> list[str]:
    body = tree.find("body")
    first = next((element for element in body if isinstance(element.tag, str)), None)
    if first is None or "display:none" not in first.get("style", "").replace(" ", ""):
        return ["14: the first thing in the body is not a hidden preheader"]
    words = "".join(first.itertext()).strip()
    length = len(regex.findall(r"\X", words))
    found = [] if 40 <= length <= 130 else [f"14: the preheader has {length} characters"]
    return [*found, "14: the preheader repeats the subject"] if words.lower().startswith(subject.rstrip("…").lower()) else found


def _structure(tree: Any) -> list[str]:
    found = []
    levels = [int(element.tag[1]) for element in tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    if levels.count(1) != 1 or levels[:1] != [1] or 2 not in levels:
        found.append("15: not exactly one h1 in front of the h2s")
    if any(after - before > 1 for before, after in zip(levels, levels[1:], strict=False)):
        found.append("15: a heading level is skipped")
    if any(table.get("role") != "presentation" and table.find(".//th[@scope]") is None for table in tree.iter("table")):
        found.append('15: a layout table without role="presentation"')
    return found


def _images(tree: Any) -> list[str]:
    found = []
    for image in tree.iter("img"):
        if image.get("alt") is None or not image.get("src", "").startswith("https://") or not image.get("width", "").isdigit():
            found.append("16: an image without alt, https or a width in pixels")
    return found


def _links(tree: Any, to: str) -> list[str]:
    found, targets = [], {}
    for a in tree.iter("a"):
        href, words = a.get("href", ""), " ".join("".join(a.itertext()).split())
        if not href.startswith("https://"):
            found.append(f"17: a link that is not https: {href[:40]}")
        if "@" in href or "%40" in href:
            found.append("17: an address in a link")
        if words.lower() in ("", "read more", "read", "more", "here", "click here", "link") or targets.setdefault(words, href) != href:
            found.append(f'17: the link text "{words[:40]}" does not say where it leads, or leads to two places')
        if "text-decoration:underline" not in a.get("style", "").replace(" ", ""):
            found.append("17: a link is not underlined without <style>")
    return found


def _readability(tree: Any) -> list[str]:
    found = set()
    for element, words, style in _texts(tree):
        size = _pixels(style.get("font-size", "16px"))
        if size < 16:
            found.add(f'18: "{words[:30]}" is {size} px')
        if style.get("text-align") in ("justify", "center") and len(words) > 60:
            found.add(f'18: "{words[:30]}" is centred or justified')
        line = style.get("line-height", "1.5")
        ratio = _pixels(line) / size if line.endswith("px") else float(line.rstrip("%") or 0)
        if ratio < (1.2 if element.tag in ("h1", "h2", "h3") else 1.3):
            found.add(f'18: the lines of "{words[:30]}" are too close')
        ratio = contrast(style.get("color", "#000000"), style.get("background-color", "#ffffff"))
        if ratio < 4.5:
            found.add(f'18: contrast of "{words[:30]}" is {ratio:.1f}:1 without <style>')
    return sorted(found)


def _texts(tree: Any) -> list[tuple[Any, str, dict[str, str]]]:
    """Each visible text with the inline style that reaches it."""
    found = []

    def walk(element: Any, inherited: dict[str, str]) -> None:
        style = {**inherited, **_style(element)}
        if style.get("display") == "none":
            return
        if element.text and element.text.strip():
            found.append((element, element.text.strip(), style))
        for child in element:
            if isinstance(child.tag, str):
                walk(child, style)
            if child.tail and child.tail.strip():
                found.append((element, child.tail.strip(), style))

    walk(tree.find("body"), {})
    return found


def _style(element: Any) -> dict[str, str]:
    pairs = (item.partition(":") for item in element.get("style", "").split(";"))
    found = {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs if value.strip()}
    if "background" in found and "background-color" not in found and found["background"].startswith("#"):
        found["background-color"] = found["background"]
    return found


def _pixels(value: str) -> float:
    match = re.match(r"([\d.]+)", value)
    return float(match.group(1)) if match else 0.0


def contrast(one: str, other: str) -> float:
    """WCAG contrast of two colours given as ``#rgb`` or ``#rrggbb``; other spellings count as black and white do."""
    light, dark = sorted((_luminance(one, 0.0), _luminance(other, 1.0)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str, unknown: float) -> float:
    digits = colour.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    if not re.fullmatch(r"[0-9a-fA-F]{6}", digits):
        return unknown
    channels = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _targets(tree: Any) -> list[str]:
    found = []
    for a in tree.iter("a"):
        style = _style(a)
        sides = style.get("padding", "0").split()
        height = _pixels(style.get("line-height", "0")) + _pixels(sides[0]) + _pixels(sides[2] if len(sides) > 2 else sides[0])
        if height < 24 or style.get("display") not in ("inline-block", "block"):
            found.append(f"19: a link is {height:.0f} px high")
    return found


def _furniture(
    message: Message, tree: Any, text: str, links: list[str], base_url: str, postal_address: str, reason: str | None
) -> list[str]:
    found = []
    unsubscribe = next(iter(re.findall(r"<(https://[^<>\s]+)>", message.get("List-Unsubscribe", ""))), "?")
    visible = " ".join(" ".join(tree.find("body").itertext()).split())
    flat = " ".join(text.split())
    if unsubscribe not in links or unsubscribe not in text:
        found.append("20: the unsubscribe link is not in both parts")
    ours = {link for link in links if link.startswith(base_url)} - {unsubscribe}
    if len(ours) < 2 or any(link not in text for link in ours):
        found.append("20: the preferences or the web copy link is not in both parts")
    reason = REASONS.get(tree.get("lang", "en").partition("-")[0], "no such language") if reason is None else reason
    for what, words in (("the postal address", " ".join(postal_address.split())), ("why one gets this", reason)):
        if words and (words not in visible or words not in flat):
            found.append(f"20: {what} is not in both parts")
    return found


def _text(text: str, tree: Any, links: list[str]) -> list[str]:
    found = []
    lines = text.split("\n")
    found += [f"21: {link[:60]} does not stand on a line of its own in the text" for link in links if link not in lines]
    flat = " ".join(text.split())
    for heading in tree.iter("h1", "h2", "h3"):
        words = " ".join("".join(heading.itertext()).split())
        if words not in flat:
            found.append(f'21: the heading "{words[:40]}" is not in the text')
    found += [f"21: a line of {len(line)} characters" for line in lines if len(line) > 78 and "://" not in line][:1]
    if re.search(r"</?(?:p|a|div|span|br|table|td|h[1-6])\b[^>]*>|&(?:amp|lt|gt|quot|nbsp|#\d+);", text):
        found.append("21: markup or entities in the text")
    return [*found, "21: invisible characters in the text"] if _INVISIBLE.search(text) else found


def _clean(html: str, text: str, tree: Any) -> list[str]:
    found = []
    visible = " ".join(" ".join(tree.find("body").itertext()).split())
    urls = " ".join(
        value for element in tree.iter() if isinstance(element.tag, str) for name, value in element.items() if name in ("href", "src")
    )
    for where, words in (("HTML", f"{visible} {urls}"), ("text", text)):
        match = _REMAINS.search(words)
        if match:
            found.append(f'22: "{match.group()}" in the {where}')
    for tag in ("script", "form", "iframe", "object", "embed", "link", "base", "input"):
        if tree.find(f".//{tag}") is not None:
            found.append(f"22: a <{tag}>")
    if re.search(r"@import|@font-face|url\(", html):
        found.append("22: external styles, fonts or pictures in CSS")
    for image in tree.iter("img"):
        if image.get("width") in ("0", "1") or image.get("height") in ("0", "1"):
            found.append("22: a tracking pixel")
    return found
