"""Where in a body something is wrong."""

import pytest

from digest.web.admin_api.problems import steps_in


@pytest.mark.parametrize(
    ("body", "place", "steps"),
    [
        ({"kind": "create", "label": ""}, ("create", "label"), ["label"]),
        ({"kind": "create"}, ("create", "id"), ["id"]),
        ({"kind": "split", "parts": [{"match": {}}]}, ("split", "parts", 0, "label"), ["parts", 0, "label"]),
        ({"filter": {"interests": ["X"]}}, ("filter", "interests", 0), ["filter", "interests", 0]),
        ({"rows": []}, ("rows",), ["rows"]),
        (None, (), []),
        ([], ("rows",), ["rows"]),
        ({"label": {"label": 1}}, ("label", "label"), ["label", "label"]),
    ],
)
def test_the_steps_lead_through_the_body_to_what_is_wrong(body, place, steps):
    assert steps_in(body, place) == steps
