"""The outbox: each message a file, and a page that shows them in a browser. Needs nothing, sends nothing."""

from __future__ import annotations

import email
import email.policy
import hashlib
import os
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from digest.compose import make_message
from digest.errors import DeliveryRejected, ProviderUnusable
from digest.providers import Handover, Parcel, Receipt

SHOWN = 500  # messages that the page lists; the files are all there


class Outbox:
    """Writes ``PATH/ISSUE/DID.eml``. A file is there whole or not at all, so looking is proof either way."""

    name = "outbox"
    batch = 200
    lanes = 1
    longest_s = 300
    one_edition = False
    sends = False
    tells = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        """Write the parcels' messages, then make their names durable."""
        folder = self.path / issue
        receipts: list[Receipt] = []
        stop = ""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            stop = _advice(error)
        for parcel in parcels:
            if stop:
                receipts.append(Receipt(parcel.did, "deferred", "the outbox could not be written"))
                continue
            try:
                receipts.append(_write(folder, parcel))
            except DeliveryRejected as error:
                receipts.append(Receipt(parcel.did, "rejected", str(error)))
            except OSError as error:
                stop = _advice(error)
                receipts.append(Receipt(parcel.did, "deferred", "the outbox could not be written"))
        if not stop:
            _sync(folder)
        return Handover(receipts, ref=issue, stop=stop)

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        """Whether each message's file is there."""
        return {did: (self.path / issue / f"{did}.eml").exists() for did in dids}

    def finish(self, issue: str, title: str) -> Path | None:
        """Write the page that shows the issue's messages, and each message as a page of its own."""
        folder = self.path / issue
        if not folder.is_dir():
            return None
        try:
            return _write_index(folder, title)
        except OSError as error:
            raise ProviderUnusable(_advice(error)) from error

    def close(self) -> None:
        """Nothing is held open."""


def _write(folder: Path, parcel: Parcel) -> Receipt:
    message = make_message(parcel.edition, parcel.reader, parcel.envelope)
    _put(folder / f"{parcel.did}.eml", message)
    return Receipt(parcel.did, "accepted", bytes=len(message), sha256=hashlib.sha256(message).hexdigest())


def _put(file: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    partial = file.with_suffix(file.suffix + ".partial")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _advice(error: OSError) -> str:
    return f"the outbox cannot be written: {error.strerror}; make room or mend its rights and send again, nothing is lost"


class Shown(NamedTuple):
    """A message as the page lists it."""

    did: str
    to: str
    subject: str
    size_kb: int
    teasers: int


def _write_index(folder: Path, title: str) -> Path:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    files = sorted(folder.glob("*.eml"))
    view = folder / "view"
    view.mkdir(mode=0o700, exist_ok=True)
    shown = [_show(file, view) for file in files[:SHOWN]]
    shown.sort(key=lambda message: (-message.teasers, message.to))
    environment = Environment(loader=PackageLoader("digest.providers", "."), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("outbox.html.j2").render(title=title, messages=shown, total=len(files))
    _put(folder / "index.html", page.encode())
    return folder / "index.html"


def _show(file: Path, view: Path) -> Shown:
    raw = file.read_bytes()
    # As text: an address may hold letters outside ASCII as they are (RFC 6532), which the parser of bytes does not give back.
    message = email.message_from_string(raw.decode("utf-8", "replace"), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    html = message.get_body(("html",))
    plain = message.get_body(("plain",))
    content = html.get_content() if html else ""
    _put(view / f"{file.stem}.html", content.encode())
    _put(view / f"{file.stem}.txt", (plain.get_content() if plain else "").encode())
    return Shown(file.stem, str(message["To"]), str(message["Subject"]), round(len(raw) / 1024), content.count("<h3"))
