"""CocoResults as columns: what json reads, whatever the file is cut into; and a clear word where there is none."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liftgate.data.formats.coco import results as results_module
from liftgate.data.formats.coco.results import CocoResults, read_results, spread
from liftgate.errors import DataError

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
ids = st.integers(-(10**17), 10**17) | st.text(max_size=6) | st.sampled_from([2299, "2299", "a\\b", 'q"', "é", ""])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
detections = st.fixed_dictionaries(
    {"image_id": ids, "category_id": st.integers(-5, 2**40), "score": numbers},
    optional={
        "bbox": st.lists(numbers, min_size=4, max_size=4) | st.none(),
        "keypoints": st.lists(numbers, max_size=9) | st.none(),
        "segmentation": anything,
        "note": anything,
    },
)


def read(tmp_path: Path, text: str | bytes, piece: int = 1 << 20, scan_from: int = 0) -> CocoResults:
    path = tmp_path / "results.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_results(path, scan_from=scan_from, piece=piece)


def rows(found: CocoResults) -> list[dict[str, Any]]:
    points = spread(found, range(len(found)))
    return [
        {
            "image_id": found.ids[found.image[i]],
            "category_id": int(found.category[i]),
            "score": float(found.score[i]),
            "bbox": None if np.isnan(found.boxes[i, 0]) else found.boxes[i].tolist(),
            "keypoints": None if found.point_count[i] < 0 else points[i].tolist(),
        }
        for i in range(len(found))
    ]


def meant(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def floats(values: list[float] | None) -> list[float] | None:
        return None if values is None else [float(value) for value in values]

    return [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "score": float(row["score"]),
            "bbox": floats(row.get("bbox")),
            "keypoints": floats(row.get("keypoints")),
        }
        for row in said
    ]


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(detections, max_size=12),
    indent=st.sampled_from([None, 0, 2]),
    escaped=st.booleans(),
    piece=st.sampled_from([1, 5000]),
    scan_from=st.sampled_from([0, 1 << 30]),
)
def test_rows_are_those_that_json_reads(
    said: list[dict[str, Any]],
    indent: int | None,
    escaped: bool,
    piece: int,
    scan_from: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = json.dumps(said, indent=indent, ensure_ascii=escaped)
    assert rows(read(tmp_path_factory.mktemp("r"), text, piece, scan_from)) == meant(said)


@settings(max_examples=300, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
)
@example("0.5e-323")
@example("9007199254740993.0")
@example("0.1000000000000000055511151231257827")
@example("1.7976931348623157e308")
@example("0.00000000000000000000000000000000000001")
def test_a_number_is_the_float_nearest_to_what_is_written(written: str) -> None:
    text = f'[{{"image_id":1,"category_id":1,"score":{written},"bbox":[{written},1,2,3]}}]'
    if math.isinf(float(written)):
        return
    with tempfile.TemporaryDirectory() as folder:
        found, decoded = (read(Path(folder), text, scan_from=scan_from) for scan_from in (0, 1 << 30))
    assert (decoded.score[0], decoded.boxes[0, 0]) == (found.score[0], found.boxes[0, 0])
    assert found.score[0] == float(written)
    assert found.boxes[0, 0] == float(written)
    assert math.copysign(1, found.score[0]) == math.copysign(1, float(written))


@settings(max_examples=100, deadline=None)
@given(said=st.lists(detections, min_size=1, max_size=3), data=st.data())
def test_a_file_cut_anywhere_is_refused(
    said: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = json.dumps(said).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataError):
        read(tmp_path_factory.mktemp("r"), whole[:cut])


@pytest.mark.parametrize("scan_from", [0, 1 << 30], ids=["scanned", "decoded"])
@pytest.mark.parametrize("limit", [1 << 28, 0], ids=["small file", "file too large for the slow reader"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"image_id":1,"category_id":1,"score":0.5,"bbox":[0,0,1,1]},{"image_id":1', r"cut off|it ends .* row 1"),
        ('[{"image_id":1,"category_id":1,"score":NaN,"bbox":[0,0,1,1]}]', r"\[0\]"),
        ('[{"image_id":1,"category_id":1,"score":0.5,"bbox":[0,0,1]}]', r"\[0\]"),
        ('[{"image_id":1,"category_id":1,"score":0.5} {"image_id":1,"category_id":1,"score":0.5}]', "valid JSON"),
        ('[{"image_id":1,"category_id":1,"score":"0.5"}]', r"\[0\]"),
        (f'[{{"image_id":1,"category_id":{1 << 63},"score":0.5,"bbox":[0,0,1,1]}}]', r"\[0\]"),
        ("[1, 2]", r"\[0\]|valid JSON"),
        ('{"image_id":1}', "results file|valid JSON"),
        ("[] []", "valid JSON"),
        ("", "valid JSON|cut off"),
    ],
)
def test_what_is_no_list_of_detections_is_refused_with_its_place(
    text: str, said: str, limit: int, scan_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "LARGEST_SLOW", limit)
    with pytest.raises(DataError, match=said):
        read(tmp_path, text, scan_from=scan_from)


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox", "score"])
def test_a_detection_with_a_key_twice_is_refused(tmp_path: Path, key: str) -> None:
    row = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}
    path = tmp_path / "results.json"
    path.write_text(json.dumps([row, row]))
    assert len(read_results(path)) == 2
    path.write_text(json.dumps([row, row])[:-2] + f', "{key}": {json.dumps(row[key])}}}]')
    with pytest.raises(DataError, match=f"the key '{key}' is there twice"):
        read_results(path)


@pytest.mark.parametrize("scan_from", [0, 1 << 30], ids=["scanned", "decoded"])
def test_class_ids_to_the_ends_of_64_bits_are_read(scan_from: int, tmp_path: Path) -> None:
    said = [{"image_id": 1, "category_id": i, "score": 0.5, "bbox": [1, 2, 3, 4]} for i in (-(1 << 63), (1 << 63) - 1)]
    assert rows(read(tmp_path, json.dumps(said), scan_from=scan_from)) == meant(said)


def test_a_row_larger_than_a_piece_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    said = [{"image_id": i, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4], "x": "y" * 9000} for i in range(3)]
    text = b"\xef\xbb\xbf" + json.dumps(said).encode()
    assert rows(read(tmp_path, text, piece=1)) == meant(said)
