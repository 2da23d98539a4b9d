"""What the tests themselves rely on: ports that differ, and that nothing else is given."""

from __future__ import annotations

import socket

from tests.support.ports import HIGHEST, LOWEST, free_ports


def test_ports_that_are_asked_for_together_differ_and_lie_below_those_of_outgoing_connections():
    ports = free_ports(300)
    assert len(set(ports)) == 300 and min(ports) >= LOWEST and max(ports) <= HIGHEST
    with socket.create_server(("127.0.0.1", ports[0])), socket.create_server(("127.0.0.1", ports[1])):
        pass  # nobody holds them any more


def test_a_port_that_is_in_use_is_not_given(monkeypatch):
    taken, free = free_ports(2)
    drawn = iter((taken, taken, free))
    monkeypatch.setattr("random.SystemRandom.randint", lambda *_: next(drawn))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_ports(1) == [free]
