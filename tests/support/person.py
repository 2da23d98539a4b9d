"""Somebody at a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).parent / "digest"


class Person:
    """Somebody at a terminal in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def types(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``digest`` with these words."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("DIGEST_", "SENDGRID_"))}
        return subprocess.run(
            [COMMAND, *words], cwd=self.folder, capture_output=True, text=True, timeout=120, env={**plain, "COLUMNS": "160", **environment}
        )
