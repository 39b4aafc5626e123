"""What the epochs that are left would bring: said with an interval, refused where a curve does not reach."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.diagnosis.forecast import forecast_run
from liftgate.diagnosis.trace import read_trace
from liftgate.errors import DataError, UsageError
from liftgate.stats.learning_curve import forecast


def run_of(folder: Path, epochs: int, planned: int | None = None) -> Path:
    """A run folder whose mAP50 follows a power law."""
    values = 0.8 - (0.3 * np.arange(1, epochs + 1) + 1) ** -0.8
    lines = [f"{i},{v:.5f},{v / 2:.5f}" for i, v in enumerate(values, 1)]
    (folder / "results.csv").write_text("\n".join(["epoch,metrics/mAP50(B),metrics/mAP50-95(B)", *lines]) + "\n")
    if planned is not None:
        (folder / "args.yaml").write_text(f"epochs: {planned}\n")
    return folder


def test_the_epochs_that_args_yaml_plans_are_looked_ahead_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, 20, 60)
    assert main(["doctor", str(run), "--forecast", "--json"]) == 0
    found = {one["metric"]: one for one in json.loads(capsys.readouterr().out)["forecast"]}
    assert set(found) == {"mAP50", "mAP50-95"}
    end = 0.8 - (0.3 * 60 + 1) ** -0.8
    assert found["mAP50"]["value"] == pytest.approx(end, abs=0.02)
    assert found["mAP50"]["low"] <= found["mAP50"]["value"] <= found["mAP50"]["high"]
    assert (found["mAP50"]["at"], found["mAP50"]["epochs"], found["mAP50"]["level"]) == (60, 20, 0.8)
    assert main(["doctor", str(run), "--forecast", "40"]) == 0
    assert "after epoch 40 about" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("epochs", "at", "error", "message"),
    [
        (20, 20, UsageError, "no epoch is left"),
        (20, 81, UsageError, "four times"),
        (20, None, UsageError, "how many epochs were planned"),
        (5, 10, DataError, "too few epochs"),
    ],
)
def test_what_a_curve_does_not_tell_is_refused(
    tmp_path: Path, epochs: int, at: int | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        forecast_run(run_of(tmp_path, epochs), at)


@pytest.mark.slow  # 30 s
def test_the_interval_holds_the_end_of_about_80_in_100_public_runs(fixtures: Path) -> None:
    """Cut at 30, 50 and 70%; and it is narrower than the spread of the last epochs that would hold as many."""
    inside, width, last = [], [], []
    for folder in sorted(path for path in (fixtures / "traces").iterdir() if path.is_dir()):
        values = read_trace(folder).column("metrics/mAP50(B)")
        values = np.empty(0) if values is None else values[np.isfinite(values)]
        if len(values) < 30:
            continue
        for share in (0.3, 0.5, 0.7):
            cut = max(8, round(share * len(values)))
            found = forecast(values[:cut], len(values))
            if found is None:  # thirty epochs of nothing, and then it learned: [0, 0] was the interval once
                assert np.ptp(values[:cut]) == 0
                continue
            inside.append(found.low <= values[-1] <= found.high)
            width.append(found.high - found.low)
            spread = float(np.std(np.diff(values[max(0, cut - 10) : cut])) / np.sqrt(2))
            last.append((values[cut - 1], spread, values[-1]))
    assert len(inside) == 68 and 0.75 <= np.mean(inside) <= 0.85
    at, spread, end = np.array(last).T
    factor = np.quantile(np.abs(end - at) / np.maximum(spread, 1e-9), np.mean(inside))
    sides = np.clip(at + factor * spread, 0, 1) - np.clip(at - factor * spread, 0, 1)
    assert np.mean(width) < 0.7 * np.mean(sides)


def written(folder: Path, epochs: list[int], values: list[float]) -> Path:
    lines = [f"{epoch},{value},{value}" for epoch, value in zip(epochs, values, strict=True)]
    (folder / "results.csv").write_text("\n".join(["epoch,metrics/mAP50(B),metrics/mAP50-95(B)", *lines]) + "\n")
    return folder


def test_the_last_value_is_named_with_its_epoch_where_rows_or_values_are_missing(tmp_path: Path) -> None:
    """Trainers that validate every second epoch, and an epoch whose metric is NaN at the end."""
    values = (0.8 - (0.3 * np.arange(1, 21) + 1) ** -0.8).tolist()
    every_second = forecast_run(written(tmp_path, list(range(2, 42, 2)), values), 60)[0]
    assert every_second.after == 40 and "after epoch 40; after epoch 60" in every_second.text
    assert "20 epochs)" in every_second.text and every_second.to_dict()["last_epoch"] == 40
    cut = forecast_run(written(tmp_path, list(range(1, 21)), [*values[:19], float("nan")]), 60)[0]
    assert cut.after == 19 and cut.last == pytest.approx(values[18])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.3] * 20, "never moved"), ([0.0] * 20, "never moved"), (np.linspace(20, 60, 20).tolist(), "is no metric"),
        ([*[float("nan")] * 15, 0.1, 0.2, 0.3, 0.4, 0.5], "expected at least 8 with a metric, got 5"),
    ],
)  # fmt: skip
def test_values_that_are_no_curve_are_refused_and_the_findings_are_there_all_the_same(
    tmp_path: Path, values: list[float], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = written(tmp_path, list(range(1, 21)), values)
    with pytest.raises(DataError):
        forecast_run(run, 40)
    assert main(["doctor", str(run), "--forecast", "40"]) == 2
    told = capsys.readouterr()
    assert "results.csv: 20 epochs" in told.out and message in told.err
