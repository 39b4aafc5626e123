"""The page to drop images on, in a real browser against a real server, wide and on a phone."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from deploy.serving.running import RunningServer, running

TOKEN = "a-token-of-enough-letters"
DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  document.getElementById("door").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""  # noqa: E501
COLOURED = """() => {
  const canvas = document.querySelector("canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.some((value) => value > 0);
}"""


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["wide", "phone"])
def test_boxes_are_shown_on_images_that_are_chosen_and_dropped(
    browser: Any, server: RunningServer, images: list[Path], size: tuple[int, int]
) -> None:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    elsewhere: list[str] = []
    address = f"http://127.0.0.1:{server.port}"
    page.on("request", lambda one: elsewhere.append(one.url) if not one.url.startswith((address, "blob:")) else None)
    page.goto(address + "/")
    page.locator("#model", has_text="model v0, onnx fp32").wait_for()

    page.set_input_files("#files", [str(images[0]), str(images[1])])
    page.locator("article").nth(1).wait_for()
    expected = server.predict(images[1].read_bytes()).json["detections"]
    newest = page.locator("article").first
    assert newest.locator("h2").inner_text() == images[1].name
    assert newest.locator("tbody tr").count() == len(expected) > 0
    assert newest.locator("tbody tr").first.locator("td").first.inner_text() == expected[0]["class"]
    assert page.evaluate(COLOURED)

    page.evaluate(DROP, [images[2].name, base64.b64encode(images[2].read_bytes()).decode()])
    page.locator("article").nth(2).wait_for()

    page.locator("#conf").fill("0.9")
    kept = sum(one["confidence"] >= 0.9 for one in expected)
    assert page.locator("article").nth(1).locator("tbody tr").count() == kept < len(expected)

    page.evaluate(DROP, ["bad.png", base64.b64encode(b"no image").decode()])
    page.locator("#status.bad").wait_for()
    assert "bad.png: this is no JPEG and no PNG" in page.locator("#status").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "nothing is wider than the screen"
    )
    assert [one for one in complaints if "415" not in one] == [] and elsewhere == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") != ""
    if "LIFTGATE_PICTURES" in os.environ:
        page.screenshot(path=f"{os.environ['LIFTGATE_PICTURES']}/serve-{size[0]}.png", full_page=True)
    context.close()


def test_the_page_asks_for_the_token_and_uses_it(browser: Any, models: Path, images: list[Path]) -> None:
    with running("--registry", models, environment={"LIFTGATE_SERVE_TOKEN": TOKEN}) as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.locator("#status", has_text="the server asks for a token").wait_for()
        page.locator("#token").fill(TOKEN)
        page.locator("#token").press("Enter")
        page.locator("#model", has_text="model v0").wait_for()
        page.set_input_files("#files", str(images[0]))
        page.wait_for_selector("article canvas")
        assert page.locator("article").count() == 1
        page.close()
