"""What SendGrid's documents say a Mail Send body must be, and what becomes of it; the stand-in's own reading of them.

It shares no constant with `digest.providers`. Where two documents disagree the smaller limit holds. GUESS marks what no
document says; it errs on the side of refusing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import handlebars

SCHEMA_FILE = Path(__file__).parents[3] / "shared" / "sendgrid-openapi" / "tsg_mail_v3.json"
MAX_BYTES = 30_000_000
_TOP = frozenset(
    "personalizations from reply_to reply_to_list subject content attachments template_id headers categories custom_args send_at"
    " batch_id asm ip_pool_name mail_settings tracking_settings".split()  # no "sections": removed in 2020
)
_PERSONALIZATION = frozenset("from to cc bcc subject headers substitutions dynamic_template_data custom_args send_at".split())
_RESERVED = frozenset(
    "x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject reply-to cc bcc".split()
)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")

Error = dict[str, Any]


def error(message: str, field: str | None = None) -> Error:
    """One of ``errors`` in a refusal."""
    return {"message": message, "field": field, "help": None}


@cache
def schema_validator() -> Any:
    """A validator of Mail Send bodies by the provider's own OpenAPI, or None where file or package is absent."""
    try:
        import jsonschema

        document = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    except (ImportError, OSError):
        return None
    found = document["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**found, "components": document["components"]})


def schema_errors(body: object) -> list[Error]:
    """What the OpenAPI has against a body."""
    validator = schema_validator()
    found = validator.iter_errors(body) if validator else ()
    return [error(f"stand-in: not as tsg_mail_v3.json has it: {one.message[:200]}", ".".join(map(str, one.absolute_path))) for one in found]


def refusals(
    body: Any,
    *,
    bad: frozenset[str] = frozenset(),
    batches: frozenset[str] = frozenset(),
    schema: bool = True,
    versions: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Error]:
    """Everything that is wrong with a body. ``bad`` addresses are refused as malformed; ``batches`` are the known batch_ids,
    ``versions`` the active version of each template.
    """
    if not isinstance(body, dict):
        return [error("Bad Request")]
    found = [error(f"Additional property {key} is not allowed.", key) for key in sorted(body.keys() - _TOP)]
    found += _message_errors(body, batches, versions or {})
    people = body.get("personalizations")
    if not isinstance(people, list) or not people:
        return [*found, error("The personalizations field is required and must have at least one personalization.", "personalizations")]
    if len(people) > 1000:
        found.append(error("You are limited to 1000 personalizations.", "personalizations"))
    seen: set[str] = set()
    total = 0
    for n, person in enumerate(people):
        found += _personalization_errors(n, person, seen, bad)
        found += _data_errors(f"personalizations.{n}", person, dynamic=str(body.get("template_id", "")).startswith("d-"))
        total += sum(len(person.get(key, ())) for key in ("to", "cc", "bcc")) if isinstance(person, dict) else 0
    if total > 1000:
        found.append(error("The total number of recipients is more than 1000.", "personalizations"))
    if not found and schema and "template_id" in body:
        try:
            list(render(body, versions))
        except handlebars.NotDocumented as broken:  # SendGrid would take it and drop the mail: here it is seen
            found.append(error(f"stand-in: the template cannot be rendered: {broken}"))
    return found or (schema_errors(body) if schema else [])


def _data_errors(at: str, person: Any, *, dynamic: bool) -> Iterator[Error]:
    """What a personalization may not have together."""
    if not isinstance(person, dict):
        return
    if dynamic and "substitutions" in person:
        yield error("Substitutions may not be used with dynamic templating", f"{at}.substitutions")
    data = person.get("dynamic_template_data")
    if data is not None and not dynamic:  # GUESS: refused; it might as well be ignored
        yield error("dynamic_template_data needs a dynamic template", f"{at}.dynamic_template_data")
    # GUESS: only a draft of the documents has a limit.
    if data is not None and (not isinstance(data, dict) or len(json.dumps(data)) > 10_000):
        yield error("dynamic_template_data is no object of at most 10,000 bytes", f"{at}.dynamic_template_data")


def _message_errors(body: Mapping[str, Any], batches: frozenset[str], versions: Mapping[str, Mapping[str, Any]]) -> Iterator[Error]:
    if not isinstance(body.get("from"), dict) or not _ADDRESS.fullmatch(str(body["from"].get("email"))):
        yield error("The from object must be provided for every email send.", "from")
    if "reply_to" in body and not _ADDRESS.fullmatch(str(body["reply_to"].get("email"))):
        yield error("Does not contain a valid address.", "reply_to.email")
    if "reply_to" in body and "reply_to_list" in body:
        yield error("reply_to and reply_to_list may not be used together.", "reply_to")
    templated = "template_id" in body
    if templated and body["template_id"] not in versions:
        yield error("The template_id must be that of a template with an active version.", "template_id")
    if templated and body.keys() & {"subject", "content"}:
        yield error("stand-in: subject and content would be overridden by the template's", "content")
    if not templated and (not isinstance(body.get("subject"), str) or not body["subject"]):
        yield error("The subject is required.", "subject")
    content = body.get("content")
    if templated:
        content = []
    elif not isinstance(content, list) or not content:
        yield error("Unless a valid template_id is provided, the content parameter is required.", "content")
        content = []
    for n, part in enumerate(content):
        if set(part) != {"type", "value"} or not isinstance(part["value"], str) or not part["value"]:
            yield error("The content value must be a string at least one character in length.", f"content.{n}.value")
        if not isinstance(part.get("type"), str) or re.search(r"[;\r\n]", part["type"]):
            yield error("The content type cannot contain ';' or CRLF characters.", f"content.{n}.type")
    order = [part.get("type") for part in content]
    if order != sorted(order, key=lambda kind: {"text/plain": 0, "text/html": 1}.get(kind, 2)):
        yield error("If present, text/plain and text/html may only be provided once, and in this order.", "content")
    yield from _arguments(body.get("custom_args"), "custom_args")
    yield from _headers(body.get("headers", {}), "headers")
    if "send_at" in body and not (type(body["send_at"]) is int and body["send_at"] <= time.time() + 72 * 3600):
        yield error("Scheduling more than 72 hours in advance is forbidden.", "send_at")
    if "batch_id" in body and body["batch_id"] not in batches:
        yield error("The batch_id is invalid.", "batch_id")
    categories = body.get("categories", [])
    if len(categories) > 10 or len(set(categories)) < len(categories) or any(len(one) > 255 or not one.isascii() for one in categories):
        yield error("At most 10 unique categories of 255 ASCII characters.", "categories")
    yield from _settings(body)


def _settings(body: Mapping[str, Any]) -> Iterator[Error]:
    for group in ("mail_settings", "tracking_settings"):
        for name, setting in body.get(group, {}).items():
            if not isinstance(setting, dict) or type(setting.get("enable")) is not bool:
                yield error("The enable parameter must be a boolean.", f"{group}.{name}.enable")


def _personalization_errors(n: int, person: Any, seen: set[str], bad: frozenset[str]) -> Iterator[Error]:
    at = f"personalizations.{n}"
    if not isinstance(person, dict):
        yield error("Bad Request")
        return
    for key in sorted(person.keys() - _PERSONALIZATION):
        yield error(f"Additional property {key} is not allowed.", f"{at}.{key}")
    if not person.get("to"):
        yield error("The to array is required for all personalization objects, and must have at least one email object.", f"{at}.to")
    here: set[str] = set()
    for key in ("to", "cc", "bcc"):
        for m, mailbox in enumerate(person.get(key, ())):
            yield from _mailbox_errors(mailbox, at, f"{at}.{key}.{m}", here, seen, bad)
    yield from _arguments(person.get("custom_args"), f"{at}.custom_args")
    yield from _headers(person.get("headers", {}), f"{at}.headers")
    yield from _substitutions(person.get("substitutions", {}), f"{at}.substitutions")


def _mailbox_errors(mailbox: Any, at: str, field: str, here: set[str], seen: set[str], bad: frozenset[str]) -> Iterator[Error]:
    if not isinstance(mailbox, dict) or mailbox.keys() - {"email", "name"} or not all(isinstance(one, str) for one in mailbox.values()):
        yield error("Bad Request")
        return
    address = mailbox.get("email", "")
    if not _ADDRESS.fullmatch(address) or address in bad:
        yield error("Does not contain a valid address.", f"{field}.email")
    if re.search("[;,]", mailbox.get("name", "")):
        yield error("The name may not contain ; or ,", f"{field}.name")
    if address.lower() in here:
        yield error(
            "Each email address in the personalization block should be unique between to, cc, and bcc. We found the first"
            f" duplicate instance of [{address}] in the {at}.to field.",
            at,
        )
    elif address.lower() in seen:  # GUESS: documents and practice differ
        yield error(f"Each unique email address in the personalizations array should only be included once: [{address}].", at)
    here.add(address.lower())
    seen.add(address.lower())


def _arguments(given: Any, field: str) -> Iterator[Error]:
    if given is None:
        return
    if not isinstance(given, dict) or not given or not all(isinstance(one, str) for one in given.values()):
        yield error("Bad Request")
    elif sum(len(key.encode()) + len(value.encode()) for key, value in given.items()) > 10_000:
        yield error("The custom_args are larger than 10000 bytes.", field)


def _headers(given: Any, field: str) -> Iterator[Error]:
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        yield error("Bad Request")
        return
    for name, value in given.items():
        if not re.fullmatch(r"[\x21-\x39\x3b-\x7e]+", name) or name.lower() in _RESERVED:
            yield error(f"The header {name} may not be set.", f"{field}.{name}")
        if not re.fullmatch(r"[\x20-\x7e]{1,900}", value):  # GUESS: nothing is said of values
            yield error("The header values must be printable ASCII.", f"{field}.{name}")


def _substitutions(given: Any, field: str) -> Iterator[Error]:
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        yield error("Bad Request")
        return
    if len(given) > 100 or sum(len(tag.encode()) + len(value.encode()) for tag, value in given.items()) > 10_000:
        yield error("You are limited to 10,000 substitutions.", field)
    if any(re.search(r"[\s<>&]", tag) or not tag for tag in given):
        yield error("stand-in: a tag has a blank or one of <>&, which may not be replaced", field)
    # GUESS: which of two overlapping tags wins, and whether a tag inside a value is replaced, is not documented.
    if any(one != other and one in other for one in given for other in given):
        yield error("stand-in: a tag is a part of another", field)
    if any(tag in value for tag in given for value in given.values()):
        yield error("stand-in: a value holds a tag", field)


@dataclass(frozen=True)
class Rendered:
    """One reader's message as SendGrid would make it. Header fields of the personalization win over the request's."""

    email: str
    name: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    arguments: Mapping[str, str]


def render(body: Mapping[str, Any], versions: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[Rendered]:
    """The messages of an accepted body, in order; by its template, or substituted exactly, case-sensitively, once (GUESS: the
    documents are silent).
    """
    parts = {part["type"]: part["value"] for part in body.get("content", ())}
    version = (versions or {})[body["template_id"]] if "template_id" in body else None
    for person in body["personalizations"]:
        if version is not None:
            data = person.get("dynamic_template_data", {})
            subject, text, html = (handlebars.render(version[name], data) for name in ("subject", "plain_content", "html_content"))
            yield _rendered(body, person, subject, text, html)
            continue
        given = person.get("substitutions", {})
        pattern = re.compile("|".join(map(re.escape, sorted(given, key=len, reverse=True))) or r"(?!)")
        subject, text, html = (
            pattern.sub(lambda tag, given=given: given[tag.group()], part)  # type: ignore[misc]
            for part in (person.get("subject", body["subject"]), parts.get("text/plain", ""), parts.get("text/html", ""))
        )
        yield _rendered(body, person, subject, text, html)


def _rendered(body: Mapping[str, Any], person: Mapping[str, Any], subject: str, text: str, html: str) -> Rendered:
    to = person["to"][0]
    return Rendered(
        to["email"],
        to.get("name", ""),
        subject,
        text,
        html,
        {**body.get("headers", {}), **person.get("headers", {})},
        {**body.get("custom_args", {}), **person.get("custom_args", {})},
    )
