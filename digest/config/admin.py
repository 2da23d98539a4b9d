"""The admin and the desk behind a log-in: how long a session lasts, how many tries a log-in has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from digest.model import Frozen


class LoginBudgets(Frozen):
    """How many log-ins may be tried per hour: for one name from one network, for one name, from one network, in all."""

    try_per_hour: Annotated[int, Field(ge=1)] = 10
    name_per_hour: Annotated[int, Field(ge=1)] = 60
    network_per_hour: Annotated[int, Field(ge=1)] = 100
    all_per_hour: Annotated[int, Field(ge=1)] = 600


class Admin(Frozen):
    """Sessions end ``idle_minutes`` after their last use, and ``session_hours`` after they began. What cannot be taken back
    needs a proof of who one is that is not older than ``fresh_minutes``.
    """

    idle_minutes: Annotated[int, Field(ge=5, le=1440)] = 60
    session_hours: Annotated[int, Field(ge=1, le=720)] = 12
    fresh_minutes: Annotated[int, Field(ge=1, le=60)] = 5
    budgets: LoginBudgets = LoginBudgets()
