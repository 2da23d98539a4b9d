"""One selection composed alone, for an editor who looks at it: a tenth of what compiling the whole issue takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from digest.compose.compiled import compile_sources
from digest.compose.edition import Edition, make_edition
from digest.compose.look import Look
from digest.model import Interest, Selection, Slot, Summary


def compose_alone(
    sources: Mapping[str, str], look: Look, slot: Slot, summaries: Sequence[Summary], interests: Sequence[Interest], selection: Selection
) -> Edition:
    """The edition of ``selection``, the same as the whole issue's; only what it shows is rendered.

    Args:
        sources: the templates, name below ``templates/`` → text, see `digest.compose.render.read_templates`.
        summaries, interests: the issue's, or at least what the selection names.
    Raises:
        RenderError: a template is wrong, or the selection names what is not there.
    """
    shown = {*selection.teasers, *selection.notices, *selection.left_out}
    named = {section.interest for section in selection.sections}
    named |= {id for section in selection.sections for placed in section.teasers for id in placed.also_in}
    compiled = compile_sources(
        sources, look, slot, [one for one in summaries if one.id in shown], [one for one in interests if one.id in named]
    )
    return make_edition(compiled, selection)
