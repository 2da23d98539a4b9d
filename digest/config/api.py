"""The admin's API: how much a key may ask."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from digest.model import Frozen


class Api(Frozen):
    """How many calls one key has in an hour; they come back evenly."""

    calls_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 3600
