"""Pictures by the real Chromium: the right size and scheme, whole, with nothing fetched and nothing run."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from digest import screenshot
from digest.errors import DigestError
from digest.screenshot import chromium
from tests.support.letter import HTML


@pytest.fixture(scope="module", autouse=True)
def needs_chromium():
    if not any(shutil.which(name) for name in chromium.NAMES):
        missing = "Chromium is not installed (Debian: apt-get install chromium); no picture was taken"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def first_pixel(png: bytes) -> tuple[int, ...]:
    """Of a picture whose first row is stored without or with any filter: its first pixel is never predicted from another."""
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(data)[1:4])


DARK = HTML.replace("</head>", "<style>@media (prefers-color-scheme: dark) { body { background: #102030 !important } }</style></head>")


def test_widths_and_schemes_and_a_pdf():
    made = list(screenshot.pictures(DARK.replace('style="margin:0"', 'style="margin:0;background:#ffffff"'), pdf=True))
    shots = {(one.width, one.scheme): one.content for one in made if one.kind == "png"}
    assert set(shots) == {(width, scheme) for width in (320, 375, 600, 1200) for scheme in ("light", "dark")}
    assert size(shots[1200, "light"])[0] == 1200
    assert size(shots[320, "light"])[0] == 600  # what is wider than the window is not cut off: its table has 600 px
    assert first_pixel(shots[1200, "light"]) == (255, 255, 255) and first_pixel(shots[1200, "dark"]) == (16, 32, 48)
    assert [one.content[:5] for one in made if one.kind == "pdf"] == [b"%PDF-"]


def test_the_whole_letter_is_on_it_and_forced_dark_turns_colours_round():
    tall = '<!DOCTYPE html><body style="margin:0;background:#ffffff"><div style="height:5000px">x</div></body>'
    made = {one.scheme: one.content for one in screenshot.pictures(tall, widths=[320], schemes=["light", "forced"])}
    assert size(made["light"]) == (320, 5001)
    assert first_pixel(made["light"]) == (255, 255, 255) and max(first_pixel(made["forced"])) < 64


def test_nothing_is_fetched_and_nothing_is_run():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for host in ("127.0.0.1", "localhost"):
        to = f"http://{host}:{server.server_port}"
        hostile = (
            f'<!DOCTYPE html><head><link rel="stylesheet" href="{to}/css"><meta http-equiv="refresh" content="0;url={to}/refresh">'
            f"<style>@import url({to}/import); @font-face {{ font-family: f; src: url({to}/font) }}"
            "body { font-family: f }</style></head>"
            f'<body style="margin:0;background:#ffffff url({to}/background)"><p>words</p>'
            f'<img src="{to}/image"><iframe src="{to}/frame"></iframe>'
            f'<img src=x onerror="document.body.style.background=\'red\'"><script>document.body.style.background="red"</script></body>'
        )
        (picture,) = screenshot.pictures(hostile, widths=[320], schemes=["light"])
        assert first_pixel(picture.content) == (255, 255, 255)
    server.shutdown()
    server.server_close()
    thread.join()
    assert asked == []


def test_files_are_named_after_edition_width_and_scheme(tmp_path):
    files = screenshot.write(HTML, tmp_path / "new", "abc", widths=[320], schemes=["dark"], pdf=True)
    assert [file.name for file in files] == ["abc-320-dark.png", "abc.pdf"] and all(file.stat().st_size > 1000 for file in files)


def test_no_chromium_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DigestError, match="apt-get install chromium"):
        list(screenshot.pictures(HTML))


def test_a_chromium_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    for name, body, words in (("ends", "exit 1", "ended by itself"), ("sleeps", "exec sleep 30", "took too long")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "chromium").write_text(f"#!/bin/sh\n{body}\n")
        (folder / "chromium").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
        with pytest.raises(DigestError, match=words):
            list(screenshot.pictures(HTML, timeout_s=1))
