import ipaddress

import pytest

from digest.sources.guard import allowed, not_public

PRIVATE = """
127.0.0.1 127.8.8.8 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 169.254.0.1
100.64.0.1 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1
255.255.255.255 168.63.129.16 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 fe80::1 fe80::1%eth0 fc00::1 fd00::1 fec0::1
ff02::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:c0a8:101:: 2002:808:808::1 2001::1 100::1 3fff::1 5f00::1 not-an-address
""".split()
PUBLIC = "8.8.8.8 1.1.1.1 93.184.216.34 2606:4700:4700::1111 2a00:1450:4001:81b::200e 64:ff9b::808:808".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_never_read(address):
    assert not_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert not_public(address) == ""


def test_every_mapped_form_counts_like_the_address_inside():
    for text in ("127.0.0.1", "10.1.2.3", "8.8.8.8"):
        inner = int(ipaddress.IPv4Address(text))
        for prefix in ("::ffff:0:0", "64:ff9b::"):
            assert bool(not_public(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | inner)))) == bool(not_public(text))


def test_fetch_allow_names_a_host_with_its_port_or_alone_for_the_usual_ones():
    assert allowed("127.0.0.1", 8080, ["127.0.0.1:8080"])
    assert not allowed("127.0.0.1", 8081, ["127.0.0.1:8080"])
    assert allowed("intranet.example.org", 443, ["Intranet.example.org"])
    assert not allowed("intranet.example.org", 8080, ["intranet.example.org"])
    assert allowed("::1", 80, ["[::1]:80"]) and allowed("::1", 80, ["[::1]"])
    assert not allowed("example.org.evil.test", 80, ["example.org"])
