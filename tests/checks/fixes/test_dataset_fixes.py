"""`check --fix` writes a mended copy: what it says is gone is gone, the original is untouched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from checks.mistakes import with_mistake
from checks.plants import in_pixels
from checks.small_set import SIDE, SmallSet
from liftgate.boxes import iou
from liftgate.checks.fixes.dataset_fixes import fix_dataset, write_fixed
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.cli import main
from liftgate.data.formats.read import read


def ids(path: Path) -> set[str]:
    dataset = read(path)
    return {finding.id for finding in run(Subject({dataset.name: dataset}), select=["labels", "data", "pose"]).findings}


FAULTS: dict[str, Callable[[SmallSet], object]] = {
    "labels.out_of_range": lambda s: s.add_row("0 0.5 0.5 1.1 0.2"),
    "labels.dropped_image": lambda s: s.add_row("9 0.5 0.5 0.2 0.2"),
    "labels.malformed": lambda s: s.add_row("0 0.5 nan 0.2 0.2"),
    "labels.zero_area": lambda s: s.add_row("1 0.5 0.5 0.0 0.2"),
    "labels.duplicate_box": lambda s: s.add_row("0 0.5 0.5 0.3 0.3\n0 0.5 0.5 0.3 0.302"),
    "data.download_key": lambda s: s.keys(download="import os\nos.system('true')"),
    "data.path": lambda s: s.keys(path="datasets/elsewhere"),
}


@pytest.mark.parametrize("id_", FAULTS)
def test_what_was_planted_is_gone_and_the_original_is_as_it_was(id_: str, small: SmallSet, tmp_path: Path) -> None:
    FAULTS[id_](small)
    before = {path: path.read_bytes() for path in small.root.rglob("*") if path.is_file()}
    assert id_ in ids(small.yaml)
    done = fix_dataset(read(small.yaml))
    assert done.changes
    assert id_ not in ids(write_fixed(done, tmp_path / "mended"))
    assert {path: path.read_bytes() for path in small.root.rglob("*") if path.is_file()} == before


def test_a_box_over_the_edge_is_cut_and_one_mostly_outside_is_left_out_by_name(small: SmallSet, tmp_path: Path) -> None:
    small.add_row("0 0.95 0.5 0.2 0.2\n0 0.5 0.9 1.1 0.1\n0 1.3 0.5 0.2 0.2")
    lines = small.label().read_text().splitlines()
    done = fix_dataset(read(small.yaml))
    said = {change.what: change.examples for change in done.changes}
    cut = said["boxes over the edge cut at the edge of the image"]
    assert cut == tuple(f"{small.label()}:{len(lines) - back}" for back in (2, 1))
    assert said["rows left out: row out of range"] == (f"{small.label()}:{len(lines)}",)
    mended = read(write_fixed(done, tmp_path / "mended"))
    assert np.isclose(mended.labels.boxes, [0.85 * SIDE, 0.4 * SIDE, SIDE, 0.6 * SIDE], atol=0.01).all(axis=1).any()
    assert mended.labels.boxes.max() <= SIDE + 1e-6


@pytest.mark.parametrize("mistake", ["transposed", "mirrored"])
def test_boxes_read_the_wrong_way_are_mended_as_the_probe_proves(mistake: str, small: SmallSet) -> None:
    sound = small.read()
    done = fix_dataset(with_mistake(sound, mistake), ["labels.geometry"])
    (change,) = [change for change in done.changes if change.id == "labels.geometry"]
    assert mistake in change.what
    overlap = iou(done.dataset.labels.boxes, sound.labels.boxes).max(axis=0)
    assert np.quantile(overlap, 0.1) > 0.95, "the boxes are where they were before the mistake"


def test_boxes_are_moved_only_where_that_fix_is_named(small: SmallSet) -> None:
    wrong = with_mistake(small.read(), "transposed")
    done = fix_dataset(wrong)
    assert "labels.geometry" not in {change.id for change in done.changes}
    np.testing.assert_allclose(done.dataset.labels.boxes, wrong.labels.boxes, atol=0.01)


def test_boxes_are_not_moved_where_other_images_do_not_confirm_it(small: SmallSet) -> None:
    """Half of the images transposed: what one half decides, the other does not say."""
    sound = small.read()
    transposed = with_mistake(sound, "transposed").labels.boxes
    first = (sound.labels.image < len(sound.images) // 2)[:, None]
    mixed = replace(sound, labels=replace(sound.labels, boxes=np.where(first, transposed, sound.labels.boxes)))
    done = fix_dataset(mixed, ["labels.geometry"])
    np.testing.assert_allclose(done.dataset.labels.boxes, mixed.labels.boxes, atol=0.01)


def test_labels_in_pixels_are_mended_though_the_reader_takes_no_row(small: SmallSet) -> None:
    sound = small.read()
    in_pixels(small)
    assert not len(small.read().labels)
    done = fix_dataset(small.read(), ["labels.geometry"])
    assert [change.what for change in done.changes] == ["boxes corrected: in pixels"]
    assert iou(done.dataset.labels.boxes, sound.labels.boxes).max(axis=0).min() > 0.99


def test_the_flip_of_the_names_is_written(small: SmallSet, tmp_path: Path) -> None:
    small.keypoints(["nose", "left_eye", "right_eye"])
    small.keys(flip_idx=[0, 1, 2])
    mended = read(write_fixed(fix_dataset(small.read()), tmp_path / "mended"))
    assert mended.keypoints is not None and mended.keypoints.flip_idx == (0, 2, 1)


def test_sound_data_have_nothing_to_mend_and_come_back_the_same(small: SmallSet, tmp_path: Path) -> None:
    dataset = small.read()
    done = fix_dataset(dataset)
    assert done.changes == ()
    again = read(write_fixed(done, tmp_path / "mended"))
    assert np.allclose(np.sort(again.labels.boxes, axis=0), np.sort(dataset.labels.boxes, axis=0), atol=0.01)


def test_no_data_at_all_are_mended_to_no_data(small: SmallSet) -> None:
    dataset = small.read()
    nothing = replace(dataset.take(np.array([], dtype=np.int64)), faults=())
    assert len(fix_dataset(nothing).dataset.labels) == 0


def test_the_verb_writes_a_report_and_checks_what_it_wrote(
    small: SmallSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS["labels.malformed"](small)
    assert main(["check", str(small.yaml), "--select", "labels"]) == 3
    capsys.readouterr()
    out = tmp_path / "mended"
    assert main(["check", str(small.yaml), "--select", "labels", "--fix", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ok"] and "row not number" in said.err
    assert json.loads((out / "mended.json").read_text())["changes"][0]["count"] == 1
    assert main(["check", str(small.yaml), "--fix", str(out)]) == 2, "never in place, never over something"
    assert main(["check", str(small.yaml), "--fix", str(small.root)]) == 2
