"""The pages about data in a real browser: offline, in both colour schemes, on a phone and on a desk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checks.small_set import SmallSet, build
from liftgate.checks.run import run
from liftgate.data.core.dataset import Dataset, Keypoints
from liftgate.data.overview import compare_datasets, overview
from liftgate.evaluation.label_agreement import agreements, judge
from liftgate.reporting.dataset_pages import agreement_page, dataset_page, render_agreement, render_dataset
from liftgate.reporting.dataset_pages.findings import findings_page, render_findings
from liftgate.testing.data import dataset as make
from liftgate.testing.data import picture
from reporting.test_browser import CONTRAST

LONG = "a class name that is much longer than anybody would ever want to read in a table"


def real(name: str, folder: Path, seed: int) -> Dataset:
    made = replace(make(16, n_groups=8, classes=("cat", LONG), size=(320, 240), seed=seed), name=name)
    images = [
        replace(image, path=picture(folder / name / image.id, (320, 240), seed), split="train", label=folder / "x")
        for image in made.images
    ]
    points = np.random.default_rng(seed).uniform(0, 240, (len(made.labels), 3, 3))
    points[:, :, 2] = np.arange(len(made.labels))[:, None] % 3
    labels = replace(made.labels, keypoints=points)
    return replace(made.with_images(images), labels=labels, keypoints=Keypoints(("nose", "left", "right")))


def findings(folder: Path) -> Path:
    """The page of a set with a box without area, a row outside its image, a copy and a text file for an image."""
    build(folder / "sound")
    small = SmallSet(folder / "sound", folder / "small")
    small.add_row("0 0.5 0.5 0.0 0.2")
    small.add_row("1 1.2 0.5 0.3 0.3", number=7)
    shutil.copy(small.image(number=12), small.image(number=13))
    small.image(number=16).write_text("sorry")
    subject = small.subject()
    content = findings_page(run(subject, select=["labels", "images"]), subject, "liftgate check data.yaml")
    return render_findings(content, folder / "findings.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    one, other = real("one", folder, 0), real("other", folder, 1)
    views = [overview(one), overview(other)]
    shifted = replace(one, name="second", labels=one.labels.take(np.arange(len(one.labels)) % 7 != 0))
    compared = agreements([one, shifted], rng=np.random.default_rng(0))
    return {
        "findings": findings(folder),
        "one": render_dataset(dataset_page([one], views[:1]), folder / "one.html"),
        "two": render_dataset(
            dataset_page([one, other], views, compare_datasets(one, other, *views)), folder / "two.html"
        ),
        "agree": render_agreement(
            agreement_page(compared, judge([c.found for c in compared], 0.85)), folder / "agree.html"
        ),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["one", "two", "agree", "findings"])
def test_the_page_opens_offline_without_complaint_or_request_fits_and_can_be_read(
    browser: Any,
    pages: dict[str, Path],
    name: str,
    scheme: str,
    width: int,
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(pages[name].as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", pages[name].as_uri()))] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_a_reason_beside_a_finding_is_an_ignore_of_the_next_check(
    browser: Any,
    pages: dict[str, Path],
) -> None:
    page = browser.new_page()
    page.goto(pages["findings"].as_uri())
    assert page.locator("#rejected").inner_text() == "nothing yet"
    page.locator('[data-reject="labels.zero_area"]').fill("it's a mark")
    shown = page.locator("#rejected").inner_text()
    assert "liftgate check data.yaml --ignore 'labels.zero_area=it'\\''s a mark'" in shown
    assert 'ignore:\n  labels.zero_area: "it\'s a mark"' in shown
    page.close()
