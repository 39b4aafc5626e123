"""Comparing what looked at different images: the difference is named, and --common cuts both and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import on_common_images
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.services.evidence import compare as compare_files
from liftgate.testing.data import dataset


def looked_at(truth: Dataset, images: list[int], score: float = 0.9) -> Predictions:
    """Finds every object on the images that it looked at."""
    seen = truth.take(np.array(images, dtype=np.int64))
    labels = seen.labels
    scores = np.full(len(labels), score)
    return Predictions(
        tuple(i.id for i in seen.images), truth.classes, labels.image, labels.cls, labels.boxes, scores, None, {"a": 1}
    )


@pytest.fixture
def truth() -> Dataset:
    return dataset(20, n_groups=10)


def test_the_difference_is_named_and_common_offered(truth: Dataset) -> None:
    with pytest.raises(UsageError, match=r"10 are in one only(.|\n)*20 and 10, 10 in both(.|\n)*--common"):
        compare(truth, looked_at(truth, list(range(20))), looked_at(truth, list(range(10))))


def test_common_images_are_those_that_everybody_looked_at(truth: Dataset) -> None:
    first, second = looked_at(truth, list(range(15))), looked_at(truth, list(range(19, 8, -1)))
    cut, both, note = on_common_images(truth, first, second)
    assert [image.id for image in cut.images] == [f"{i:04d}.jpg" for i in range(9, 15)]
    assert [set(one.images) for one in both] == [{image.id for image in cut.images}] * 2
    assert note == "restricted to the 6 of 20 images that both looked at"
    assert compare(cut, *both).delta.n_images == 6


def test_a_number_on_common_images_is_that_of_a_truth_that_never_had_the_others(truth: Dataset) -> None:
    half = looked_at(truth, list(range(10)))
    cut, (found,), _ = on_common_images(truth, half)
    smaller = truth.take(np.arange(10))
    assert evaluate(cut, found).metrics == evaluate(smaller, half).metrics


def test_nothing_is_said_where_nothing_is_left_out(truth: Dataset) -> None:
    everything = looked_at(truth, list(range(20)))
    assert on_common_images(truth, everything, everything) == (truth, (everything, everything), None)


def test_nothing_in_common_is_an_error(truth: Dataset) -> None:
    with pytest.raises(UsageError, match=r"no image that all of them looked at.*got 10, 5 images, of 20"):
        on_common_images(truth, looked_at(truth, list(range(10))), looked_at(truth, list(range(15, 20))))


def test_the_verbs_say_it_in_the_output_and_in_the_record(
    tmp_path: Path, truth: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [replace(image, width=640, height=480) for image in truth.images]
    truth_file = coco.write(truth.with_images(images), tmp_path / "truth.json")
    files = []
    for name, count in (("all", 20), ("half", 10)):
        files.append(coco.write_predictions(looked_at(truth, list(range(count))), truth, tmp_path / f"{name}.json"))
    arms = ["--control", str(files[0]), "--treatment", str(files[1])]
    said = "restricted to the 10 of 20 images that both looked at"

    assert main(["compare", "--truth", str(truth_file), *arms]) == 2
    assert "--common" in capsys.readouterr().err
    main(["compare", "--truth", str(truth_file), *arms, "--common"])
    assert f"note: {said}" in capsys.readouterr().out
    main(["compare", "--truth", str(truth_file), *arms, "--common", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert said in record["caveats"] and record["n_images"] == 10
    caveats = compare_files(truth_file, *files, common=True).caveats
    assert caveats[0] == said and "no groups are given" in caveats[1]

    assert main(["evaluate", "--truth", str(truth_file), "--predictions", str(files[1])]) == 2
    assert "--common" in capsys.readouterr().err
    assert main(["evaluate", "--truth", str(truth_file), "--predictions", str(files[1]), "--common"]) == 0
    assert "note: restricted to the 10 of 20 images that the source looked at" in capsys.readouterr().out
