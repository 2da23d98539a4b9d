"""R13: nothing is believed whose signature does not fit, and refusing costs little; what fits is stored before it is answered."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.client
import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from digest import feedback
from digest.errors import ConfigError
from digest.model import DeliveryState as S
from digest.store import schema
from digest.web import webhooks
from digest.web.app import make_app
from digest.workspace import open_workspace
from tests.support.asgi import SIGNATURE, TIMESTAMP, Signer, call
from tests.support.feedback import add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, told
from tests.support.make import REPOSITORY
from tests.support.ports import free_port

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
FORGERIES = 100_000 if NIGHTLY else 4000
PATH = "/webhooks/sendgrid"
KEY, SECOND, STRANGER = Signer(), Signer(), Signer()


def stamp(offset: int = 0) -> str:
    return str(int(time.time()) + offset)


def keys_as_yaml(*signers: Signer) -> str:
    listed = ", ".join(f'"{signer.public}"' for signer in signers)
    return f"delivery: {{sendgrid: {{webhook_keys: [{listed}]}}}}\n"


@asynccontextmanager
async def running(folder: Path, *signers: Signer):
    app = make_app(bare_workspace(folder, keys_as_yaml(*signers)))
    async with app.router.lifespan_context(app):
        yield app


def stored(folder: Path) -> int:
    with open_workspace(folder) as workspace, workspace.store.read() as tx:
        return tx.execute(select(func.count()).select_from(schema.event_inbox)).scalar_one()


EVENTS = body([told("d" * 32, "a" * 32, "delivered", datetime.now(UTC))])


def post(folder, headers, chunks=(EVENTS,), signers=(KEY,)):
    async def go():
        async with running(folder, *signers) as app:
            return await call(app, "POST", PATH, headers, chunks)

    return asyncio.run(go())


# --- what is taken -------------------------------------------------------------------------------------------------------


def test_what_is_signed_is_stored_before_it_is_answered(tmp_path):
    status, answer, _ = post(tmp_path / "w", KEY.headers(EVENTS, stamp()), [EVENTS[:10], EVENTS[10:]])
    assert (status, answer) == (204, b"")
    assert stored(tmp_path / "w") == 1


def test_the_same_body_twice_is_one(tmp_path):
    async def go():
        async with running(tmp_path / "w", KEY) as app:
            return [(await call(app, "POST", PATH, KEY.headers(EVENTS, stamp(n)), [EVENTS]))[0] for n in range(3)]

    assert asyncio.run(go()) == [204, 204, 204]
    assert stored(tmp_path / "w") == 1


def test_while_a_key_is_replaced_both_count(tmp_path):
    for n, signer in enumerate((KEY, SECOND)):
        assert post(tmp_path / str(n), signer.headers(EVENTS, stamp()), signers=(SECOND, KEY))[0] == 204
    assert post(tmp_path / "gone", KEY.headers(EVENTS, stamp()), signers=(SECOND,))[0] == 403


@pytest.mark.parametrize(
    "raw", [b"not json", b"", b"[" * 100_000, b"\xff\x00", b"[1, 2, {}]"], ids=["words", "empty", "deep", "bytes", "items"]
)
def test_what_is_signed_but_not_understood_is_kept_and_listed(tmp_path, raw):
    assert post(tmp_path / "w", KEY.headers(raw, stamp()), [raw])[0] == 204
    with open_workspace(tmp_path / "w") as workspace:
        feedback.apply(workspace)
        assert {event.kind for event in feedback.unknown(workspace)} == {"unreadable"}
        with workspace.store.read() as tx:
            sealed = tx.execute(select(schema.event_inbox.c.body)).scalar_one()
        assert workspace.store.vault.open(sealed, "event").encode("latin-1") == raw


def test_a_large_body_goes_through_a_file_that_nobody_can_read_and_comes_out_whole(tmp_path):
    when = datetime.now(UTC)  # one, or they would be two events where a second ends meanwhile
    raw = body([told("d" * 32, "", "delivered", when, reason="x" * 100) for _ in range(6000)])
    assert 1_000_000 < len(raw) < webhooks.MOST_BYTES
    assert post(tmp_path / "w", KEY.headers(raw, stamp()), (raw[n : n + 65536] for n in range(0, len(raw), 65536)))[0] == 204
    with open_workspace(tmp_path / "w") as workspace:
        assert feedback.apply(workspace).unreadable == 0
        assert len(feedback.unknown(workspace)) == 1


def test_events_are_applied_soon_after_they_came(tmp_path):
    folder = bare_workspace(tmp_path / "w", keys_as_yaml(KEY))
    with open_workspace(folder) as workspace:
        issue = add_issue(workspace)
        attempt, aid = add_attempt(workspace, issue)
        did = add_delivery(workspace, issue, add_people(workspace, 1)[0], S.UNCERTAIN, attempt)
    raw = body([told(did, aid, "delivered", datetime.now(UTC))])

    def state():
        with sqlite3.connect(folder / "var" / "digest.db") as db:
            return db.execute("SELECT state FROM delivery").fetchone()[0]

    async def go():
        app = make_app(folder)
        async with app.router.lifespan_context(app):
            assert (await call(app, "POST", PATH, KEY.headers(raw, stamp()), [raw]))[0] == 204
            for _ in range(100):
                await asyncio.sleep(0.1)
                if state() == "accepted":
                    return
            raise AssertionError("not applied within 10 s")

    asyncio.run(go())


# --- what is not ---------------------------------------------------------------------------------------------------------


def forgeries(rng: Random, count: int):
    """Requests that nearly fit, each with a name for it."""
    for _ in range(count):
        raw = bytearray(body([told("d" * 32, "a" * 32, "delivered", datetime.now(UTC), rng) for _ in range(rng.randint(1, 3))]))
        at = stamp(rng.randint(-3000, 0))
        headers = KEY.headers(bytes(raw), at)
        how = rng.choice(["bit", "cut", "add", "json", "signature", "swap", "stamp", "zero", "stranger", "curve", "empty", "none", "text"])
        if how == "bit":
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        elif how == "cut":
            del raw[rng.randrange(len(raw)) :]
        elif how == "add":
            raw.insert(rng.randrange(len(raw) + 1), rng.choice(b" \r\n\x00,"))
        elif how == "json":
            raw = bytearray(json.dumps(json.loads(raw), indent=rng.choice([None, 1]), separators=(",", ":")).encode())
        elif how in ("signature", "text"):
            spelled = list(headers[SIGNATURE])
            place = rng.randrange(len(spelled))
            spelled[place] = rng.choice([c for c in "ABCabc019+/=-_ é\t" if c != spelled[place]])
            headers[SIGNATURE] = "".join(spelled)
        elif how == "swap":
            headers = KEY.headers(bytes(raw) + b" ", at)
        elif how == "stamp":
            headers[TIMESTAMP] = stamp(rng.choice([-4000, -5000, 60, -90_001, 601, 10**6]))
        elif how == "zero":
            headers[TIMESTAMP] = rng.choice(["0" + at, at + " ", "+" + at, at + ".0", "", "٣", "-1", "1e9", "9" * 30, "nan"])
        elif how == "stranger":
            headers = STRANGER.headers(bytes(raw), at)
        elif how == "curve":
            headers = rng.choice(OTHER_CURVES).headers(bytes(raw), at)
        elif how == "empty":
            raw = bytearray(b"[]")
        else:
            del headers[rng.choice([SIGNATURE, TIMESTAMP])]
        yield how, headers, bytes(raw)


OTHER_CURVES = [Signer(curve) for curve in (ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1())]


def test_no_forgery_is_taken(tmp_path):
    """Seeded; the same number of genuine ones beside them shows that the test would see one that slips through."""
    rng = Random("R13")

    async def go():
        refused: dict[str, int] = {}
        async with running(tmp_path / "w", KEY, SECOND) as app:
            for how, headers, raw in forgeries(rng, FORGERIES):
                status, _, _ = await call(app, "POST", PATH, headers, [raw])
                assert status in (400, 403, 415), (how, headers, raw)
                refused[how] = refused.get(how, 0) + 1
        return refused

    refused = asyncio.run(go())
    assert len(refused) == 13 and sum(refused.values()) == FORGERIES
    assert stored(tmp_path / "w") == 0


def test_without_a_key_everything_is_refused(tmp_path):
    assert post(tmp_path / "w", KEY.headers(EVENTS, stamp()), signers=())[0] == 503
    assert post(tmp_path / "x", {}, signers=())[0] == 503
    assert stored(tmp_path / "w") == 0


@pytest.mark.parametrize(
    "text", ["", "not base64", "AAAA", "é", Signer(ec.SECP384R1()).public, KEY.public[:-8], KEY.public + "AAAA"], ids=range(7)
)
def test_a_key_that_is_none_stops_the_start_up(tmp_path, text):
    with pytest.raises(ConfigError, match="webhook_keys: number 2 is not"):
        webhooks.load_keys([KEY.public, text])


def test_an_age_of_25_hours_is_too_old_24_is_not(tmp_path):
    async def go():
        async with running(tmp_path / "w", KEY) as app:
            return [
                (await call(app, "POST", PATH, KEY.headers(EVENTS, stamp(offset)), [EVENTS]))[0]
                for offset in (-24 * 3600, -25 * 3600 - 5, 300, 700)
            ]

    assert asyncio.run(go()) == [204, 403, 204, 403]


def test_two_signatures_are_none(tmp_path):
    good = KEY.headers(EVENTS, stamp())
    assert post(tmp_path / "w", [*good.items(), (SIGNATURE, good[SIGNATURE])])[0] == 403


def test_the_same_signature_in_another_spelling_is_refused(tmp_path):
    """The last letter before the padding has bits that mean nothing; a decoder takes any."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    headers = KEY.headers(EVENTS, stamp())
    while not headers[SIGNATURE].endswith("="):
        headers = KEY.headers(EVENTS, stamp())
    bare = headers[SIGNATURE].rstrip("=")
    other = bare[:-1] + letters[letters.index(bare[-1]) ^ 1] + "=" * (len(headers[SIGNATURE]) - len(bare))
    assert base64.b64decode(other) == base64.b64decode(headers[SIGNATURE])
    assert post(tmp_path / "w", {**headers, SIGNATURE: other})[0] == 403


def test_a_compressed_body_is_not_opened(tmp_path):
    bomb = gzip.compress(b"\0" * 50_000_000)
    for n, encoding in enumerate(("gzip", "br", "deflate, gzip", "GZIP")):
        status, _, taken = post(tmp_path / str(n), {**KEY.headers(bomb, stamp()), "Content-Encoding": encoding}, [bomb])
        assert (status, taken) == (415, 0)
    assert post(tmp_path / "plain", KEY.headers(bomb, stamp()), [bomb])[0] == 204  # signed bytes are kept, never opened


@pytest.mark.parametrize("length", [str(50_000_000), "-1", "1e3", "9" * 400, "１２"[:0] + "0x10"])
def test_what_says_it_is_too_large_is_not_read(tmp_path, length):
    status, _, taken = post(tmp_path / "w", {**KEY.headers(EVENTS, stamp()), "Content-Length": length}, [b"x" * 65536] * 800)
    assert status in (400, 413) and taken == 0


def test_refusing_50_mb_takes_less_than_one_of_memory(tmp_path):
    """Streamed without saying how much; and 5 MB that are read to the end, because only then the signature is known to be wrong."""
    chunk = b"x" * 65536

    async def go():
        async with running(tmp_path / "w", KEY) as app:
            peaks = []
            for count, wanted in ((800, 413), (79, 403), (800, 413)):
                headers = KEY.headers(EVENTS, stamp())
                tracemalloc.start()
                status, _, taken = await call(app, "POST", PATH, headers, (chunk for _ in range(count)))
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                assert status == wanted and taken <= webhooks.MOST_BYTES + len(chunk)
            return peaks

    assert max(asyncio.run(go())) < 1024 * 1024


def test_who_drips_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr(webhooks, "_READ_S", 0.2)

    async def go():
        async with running(tmp_path / "w", KEY) as app:
            scope_headers = KEY.headers(EVENTS, stamp())

            async def slow(scope, receive, send):
                async def drip():
                    await asyncio.sleep(0.05)
                    await receive()
                    return {"type": "http.request", "body": b"x", "more_body": True}

                await app(scope, drip, send)

            return await call(slow, "POST", PATH, scope_headers, (b"x" for _ in range(10**6)))

    assert asyncio.run(go())[0] == 408


def test_a_database_that_cannot_write_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr("digest.store.sqlite._BUSY_MS", 50)
    folder = bare_workspace(tmp_path / "w", keys_as_yaml(KEY))

    async def go():
        app = make_app(folder)
        async with app.router.lifespan_context(app):
            with sqlite3.connect(folder / "var" / "digest.db", isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                busy = (await call(app, "POST", PATH, KEY.headers(EVENTS, stamp()), [EVENTS]))[0]
                other.execute("ROLLBACK")
            other.close()
            return busy, (await call(app, "POST", PATH, KEY.headers(EVENTS, stamp()), [EVENTS]))[0]

    assert asyncio.run(go()) == (503, 204)


# --- everything else -----------------------------------------------------------------------------------------------------


def test_looking_changes_nothing(tmp_path):
    async def go():
        async with running(tmp_path / "w", KEY) as app:
            found = {}
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
                for path in (PATH, "/healthz", "/readyz", "/", "/webhooks/", "/webhooks/sendgrid/x"):
                    found[method, path] = (await call(app, method, path, KEY.headers(EVENTS, stamp()), [EVENTS]))[0]
            return found

    found = asyncio.run(go())
    looked = {key for key, status in found.items() if status == 200}
    assert looked == {(method, path) for method in ("GET", "HEAD") for path in ("/healthz", "/readyz", "/")}
    assert set(found.values()) <= {200, 404, 405, 307}
    assert stored(tmp_path / "w") == 0


def test_readyz_says_whether_it_can_work(tmp_path):
    async def go():
        async with running(tmp_path / "w", KEY, SECOND) as app:
            well = await call(app, "GET", "/readyz")
            app.state.workspace.store.close()
            file = tmp_path / "w" / "var" / "digest.db"
            file.rename(file.with_suffix(".away"))
            (tmp_path / "w" / "var" / "digest.db").mkdir()
            ill = await call(app, "GET", "/readyz")
            (tmp_path / "w" / "var" / "digest.db").rmdir()
            file.with_suffix(".away").rename(file)
            return well, ill

    well, ill = asyncio.run(go())
    assert (well[0], json.loads(well[1])) == (200, {"database": "ok", "webhook_keys": 2, "scheduler": "none"})
    assert ill[0] == 503


def test_no_log_line_repeats_what_was_posted(tmp_path, caplog):
    raw = body([{"email": "ana.canary@example.org", "event": "bounce"}])
    with caplog.at_level(logging.DEBUG):
        post(tmp_path / "a", KEY.headers(raw, stamp()), [raw])
        post(tmp_path / "b", STRANGER.headers(raw, stamp()), [raw])
        post(tmp_path / "c", {SIGNATURE: "ana.canary@example.org", TIMESTAMP: "ana.canary"}, [raw])
    assert any(record.__dict__.get("action") == "webhook" for record in caplog.records)
    assert not any("canary" in json.dumps(record.__dict__, default=str) for record in caplog.records)


# --- over a real connection ----------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path):
    """The application behind uvicorn in a process of its own; yields its port and process id."""
    port = free_port()
    code = (
        "import sys, uvicorn; from pathlib import Path; from digest.web.app import make_app; "
        "uvicorn.run(make_app(Path(sys.argv[1])), host='127.0.0.1', port=int(sys.argv[2]), access_log=False, log_level='warning')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(port)], cwd=REPOSITORY)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def ask(port, method, path, raw=b"", headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, raw, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def pour(port, headers, megabytes):
    """A chunked body without end; returns what is answered, or 0 where the connection is cut before."""
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        wire.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            for _ in range(megabytes * 16):
                wire.sendall(chunk)
            answer = wire.recv(100)
        except OSError:
            try:
                answer = wire.recv(100)
            except OSError:
                answer = b""
        return int(answer.split()[1]) if answer else 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_over_http(tmp_path):
    folder = bare_workspace(tmp_path / "w", keys_as_yaml(KEY))
    with served(folder) as (port, pid):
        assert ask(port, "GET", "/healthz") == 200
        assert ask(port, "GET", "/readyz") == 200
        assert ask(port, "GET", PATH) == 405
        assert ask(port, "POST", PATH, EVENTS, KEY.headers(EVENTS, stamp())) == 204
        assert ask(port, "POST", PATH, EVENTS + b" ", KEY.headers(EVENTS, stamp())) == 403
        assert ask(port, "POST", PATH, b"[]") == 403
        for _ in range(3):
            assert pour(port, KEY.headers(EVENTS, stamp()), 50) in (413, 0)
        before = memory_kb(pid)
        for _ in range(20):
            assert pour(port, KEY.headers(EVENTS, stamp()), 50) in (413, 0)
        assert memory_kb(pid) - before <= 1024
        assert ask(port, "POST", PATH, EVENTS, KEY.headers(EVENTS, stamp())) == 204
    assert stored(folder) == 1
