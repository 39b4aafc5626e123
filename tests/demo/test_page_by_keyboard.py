"""The page of a real study, walked through with the keyboard alone."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main

pytestmark = [pytest.mark.slow]

FOCUSED = """
() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  return {
    tag: at.tagName.toLowerCase(), where: Math.round(box.top + scrollY), left: Math.round(box.left),
    name: at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent.trim().slice(0, 40),
    seen: box.top < innerHeight && box.bottom > 0 && box.width > 0,
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    scrolls: at.closest(".thumbs") !== null,  // its rows move under the focus
    end: at === document.body,
  };
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "made"
    assert main(["demo", str(folder), "--case", "kill-switch"]) == 0
    return folder / "runs" / "made-vehicles" / "report.html"


def stops(page: Any, most: int = 400) -> list[dict[str, Any]]:
    """Press Tab from the top until the focus leaves the page; return what had it."""
    found: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at["end"] or (found and at == found[0]):
            return found
        found.append(at)
    raise AssertionError(f"{most} times Tab, and no end: {found[-1]}")


@pytest.mark.parametrize("width", [390, 1400])
def test_tab_goes_down_the_page_and_every_stop_is_seen_named_and_marked(browser: Any, report: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    found = stops(page)
    assert [one for one in found if not (one["seen"] and one["marked"] and one["name"])] == []
    places = [(one["where"], one["left"]) for one in found if not one["scrolls"]]
    jumps = [(a, b) for a, b in pairwise(places) if b[0] < a[0] - 40 and b[1] <= a[1]]
    assert jumps == [], "the focus jumps up the page"
    assert {"button", "input", "select"} <= {one["tag"] for one in found}
    context.close()


def test_the_slider_and_the_browser_of_images_are_reached_and_used_by_keys_alone(browser: Any, report: Path) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 844}, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())

    def tab_to(selector: str) -> None:
        for _ in range(400):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"Tab never came to {selector}")

    tab_to(".slider input")
    before = page.locator(".slider").first.inner_text()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    after = page.locator(".slider").first.inner_text()
    assert "0.45" in after and before != after
    tab_to(".filters input[name=random]")
    page.keyboard.press("Space")
    shown = page.locator(".thumbs button").count()
    assert shown > 0
    tab_to(".thumbs button")
    page.keyboard.press("Enter")
    assert page.inner_text("dialog .where") == f"1 of {shown}"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("dialog .where") == f"2 of {shown}"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.matches('.thumbs button')"), "the focus comes back"
    context.close()
