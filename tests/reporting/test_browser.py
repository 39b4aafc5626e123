"""The page in a real browser: offline, in both colour schemes, on a phone and on a desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from liftgate.reporting import render
from reporting.sample_report import sample

# WCAG contrast of every element's own text against the nearest background that is painted behind it.
CONTRAST = """
() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d", {willReadFrequently: true});
  const rgba = text => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return pen.getImageData(0, 0, 1, 1).data;
  };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(svg *):not(script)")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own) continue;
    let behind = element, ground;
    do {
      ground = rgba(getComputedStyle(behind).backgroundColor);
      behind = behind.parentElement;
    } while (behind && ground[3] < 255);
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.className} ${element.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(sample(), tmp_path_factory.mktemp("report") / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_offline_without_complaint_or_request_and_fits(
    browser: Any, page_file: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", page_file.as_uri()))] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_the_button_turns_the_colours_and_the_page_remembers(browser: Any, page_file: Path) -> None:
    context = browser.new_context(color_scheme="light", offline=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
    context.close()


def test_the_slider_counts_again_from_the_numbers_in_the_page_by_keyboard(browser: Any, page_file: Path) -> None:
    content = sample()
    curve = content.gates[0].thresholds[0]
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.focus(".slider input")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    at = 30
    assert page.inner_text(".slider output") == "0.30"
    cells = page.locator(".slider tbody tr").first.locator("td").all_inner_texts()
    right, found = curve.n_right[at], curve.n_detections[at]
    assert cells[:3] == [f"{right:,}", f"{curve.n_objects - right:,}", f"{found - right:,}"]
    assert cells[3:] == [f"{value:.4f}" for value in (curve.precision[at], curve.recall[at], curve.f1[at])]
    context.close()


def test_images_are_filtered_and_looked_through_by_keyboard_alone(browser: Any, page_file: Path) -> None:
    images = sample().gates[0].browser
    assert images is not None
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    for name, value, wanted in (
        ("change", "lost", [one for one in images.images if one.change == "lost"]),
        ("kind", "background", [one for one in images.images if "background" in one.kinds]),
        ("kind", "no error", [one for one in images.images if not one.kinds]),
        ("class", "yellow_cone", [one for one in images.images if "yellow_cone" in one.classes]),
        ("group", "team21", [one for one in images.images if one.picture.group == "team21"]),
    ):
        page.select_option(f".filters [name={name}]", value)
        assert page.locator(".thumbs button").count() == len(wanted) > 0, name
        page.select_option(f".filters [name={name}]", "")
    page.check(".filters [name=random]")
    assert page.locator(".thumbs button").count() == 5
    page.uncheck(".filters [name=random]")

    page.locator(".thumbs button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").is_visible()
    assert page.inner_text("dialog .where") == "1 of 9"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("dialog .where") == "9 of 9"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert images.images[1].picture.name in page.inner_text("dialog .about")
    assert page.locator("dialog .truth").count() > 0
    page.keyboard.press("t")
    assert page.locator("dialog .truth").count() == 0 < page.locator("dialog .guess").count()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.closest('.thumbs') !== null"), "the focus goes back to the image"
    assert complaints == []
    context.close()


def test_it_prints_as_a_pdf_of_a_few_pages(browser: Any, page_file: Path) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    pdf = page.pdf(format="A4")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1009})  # A4 without its margins
    foot = page.evaluate("document.querySelector('.first').getBoundingClientRect().bottom")
    assert foot < 1009, "the answer is on the first sheet"
    wide = "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.parentElement.clientWidth + 1)"
    assert page.evaluate(f"{wide}.map(t => t.textContent.slice(0, 60))") == [], "no column is cut off"
    assert pdf.startswith(b"%PDF") and 3 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 30
    assert page.evaluate("[...document.querySelectorAll('.browser,.slider,button')].every(e => !e.offsetParent)")
    context.close()


def test_printed_pages_are_light_and_show_whole_hashes(browser: Any, page_file: Path) -> None:
    context = browser.new_context(color_scheme="dark", offline=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 251)"
    widths = page.evaluate("[...document.querySelectorAll('.hash')].every(e => e.scrollWidth <= e.clientWidth + 1)")
    assert widths
    context.close()
