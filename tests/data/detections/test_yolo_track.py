"""Rows of `yolo track`: the track's number is passed over behind a confidence, and never taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.data.detections import read_predictions
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import yolo_folder

TRUTH: dict[str, str | None] = {"val/a.jpg": "0 .5 .5 .25 .5\n", "val/b.jpg": ""}


def predicted(folder: Path, rows: str) -> Path:
    folder.mkdir()
    (folder / "a.txt").write_text(rows)
    return folder


def test_confidence_and_track_are_told_apart(tmp_path: Path) -> None:
    truth = read(yolo_folder(tmp_path / "set", TRUTH))
    found = read_predictions(predicted(tmp_path / "p", "0 .5 .5 .25 .5 .83 1\n0 .2 .2 .1 .1 .4 17\n"), truth)
    assert found.scores.tolist() == [0.83, 0.4]


def test_a_track_without_confidence_is_named(tmp_path: Path) -> None:
    truth = read(yolo_folder(tmp_path / "set", TRUTH))
    with pytest.raises(DataError, match="last column is no confidence") as caught:
        read_predictions(predicted(tmp_path / "p", "0 .5 .5 .25 .5 17\n"), truth)
    assert "save_conf=True" in str(caught.value.hint)


@pytest.mark.parametrize("row", ["0 .5 .5 .25 .5 .83 1", "0 .5 .5 .25 .5 .83 12", "0 .5 .5 .25 .5 3"])
def test_rows_of_tracks_are_no_outlines(row: str, tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", TRUTH | {"val/c.jpg": f"{row}\n"}))
    assert len(dataset.labels) == 1
    (fault,) = dataset.faults
    assert (fault.kind, "track" in fault.message) == ("row_columns", True)


def test_a_triangle_at_the_edge_is_an_outline(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"val/a.jpg": "0 0 0 1 0 .5 1\n0 .1 .1 .9 .1 .5 .9\n"}))
    assert len(dataset.labels) == 2
