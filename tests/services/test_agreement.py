"""Label sets as files: formats, names and groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.errors import UsageError
from liftgate.services.agreement import agree, annotator_names, draw_overlap_of
from liftgate.testing.data import yolo_folder


def test_one_set_of_labels_agrees_with_itself_in_every_format(fixtures: Path, tmp_path: Path) -> None:
    bccd = read(fixtures / "bccd")
    paths = [fixtures / "bccd"]
    for form in ("yolo", "coco"):
        write_dataset(bccd, form, tmp_path / form)
        paths.append(tmp_path / form)
    for one in agree(paths):
        assert one.found.n_matched == 4886  # all but the two boxes without an area
        assert one.found.kappa.estimate == 1 and one.found.mean_iou.estimate == pytest.approx(1, abs=1e-4)
        assert one.found.disagreements == ()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["w/ann/data.yaml", "w/ben/data.yaml"], ["ann", "ben"]),
        (["w/ann.json", "w/ben.json"], ["ann", "ben"]),
        (["one/ann", "two/ann"], ["one", "two"]),
        (["x.json", "x.json"], ["a", "b"]),
    ],
)
def test_annotators_are_called_by_what_tells_their_paths_apart(paths: list[str], names: list[str]) -> None:
    assert annotator_names([Path(path) for path in paths]) == names


def test_every_label_set_needs_a_name(tmp_path: Path) -> None:
    path = yolo_folder(tmp_path, {"train/a.png": ""})
    with pytest.raises(UsageError, match="not every label set has a name"):
        agree([path, path], names=["ann"])


def test_the_overlap_of_files_spreads_over_groups(tmp_path: Path) -> None:
    path = yolo_folder(tmp_path, {f"train/v{n % 3}_{n}.png": "" for n in range(12)})
    drawn = draw_overlap_of(path, 3, groups=r"(?P<group>v\d)_")
    assert sorted(image.group or "" for image in drawn.images) == ["v0", "v1", "v2"]
