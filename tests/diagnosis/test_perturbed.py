"""Curves that are written or damaged in another way get the same findings: the rules are not fitted to the files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diagnosis.test_curves import CURVES, SOUND, SPOILT
from diagnosis.traces import write
from liftgate.diagnosis import diagnose

Rows = list[list[str]]


def rows_of(name: str) -> Rows:
    with (CURVES / name / "results.csv").open(newline="") as file:
        return [[cell.strip() for cell in row] for row in csv.reader(file) if row]


def found(folder: Path, rows: Rows, name: str) -> list[str]:
    """Return the ids of what the doctor finds in these rows, beside the other files of a run."""
    shutil.copytree(CURVES / name, folder)
    (folder / "results.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    return [finding.id for finding in diagnose([folder])[0].findings]


def in_another_order(rows: Rows) -> Rows:
    order = [0, *np.random.default_rng(0).permutation(np.arange(1, len(rows[0])))]
    return [[row[i] for i in order] for row in rows]


def padded_and_quoted(rows: Rows) -> Rows:
    return [[f'"{cell}"'.rjust(25) for cell in row] for row in rows]


def as_older_versions_name_them(rows: Rows) -> Rows:
    """Box metrics without a head, rates as x/lr0, epochs from 0."""
    older = {"metrics/mAP50(B)": "metrics/mAP_0.5", "metrics/mAP50-95(B)": "metrics/mAP_0.5:0.95"}
    older |= {f"lr/pg{i}": f"x/lr{i}" for i in range(3)}
    body = [[str(int(float(row[0])) - 1), *row[1:]] for row in rows[1:]]
    return [[older.get(name, name) for name in rows[0]], *body]


def with_the_losses_of_rt_detr(rows: Rows) -> Rows:
    other = {"box_loss": "giou_loss", "dfl_loss": "l1_loss"}
    return [["/".join(other.get(word, word) for word in name.split("/")) for name in rows[0]], *rows[1:]]


def with_a_row_without_validation(rows: Rows) -> Rows:
    """As where one validation was skipped, or gave nan."""
    changed = [list(row) for row in rows]
    for i, name in enumerate(rows[0]):
        if name.startswith("val/"):
            changed[2 * len(rows) // 3][i] = "nan"
    return changed


def with_an_empty_row(rows: Rows) -> Rows:
    changed = [list(row) for row in rows]
    changed[len(rows) // 2][1:] = [""] * (len(rows[0]) - 1)
    return changed


def with_noise_in_the_metrics(rows: Rows) -> Rows:
    """A tenth of a point: less than another seed or another threshold of confidence makes."""
    rng = np.random.default_rng(1)
    changed = [list(row) for row in rows]
    for i, name in enumerate(rows[0]):
        for row in changed[1:] if name.startswith("metrics/") else ():
            row[i] = f"{max(0.0, float(row[i]) + rng.normal(0, 0.001)):.5f}" if float(row[i]) > 0 else row[i]
    return changed


@pytest.mark.parametrize(
    "change",
    [
        in_another_order,
        padded_and_quoted,
        as_older_versions_name_them,
        with_the_losses_of_rt_detr,
        with_a_row_without_validation,
        with_an_empty_row,
        with_noise_in_the_metrics,
    ],
)
@pytest.mark.parametrize("name", [*SOUND, *SPOILT])
def test_the_same_curve_gets_the_same_findings(tmp_path: Path, name: str, change: Callable[[Rows], Rows]) -> None:
    expected = SPOILT[name][0] if name in SPOILT else []
    assert found(tmp_path / "run", change(rows_of(name)), name) == expected


@pytest.mark.parametrize("first_epoch", [0, 1])
@pytest.mark.parametrize("name", ["sound_s0", "overfit", "patience_cut", "transposed"])
def test_of_two_runs_in_one_file_the_last_is_judged_however_the_first_counts(
    tmp_path: Path, name: str, first_epoch: int
) -> None:
    rows = rows_of(name)
    before = [[str(int(float(row[0])) - 1 + first_epoch), *row[1:]] for row in rows_of("fine_high")[1:]]
    expected = [*(SPOILT[name][0] if name in SPOILT else []), "trace.duplicate_epoch"]
    assert found(tmp_path / "run", [rows[0], *before, *rows[1:]], name) == expected


@pytest.mark.parametrize("last", range(5, 13))
@pytest.mark.parametrize("name", [*SOUND, *SPOILT])
def test_five_to_twelve_rows_get_a_word_and_no_diagnosis_of_a_shape(tmp_path: Path, name: str, last: int) -> None:
    """Of so few epochs can be said: a rise, nothing found, arguments that were ignored, a start that did harm."""
    ids = set(found(tmp_path / "run", rows_of(name)[: last + 1], name))
    sayable = {"trace.too_short", "trace.stopped_rising", "trace.lr_ignored", "trace.patience_short"}
    if name == "forgot":  # at four times the usual rate without a warm-up: its loss was doubled from epoch 2 to 11
        sayable |= {"trace.warmup_short"}
    if name == "pose_invisible":  # a keypoint loss of exactly 0
        sayable |= {"trace.never_learned"}
    assert ids and ids <= sayable


@pytest.mark.parametrize("cut", [0.25, 0.35, 0.5, 0.65])
@pytest.mark.parametrize("name", ["sound_s0", "sound_s1", "sgd_sound", "pose_sound", "cos", "patience_sound"])
def test_a_run_that_is_cut_short_is_never_without_a_word(tmp_path: Path, name: str, cut: float) -> None:
    """The rest of each of these curves shows that more epochs were worth it."""
    rows = rows_of(name)
    ids = set(found(tmp_path / "run", rows[: 1 + max(6, round(cut * (len(rows) - 1)))], name))
    assert ids and ids <= {"trace.stopped_rising", "trace.too_short"}


def test_one_epoch_without_validation_hides_no_rise_in_a_short_run(tmp_path: Path) -> None:
    rows = rows_of("short_rising")
    expected = found(tmp_path / "whole", rows, "short_rising")
    changed = [list(row) for row in rows]
    for i, name in enumerate(rows[0]):
        if name.startswith(("val/", "metrics/")):
            changed[2][i] = ""
    assert "trace.stopped_rising" in expected
    assert found(tmp_path / "run", changed, "short_rising") == expected


def classified(rows: Rows) -> Rows:
    """As a classifier writes it: one loss, accuracies in place of mAP."""
    at = {name: i for i, name in enumerate(rows[0])}
    named = {
        "epoch": "epoch",
        "train/loss": "train/box_loss",
        "metrics/accuracy_top1": "metrics/mAP50-95(B)",
        "metrics/accuracy_top5": "metrics/mAP50(B)",
        "val/loss": "val/box_loss",
        "lr/pg0": "lr/pg0",
    }
    return [list(named), *[[row[at[old]] for old in named.values()] for row in rows[1:]]]


def segmented(rows: Rows) -> Rows:
    """As a model with masks writes it: a second head that follows the first."""
    at = {name: i for i, name in enumerate(rows[0])}
    extra = {f"metrics/{one}(M)": at[f"metrics/{one}(B)"] for one in ("precision", "recall", "mAP50", "mAP50-95")}
    extra |= {f"{part}/seg_loss": at[f"{part}/box_loss"] for part in ("train", "val")}
    return [[*rows[0], *extra], *[[*row, *(row[i] for i in extra.values())] for row in rows[1:]]]


@pytest.mark.parametrize("name", ["sound_s0", "sound_s1", "sgd_sound", "cos", "patience_sound"])
@pytest.mark.parametrize("change", [classified, segmented])
def test_sound_runs_of_other_tasks_are_quiet(tmp_path: Path, name: str, change: Callable[[Rows], Rows]) -> None:
    assert found(tmp_path / "run", change(rows_of(name)), name) == []


@pytest.mark.parametrize("change", [classified, segmented])
def test_a_cut_run_of_another_task_is_named(tmp_path: Path, change: Callable[[Rows], Rows]) -> None:
    assert "trace.stopped_rising" in found(tmp_path / "run", change(rows_of("patience_cut")), "patience_cut")


def test_a_start_that_is_soon_overtaken_was_not_forgotten(tmp_path: Path) -> None:
    """Under an automatic rate the first epochs often lose what little the start weights knew."""
    curve = np.concatenate([[0.19], np.full(14, 0.05), 0.75 * (1 - np.exp(-np.arange(1, 46) / 8))])
    assert "trace.forgetting" not in {one.id for one in diagnose([write(tmp_path / "run", curve)])[0].findings}
