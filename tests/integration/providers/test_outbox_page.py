"""The page that lists what the outbox holds."""

from digest.providers.outbox import Outbox
from tests.support.smtp_parcels import AID, message_of, parcel


def test_an_address_with_other_letters_is_written_and_listed_as_it_is(tmp_path):
    one = parcel(1, email="anä@example.org")
    outbox = Outbox(tmp_path)
    assert [receipt.outcome for receipt in outbox.hand_over("i", AID, [one]).receipts] == ["accepted"]
    assert (tmp_path / "i" / f"{one.did}.eml").read_bytes() == message_of(one)
    page = outbox.finish("i", "Test")
    assert page is not None and "anä@example.org" in page.read_text(encoding="utf-8")
