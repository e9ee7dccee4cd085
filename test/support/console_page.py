"""The console's page in the system's Chromium, as an operator uses it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Pictures of what a person sees, for a look at them; git ignores the folder.
PICTURES = Path(__file__).resolve().parents[2] / "screenshots"

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")

# Where a pixel of the image lies on the page.
_AT = """([x, y, width, height]) => {
  const area = document.getElementById("stage").getBoundingClientRect();
  const scale = Math.min(area.width / width, area.height / height);
  return [area.left + (area.width - width * scale) / 2 + x * scale,
          area.top + (area.height - height * scale) / 2 + y * scale];
}"""

# How many pixels of the overlay are painted inside a box of the image.
_PAINTED = """([x0, y0, x1, y1]) => {
  const canvas = document.getElementById("overlay"), area = canvas.getBoundingClientRect();
  const ratio = canvas.width / area.width;
  const [left, top, width, height] = [x0 - area.left, y0 - area.top, x1 - x0, y1 - y0];
  const data = canvas.getContext("2d").getImageData(
    left * ratio, top * ratio, Math.max(1, width * ratio), Math.max(1, height * ratio)).data;
  let count = 0;
  for (let k = 3; k < data.length; k += 4) count += data[k] > 100 ? 1 : 0;
  return count;
}"""


class ConsolePage:
    """One page. Points and boxes are pixels of the camera's image."""

    def __init__(self, page: Any, image_size: tuple[int, int]) -> None:
        self.page = page
        self.image_size = image_size
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, url: str) -> None:
        """Open the page and wait for the first picture."""
        self.page.goto(url)
        self.page.wait_for_selector("#empty", state="hidden", timeout=30_000)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image lies on the page."""
        left, top = self.page.evaluate(_AT, [x, y, *self.image_size])
        return left, top

    def drag(self, x: float, y: float, width: float, height: float) -> None:
        """Drag a box with the mouse."""
        mouse = self.page.mouse
        mouse.move(*self.at(x, y))
        mouse.down()
        mouse.move(*self.at(x + width / 2, y + height / 2))
        mouse.move(*self.at(x + width, y + height))
        mouse.up()

    def lasso(self, points: list[tuple[float, float]]) -> None:
        """Draw around an object with the mouse."""
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=3)
        mouse.up()

    def new_target(self, *known: int) -> int:
        """Wait for a target besides the known ones; its id."""
        others = "".join(f':not([data-id="{id}"])' for id in known)
        found = self.page.wait_for_selector(f".target{others}", timeout=30_000)
        return int(found.get_attribute("data-id"))

    def wait_for_state(self, id: int, states: str, seconds: float = 30) -> None:
        """Wait until a target has one of these states, separated by spaces."""
        names = ", ".join(f'[data-id="{id}"][data-state="{name}"]' for name in states.split())
        self.page.wait_for_selector(names, timeout=1e3 * seconds)

    def box(self, id: int) -> list[float]:
        """x, y, width and height of a target, as its line on the page has them."""
        text = self.page.get_attribute(f'[data-id="{id}"]', "data-box")
        return [float(part) for part in text.split(",")]

    def painted(self, x: float, y: float, width: float, height: float) -> int:
        """How many pixels are painted over a box of the picture."""
        corners = [*self.at(x, y), *self.at(x + width, y + height)]
        return int(self.page.evaluate(_PAINTED, corners))

    def said(self) -> str:
        """All messages on the page."""
        return str(self.page.inner_text("#log"))

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium of the system; skips where there is none, unless this is CI."""
    pytest.importorskip("playwright", reason="needs playwright (extra dev)")
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("CI needs chromium: apt-get install chromium")
        pytest.skip("needs chromium (apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()
