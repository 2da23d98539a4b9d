"""Make ``docs/picture.png``: one reader's demo email at phone and desktop width, light and dark, side by side.

    make run && .venv/bin/python docs/picture.py

Needs Debian's Chromium, as the browser tests do.
"""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

REPOSITORY = Path(__file__).parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
VIEWS = [(320, "light"), (320, "dark"), (640, "light"), (640, "dark")]
HEIGHT = 1000


def main() -> None:
    """Take the screenshots and put them on one page."""
    view = REPOSITORY / "var" / "outbox" / "monthly-2026-05-01" / "view"
    page = sorted(view.glob("*.html"), key=lambda file: file.stat().st_size)[-3]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        shots = [_shot(browser, page, width, scheme) for width, scheme in VIEWS]
        images = "".join(
            f'<img src="data:image/png;base64,{shot}" width="{width // 2}" alt="">' for shot, (width, _) in zip(shots, VIEWS, strict=True)
        )
        style = "body{margin:0;padding:20px;background:#8a97a3;display:flex;gap:20px}img{border-radius:8px}"
        sheet = browser.new_page(viewport={"width": 1060, "height": HEIGHT // 2 + 40}, device_scale_factor=1.5)
        sheet.set_content(f"<style>{style}</style>{images}")
        sheet.screenshot(path=REPOSITORY / "docs" / "picture.png")
        browser.close()


def _shot(browser: Browser, page: Path, width: int, scheme: str) -> str:
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, device_scale_factor=1)
    tab = context.new_page()
    tab.goto(page.as_uri())
    return base64.b64encode(tab.screenshot()).decode()


if __name__ == "__main__":
    main()
