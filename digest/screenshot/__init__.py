"""Pictures of an email, by the Chromium of this machine; nothing in it is run and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from digest.errors import DigestError
from digest.screenshot.chromium import Chromium, opened

WIDTHS = (320, 375, 600, 1200)
# forced: as programs do that turn a letter's colours round by themselves, whatever it says (Chromium's own way of doing it).
SCHEMES = ("light", "dark", "forced")
HIGHEST_PX = 16_000  # what one picture may hold; a longer letter is cut there

__all__ = ["SCHEMES", "WIDTHS", "Picture", "pictures", "write"]


class Picture(NamedTuple):
    """One picture: ``kind`` is ``png`` or ``pdf``."""

    width: int
    scheme: str
    kind: str
    content: bytes

    @property
    def suffix(self) -> str:
        """What its file name ends in."""
        return "pdf" if self.kind == "pdf" else f"{self.width}-{self.scheme}.png"


def pictures(
    html: str, *, widths: Sequence[int] = WIDTHS, schemes: Sequence[str] = ("light", "dark"), pdf: bool = False, timeout_s: float = 60
) -> Iterator[Picture]:
    """The whole letter at these widths (CSS pixels), in these schemes, and as a PDF for paper.

    Raises:
        DigestError: there is no Chromium, or it does not answer.
    """
    with opened(timeout_s) as browser:
        _load(browser, html)
        for scheme in schemes:
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": _scheme(scheme)}])
            browser.call("Emulation.setAutoDarkModeOverride", **({"enabled": True} if scheme == "forced" else {}))
            for width in widths:
                yield Picture(width, scheme, "png", _shot(browser, width))
        if pdf:
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
            browser.call("Emulation.setAutoDarkModeOverride")
            yield Picture(0, "light", "pdf", browser.content("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69))


def write(
    html: str, folder: Path, stem: str, *, widths: Sequence[int] = WIDTHS, schemes: Sequence[str] = ("light", "dark"), pdf: bool = False
) -> list[Path]:
    """The same, as files ``STEM-WIDTH-SCHEME.png`` in ``folder``.

    Raises:
        DigestError: no Chromium, or the folder cannot be written.
    """
    files = []
    try:
        for picture in pictures(html, widths=widths, schemes=schemes, pdf=pdf):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / (f"{stem}.pdf" if picture.kind == "pdf" else f"{stem}-{picture.suffix}")
            file.write_bytes(picture.content)
            files.append(file)
    except OSError as error:
        raise DigestError(f"{folder}: cannot be written: {error.strerror}") from error
    return files


def _scheme(scheme: str) -> str:
    return "dark" if scheme == "dark" else "light"


def _load(browser: Chromium, html: str) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.call("Network.enable")
    browser.call("Network.setBlockedURLs", urls=["http://*", "https://*", "ws://*", "wss://*", "ftp://*", "file://*"])
    browser.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    frame = browser.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
    browser.call("Page.setDocumentContent", frameId=frame, html=_still(html))


def _still(html: str) -> str:
    """Without what runs, frames other pages or leads elsewhere by itself: every mail program takes that out, too."""
    from lxml import etree

    tree = etree.fromstring(html, etree.HTMLParser(huge_tree=True))
    if tree is None:
        return ""
    for meta in list(tree.iter("meta")):
        if (meta.get("http-equiv") or "").strip().lower() == "refresh":
            meta.attrib.clear()
    for element in list(tree.iter("script", "iframe", "frame", "object", "embed", "applet", "base", "video", "audio")):
        element.attrib.clear()
        element.tag = "span"
        element.text = ""
    doctype = "<!DOCTYPE html>\n" if html.lstrip()[:9].lower() == "<!doctype" else ""
    return doctype + etree.tostring(tree, encoding="unicode", method="html", with_tail=False)


def _shot(browser: Chromium, width: int) -> bytes:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    height = min(HIGHEST_PX, max(1, int(size["height"]) + 1))
    clip = {"x": 0, "y": 0, "width": max(width, min(int(size["width"]), 4 * width)), "height": height, "scale": 1}
    return browser.content("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
