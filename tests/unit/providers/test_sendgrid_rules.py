"""The stand-in is strict: each documented limit refuses a body that breaks it."""

from __future__ import annotations

import copy

import pytest

from digest.providers.sendgrid_body import build
from tests.support.sendgrid_parcels import make_parcel
from tests.support.sendgrid_rules import refusals, render

BODY = build("a1", [make_parcel(n) for n in range(2)]).body


def changed(change):
    body = copy.deepcopy(BODY)
    change(body, body["personalizations"][0])
    return body


BROKEN = {
    "sections": lambda body, _: body.update(sections={"-a-": "b"}),
    "no personalizations": lambda body, _: body.update(personalizations=[]),
    "1001 personalizations": lambda body, one: body.update(
        personalizations=[{**one, "to": [{"email": f"r{n}@example.org"}]} for n in range(1001)]
    ),
    "1001 recipients": lambda _, one: one.update(to=[{"email": f"r{n}@example.org"} for n in range(1000)]),
    "unknown property": lambda _, one: one.update(category="x"),
    "no to": lambda _, one: one.update(to=[]),
    "address": lambda _, one: one["to"][0].update(email="nobody"),
    "comma": lambda _, one: one["to"][0].update(name="a, b"),
    "same address in one": lambda _, one: one["to"].append(dict(one["to"][0])),
    "same address in two": lambda body, one: body["personalizations"][1].update(to=one["to"]),
    "empty subject": lambda body, _: body.update(subject=""),
    "no content": lambda body, _: body.update(content=[]),
    "empty content": lambda body, _: body["content"][0].update(value=""),
    "charset": lambda body, _: body["content"][0].update(type="text/plain; charset=utf-8"),
    "order": lambda body, _: body["content"].reverse(),
    "reserved header": lambda _, one: one["headers"].update({"reply-to": "x@example.org"}),
    "header name": lambda _, one: one["headers"].update({"X Y": "1"}),
    "header value": lambda _, one: one["headers"].update({"X-Y": "a\r\nBcc: b"}),
    "header type": lambda _, one: one["headers"].update({"X-Y": 1}),
    "argument type": lambda _, one: one["custom_args"].update(n=1),
    "no arguments": lambda _, one: one.update(custom_args={}),
    "arguments": lambda _, one: one["custom_args"].update(n="x" * 10_000),
    "substitution type": lambda _, one: one["substitutions"].update({"-n-": None}),
    "substitution bytes": lambda _, one: one["substitutions"].update({"-n-": "é" * 5000}),
    "substitutions": lambda _, one: one["substitutions"].update({f"-n{n:03}-": "" for n in range(101)}),
    "tag": lambda _, one: one["substitutions"].update({"<n>": "x"}),
    "tag in tag": lambda _, one: one["substitutions"].update({"-n-": "x", "-n-m-": "y"}),
    "tag in value": lambda _, one: one["substitutions"].update({"-n-": "x -m- y", "-m-": "z"}),
    "send_at": lambda body, _: body.update(send_at=10**10),
    "batch_id": lambda body, _: body.update(batch_id="unknown"),
    "categories": lambda body, _: body.update(categories=["a", "a"]),
    "setting": lambda body, _: body["tracking_settings"].update(open_tracking={"enable": "no"}),
    "from": lambda body, _: body.update({"from": {"name": "x"}}),
}


def test_the_body_itself_is_taken():
    assert refusals(BODY) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_limit_is_refused(name):
    found = refusals(changed(BROKEN[name]))
    assert found and all(one.keys() == {"message", "field", "help"} for one in found)


def test_an_address_on_the_list_of_bad_ones_is_refused_where_it_stands():
    (found,) = refusals(BODY, bad=frozenset({"reader1@example.org"}))
    assert found["field"] == "personalizations.1.to.0.email"


def test_substitution_is_single_and_a_missing_tag_stays():
    body = {
        "subject": "-a- -c-",
        "content": [{"type": "text/plain", "value": "-a-b-"}],
        "personalizations": [{"to": [{"email": "x@example.org"}], "substitutions": {"-a-": "-b-", "-b-": "2"}}],
    }
    (made,) = render(body)
    assert (made.subject, made.text) == ("-b- -c-", "-b-b-")
