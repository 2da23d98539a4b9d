"""One command a step: parse, one call, print. Results go to stdout, progress to stderr.

Exit 0 done, 1 failed, 2 wrong usage. Whatever is heavy is imported by the command that needs it; the commands themselves, and
what parses them, by ``main`` when it is not only asked for its help. `digest --help` is what people type first and most often.
"""

import os
import sys

WIDTH = 80  # columns from which on the help looks the same


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--help"] and os.path.basename(sys.argv[0]) == "digest" and _columns() >= WIDTH:
        # What the commands would say of themselves, written down: a test holds both equal, `make help-text` renews it.
        with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as text:
            os.write(1, text.read().encode())
        return
    from digest.garbage import collect_seldom

    collect_seldom()
    from digest.cli import commands

    commands.main()


def _columns() -> int:
    """How wide the terminal is, as `shutil.get_terminal_size` finds it, whose import alone costs more than all of this."""
    try:
        columns = int(os.environ.get("COLUMNS", "0"))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(1).columns
        except OSError:
            columns = 0
    return columns or WIDTH
