"""A real HTTP server, whose own address is the only one that may be read."""

import pytest

from tests.support.pages_server import running


@pytest.fixture
def server():
    with running() as server:
        yield server
