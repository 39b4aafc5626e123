"""Curves of LibreYOLO and Lightning are read like a results.csv, and judged by their shape alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from liftgate.diagnosis import diagnose
from liftgate.diagnosis.trace import read_trace
from liftgate.errors import DataError


def libreyolo(folder: Path, curve: list[float], *, loss: list[float] | None = None, config: str = "") -> Path:
    """Write metrics.jsonl with the keys that LibreYOLO 1.6 writes."""
    folder.mkdir(parents=True, exist_ok=True)
    losses = loss or [5.0 / (epoch + 1) for epoch in range(len(curve))]
    rows = [
        {
            "epoch": epoch,
            "time": 1.5,
            "train/loss": losses[epoch - 1],
            "validated": True,
            "is_best": False,
            "current_metric_name": "metrics/mAP50-95",
            "train/iou_loss": losses[epoch - 1] / 2,
            "metrics/mAP50": 1.5 * value,
            "metrics/mAP50-95": value,
            "lr/pg0": 0.01,
        }
        for epoch, value in enumerate(curve, start=1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if config:
        (folder / "train_config.yaml").write_text(config)
    return folder


def lightning(folder: Path, header: str, rows: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def rising(n: int) -> list[float]:
    return [0.6 * (1 - np.exp(-epoch / 8)) for epoch in range(1, n + 1)]


def ids(path: Path) -> list[str]:
    return [finding.id for finding in diagnose([path])[0].findings]


def test_libreyolos_curve_has_its_metrics_losses_rates_and_best_epoch(tmp_path: Path) -> None:
    folder = libreyolo(tmp_path, [0.1, 0.3, 0.2])
    trace = read_trace(folder)
    assert (trace.trainer, trace.epochs.tolist()) == ("LibreYOLO", [1, 2, 3])
    assert trace.columns["metrics/mAP50-95(B)"].tolist() == [0.1, 0.3, 0.2]
    assert trace.learning_rate is not None and trace.learning_rate.tolist() == [0.01] * 3
    assert diagnose([folder / "metrics.jsonl"])[0].best_epoch == 2


def test_rf_detrs_and_getitunes_rows_of_one_epoch_are_one_row(tmp_path: Path) -> None:
    header = "epoch,step,train/loss_epoch,train/loss_step,train/lr,val/loss,val/mAP_50,val/mAP_50_95"
    rows = [
        "0,9,,7.5,0.001,,,",
        "0,10,,,,4.0,0.2,0.1",
        "0,10,5.0,,,,,",
        "1,19,,3.5,0.0005,,,",
        "1,20,,,,3.0,0.4,0.3",
        "1,20,4.0,,,,,",
    ]
    trace = read_trace(lightning(tmp_path / "rfdetr", header, rows))
    assert (trace.trainer, trace.epochs.tolist()) == ("Lightning", [1, 2])
    assert trace.columns["metrics/mAP50-95(B)"].tolist() == [0.1, 0.3]
    assert trace.columns["train/loss"].tolist() == [5.0, 4.0]
    assert trace.columns["lr/lr"].tolist() == [0.001, 0.0005]
    assert trace.columns["val/loss"].tolist() == [4.0, 3.0]
    getitune = lightning(
        tmp_path / "getitune", "epoch,step,train/total_loss,val/map,val/map_50", ["0,5,2.0,,", "0,5,,0.1,0.2"]
    )
    assert read_trace(getitune).columns["metrics/mAP50(B)"].tolist() == [0.2]


@pytest.mark.parametrize(
    ("epochs", "no_aug", "expected"),
    [
        (10, 15, ["recipe.augmentation_off"]),
        (15, 15, ["recipe.augmentation_off"]),
        (16, 15, []),
        (10, 0, []),
        (10, 2, []),
    ],
)
def test_a_run_that_is_all_last_epochs_had_no_augmentation(
    tmp_path: Path, epochs: int, no_aug: int, expected: list[str]
) -> None:
    folder = libreyolo(tmp_path, rising(epochs), config=f"epochs: {epochs}\nno_aug_epochs: {no_aug}\n")
    assert [found for found in ids(folder) if found.startswith("recipe.")] == expected


def test_a_sound_curve_has_no_finding_and_a_broken_one_has(tmp_path: Path) -> None:
    assert ids(libreyolo(tmp_path / "sound", rising(40), config="epochs: 40\nno_aug_epochs: 4\n")) == []
    broken = [5.0 / epoch for epoch in range(1, 41)]
    broken[30:] = [float("nan")] * 10
    assert "trace.nan" in ids(libreyolo(tmp_path / "nan", rising(40), loss=broken))
    assert "trace.never_learned" in ids(libreyolo(tmp_path / "dead", [0.0] * 60))


def test_lines_that_are_no_rows_are_counted_and_files_without_a_curve_refused(tmp_path: Path) -> None:
    folder = libreyolo(tmp_path / "torn", [0.1, 0.2])
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + '{"epoch": 3, "trai\n[1]\n{"epoch": null}\n')
    assert read_trace(path).unreadable == (3, 4, 5)
    for name, content in {"metrics.jsonl": '{"epoch": 1, "words": 2}\n', "metrics.csv": "epoch,step\n0,1\n"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match="no curve of a training"):
            diagnose([tmp_path / name])
    for name in ("metrics.jsonl", "metrics.csv"):
        (tmp_path / name).write_text("")
        with pytest.raises(DataError, match="no curve of a training"):
            diagnose([tmp_path / name])
