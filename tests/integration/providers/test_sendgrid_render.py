"""What the stand-in makes of a request is, for each reader, what `html_of` and `text_of` say, with the real templates."""

from __future__ import annotations

import random
import threading

import pytest
from pydantic import SecretStr

from digest.compose import compile_issue, html_of, make_edition, text_of
from digest.config import SendGridSettings
from digest.providers import Parcel
from digest.providers.sendgrid import SendGrid
from tests.support.compose import INTERESTS, LOOK, NAMES, SLOT, TEMPLATES, envelope, random_selection, reader, summaries
from tests.support.sendgrid_rules import schema_validator
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import KEY, StandIn


@pytest.fixture(scope="module")
def compiled():
    return compile_issue(TEMPLATES, LOOK, SLOT, summaries(), INTERESTS)


@pytest.fixture
def stand_in(tmp_path):
    stand_in = StandIn(tmp_path / "journal")
    server = Server(stand_in)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.url = server.url
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()
    stand_in.close()


@pytest.mark.skipif(schema_validator() is None, reason="no ../shared/sendgrid-openapi or no jsonschema here")
def test_the_providers_own_description_is_looked_at(stand_in, compiled):
    parcel = Parcel("d", make_edition(compiled, random_selection(random.Random(1))), reader(), envelope())
    SendGrid(SendGridSettings(base_url=stand_in.url), SecretStr(KEY)).hand_over("i", "a", [parcel])
    assert list(schema_validator().iter_errors(stand_in.bodies[0])) == []
    assert list(schema_validator().iter_errors({**stand_in.bodies[0], "content": [{"type": "text/plain"}]}))


def test_every_reader_gets_their_own_message_byte_for_byte(stand_in, compiled):
    source = random.Random(20261122)
    sendgrid = SendGrid(SendGridSettings(base_url=stand_in.url), SecretStr(KEY))
    wanted, seen = [], set()
    for n in range(12):
        edition = make_edition(compiled, random_selection(source))
        parcels = [Parcel(f"{n:x}{m:x}", edition, reader(name, f"reader.{n}.{m}@example.org"), envelope()) for m, name in enumerate(NAMES)]
        handover = sendgrid.hand_over("monthly-2026-05-01", f"a{n}", parcels)
        assert [receipt.outcome for receipt in handover.receipts] == ["accepted"] * len(NAMES), handover
        wanted += parcels
        seen.add(edition.content_hash)
    assert len(seen) > 6 and len(stand_in.messages) == len(wanted)
    for parcel, message in zip(wanted, stand_in.messages, strict=True):
        assert message.email == parcel.reader.email
        assert message.html == html_of(parcel.edition, parcel.reader)
        assert message.text == text_of(parcel.edition, parcel.reader)
        assert message.headers["List-Unsubscribe"].startswith(f"<{parcel.reader.unsubscribe_url}>")


def test_no_interest_and_no_issue_is_named_beside_the_mail_itself(stand_in, compiled):
    sendgrid = SendGrid(SendGridSettings(base_url=stand_in.url), SecretStr(KEY))
    edition = make_edition(compiled, random_selection(random.Random(3)))
    sendgrid.hand_over("secret-issue-2026", "a1", [Parcel("d1", edition, reader(), envelope())])
    (body,) = stand_in.bodies
    beside = repr({key: value for key, value in body.items() if key not in ("content", "subject")})
    assert not [
        word for word in ("secret-issue", *(f"'{one.id}'" for one in INTERESTS), *(one.label for one in INTERESTS)) if word in beside
    ]
