"""Images to look through: which, by what, and never more than a page can carry."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.spec import EvaluationSpec
from liftgate.reporting.browsing import image_browser, label_samples
from liftgate.reporting.content import ImageBrowser
from liftgate.reporting.pictures import PAGE_BYTES, PictureBudget

N = 360


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Images of noise, which no JPEG makes small: one object each, the first half in `train`."""
    folder = tmp_path_factory.mktemp("noise")
    pixels = np.random.default_rng(0).integers(0, 255, (320, 320, 3)).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(folder / "noise.png")
    images = tuple(
        Image(
            f"{i:03d}.png",
            folder / "noise.png",
            320,
            320,
            label=folder / "x.txt",
            group=f"video{i % 20}",
            split="train" if i < 9 else "test",
        )
        for i in range(N)
    )
    boxes = [[20.0, 20.0, 120.0, 120.0]] * N
    return Dataset(
        "noise", folder, folder, "yolo", ("sign", "lamp"), images, Labels.build(list(range(N)), [0] * N, boxes)
    )


def detections(dataset: Dataset, found: range, cls: int = 0) -> Predictions:
    rows = np.array(found, dtype=np.int64)
    return Predictions(
        tuple(image.id for image in dataset.images),
        dataset.classes,
        rows,
        np.full(len(rows), cls, dtype=np.int64),
        np.tile([20.0, 20.0, 120.0, 120.0], (len(rows), 1)),
        np.full(len(rows), 0.9),
    )


def browsed(dataset: Dataset, budget: PictureBudget, **arms: Predictions) -> ImageBrowser:
    spec = EvaluationSpec(errors=True)
    measured = {name: evaluate(dataset, one, spec) for name, one in arms.items()}
    made = image_browser(dataset, arms, measured, conf=0.25, budget=budget)
    assert made is not None
    return made


def test_what_changed_comes_first_then_a_hundred_at_random_then_the_worst(noisy: Dataset) -> None:
    made = browsed(
        noisy, PictureBudget(10**9), control=detections(noisy, range(0, 30)), treatment=detections(noisy, range(20, 60))
    )
    change = {one.picture.name: one.change for one in made.images}
    assert [name for name, word in change.items() if word == "lost"] == sorted(f"{i:03d}.png" for i in range(20))
    assert {name for name, word in change.items() if word == "gained"} == {f"{i:03d}.png" for i in range(30, 60)}
    assert {one.change for one in made.images[:40]} == {"lost", "gained"}
    assert sum(one.at_random for one in made.images) == 100
    assert len(made.images) == 300 and made.n_images == N
    assert {one.kinds for one in made.images if one.change == "lost"} == {("missed",)}
    assert {one.kinds for one in made.images if one.change == "gained"} == {()}


def test_a_wrong_class_is_an_error_kind_of_its_own(noisy: Dataset) -> None:
    made = browsed(noisy, PictureBudget(10**9), only=detections(noisy, range(0, 5), cls=1))
    assert {one.kinds for one in made.images if one.picture.panels[0].boxes} == {("class",)}
    assert {one.change for one in made.images} == {""}
    assert {one.classes for one in made.images if one.picture.panels[0].boxes} == {("sign", "lamp")}


def test_pictures_of_a_page_have_one_budget_also_where_nothing_compresses(noisy: Dataset) -> None:
    budget = PictureBudget()
    made = browsed(noisy, budget, only=detections(noisy, range(0, 5)))
    size = sum(4 * len(one.picture.jpeg or b"") // 3 for one in made.images)
    assert 0 < size < PAGE_BYTES < 8_000_000
    assert len(made.images) < 300
    kept = label_samples("noise", noisy, budget)
    assert kept is not None and len(kept.pictures) <= 1, "nothing is left"


def test_label_samples_are_training_images_with_their_labels(noisy: Dataset) -> None:
    made = label_samples("noise", noisy, PictureBudget())
    assert made is not None and len(made.pictures) == 8
    assert {int(one.name[:3]) < 9 for one in made.pictures} == {True}
    assert {box.label for one in made.pictures for box in one.truth} == {"sign"}
    assert label_samples("none", noisy.split("test"), PictureBudget()) is None
