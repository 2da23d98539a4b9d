"""Two ways to use a page: a mouse that points and clicks, and a keyboard that never points. Both by what people read on it."""

from __future__ import annotations

import re
from typing import Any

# What has the focus: how it is called, whether that shows, and where it is on the screen.
_FOCUS = """() => {
    const e = document.activeElement, s = getComputedStyle(e), box = (e.closest(".tick") || e).getBoundingClientRect();
    const label = e.labels && e.labels[0];
    return {
        name: (label ? label.innerText : e.getAttribute("aria-label") || e.innerText || e.id).trim(),
        tag: e.tagName, shown: s.outlineStyle === "solid" && parseFloat(s.outlineWidth) >= 3,
        seen: box.bottom > 0 && box.top < innerHeight, open: e.tagName === "DETAILS"
    };
}"""


def type_at_focus(page: Any, text: str) -> None:
    """Into the field that the page gives the focus to, which a busy browser does some time after it says that the page is there."""
    page.locator("input:focus").wait_for()
    page.keyboard.type(text)


class Mouse:
    """Points at the middle of what it wants and clicks."""

    by = "mouse"

    def __init__(self, page: Any) -> None:
        self.page = page

    def press(self, name: str) -> None:
        """A button, a link, a box or a choice of that name."""
        begins = re.compile(f"^{re.escape(name)}")
        for role in ("button", "link", "checkbox", "radio"):
            found = self.page.get_by_role(role, name=begins).first
            if found.count():
                found.scroll_into_view_if_needed()
                box = found.bounding_box()
                self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                return
        raise AssertionError(f"there is no {name} to click on")

    def go(self, name: str) -> None:
        """Press it, and be where it leads."""
        with self.page.expect_navigation():
            self.press(name)

    def write(self, label: str, text: str) -> None:
        """Into the field of that label, in the place of what is there."""
        self.page.get_by_label(label).first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, label: str, option: str) -> None:
        """From the list of that label."""
        self.page.get_by_label(label, exact=True).select_option(label=option)


class Keyboard:
    """Tabs on until what has the focus is what it wants; whatever has it on the way shows so and is on the screen."""

    by = "keyboard"

    def __init__(self, page: Any) -> None:
        self.page = page

    def reach(self, name: str, most: int = 140) -> None:
        """Have the focus there."""
        passed = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            at = self.page.evaluate(_FOCUS)
            if at["tag"] == "BODY":  # round once: the browser itself has it for a moment
                continue
            assert at["shown"], f"the focus does not show on {at['name']}"
            assert at["seen"], f"{at['name']} has the focus out of sight"
            passed.append(at["name"])
            if at["name"].startswith(name):
                return
        raise AssertionError(f"{name} is not reached by keyboard, only {sorted(set(passed))}")

    def press(self, name: str) -> None:
        self.reach(name)
        box = self.page.evaluate("document.activeElement.matches('input[type=checkbox], input[type=radio]')")
        self.page.keyboard.press("Space" if box else "Enter")

    def go(self, name: str) -> None:
        self.reach(name)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def write(self, label: str, text: str) -> None:
        self.reach(label)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, label: str, option: str) -> None:
        self.reach(label)
        at = "(e => e.options[e.selectedIndex].text)(document.activeElement)"
        self.page.keyboard.press("Home")
        for _ in range(50):
            if self.page.evaluate(at) == option:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{label} does not offer {option}")
