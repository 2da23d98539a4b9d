"""The files that `digest init` writes: the repository's own workspace, which runs as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from digest.errors import ConfigError

PARTS = ("config.yaml", "templates", "subscribers", "summaries")


def origin() -> Path:
    """Where the files come from: beside the package in a checkout, inside it once installed."""
    inside = Path(__file__).parent / "workspace_files"
    return inside if inside.is_dir() else Path(__file__).parent.parent


def write(folder: Path) -> list[str]:
    """Make a workspace in ``folder``; what is there already is never overwritten. Returns the names written.

    Raises:
        ConfigError: the folder holds a workspace already, or cannot be written.
    """
    taken = [name for name in PARTS if (folder / name).exists()]
    if taken:
        raise ConfigError(f"{folder}: holds {', '.join(taken)} already; choose an empty folder, nothing was changed")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            source = origin() / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
            else:
                shutil.copy(source, folder / name)
        (folder / ".gitignore").write_text(
            "# who your readers are does not belong in a repository\nvar/\nsubscribers/*.csv\n", encoding="utf-8"
        )
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    return [*PARTS, ".gitignore"]
