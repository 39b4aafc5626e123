"""A manifest proves that data are the same, and names everything that is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import PIL.Image
import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.provenance.snapshot import (
    SnapshotDifference,
    read_snapshot,
    take_snapshot,
    verify_snapshot,
    write_snapshot,
)
from liftgate.errors import DataError


def make(folder: Path) -> Path:
    """A YOLO set: three images in train, two in val."""
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            image = folder / "images" / split / f"{split}{number}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("RGB", (20, 20), (number * 40, 0, 0)).save(image)
            label = folder / "labels" / split / f"{split}{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make(tmp_path / "data")


def dataset(folder: Path) -> Dataset:
    return read(folder / "data.yaml", name="set")


def since(manifest: Path, folder: Path) -> SnapshotDifference:
    return verify_snapshot(read_snapshot(manifest), dataset(folder))


@pytest.fixture
def manifest(data: Path, tmp_path: Path) -> Path:
    return write_snapshot(take_snapshot(dataset(data)), tmp_path / "manifest.json")


def test_untouched_data_are_the_same(data: Path, manifest: Path) -> None:
    found = since(manifest, data)
    assert found.same and found.n_files == 11  # five images, five label files, data.yaml


def test_data_that_moved_are_the_same(data: Path, manifest: Path) -> None:
    assert since(manifest, data.rename(data.parent / "moved")).same


def test_the_same_data_give_the_same_bytes_wherever_they_lie(data: Path, manifest: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "deep" / "copy")
    again = write_snapshot(take_snapshot(dataset(copy)), tmp_path / "again.json")
    assert again.read_bytes() == manifest.read_bytes()
    assert str(tmp_path) not in manifest.read_text()


def test_every_file_that_changed_vanished_or_appeared_is_named(data: Path, manifest: Path) -> None:
    (data / "labels/train/train1.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    (data / "images/val/val0.png").unlink()
    shutil.copy(data / "images/train/train0.png", data / "images/train/new.png")
    found = since(manifest, data)
    assert found.changed == ("labels/train/train1.txt",)
    assert "images/val/val0.png" in found.vanished
    assert found.appeared == ("images/train/new.png",)
    assert not found.same


def test_a_change_that_keeps_size_and_time_is_found(data: Path, manifest: Path) -> None:
    import os

    label = data / "labels/train/train0.txt"
    before = label.stat()
    label.write_text("1 0.5 0.5 0.2 0.2\n")
    os.utime(label, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert since(manifest, data).changed == ("labels/train/train0.txt",)


def test_a_change_in_what_the_files_mean_is_said_in_words(data: Path, manifest: Path) -> None:
    (data / "data.yaml").write_text("path: .\ntrain: images/val\nval: images/train\nnames: [dog, cat]\n")
    found = since(manifest, data)
    assert found.changed == ("data.yaml",)
    text = " ".join(found.sentences)
    assert "cat, dog and are dog, cat" in text and "train 3, val 2 and are train 2, val 3" in text


def test_a_list_file_that_moves_an_image_is_part_of_the_data(tmp_path: Path) -> None:
    data = make(tmp_path / "data")
    (data / "train.txt").write_text("./images/train/train0.png\n./images/train/train1.png\n")
    (data / "data.yaml").write_text("path: .\ntrain: train.txt\nval: images/val\nnames: [cat, dog]\n")
    manifest = write_snapshot(take_snapshot(dataset(data)), tmp_path / "m.json")
    (data / "train.txt").write_text("./images/train/train0.png\n./images/train/train2.png\n")
    assert "train.txt" in since(manifest, data).changed


def test_an_edited_manifest_proves_nothing(manifest: Path) -> None:
    record = json.loads(manifest.read_text())
    record["files"]["data.yaml"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(record))
    with pytest.raises(DataError, match="changed after it was written"):
        read_snapshot(manifest)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "\x00", "[" * 10_000])
def test_what_is_no_manifest_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(DataError):
        read_snapshot(path)


def test_a_manifest_of_a_stranger_opens_no_file(data: Path, manifest: Path, tmp_path: Path) -> None:
    import msgspec

    from liftgate.data.provenance import snapshot as room

    secret = tmp_path / "secret"
    secret.write_text("x")
    honest = read_snapshot(manifest)
    files = {**honest.files, "../secret": room.FileState(1, "0" * 64)}
    forged = msgspec.structs.replace(honest, files=files)
    found = verify_snapshot(forged, dataset(data))
    assert found.vanished == ("../secret",) and found.changed == ()


def test_the_original_files_are_never_touched(data: Path, tmp_path: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*"))
    write_snapshot(take_snapshot(dataset(data)), tmp_path / "m.json")
    assert sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*")) == before


def test_real_data(fixtures: Path, tmp_path: Path) -> None:
    bccd = read(fixtures / "bccd")
    path = write_snapshot(take_snapshot(bccd), tmp_path / "m.json")
    record = json.loads(path.read_text())
    assert len(record["files"]) == 364 * 2 + 4 and record["splits"] == {"train": 205, "val": 87, "test": 72}
    assert verify_snapshot(read_snapshot(path), bccd).same
