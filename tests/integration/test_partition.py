"""Three worker hosts in network namespaces, one cut off in the middle of an issue and healed. Nightly, as root, where there is `ip`."""

from __future__ import annotations

import os
from random import Random

import pytest

from benchmarks.partition import HOSTS, campaign, why_not
from tests.support.postgres import Server

pytestmark = pytest.mark.skipif(os.environ.get("DIGEST_TEST_EXAMPLES") != "nightly", reason="half a minute: nightly")


@pytest.fixture
def server():
    if missing := why_not():
        pytest.skip(f"A CUT NETWORK IS NOT TRIED: {missing}")
    made = Server()  # its socket must lie on this machine
    yield made
    made.stop()


def test_a_host_that_is_cut_off_and_healed_loses_and_doubles_nothing(tmp_path, server):
    found = campaign(tmp_path, server, 300, Random(1))
    assert found["doubled"] == found["missed"] == found["contradictions"] == 0
    assert found["hosts"] == HOSTS and found["accepted"] + found["held"] == 300 and found["exits"] == [0] * HOSTS


def test_who_takes_a_silent_host_for_one_that_sent_nothing_is_found_out(tmp_path, server):
    """The control."""
    assert campaign(tmp_path, server, 300, Random(1), careless=True)["doubled"] > 0
