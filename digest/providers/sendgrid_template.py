"""An issue's dynamic template at SendGrid: made, found again, removed.

Source: ``tsg_templates_v3.json`` of github.com/twilio/sendgrid-oai. An account may have 300 templates, so none is left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from digest.errors import DeliveryDeferred, DeliveryUncertain, ProviderUnusable
from digest.providers import Hosted
from digest.providers.sendgrid_answer import errors_of, key_advice, object_of
from digest.providers.sendgrid_http import Answer, Line
from digest.providers.sendgrid_layout import Layout
from digest.providers.sendgrid_lines import GROUPED

_PAGE, _PAGES = 200, 10
_AGAIN = "nothing was sent, run the same command again later"


class Template(NamedTuple):
    """What requests need of an issue's template."""

    id: str
    layout: Layout


def put(line: Line, layout: Layout, hosted: Hosted, *, fresh: bool) -> Hosted:
    """The template with exactly this layout: the one that is there, or a new one.

    Raises:
        ProviderUnusable: not now, not with this key, or not at all; the text says which.
    """
    if hosted.id and _is_whole(line, layout, hosted.id):
        return hosted
    if not fresh:
        # One half made, of a look since changed, or whose id was lost with the process that made it.
        remove(line, hosted)
    answer = _ask(line, "post", "templates", {"name": hosted.name, "generation": "dynamic"})
    id = object_of(answer.body).get("id")
    if not isinstance(id, str) or not re.fullmatch(r"d-[0-9a-zA-Z-]{1,80}", id):
        raise ProviderUnusable(f"SendGrid made a template without saying which; {_AGAIN}")
    try:
        _put_version(line, layout, id)
    except ProviderUnusable:
        _delete(line, id)  # if that fails, too, it is found by its name
        raise
    return Hosted(hosted.name, id)


def _put_version(line: Line, layout: Layout, id: str) -> None:
    version = {
        "name": layout.content_hash,
        "active": 1,
        "subject": layout.subject,
        "html_content": layout.html,
        "plain_content": layout.plain,
        "generate_plain_content": False,
        "editor": "code",
    }
    made = object_of(_ask(line, "post", f"templates/{id}/versions", version).body)
    changed = [name for name, value in version.items() if name in made and made[name] != value]
    if changed:
        raise ProviderUnusable(f"SendGrid keeps another {', '.join(changed)} of the issue's template than it was given; {GROUPED}")


def _is_whole(line: Line, layout: Layout, id: str) -> bool:
    answer = _ask(line, "get", f"templates/{id}", missing=True)
    versions = object_of(answer.body).get("versions") if answer.status == 200 else None
    active = [one for one in versions if isinstance(one, dict) and one.get("active") == 1] if isinstance(versions, list) else []
    return [one.get("name") for one in active] == [layout.content_hash]


def is_there(line: Line, id: str) -> bool:
    """Whether SendGrid still has the template; what cannot be told counts as yes.

    A 400 for a template that vanished must not be taken for the fault of readers.
    """
    try:
        return line.call("get", f"templates/{id}").status != 404
    except (DeliveryDeferred, DeliveryUncertain):
        return True


def remove(line: Line, hosted: Hosted) -> bool:
    """Remove it and all others of its name. Whether none is left."""
    try:
        ids = dict.fromkeys([*([hosted.id] if hosted.id else []), *_named(line, hosted.name)])
    except ProviderUnusable:
        return False
    gone = [_delete(line, id) for id in ids]
    return all(gone)


def _delete(line: Line, id: str) -> bool:
    try:
        return line.call("delete", f"templates/{id}").status in (204, 404)
    except (DeliveryDeferred, DeliveryUncertain):
        return False


def _named(line: Line, name: str) -> Iterator[str]:
    """The ids of all templates of that name."""
    query = {"generations": "dynamic", "page_size": str(_PAGE)}
    for _ in range(_PAGES):
        page = object_of(_ask(line, "get", "templates", query=query).body)
        # "result" in the description of the API; older answers say "templates".
        rows = page.get("result", page.get("templates"))
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("name") == name and re.fullmatch(r"[0-9a-zA-Z-]{1,100}", str(row.get("id"))):
                yield str(row["id"])
        about = page.get("_metadata")
        following = about.get("next") if isinstance(about, dict) else None
        token = parse_qs(urlsplit(following).query).get("page_token") if isinstance(following, str) else None
        if not token:
            return
        query = {**query, "page_token": token[0]}


def _ask(
    line: Line,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    *,
    missing: bool = False,
) -> Answer:
    """One request that must succeed; with ``missing`` 404 is an answer, too."""
    try:
        answer = line.call(method, path, body, query)
    except (DeliveryDeferred, DeliveryUncertain) as error:
        raise ProviderUnusable(f"the issue's template could not be made: {error}; {_AGAIN}") from None
    status, errors = answer.status, errors_of(answer.body)
    if status in (200, 201) or (missing and status == 404):
        return answer
    if status in (401, 403):
        raise ProviderUnusable(f"{key_advice(status, errors)}; mode: template needs Templates and its Versions, too (or {GROUPED})")
    if status == 429 or status >= 500:
        said = "asks to wait" if status == 429 else f"failed ({status})"
        raise ProviderUnusable(f"the issue's template could not be made: SendGrid {said}; {_AGAIN}")
    said = "; ".join(message for _, message in errors)[:200] or "without saying why"
    raise ProviderUnusable(f"SendGrid refuses the issue's template ({status}: {said}); {GROUPED}")
