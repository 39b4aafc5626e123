"""Fingerprint: the same data give the same hash, other data another."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core import fingerprint as room
from liftgate.data.core.fingerprint import fingerprint
from liftgate.data.formats.read import read
from liftgate.testing.data import picture, yolo_folder

ROW = "0 .5 .5 .25 .5\n"
LABELS = {"train/a.jpg": ROW, "train/b.jpg": ROW, "val/c.jpg": ""}


def test_it_does_not_depend_on_where_the_data_lie_or_in_which_order(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path / "set", LABELS)
    first = fingerprint(read(document))
    shutil.copytree(tmp_path / "set", tmp_path / "moved")
    moved = read(tmp_path / "moved/data.yaml")
    assert fingerprint(moved) == first
    assert fingerprint(moved.take(np.array([2, 0, 1]))) == first


def test_any_change_shows(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path / "set", LABELS)
    dataset = read(document)
    seen = {fingerprint(dataset)}
    seen.add(fingerprint(replace(dataset, classes=("cat", "cow"))))
    seen.add(fingerprint(dataset.with_images([replace(image, group="g") for image in dataset.images])))
    seen.add(fingerprint(dataset.with_images([replace(image, split="test") for image in dataset.images])))
    (tmp_path / "set/labels/train/a.txt").write_text("0 .5 .5 .25 .4\n")
    seen.add(fingerprint(read(document)))
    picture(tmp_path / "set/images/train/b.jpg", seed=77)
    seen.add(fingerprint(read(document)))
    (tmp_path / "set/images/train/b.jpg").unlink()
    seen.add(fingerprint(dataset))
    assert len(seen) == 7


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read(yolo_folder(tmp_path / "set", LABELS))
    first = fingerprint(dataset)
    asked: list[Path] = []
    monkeypatch.setattr(room, "file_hash", lambda path: asked.append(path) or "new")
    assert fingerprint(dataset) == first
    assert asked == []
    os.utime(dataset.images[0].path, ns=(1, 1))
    assert fingerprint(dataset) != first
    assert asked == [dataset.images[0].path]


def test_without_a_cache_it_is_slower_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read(yolo_folder(tmp_path / "set", LABELS))
    first = fingerprint(dataset)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fingerprint(dataset) == first
    (tmp_path / "liftgate").mkdir()
    (tmp_path / "liftgate/hashes.sqlite").write_text("this is no database" * 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fingerprint(dataset) == first
