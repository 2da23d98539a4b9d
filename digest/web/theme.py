"""The workspace's own colours as a stylesheet, where it has any."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from digest.web.look import workspace_of

router = APIRouter(include_in_schema=False)


@router.api_route("/theme.css", methods=["GET", "HEAD"])
def theme(request: Request) -> Response:
    """Custom properties that the stylesheet reads, by day only: the dark look keeps its own."""
    colours = workspace_of(request).config.pages.theme
    rules = f":root {{ --band: {colours.band}; --heading: {colours.heading}; --link: {colours.link}; }}"
    return Response(
        f"@media (prefers-color-scheme: light) {{ {rules} }}\n", media_type="text/css", headers={"Cache-Control": "max-age=300"}
    )
