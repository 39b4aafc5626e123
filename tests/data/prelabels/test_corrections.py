"""What people changed of pre-labels: every kind of change, through all three formats, counted and priced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.core.archive import pack
from liftgate.data.core.dataset import Dataset, Keypoints, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco, cvat, darknet
from liftgate.data.formats.read import read
from liftgate.data.prelabels import export_prelabels, read_corrected, with_prelabels
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.corrections import corrections
from liftgate.testing.data import picture, yolo_folder

# One frame per kind of change, twice over, so that there are groups to count.
BOX = [10.0, 10, 30, 30]
BEFORE = {"kept": [(0, BOX)], "moved": [(0, BOX)], "relabelled": [(0, BOX)], "deleted": [(1, BOX)], "added": []}
AFTER: dict[str, Any] = {
    "kept": [(0, [10.2, 10, 30, 29.8])],
    "moved": [(0, [10.0, 10, 30, 25])],
    "relabelled": [(1, BOX)],
    "deleted": [],
    "added": [(1, BOX)],
}


@pytest.fixture
def frames(tmp_path: Path) -> Dataset:
    labels: dict[str, str | None] = {f"train/{kind}_{number}.jpg": None for kind in BEFORE for number in range(2)}
    return read(yolo_folder(tmp_path / "set", labels, ["cat", "dog"]))


def labelled(frames: Dataset, rows: dict[str, Any]) -> Dataset:
    found = [
        (place, cls, box)
        for place, image in enumerate(frames.images)
        for cls, box in rows[Path(image.id).stem.split("_")[0]]
    ]
    table = Labels.build([row[0] for row in found], [row[1] for row in found], [row[2] for row in found])
    images = [replace(image, label=frames.source) for image in frames.images]
    return replace(frames.with_images(images), labels=table)


def test_every_kind_of_change_is_counted_for_its_class(frames: Dataset) -> None:
    found = corrections(labelled(frames, BEFORE), labelled(frames, AFTER))
    cat, dog = found.classes
    assert (cat.kept, cat.moved, cat.relabelled, cat.deleted, cat.added, cat.relabelled_to) == (2, 2, 2, 0, 0, 0)
    assert (dog.kept, dog.moved, dog.relabelled, dog.deleted, dog.added, dog.relabelled_to) == (0, 0, 0, 2, 2, 2)
    assert (found.n_prelabels, found.n_objects, found.n_images, found.n_groups) == (8, 8, 10, 10)
    assert cat.moved_iou == pytest.approx(0.75)
    assert cat.precision is not None
    assert cat.precision.estimate == pytest.approx(4 / 6)
    assert cat.recall is not None
    assert cat.recall.estimate == 1
    assert found.total.precision is not None
    assert found.total.precision.estimate == 0.5
    assert found.relabelled == (("cat", "dog", 2),)


def test_every_share_says_its_images_groups_level_and_method(frames: Dataset) -> None:
    found = corrections(labelled(frames, BEFORE), labelled(frames, AFTER), level=0.9)
    for value in (found.total.precision, found.total.recall):
        assert value is not None
        assert (value.level, value.n_images) == (0.9, 10)
        assert value.method
        assert value.low is not None
        assert value.high is not None
        assert 0 <= value.low <= value.estimate <= value.high <= 1, "a share"


def test_minutes_follow_from_the_seconds_that_are_assumed(frames: Dataset) -> None:
    cost = {"draw": 60.0, "kept": 6, "moved": 30, "relabelled": 12, "deleted": 3}
    found = corrections(labelled(frames, BEFORE), labelled(frames, AFTER), seconds=cost)
    assert found.minutes_without == 8
    assert found.minutes_with == pytest.approx(2 * (60 + 6 + 30 + 12 + 3) / 60)
    assert found.minutes_saved == pytest.approx(8 - 3.7)
    with pytest.raises(UsageError, match="no such kind of work"):
        corrections(labelled(frames, BEFORE), labelled(frames, AFTER), seconds={"think": 1})


@pytest.mark.parametrize("form", ["cvat zip", "cvat xml", "coco zip", "coco json", "yolo zip"])
def test_what_people_changed_is_the_same_in_every_format_that_cvat_exports(
    frames: Dataset, form: str, tmp_path: Path
) -> None:
    made = export_prelabels(labelled(frames, BEFORE), tmp_path / "out", forms=("cvat", "coco", "yolo"))
    assert [file.name for file in made.files] == ["annotations.xml", "coco.zip", "yolo.zip"]
    before = read(made.folder)
    after, home = labelled(frames, AFTER), tmp_path / "home"
    if form.startswith("cvat"):
        path = cvat.write(after, home)
    elif form.startswith("coco"):
        path = coco.write(after, home / "instances_default.json")
    else:
        path = darknet.write_zip(after, home / "yolo.zip")
    if form in ("cvat zip", "coco zip"):
        path = pack(home / "x.zip", [(f"annotations/{path.name}" if "coco" in form else path.name, path)])
    back = read_corrected(path, before)
    found = corrections(before, back).total
    assert (found.kept, found.moved, found.relabelled, found.deleted, found.added) == (2, 2, 2, 2, 2)


def test_each_exported_file_reads_back_as_the_prelabels(frames: Dataset, tmp_path: Path) -> None:
    made = export_prelabels(labelled(frames, BEFORE), tmp_path / "out", forms=("cvat", "coco", "yolo"))
    before = read(made.folder)
    assert [image.path.is_file() for image in before.images] == [True] * 10
    for file in made.files:
        found = corrections(before, read_corrected(file, before)).total
        assert (found.kept, found.moved + found.relabelled + found.deleted + found.added) == (8, 0)
    labels = json.loads((made.folder / "labels.json").read_text())
    assert [(label["name"], label["type"]) for label in labels] == [("cat", "any"), ("dog", "any")]


def test_predictions_become_prelabels_from_a_confidence_on_and_inside_the_image(frames: Dataset) -> None:
    boxes = np.array([[-5.0, 2, 30, 400], [5, 5, 20, 20]])
    ids = (frames.images[3].id, frames.images[1].id)
    found = Predictions(ids, frames.classes, np.array([0, 1]), np.array([1, 0]), boxes, np.array([0.6, 0.1]))
    made = with_prelabels(frames, found, conf=0.25)
    assert [image.id for image in made.images] == list(ids), "only what the model looked at"
    assert made.labels.boxes.tolist() == [[0, 2, 30, 48]]
    assert made.labels.cls.tolist() == [1]


def test_skeletons_go_out_with_their_points_and_a_dragged_point_is_a_move(tmp_path: Path) -> None:
    frames = read(yolo_folder(tmp_path / "set", {"train/a.jpg": None, "train/b.jpg": None}, ["person"]))
    frames = replace(frames, keypoints=Keypoints(("nose", "tail"), (0, 1)))
    points = np.array([[[12.0, 12, 0.9], [28, 28, 0.2]], [[12, 12, 0.9], [28, 28, 0.9]]])
    ids = tuple(image.id for image in frames.images)
    found = Predictions(
        ids, frames.classes, np.arange(2), np.zeros(2, np.int64), np.array([BOX, BOX]), np.ones(2), points
    )
    made = export_prelabels(with_prelabels(frames, found), tmp_path / "out")
    (label,) = json.loads((made.folder / "labels.json").read_text())
    assert label["type"] == "skeleton"
    assert [point["name"] for point in label["sublabels"]] == ["nose", "tail"]
    assert label["svg"].count("data-label-name") == 2
    before = read(made.folder)
    assert before.labels.keypoints is not None
    assert before.labels.keypoints[:, :, 2].tolist() == [[2, 1], [2, 2]], "an unsure point is shown, to be dragged"
    xml = made.files[0].read_text()
    changed = tmp_path / "changed.xml"
    changed.write_text(xml.replace('occluded="1" points="28,28"', 'occluded="1" points="28,26"', 1))
    total = corrections(before, read_corrected(changed, before)).total
    assert (total.kept, total.moved) == (1, 1)


def test_from_a_folder_of_frames_to_a_corrected_set_as_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        picture(tmp_path / f"frames/v{number}_a.jpg", seed=number)
    rows = [{"image_id": f"v{n}_a.jpg", "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.9} for n in range(5)] + [
        {"image_id": "v0_a.jpg", "category_id": 2, "bbox": [30, 5, 20, 20], "score": 0.2}
    ]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    (tmp_path / "p.settings.json").write_text(json.dumps({"classes": ["person", "bag"]}))
    words = ["data", "prelabel", tmp_path / "frames", "--predictions", tmp_path / "p.json", "--out", tmp_path / "out"]
    assert main([*map(str, words), "--licence", "CC-BY-4.0", "--confidential"]) == 0
    assert "6 frames, 5 pre-labels" in capsys.readouterr().out
    home = tmp_path / "home.xml"
    home.write_text((tmp_path / "out/annotations.xml").read_text().replace('label="person"', 'label="bag"', 1))
    words = ["data", "corrections", tmp_path / "out", home, "--groups", r"^(?P<group>v\d)", "--out", tmp_path / "new"]
    assert main([*map(str, words), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["relabelled"] == [["person", "bag", 1]]
    assert record["n_groups"] == 6
    assert record["total"]["precision"]["estimate"] == 0.8
    assert len(read(Path(record["files"][0])).labels) == 5
    card = (tmp_path / "new/README.md").read_text()
    assert "CC-BY-4.0" in card
    assert "confidential: true" in card, "what is confidential stays so on its way"
    assert main([*map(str, words[:-2])]) == 0
    out, err = capsys.readouterr()
    assert "precision of the pre-labels at IoU 0.5: 0.8000 [" in out
    assert "95%" in out
    assert "6 images in 6 groups, effectively 5" in out, "one group has neither pre-label nor object"
    assert "draw 25.5" in err


def test_the_groups_of_the_frames_are_there_when_the_labels_come_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [f"v{video}_{second}.jpg" for video in range(3) for second in range(4)]
    for number, name in enumerate(frames):
        picture(tmp_path / "frames" / name, seed=number)
    rows = "".join(f"{name},{name.partition('_')[0]}\n" for name in frames)
    (tmp_path / "frames/frames.csv").write_text(f"image,group\n{rows}")
    boxes = [{"image_id": name, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.9} for name in frames]
    (tmp_path / "p.json").write_text(json.dumps(boxes))
    words = ["data", "prelabel", tmp_path / "frames", "--predictions", tmp_path / "p.json", "--out", tmp_path / "out"]
    assert main([*map(str, words), "--classes", "person"]) == 0
    capsys.readouterr()
    assert main(["data", "corrections", str(tmp_path / "out"), str(tmp_path / "out/annotations.xml"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_images"], record["n_groups"]) == (12, 3), "frames of one video are no independent images"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.zip", b""),
        ("none.zip", b"PK\x05\x06" + bytes(18)),
        ("text.xml", b"<nothing/>"),
        ("broken.json", b"{"),
    ],
)
def test_what_is_no_export_is_one_error(frames: Dataset, tmp_path: Path, name: str, content: bytes) -> None:
    made = export_prelabels(labelled(frames, BEFORE), tmp_path / "out")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read_corrected(tmp_path / name, read(made.folder))


def test_nothing_is_left_when_an_export_fails(frames: Dataset, tmp_path: Path) -> None:
    frames.images[0].path.unlink()
    with pytest.raises(DataError, match="cannot be labelled"):
        export_prelabels(labelled(frames, BEFORE), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
