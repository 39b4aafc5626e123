"""Ultralytics' own numbers: equal to its function on made-up sets, and to model.val() on a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.formats.coco import read_predictions
from liftgate.data.formats.read import read
from liftgate.evaluation import ultralytics_convention
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.matching import match
from liftgate.evaluation.ultralytics_convention import as_ultralytics
from oracle import coco_sets

UNLIMITED = 10**6


def test_a_perfect_detector_has_everything_but_the_last_half_step() -> None:
    data = truth([1] * 8)
    numbers = as_ultralytics(match(data, said([(i, BOX, 0.9) for i in range(8)], data)))
    assert numbers["ultralytics_mAP50"] == pytest.approx(0.995)  # the trapezoid falls to 0 at recall 1
    assert (numbers["ultralytics_precision"], numbers["ultralytics_recall"]) == (1.0, 1.0)


def test_without_truth_nothing_is_defined_and_without_detections_all_is_zero() -> None:
    empty, full = truth([0] * 5), truth([1] * 5)
    assert set(as_ultralytics(match(empty, said([(0, FAR, 0.9)], empty))).values()) == {None}
    assert set(as_ultralytics(match(full, said([], full))).values()) == {0.0}


@pytest.mark.train
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_ultralytics_own_function_given_the_same_matches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "open", PIL.Image.open)  # its import replaces this for the whole process: put back
    metrics = pytest.importorskip("ultralytics.utils.metrics")
    gt, dt = coco_sets.awkward(seed, images=25, decimals=4)
    for row in gt["annotations"]:
        row["iscrowd"] = 0
    table = match(coco_sets.dataset(gt), coco_sets.predictions(dt, gt), max_detections=UNLIMITED)
    hits = (table.hit[0][:, None] >> np.arange(10)) & 1
    results = metrics.ap_per_class(hits, table.score, table.cls, table.label_class)
    _, _, precision, recall, _, ap = results[:6]
    ours = as_ultralytics(table)
    assert ours["ultralytics_mAP50-95"] == pytest.approx(ap.mean(), abs=1e-9)
    assert ours["ultralytics_mAP50"] == pytest.approx(ap[:, 0].mean(), abs=1e-9)
    assert ours["ultralytics_precision"] == pytest.approx(precision.mean(), abs=1e-9)
    assert ours["ultralytics_recall"] == pytest.approx(recall.mean(), abs=1e-9)


VALIDATE = """
import json, sys
from ultralytics.models.yolo.detect import DetectionValidator
weights, data, out = sys.argv[1:4]

class Collector(DetectionValidator):
    def init_metrics(self, model):
        super().init_metrics(model)
        self.rows = []
    def update_metrics(self, preds, batch):
        for i, pred in enumerate(preds):
            prepared = self._prepare_batch(i, batch)
            scaled = self.scale_preds(self._prepare_pred(pred), prepared)
            columns = (scaled[name].tolist() for name in ("bboxes", "conf", "cls"))
            for box, score, cls in zip(*columns):
                x1, y1, x2, y2 = box
                row = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score, "category_id": int(cls) + 1}
                row["image_id"] = batch["im_file"][i].rsplit("/", 1)[-1]
                self.rows.append(row)
        super().update_metrics(preds, batch)

quiet = dict(batch=8, workers=0, plots=False, verbose=False, device="cpu")
validator = Collector(args=dict(model=weights, data=data, imgsz=320, **quiet))
stats = validator()
json.dump({"rows": validator.rows, "stats": {k: float(v) for k, v in stats.items()}}, open(out, "w"))
"""


@pytest.mark.train
@pytest.mark.slow
def test_equal_to_model_val_to_four_digits(fixtures: Path, tmp_path: Path) -> None:
    from liftgate.data.formats.yolo import write

    folder = fixtures / "coco_cc"
    source = next(path for path in sorted(folder.rglob("*.json")) if "instances" in path.name)
    data = read(source)
    yaml = write(data.with_images([_in_split(image) for image in data.images]), tmp_path / "tree")
    home = tmp_path / "home"
    fonts = home / "Ultralytics"
    fonts.mkdir(parents=True)
    environment = {
        **os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(home), "HOME": str(home),
    }  # fmt: skip
    out = tmp_path / "val.json"
    weights = fixtures / "weights" / "yolov8n_coco_recon.pt"
    command = [sys.executable, "-c", VALIDATE, str(weights), str(yaml), str(out)]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True, timeout=300)
    result = json.loads(out.read_text())
    predictions = tmp_path / "predictions.json"
    known = dict(enumerate(data.category_ids, start=1))
    predictions.write_text(json.dumps([row | {"category_id": known[row["category_id"]]} for row in result["rows"]]))
    ours = evaluate(data, read_predictions(predictions, data)).as_ultralytics
    theirs = result["stats"]
    assert theirs["metrics/mAP50(B)"] > 0.4
    for mine, other in (
        ("mAP50-95", "mAP50-95(B)"), ("mAP50", "mAP50(B)"), ("precision", "precision(B)"), ("recall", "recall(B)"),
    ):  # fmt: skip
        assert ours[f"ultralytics_{mine}"] == pytest.approx(theirs[f"metrics/{other}"], abs=1e-4), mine


def _in_split(image):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(image, split="val")


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(0, 30), decimals=st.integers(1, 2))
def test_the_rows_left_out_of_a_curve_do_not_bend_it(seed: int, rows: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    score = np.sort(rng.random(rows).round(decimals))[::-1].copy()
    hit = np.where(rng.random(rows) < rng.random(), 2 ** rng.integers(0, 11, rows) - 1, 0).astype(np.uint16)
    objects = max(1, int((hit > 0).sum()) + int(rng.integers(0, 4)))
    table: Any = SimpleNamespace(
        start=np.array([0, rows]), score=score, hit=hit[None], skip=np.zeros((1, rows), dtype=np.uint16)
    )
    quick = ultralytics_convention.class_curves(table, 0, objects)[0]
    for t in range(10 if rows else 0):
        true = np.cumsum((hit >> t) & 1)
        recall, precision = true / objects, true / np.arange(1, rows + 1)
        assert quick[t] == ultralytics_convention.trapezoid_areas(recall[None], precision[None])[0]
