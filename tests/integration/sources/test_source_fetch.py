"""The one HTTP function, against a real server in a thread (conftest.py)."""

import gzip
import socket
import ssl
import threading
import zlib

import pytest

from digest import config
from digest.errors import SourceError
from digest.sources import fetch


def get(server, path, **changes):
    return fetch.get(server.url(path), server.settings(**changes))


def test_a_document_with_its_headers(server):
    server.answers["/f?key=1"] = (200, {"ETag": '"1"', "Last-Modified": "x", "Content-Type": "text/plain"}, "hello")
    page = get(server, "/f?key=1")
    assert (page.status, page.content, page.content_type, page.etag, page.last_modified) == (200, b"hello", "text/plain", '"1"', "x")
    _, headers = server.requests[0]
    assert headers["Accept-Encoding"] == "gzip" and headers["Host"] == f"127.0.0.1:{server.port}" and "Cookie" not in headers


@pytest.mark.parametrize(
    ("status", "advice"),
    [(404, "change url"), (403, "ask its owner"), (429, "less often"), (503, "try again later"), (204, "204")],
)
def test_other_answers_say_what_to_do_and_hide_the_query(server, status, advice):
    server.answers["/f?key=secret"] = (status, {}, b"")
    with pytest.raises(fetch.HttpStatus, match=advice) as caught:
        get(server, "/f?key=secret")
    assert "secret" not in str(caught.value) and caught.value.status == status


def test_a_validator_that_no_header_can_carry_is_dropped(server):
    server.answers["/f"] = (200, {"ETag": '"\xe9"', "Last-Modified": "x" * 600}, "hello")
    page = get(server, "/f")
    assert (page.etag, page.last_modified) == ("", "")


def test_redirects_are_followed_three_times(server):
    for n in range(4):
        server.answers[f"/{n}"] = (302, {"Location": f"/{n + 1}"}, b"")
    server.answers["/4"] = (200, {}, "end")
    assert get(server, "/1").content == b"end" and get(server, "/1").url == server.url("/4")
    with pytest.raises(SourceError, match="more than 3 times"):
        get(server, "/0")


def test_a_redirect_loop_ends(server):
    server.answers["/loop"] = (301, {"Location": "/loop"}, b"")
    with pytest.raises(SourceError, match="more than 3 times"):
        get(server, "/loop")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://localhost:22/",
        "//192.168.0.1/x",
        "file:///etc/passwd",
        "ftp://example.org/",
        "http://user:pw@127.0.0.1/",
        "http://[::bad/",
    ],
)
def test_a_redirect_inside_is_refused(server, target):
    server.answers["/r"] = (302, {"Location": target}, b"")
    with pytest.raises(SourceError) as caught:
        get(server, "/r")
    assert "pw" not in str(caught.value)
    assert len(server.requests) == 1


def test_gzip(server):
    server.answers["/f"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"one") + gzip.compress(b"two"))
    assert get(server, "/f").content == b"onetwo"


@pytest.mark.parametrize(("coding", "body"), [("gzip", b"not gzip"), ("br", b"x"), ("gzip, gzip", b"x")])
def test_bad_encodings(server, coding, body):
    server.answers["/f"] = (200, {"Content-Encoding": coding}, body)
    with pytest.raises(SourceError, match=r"inflated|only gzip"):
        get(server, "/f")


def test_a_gzip_bomb_is_refused_by_its_ratio_before_its_size(server):
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(bomb.compress(bytes(1_000_000)) for _ in range(50)) + bomb.flush()
    server.answers["/f"] = (200, {"Content-Encoding": "gzip"}, body)
    with pytest.raises(SourceError, match="decompression bomb"):
        get(server, "/f", max_bytes=100_000_000)


def test_fifty_megabytes_declared_or_not_are_refused_early(server):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(800):
            handler.wfile.write(bytes(65536))
            sent.append(65536)

    server.answers |= {"/endless": endless, "/declared": (200, {"Content-Length": "52428800"}, b"x")}
    for path in ("/endless", "/declared"):
        with pytest.raises(SourceError, match="larger than 1 MiB"):
            get(server, path, max_bytes=1024 * 1024)
    assert sum(sent) < 52_428_800


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_slow_drip_ends_with_the_total_time(server, part):
    stop = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"" if part == "head" else b"Content-Length: 100000\r\n\r\n"))
        for n in range(600):
            if stop.wait(0.05):
                return
            handler.wfile.write(f"X-{n}: y\r\n".encode() if part == "head" else b"x")

    server.answers["/drip"] = drip
    try:
        with pytest.raises(SourceError, match=r"longer than 0\.5 s"):
            get(server, "/drip", timeout_s=0.5)
    finally:
        stop.set()


def test_an_answer_that_breaks_off_is_marked(server):
    server.answers["/f"] = (200, {"Content-Length": "100", "Connection": "close"}, b"half")
    page = get(server, "/f")
    assert page.truncated and page.content == b"half"


def test_a_closed_port_and_a_host_that_does_not_exist():
    with socket.socket() as held, pytest.raises(SourceError, match="cannot be reached"):  # bound, and deaf
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        fetch.get(f"http://127.0.0.1:{port}/", config.Fetch(allow=(f"127.0.0.1:{port}",)))

    def unknown(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(SourceError, match="cannot be looked up"):
        fetch.get("http://nowhere.test/", config.Fetch(), resolve=unknown)
    with pytest.raises(SourceError, match="has no address"):
        fetch.get("http://nowhere.test/", config.Fetch(), resolve=lambda host, port: [])


def test_a_resolver_that_hangs_ends_with_the_total_time():
    stop = threading.Event()

    def hangs(host, port):
        stop.wait(30)
        return []

    with pytest.raises(SourceError, match=r"longer than 0\.2 s"):
        fetch.get("http://slow.test/", config.Fetch(timeout_s=0.2), resolve=hangs)
    stop.set()


INSIDE = """localhost 127.1 127.0.0.1 2130706433 0x7f.1 0x7f000001 017700000001 0177.0.0.1 0 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1
169.254.169.254 100.64.0.1 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::127.0.0.1] [fe80::1]
[fc00::1] [fd12::1] [fec0::1] [ff02::1]
[64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::a00:1] [2002:7f00:1::] [2001::1] [2001:db8::1] 224.0.0.1 255.255.255.255 198.18.0.1
127.0.0.1. LOCALHOST １２７.0.0.1""".split()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", INSIDE)
def test_no_spelling_of_an_inner_address_is_read(host, scheme, monkeypatch):
    def connect(*_, **__):
        raise AssertionError("connected")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(SourceError):
        fetch.get(f"{scheme}://{host}/", config.Fetch(timeout_s=5))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org:8080/", "port 8080"),
        ("https://example.org:22/", "port 22"),
        ("http://example.org:0/", "port 0"),
        ("http://user:secret@example.org/", "user names and passwords"),
        ("gopher://example.org/", "not an http or https"),
        ("http:///x", "not an http or https|not an address"),
        ("http://exa mple.org/", "not an address|looked up"),
        ("http://example.org:99999/", "not an address|port"),
    ],
)
def test_addresses_that_are_refused_before_any_look_up(url, reason):
    def never(host, port):
        raise OSError("looked up")

    with pytest.raises(SourceError, match=reason) as caught:
        fetch.get(url, config.Fetch(), resolve=never)
    assert "secret" not in str(caught.value)


def test_one_inner_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(SourceError, match=r"10\.0\.0\.1"):
        fetch.get("http://mixed.test/", config.Fetch(), resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])


# This fails if a new httpx2 no longer connects through our backend, or looks the name up a second time.
def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    connected, looked_up = [], []

    def create_connection(address, *_, **__):
        connected.append(address)
        raise ConnectionRefusedError("far enough")

    def resolve(host, port):
        looked_up.append(host)
        return ["93.184.216.34"] if len(looked_up) == 1 else ["127.0.0.1"]

    monkeypatch.setattr(socket, "create_connection", create_connection)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up outside the guard"))
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch.get("http://rebinding.test/", config.Fetch(), resolve=resolve)
    assert connected == [("93.184.216.34", 80)] and looked_up == ["rebinding.test"]


def test_proxies_in_the_environment_are_not_used(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answers["/f"] = (200, {}, "direct")
    assert get(server, "/f").content == b"direct"


# --- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for feeds.test with its key, as files, and when it counts."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "feeds.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
    signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("feeds.test")]), critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain))
    return folder


@pytest.fixture
def secure(server, authority):
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.names = names
    return server


def ask(secure, host, authority, trusted=True, path="/f"):
    tls = ssl.create_default_context(cafile=authority / "cert.pem" if trusted else None)
    allow = (f"{host}:{secure.port}", f"feeds.test:{secure.port}")
    url = f"https://{host}:{secure.port}{path}"
    return fetch.get(url, config.Fetch(allow=allow), resolve=lambda host, port: ["127.0.0.1"], tls=tls)


def test_host_and_sni_keep_the_name_though_the_address_is_pinned(secure, authority):
    secure.answers["/f"] = (200, {}, "safe")
    assert ask(secure, "feeds.test", authority).content == b"safe"
    assert secure.names == ["feeds.test"]
    assert secure.requests[0][1]["Host"] == f"feeds.test:{secure.port}"


@pytest.mark.parametrize(("host", "trusted"), [("other.test", True), ("feeds.test", False)])
def test_a_certificate_that_does_not_fit_is_refused(secure, authority, host, trusted):
    with pytest.raises(SourceError, match="cannot prove who it is"):
        ask(secure, host, authority, trusted)
    assert secure.requests == []


def test_https_is_never_left_for_http(secure, authority):
    secure.answers["/f"] = (302, {"Location": f"http://feeds.test:{secure.port}/f"}, b"")
    with pytest.raises(SourceError, match="from https to http"):
        ask(secure, "feeds.test", authority)
