"""A subject people can follow, and the rule by which it takes summaries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from digest.model.base import Frozen, Slug, Text
from digest.model.summary import Audience, Evidence


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Rule(Frozen):
    """Which summaries an interest takes. Every key given must hold; within one key any of its values will do.

    ``any``, ``all`` and ``not`` hold rules of the same shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    tag: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    journal: tuple[str, ...] = ()
    audience: tuple[Audience, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    any: tuple[Rule, ...] = ()
    all: tuple[Rule, ...] = ()
    none: tuple[Rule, ...] = Field(default=(), alias="not")


_LISTS = ("tag", "words", "source", "journal", "audience", "evidence", "any", "all", "not")


def loosen_rule(data: Any) -> Any:
    """The same rule with every single value put in a list, at every depth."""
    if not isinstance(data, dict):
        return data
    loose = {key: list(_as_tuple(value)) if key in _LISTS else value for key, value in data.items()}
    for key in ("any", "all", "not"):
        if key in loose:
            loose[key] = [loosen_rule(rule) for rule in loose[key]]
    return loose


class Interest(Frozen):
    """A subject people can follow. A parent takes what its children take too."""

    id: Slug
    label: Annotated[Text, Field(min_length=1)]
    labels: dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], Annotated[Text, Field(min_length=1)]] = {}  # by language
    description: Text = ""
    match: Rule = Rule()
    pin: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    parent: Slug | None = None
    was: tuple[Slug, ...] = ()  # ids it had, or that were merged into it: who names one of them means this
    retired: bool = False  # offered to nobody new; who follows it goes on getting what it takes
    successor: Slug | None = None  # what is named in place of a retired one

    def label_in(self, language: str) -> str:
        """What it is called in a language (``de``), or as it is where nobody translated it."""
        return self.labels.get(language, self.label)
