"""The geometry probe: planted mistakes are named, sound labels are never accused."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checks.mistakes import with_mistake
from checks.small_set import SIDE, SmallSet
from checks.sound_sets import sound_sets
from liftgate.checks.probes.box_conventions import STORED, TRANSFORMS, scale_factor
from liftgate.checks.probes.geometry_tables import measure
from liftgate.checks.probes.label_geometry import decide, probe
from liftgate.checks.probes.views import choose_views
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset, Labels

MISTAKES = TRANSFORMS[1:]
# 2% of a coordinate is within what people draw: alone it is no error.
SCALES = {"scaled by 1000/1024", "scaled by 1024/1000"}
LARGER_SCALES = [f"scaled by {factor}" for factor in (0.8, 0.9, 0.95, 1.05, 1.1, 1.2)]


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m not in SCALES])
def test_a_planted_mistake_is_named(small: SmallSet, mistake: str) -> None:
    found = probe(with_mistake(small.read(), mistake))
    assert found is not None and found.answer == "does not fit"
    # Two per cent of 96 pixels cannot be seen: what is scaled besides is named by its larger part.
    assert found.best.transform == mistake.partition(" and scaled")[0]


@pytest.mark.parametrize("mistake", LARGER_SCALES)
def test_a_scale_of_small_images_is_named_or_not_decidable(small: SmallSet, mistake: str) -> None:
    found = probe(with_mistake(small.read(), mistake))
    assert found is not None and found.answer != "fits"
    if found.answer == "does not fit":
        assert scale_factor(found.best.transform) == pytest.approx(scale_factor(mistake), abs=0.03)


@pytest.mark.parametrize("mistake", LARGER_SCALES)
def test_a_scale_of_five_per_cent_and_more_is_named_with_its_factor(real: dict[str, Dataset], mistake: str) -> None:
    found = probe(with_mistake(real["cells"], mistake))
    assert found is not None and found.answer == "does not fit"
    assert scale_factor(found.best.transform) == pytest.approx(scale_factor(mistake), abs=0.015)


@pytest.mark.parametrize("mistake", sorted(SCALES))
def test_two_per_cent_alone_are_no_error(small: SmallSet, mistake: str) -> None:
    found = probe(with_mistake(small.read(), mistake))
    assert found is not None and found.answer != "does not fit"


def test_sound_labels_fit(small: SmallSet) -> None:
    found = probe(small.read())
    assert found is not None and found.answer == "fits"
    ways = [one.transform for one in found.decision.evidence]
    assert len(set(ways)) == len(ways) and "scaled by 1" not in ways, "the factor of another way is not that of theirs"


@pytest.mark.parametrize("mistake", ["transposed", "mirrored", "corner-for-centre"])
def test_two_annotators_of_whom_one_is_wrong_are_not_said_to_fit(small: SmallSet, mistake: str) -> None:
    sound = small.read()
    wrong = with_mistake(sound, mistake).labels.boxes
    boxes = np.where((sound.labels.image % 2 == 0)[:, None], wrong, sound.labels.boxes)
    subject = Subject({"small": replace(sound, labels=replace(sound.labels, boxes=boxes))})
    (found,) = run(subject, select=["labels.geometry"]).findings
    assert (found.severity, found.data["answer"], found.data["rival"]) == ("warning", "not decidable", mistake)


def test_noise_is_not_decidable(small: SmallSet) -> None:
    rng = np.random.default_rng(5)
    dataset = small.read()
    corner, size = rng.uniform(0, 60, (len(dataset.labels), 2)), rng.uniform(14, 30, (len(dataset.labels), 2))
    labels = Labels.build(dataset.labels.image, dataset.labels.cls, np.hstack([corner, corner + size]))
    found = probe(replace(dataset, labels=labels))
    assert found is not None and found.answer == "not decidable"


def test_a_handful_of_images_gets_no_answer(small: SmallSet) -> None:
    assert probe(small.read().take(np.arange(8))) is None


def test_one_scene_looked_at_a_hundred_times_is_one_look(small: SmallSet) -> None:
    """A static camera: the same boxes in every frame. What fits by chance there is no evidence."""
    dataset = small.read()
    first = dataset.labels.boxes[dataset.labels.image == 5]
    boxes = np.tile(first, (60, 1))
    labels = Labels.build(np.repeat(np.arange(60), len(first)), np.zeros(len(boxes), dtype=int), boxes)
    assert probe(replace(dataset, labels=labels)) is None


def test_the_finding_names_the_mistake_and_shows_both(small: SmallSet) -> None:
    subject = Subject({"small": with_mistake(small.read(), "transposed")})
    (found,) = run(subject, select=["labels.geometry"]).findings
    assert found.severity == "error"
    assert "transposed" in found.message
    stored, mended = (np.array(found.data["example"][key]) for key in ("stored", "mended"))
    np.testing.assert_allclose(stored[:, [1, 0, 3, 2]], mended)


@pytest.mark.parametrize(
    ("unit", "by"),
    [("in pixels", SIDE), ("in percent", 100), ("on a grid of 1000", 1000), ("on a grid of 1024", 1024)],
)
def test_numbers_in_another_unit_are_named_though_no_row_can_be_read(small: SmallSet, unit: str, by: float) -> None:
    rewrite(small, lambda row: row * by)
    (found,) = run(small.subject(), select=["labels.geometry"]).findings
    assert (found.severity, found.data["transform"]) == ("error", unit)
    assert unit in found.message and found.data["example"]["stored"] == []


def test_corners_in_pixels_are_named_as_both(small: SmallSet) -> None:
    rewrite(small, lambda row: np.array([row[0] - row[2] / 2, row[1] - row[3] / 2, row[2], row[3]]) * SIDE)
    (found,) = run(small.subject(), select=["labels.geometry"]).findings
    assert found.data["transform"] == "in pixels, corner-for-centre"


def test_fractions_divided_by_the_size_once_more_are_named(small: SmallSet) -> None:
    rewrite(small, lambda row: row / SIDE)
    (found,) = run(small.subject(), select=["labels.geometry"]).findings
    assert found.data["transform"] == "divided by the image size once too often"


def test_a_few_rows_in_pixels_say_nothing_of_the_others(small: SmallSet) -> None:
    small.add_row("0 120 80 30 40")
    assert not run(small.subject(), select=["labels.geometry"]).findings


@pytest.mark.parametrize("number", [1e308, -1e300, 1e7])
def test_numbers_beyond_all_measure_are_in_no_unit(small: SmallSet, number: float) -> None:
    rewrite(small, lambda row: np.array([3.0, number, number, 2.0]))
    assert not run(small.subject(), select=["labels.geometry"]).findings


def test_what_the_probe_answers_is_told_where_it_is_no_finding(small: SmallSet) -> None:
    told = run(small.subject()).to_dict()["geometry"]["small"]
    assert told["answer"] == "fits" and told["images"] > 12 and told["best_other"]["gain"] < 0
    assert run(small.subject(), select=["splits"]).to_dict()["geometry"] == {}


def test_objects_that_fill_the_image_are_not_decidable(small: SmallSet) -> None:
    """As in pictures of one animal each: a box at the border has nothing beside it to compare with."""
    whole = with_mistake(small.read(), STORED)
    sizes = np.array([image.upright for image in whole.images], dtype=float)[whole.labels.image]
    boxes = np.hstack([np.zeros_like(sizes) + 1, sizes - 1])
    labels = Labels.build(whole.labels.image, whole.labels.cls, boxes)
    (found,) = run(Subject({"a": replace(whole, labels=labels)}), select=["labels.geometry"]).findings
    assert (found.severity, found.data["answer"]) == ("info", "not decidable")


_DECIDE = """
import json, sys
from liftgate.checks.probes.label_geometry import probe
from liftgate.data.formats.read import read
found = probe(read(sys.argv[1]))
evidence = [[one.transform, round(one.z, 6), round(one.gain, 6)] for one in found.decision.evidence]
print(json.dumps([found.answer, evidence]))
"""


def test_threads_of_the_matrix_library_do_not_change_the_decision(small: SmallSet) -> None:
    """They cannot be limited once numpy is imported; sums in another order differ in the last digits only."""

    def decided(threads: int) -> object:
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        command = [sys.executable, "-P", "-c", _DECIDE, str(small.yaml)]
        made = subprocess.run(command, env=os.environ | limits, capture_output=True, text=True, check=True)
        return json.loads(made.stdout)

    assert decided(1) == decided(4)


def rewrite(small: SmallSet, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the four numbers of every row."""
    for file in (small.root / "labels").rglob("*.txt"):
        rows = [
            (row.split()[0], change(np.array(row.split()[1:], dtype=float))) for row in file.read_text().splitlines()
        ]
        file.write_text("".join(f"{cls} {' '.join(f'{value:.9g}' for value in row)}\n" for cls, row in rows))


def test_boxes_far_outside_or_infinite_do_not_break_it(small: SmallSet) -> None:
    dataset = small.read()
    boxes = dataset.labels.boxes.copy()
    boxes[::3] += 1e9
    boxes[1::7] = [5, 5, np.inf, np.nan]
    labels = Labels.build(dataset.labels.image, dataset.labels.cls, boxes)
    assert probe(replace(dataset, labels=labels)) is not None


@pytest.fixture(scope="session")
def real(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    return sound_sets(fixtures, tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("name", ["bccd", "dice", "coco_cc"])
def test_real_labels_fit(real: dict[str, Dataset], name: str) -> None:
    found = probe(real[name])
    assert found is not None and found.answer == "fits"


@pytest.mark.parametrize(
    ("name", "mistake"),
    [("bccd", "transposed"), ("bccd", "mirrored"), ("dice", "corner-for-centre")],
)
def test_mistakes_in_real_labels_are_named(real: dict[str, Dataset], name: str, mistake: str) -> None:
    found = probe(with_mistake(real[name], mistake))
    assert found is not None and found.answer == "does not fit"
    assert found.best.transform == mistake


@pytest.mark.parametrize("name", ["bolts", "carla", "rail_wagons"])
def test_a_scale_is_named_where_it_moves_boxes_by_more_than_their_size(real: dict[str, Dataset], name: str) -> None:
    """What is learned from boxes that lie elsewhere is of no use: each scale is judged by what is learned under it."""
    found = probe(with_mistake(real[name], "scaled by 0.9"))
    assert found is not None and found.answer == "does not fit"
    assert scale_factor(found.best.transform) == pytest.approx(0.9, abs=0.025)


def test_a_mistake_in_half_of_the_images_is_named_as_that_of_a_part(real: dict[str, Dataset]) -> None:
    sound = real["cells"]
    wrong = with_mistake(sound, "transposed").labels.boxes
    boxes = np.where((sound.labels.image % 2 == 0)[:, None], wrong, sound.labels.boxes)
    found = probe(replace(sound, labels=replace(sound.labels, boxes=boxes)))
    assert found is not None and (found.answer, found.decision.mixed_with) == ("not decidable", "transposed")


_EVERY = [*MISTAKES, *LARGER_SCALES]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), [*zip(itertools.cycle(["bccd", "dice"]), _EVERY, strict=False)])
def test_every_mistake_in_real_labels_is_named_or_not_decidable(
    real: dict[str, Dataset], name: str, mistake: str
) -> None:
    """On the two sets in turn; benchmarks/geometry.py has every mistake on every set."""
    found = probe(with_mistake(real[name], mistake))
    assert found is not None
    if mistake in SCALES:  # 2.4% is hardly more than a margin: found on some sets, and then by its name
        assert found.answer != "does not fit" or found.best.transform == mistake
    elif "scaled" in mistake:  # not decidable on some sets (benchmarks/geometry.txt), never called right
        assert found.answer in ("does not fit", "not decidable")
        first = mistake.partition("scaled")[0].removesuffix(" and ")  # beside exchanged axes 2.4% may go unseen
        assert found.answer == "not decidable" or found.best.transform.startswith(first)
    else:
        assert (found.answer, found.best.transform) == ("does not fit", mistake)


@pytest.mark.parametrize("name", ["bccd", "coco_cc", "microcontrollers", "mouse_pose", "rail_wagons", "captcha"])
def test_no_resample_and_no_half_of_sound_data_is_accused(real: dict[str, Dataset], name: str) -> None:
    """Bootstraps and halves in turn; all sets with 2,000 of each are counted by benchmarks/geometry.py."""
    tables = measure(choose_views(real[name]))
    rng = np.random.default_rng(0)
    for draw in range(200):
        size = len(tables) if draw % 2 == 0 else len(tables) // 2
        decision = decide(tables.take(rng.choice(len(tables), size, replace=draw % 2 == 0)))
        assert decision.answer != "does not fit", (draw, decision.evidence[:2])


def test_frames_of_a_fixed_camera_are_one_scene(real: dict[str, Dataset]) -> None:
    """Sixty frames of one mouse on one wheel: whatever fits there by chance fits in all of them."""
    views = choose_views(real["mouse_pose"])
    assert len(views) == 60 and len({view.scene for view in views}) < 12
    assert probe(with_mistake(real["mouse_pose"], "mirrored")) is None
