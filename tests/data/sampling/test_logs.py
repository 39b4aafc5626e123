"""Prediction logs in their three shapes, good rows and bad ones."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.sampling.fields import detection, write_jsonl
from liftgate.data.sampling.logs import read_log
from liftgate.data.sampling.records import CandidateFrame
from liftgate.errors import DataError

FRAMES = [CandidateFrame(f"cam1/{k}.jpg", Path(f"cam1/{k}.jpg")) for k in range(4)]


def test_coco_results_name_images_by_path_name_or_stem_and_silence_means_nothing_found(tmp_path: Path) -> None:
    rows = [
        {"image_id": name, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
        for name in ("cam1/0.jpg", "1.jpg", "2", 2)
    ]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    log, _ = read_log(tmp_path / "p.json", FRAMES)
    assert [len(log.records[index].scores) for index in range(4)] == [1, 1, 2, 0]
    assert log.records[3].has_boxes
    assert log.records[0].boxes.tolist() == [[1, 2, 4, 6]]


def test_settings_beside_coco_results_say_which_images_were_looked_at(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('[{"image_id": "0", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    (tmp_path / "p.settings.json").write_text('{"images": ["0.jpg", "1.jpg"]}')
    log, _ = read_log(tmp_path / "p.json", FRAMES)
    assert sorted(log.records) == [0, 1]


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    lines = write_jsonl(
        tmp_path / "log.jsonl",
        [
            {"image": "0.jpg", "quality": "RED", "score": 0.4, "model_version": "v0.1", "truth": "none"},
            {"image": "1.jpg", "quality": "green", "detections": [detection(1, 0.9), detection(30, 0.3)]},
        ],
    )
    table = tmp_path / "log.csv"
    table.write_text(
        "image,quality,score,model_version,truth,x,y,width,height,class\n0.jpg,red,0.4,v0.1,negative,,,,,\n"
        "1.jpg,green,0.9,,,1,10,20,20,person\n1.jpg,green,0.3,,,30,10,20,20,person\n"
    )
    one, _ = read_log(lines, FRAMES)
    two, _ = read_log(table, FRAMES)
    for log in (one, two):
        assert (log.versions, log.faults, log.n_unknown) == (("v0.1",), (), 0)
        zero, first = log.records[0], log.records[1]
        assert (zero.quality, zero.score, zero.truth, zero.has_boxes) == ("red", 0.4, "negative", False)
        assert (first.quality, first.score, first.scores, first.classes) == ("green", None, (0.9, 0.3), ("person",) * 2)
        assert first.boxes.tolist() == [[1, 10, 21, 30], [30, 10, 50, 30]]


def test_several_rows_of_one_image_are_its_worst(tmp_path: Path) -> None:
    rows = [{"image": "0", "quality": q, "score": s} for q, s in (("green", 0.9), ("red", 0.5), ("yellow", 0.7))]
    log, _ = read_log(write_jsonl(tmp_path / "log.jsonl", rows), FRAMES)
    assert (log.records[0].quality, log.records[0].score) == ("red", 0.5)


def test_time_camera_and_day_fill_what_the_frames_do_not_say(tmp_path: Path) -> None:
    rows = [{"image": "0.jpg", "time": "2026-01-14T08:30:00+01:00", "camera": "cam1"}]
    _, frames = read_log(write_jsonl(tmp_path / "log.jsonl", rows), FRAMES)
    assert (frames[0].camera, frames[0].day, frames[0].sequence) == ("cam1", "2026-01-14", "cam1 2026-01-14")
    assert frames[0].at is not None
    assert frames[1] == FRAMES[1]


@pytest.mark.parametrize(
    "bad",
    [
        {"quality": "purple"},
        {"score": 1.5},
        {"score": True},
        {"score": "many"},
        {"detections": "none"},
        {"detections": [[1, 2, 3, 4]]},
        {"detections": [{"bbox": [1, 2, 3], "score": 0.5}]},
        {"detections": [{"bbox": [1, 2, -3, 4], "score": 0.5}]},
        {"detections": [{"bbox": [1, 2, 3, 4]}]},
        {"bbox": [1, 2, "x", 4], "score": 0.5},
        {"truth": "maybe"},
    ],
)
def test_a_row_that_makes_no_sense_is_a_fault_with_its_line_and_the_rest_counts(
    tmp_path: Path, bad: dict[str, object]
) -> None:
    log, _ = read_log(
        write_jsonl(tmp_path / "log.jsonl", [{"image": "0", "quality": "red"}, {"image": "1", **bad}]), FRAMES
    )
    assert [fault.kind for fault in log.faults] == ["log_row"]
    assert log.faults[0].where.endswith("log.jsonl:2")
    assert log.records[0].quality == "red"


def test_a_log_that_was_cut_while_it_was_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"image": "0", "quality": "red"}\n{"image": "1", "qual')
    log, _ = read_log(path, FRAMES)
    assert sorted(log.records) == [0]
    assert "not JSON" in log.faults[0].message


def test_a_log_about_other_images_is_one_clear_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "log.jsonl", [{"image": "elsewhere.jpg"}])
    with pytest.raises(DataError, match="none of the log's images"):
        read_log(path, FRAMES)
    for name, text in (("p.json", "{}"), ("p.json", '[{"a": 1}]'), ("p.json", "[1"), ("p.txt", ""), ("p.csv", "a,b\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError):
            read_log(tmp_path / name, FRAMES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["quality", "score", "detections", "bbox", "class", "truth", "time", "camera", "model_version"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(rows=st.lists(st.dictionaries(keys, json_values), max_size=4))
def test_no_row_brings_the_reader_down(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = write_jsonl(tmp_path / "log.jsonl", [{"image": "0.jpg", **row} for row in rows])
    with contextlib.suppress(DataError):
        log, _ = read_log(path, FRAMES)
        assert all(len(r.scores) == len(r.boxes) == len(r.classes) for r in log.records.values())
