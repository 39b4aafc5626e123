"""The same real detections give the same twelve numbers, to the last digit, from every form that they are saved in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from liftgate.data.detections import read_predictions
from liftgate.data.formats.read import read
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.metric_names import COCO


@pytest.fixture
def saved(fixtures: Path, tmp_path: Path) -> dict[str, Path]:
    """COCO's own 100 images of val2014 and their sample results, also as CSV, YOLO txt and FiftyOne JSON."""
    results = fixtures / "evaluator/instances_val2014_fakebbox100_results.json"
    truth = json.loads((fixtures / "evaluator/instances_val2014_100.json").read_text())
    images = {image["id"]: image for image in truth["images"]}
    names = {category["id"]: category["name"] for category in truth["categories"]}
    rows, labels = [("image", "class", "score", "x1", "y1", "x2", "y2")], {i["file_name"]: [] for i in images.values()}
    txt: dict[str, list[str]] = {}
    for row in json.loads(results.read_text()):
        image, (x, y, w, h) = images[row["image_id"]], row["bbox"]
        wide, high, file = image["width"], image["height"], image["file_name"]
        rows.append((file, names[row["category_id"]], row["score"], x, y, x + w, y + h))
        labels[file].append(
            {
                "label": names[row["category_id"]],
                "bounding_box": [x / wide, y / high, w / wide, h / high],
                "confidence": row["score"],
            }
        )
        number = list(names).index(row["category_id"])
        values = ((x + w / 2) / wide, (y + h / 2) / high, w / wide, h / high, row["score"])
        txt.setdefault(Path(file).stem, []).append(f"{number} " + " ".join(map(repr, values)))
    rows += [(file, "", "", "", "", "", "") for file, found in labels.items() if not found]
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (tmp_path / "labels.json").write_text(json.dumps({"labels": labels}))
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo/classes.txt").write_text("\n".join(names.values()))
    for stem, lines in txt.items():
        (tmp_path / f"yolo/{stem}.txt").write_text("\n".join(lines))
    return {
        "COCO": results,
        "CSV": tmp_path / "answers.csv",
        "FiftyOne": tmp_path / "labels.json",
        "YOLO": tmp_path / "yolo",
    }


def test_every_form_gives_the_same_numbers(fixtures: Path, saved: dict[str, Path]) -> None:
    truth = read(fixtures / "evaluator/instances_val2014_100.json")
    found = {form: evaluate(truth, read_predictions(path, truth)).metrics for form, path in saved.items()}
    assert round(found["COCO"]["mAP50-95"] or 0, 3) == 0.505
    for form, metrics in found.items():
        assert [metrics[name] for name in COCO] == [found["COCO"][name] for name in COCO], form
