"""`digest --help` comes from a file; it must be what the commands say of themselves, and cost next to nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from digest import cli
from digest.cli import commands
from tests.support.person import Person

TEXT = Path(cli.__file__).with_name("help.txt").read_text(encoding="utf-8")


def test_the_file_says_what_the_commands_say():
    assert TEXT == commands.help_text(), "a command was added or described anew: `make help-text`"


@pytest.mark.parametrize("columns", ["80", "200", "0", "nonsense"])
def test_it_is_what_is_printed_on_any_terminal_that_is_wide_enough(tmp_path, columns):
    shown = Person(tmp_path).types("--help", COLUMNS=columns)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, TEXT, "")


def test_on_a_narrow_one_it_is_laid_out_anew(tmp_path):
    shown = Person(tmp_path).types("--help", COLUMNS="40")
    assert shown.returncode == 0 and max(map(len, shown.stdout.splitlines())) <= 50
    assert shown.stdout.split() == TEXT.split()


def test_nothing_is_imported_for_it():
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['digest', '--help']\n"
        "from digest.cli import main\nmain()\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('encodings')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"COLUMNS": "80"}, check=True)
    assert found.stdout == TEXT + "['digest', 'digest.cli']\n"


def test_a_command_imports_only_what_it_uses(tmp_path):
    """`digest status` reads no feed, compiles no template, serves nobody and sends nothing."""
    code = (
        "import sys; sys.argv = ['digest', 'status']\n"
        "from digest.cli import commands\n"
        "try:\n    commands.main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'httpx2', 'feedparser', 'lxml', 'premailer', 'mjml', 'jinja2', 'selectolax', 'markdown_it', 'sendgrid', 'starlette',"
        " 'fastapi', 'uvicorn', 'alembic', 'cssutils', 'nh3'} & set(sys.modules)))"
    )
    person = Person(tmp_path)
    assert person.types("init", "w").returncode == 0
    assert Person(tmp_path / "w").types("status").returncode == 0  # makes the database
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path / "w", check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_garbage_is_looked_for_seldom_while_a_command_runs():
    words = "import atexit, gc, sys; from digest import cli; atexit.register(lambda: print(gc.get_threshold())); cli.main()"
    shown = subprocess.run([sys.executable, "-c", words, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[1:] == ["(50000, 10, 10)"]
