"""Comparing predictions on different images: the difference is named, and --common restricts both and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset, Fault
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import on_common_images
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.image_level import ThresholdRule, choose_image_threshold
from liftgate.evaluation.multiple_comparisons import compare_arms
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.services.evidence import compare as compare_files
from liftgate.testing.data import dataset


def looked_at(truth: Dataset, images: list[int], score: float = 0.9) -> Predictions:
    """Finds every object on the images that it lists."""
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
    assert note == "restricted to the 6 of 20 images that both predicted on"
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
    with pytest.raises(UsageError, match=r"no image that all of them were run on.*got 10, 5 images, of 20"):
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
    said = "restricted to the 10 of 20 images that both predicted on"

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
    assert "note: restricted to the 10 of 20 images that the source predicted on" in capsys.readouterr().out


def unread(truth: Dataset, images: list[int]) -> Dataset:
    """The same truth, read from files in which the labels of some images were damaged."""
    ids = [truth.images[i].id for i in images]
    faults = tuple(Fault("row_columns", f"{id_}:1", "5 columns expected, got 1", id_) for id_ in ids)
    labels = truth.labels.take(~np.isin(truth.labels.image, images))
    return replace(truth, labels=labels, faults=faults)


def test_images_whose_labels_could_not_be_read_change_no_number(truth: Dataset) -> None:
    damaged, smaller = unread(truth, [3, 17]), truth.take(np.array([i for i in range(20) if i not in (3, 17)]))
    found = looked_at(truth, list(range(20)))
    partly = replace(found, scores=np.where(found.image % 4 == 0, 0.1, 0.8))
    alone, known = evaluate(damaged, found), evaluate(smaller, found)
    assert (alone.metrics, alone.intervals, alone.truth) == (known.metrics, known.intervals, known.truth)
    assert alone.metrics["false_positives_per_image"] == 0
    pair, same = (compare(one, found, partly, ComparisonSpec("recall")) for one in (damaged, smaller))
    assert (pair.delta, pair.control, pair.treatment) == (same.delta, same.control, same.treatment)
    note = "2 of 20 images of the truth are left out: no object of their labels could be read, such as 0003.jpg"
    assert alone.settings["left_out"] == note == pair.caveats[0]
    assert "left_out" not in known.settings and note not in same.caveats
    arms = compare_arms(damaged, found, {"a": partly, "b": found}, ComparisonSpec("recall"))
    assert [one.caveats[0] for one in arms.treatments.values()] == [note, note]
    assert {one.delta.n_images for one in arms.treatments.values()} == {18}


def test_two_models_need_not_share_an_image_that_is_left_out(truth: Dataset) -> None:
    everything, fewer = looked_at(truth, list(range(20))), looked_at(truth, list(range(19)))
    with pytest.raises(UsageError, match="1 are in one only"):
        compare(truth, everything, fewer)
    assert compare(unread(truth, [19]), everything, fewer).delta.n_images == 19


def test_a_threshold_is_chosen_without_them(truth: Dataset) -> None:
    empty = replace(truth, labels=truth.labels.take(truth.labels.image > 4))
    found = looked_at(truth, list(range(20)))
    sure = replace(found, scores=np.select([found.image == 4, found.image < 4], [0.99, 0.1], 0.5))
    damaged = replace(empty, faults=unread(truth, [4]).faults)
    rule = ThresholdRule("false_alarms", 0.0)
    everywhere, known = (choose_image_threshold(one, sure, truth.classes, rule) for one in (empty, damaged))
    assert everywhere.threshold > known.threshold and "19 images" in known.chosen


def test_a_truth_of_which_nothing_is_left_is_refused(truth: Dataset) -> None:
    with pytest.raises(UsageError, match="no object of the truth could be read"):
        evaluate(unread(truth, list(range(20))), looked_at(truth, list(range(20))))


def test_an_image_without_objects_needs_no_size_where_boxes_are_in_pixels(truth: Dataset) -> None:
    bare = replace(truth, labels=truth.labels.take(truth.labels.image != 3))
    images = [replace(image, width=0, height=0, label=Path("gt.json")) for image in bare.images]
    counted = evaluate(replace(bare.with_images(images), format="coco"), looked_at(truth, list(range(20))))
    assert counted.n_images == 20 and "left_out" not in counted.settings
