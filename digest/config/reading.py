"""``config.yaml`` and the environment read into a ``Config``, or everything that is wrong with them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from pydantic import ValidationError

from digest.config.whole import Config
from digest.errors import ConfigError
from digest.problems import Problem, explain, line_of, parse_yaml

SECRETS = {
    "secret_key": "DIGEST_SECRET_KEY",
    "oidc_secret": "DIGEST_OIDC_SECRET",
    "smtp_password": "DIGEST_SMTP_PASSWORD",
    "sendgrid_api_key": "SENDGRID_API_KEY",
}


def load(workspace: Path) -> Config:
    """Read ``workspace/config.yaml`` and the environment.

    Raises:
        ConfigError: one line for every mistake found.
    """
    config, problems = examine(workspace)
    if config is None:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return config


def examine(workspace: Path) -> tuple[Config | None, tuple[Problem, ...]]:
    """The configuration, or None and everything that is wrong with it."""
    file = workspace / "config.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        advice = "`digest init DIR` makes a workspace, --workspace names one"
        return None, (Problem(file="config.yaml", text=f"not found in {workspace}; {advice}"),)
    except (OSError, UnicodeDecodeError) as error:
        return None, (Problem(file="config.yaml", text=f"cannot be read: {error}"),)
    return read_config(text)


def read_config(text: str) -> tuple[Config | None, tuple[Problem, ...]]:
    """The configuration that ``config.yaml`` and the environment make if the file says ``text``, or all that is wrong with it."""
    data, tree, problems = parse_yaml("config.yaml", text)
    if problems:
        return None, problems
    if not isinstance(data, dict):
        return None, (Problem(file="config.yaml", line=1, text="must hold keys such as newsletter: and sources:"),)
    found = [
        Problem(
            file="config.yaml",
            line=line_of(tree, (key,)),
            text=f"{key}: a secret does not belong in a file; set {variable} in the environment",
        )
        for key, variable in SECRETS.items()
        if key in data
    ]
    if found:
        return None, tuple(found)
    if strays := _stray_variables():
        return None, strays
    try:
        return Config(**data), ()
    except ValidationError as error:
        return None, explain("config.yaml", tree, data, error, Config)


def _stray_variables() -> tuple[Problem, ...]:
    """Overrides in the environment that name no key: a misspelt one would be ignored without a word."""
    known = [name for name in Config.model_fields if name != "sendgrid_api_key"]
    found = []
    for variable in sorted(os.environ):
        first = variable.removeprefix("DIGEST_").partition("__")[0].lower()
        if not variable.startswith("DIGEST_") or variable == "DIGEST_WORKSPACE" or first.startswith("test_") or first in known:
            continue
        near = difflib.get_close_matches(first, known, 1)
        advice = f"; did you mean DIGEST_{near[0].upper()}?" if near else ""
        found.append(Problem(file="the environment", text=f"{variable}: names no key of config.yaml{advice}"))
    return tuple(found)
