"""The page of all months, in a browser: in both colour schemes, on a phone and on a desk, and on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liftgate.reporting.months import LabelledData, MeasuredCell, MonthContent, write_months
from reporting.test_browser import CONTRAST

CELLS = tuple(
    MeasuredCell(arm, "frozen.test", metric, 0.8123, 0.7011, 0.9021, 0.95, 1200, 41)
    for arm in ("challenger", "champion")
    for metric in ("mAP50", "recall")
)
MONTH = MonthContent(
    "2026-11-30 06:21", "d2751bf5" * 8, "PASS", (("lift", "PASS", "PASS: …"), ("kept", "MARGINAL", "MARGINAL: …")),
    CELLS, (LabelledData("frozen", "test", 1200, 3400),), "1 h 20 min", "v0.1", "", ("brightness moved",),
)  # fmt: skip
MONTHS = (MONTH, replace(MONTH, answer="FAIL"), replace(MONTH, answer="MARGINAL"), replace(MONTH, answer=None))


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_months("loop", MONTHS, tmp_path_factory.mktemp("months") / "months.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_it_opens_offline_fits_and_can_be_read(browser: Any, page_file: Path, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(253, 253, 251)" if scheme == "light" else "rgb(21, 23, 26)")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    label, cell = page.locator("tbody th").first, page.locator("tbody td").first
    assert label.bounding_box()["width"] < 190 and cell.bounding_box()["width"] > 150, "the months have the room"
    context.close()
