"""The program from the outside: its command, in a workspace of its own."""

import shutil

import pytest

from tests.support.make import REPOSITORY, make_workspace
from tests.support.person import Person


@pytest.fixture
def letter(tmp_path):
    """A small workspace of the tests' own."""
    return Person(make_workspace(tmp_path / "letter"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The repository's workspace after `make run`'s command; tests only look at it."""
    folder = tmp_path_factory.mktemp("demo") / "workspace"
    folder.mkdir()
    for name in ("config.yaml", "templates", "subscribers", "summaries"):
        source = REPOSITORY / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    person = Person(folder)
    ran = person.types("run", "monthly", "--on", "2026-05-01")
    assert ran.returncode == 0, ran.stderr
    person.first_run = ran
    return person
