"""The doctor: sound runs are quiet, planted faults are named, and what a trace cannot show is not guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnosis.traces import ARGS, HEADER, case_c, learned, rates, write
from liftgate.cli import main
from liftgate.diagnosis import diagnose
from liftgate.diagnosis.trace import head_curves, read_trace
from liftgate.errors import DataError

quick = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def ids(*folders: Path) -> list[str]:
    return [finding.id for diagnosis in diagnose(folders) for finding in diagnosis.findings]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Sound runs are quiet.


@quick
@given(
    seed=st.integers(0, 10_000),
    n=st.sampled_from([50, 80, 100, 150, 300]),
    top=st.floats(0.2, 0.95),
    share=st.floats(0.03, 0.2),
    jitter=st.floats(0.0, 0.03),
)
def test_a_sound_run_is_quiet(tmp_path: Path, seed: int, n: int, top: float, share: float, jitter: float) -> None:
    """Of one in a thousand curves with a noise of 15% an info says that it may have risen still; never more."""
    findings = diagnose([write(tmp_path / "run", learned(n, top, share * n, rng(seed), jitter))])[0].findings
    assert [one.id for one in findings if one.severity != "info"] == []


@quick
@given(seed=st.integers(0, 10_000), level=st.floats(0.3, 0.9), after=st.integers(50, 120))
def test_a_run_that_patience_ended_on_its_plateau_is_quiet(tmp_path: Path, seed: int, level: float, after: int) -> None:
    curve = learned(40 + after, level, 8, rng(seed), 0.012)
    assert ids(write(tmp_path / "run", curve, args={"epochs": 300, "patience": 50})) == []


def test_what_misleads_is_not_diagnosed(tmp_path: Path) -> None:
    """What sound runs do that looks bad."""
    n = 100
    late = learned(n, 0.6, 12, rng(1), late=9)  # nought for nine epochs
    dip = learned(n, 0.6, 12, rng(2))
    dip[1:4] *= 0.5  # the automatic learning rate halves it and it comes back
    closing = 1.5 * np.exp(-np.arange(n) / 30) + 0.8
    closing[-10:] *= 0.7  # mosaic goes off
    wide = np.linspace(1.0, 1.6, n)  # validation loss rises by half at an mAP that stays
    odd = np.full(n, 200.0) * np.exp(-np.arange(n) / 2) + 2  # class loss of 200 in the first epochs
    for name, folder in {
        "late": write(tmp_path / "late", late),
        "dip": write(tmp_path / "dip", dip),
        "mosaic": write(tmp_path / "mosaic", learned(n, 0.6, 12, rng(3)), train=closing),
        "val loss": write(tmp_path / "val", learned(n, 0.9, 8, rng(4), 0.003), val=wide),
        "first losses": write(tmp_path / "odd", learned(n, 0.6, 12, rng(5)), val=odd),
        "saturated": write(tmp_path / "top", learned(200, 0.99, 5, rng(6), 0.001)),
        "few objects": write(tmp_path / "few", learned(n, 0.6, 10, rng(7), 0.09)),
    }.items():
        assert ids(folder) == [], name


def test_a_dead_start_within_the_warm_up_of_a_one_batch_data_set_is_no_verdict(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", np.zeros(46), lr=rates(300, 46, warmup=100), args={"epochs": 300})
    assert "trace.never_learned" not in ids(folder)


def test_a_nan_in_a_validation_loss_that_passes_is_quiet(tmp_path: Path) -> None:
    val = np.linspace(2, 1, 100)
    val[3] = np.nan
    assert ids(write(tmp_path / "run", learned(100, 0.6, 12, rng()), val=val)) == []


def test_a_one_batch_data_set_whose_warm_up_outlasts_the_run_is_no_contradiction(tmp_path: Path) -> None:
    """The rate rises with the warm-up while the plan falls: its peak is an eighth of lr0, as asked for."""
    planned = rates(50, 50, 0.01, warmup=100)
    curve = learned(50, 0.6, 12, rng(), 0.003)
    curve[1::2] = curve[0::2]  # two epochs to a step: rows in pairs
    assert ids(write(tmp_path / "run", curve, lr=planned)) == []
    (finding,) = diagnose([write(tmp_path / "dead", np.zeros(50), lr=planned)])[0].findings
    assert finding.id == "trace.never_learned" and "too few optimizer steps" in finding.hint


def test_a_rate_that_contradicts_the_arguments_of_a_named_optimizer(tmp_path: Path) -> None:
    curve = learned(100, 0.6, 12, rng())
    asked = {"epochs": 100, "optimizer": "SGD", "lr0": 0.001}
    assert ids(write(tmp_path / "run", curve, lr=rates(100, 100, 0.01), args=asked)) == ["trace.lr_ignored"]
    cosine = 0.001 * ((1 + np.cos(np.pi * np.arange(100) / 100)) / 2 * 0.99 + 0.01)
    same = write(tmp_path / "cos", curve, lr=np.stack([cosine] * 3, axis=1), args=asked | {"cos_lr": True})
    assert ids(same) == []


def test_auto_with_untouched_defaults_asked_for_nothing(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "run", learned(100, 0.6, 12, rng()), lr=rates(100, 100, 0.002), args={"optimizer": "auto"}
    )
    assert ids(folder) == []


def test_auto_that_chose_exactly_what_was_asked_is_quiet(tmp_path: Path) -> None:
    args = {"optimizer": "auto", "lr0": 0.002}
    folder = write(tmp_path / "run", learned(100, 0.6, 12, rng()), lr=rates(100, 100, 0.002), args=args)
    assert ids(folder) == []


# Planted faults are named.


def test_the_two_stage_run_of_the_cone_project_is_explained(tmp_path: Path) -> None:
    diagnosis = diagnose([case_c(tmp_path / "run")])[0]
    found = {finding.id: finding for finding in diagnosis.findings}
    assert list(found) == ["trace.forgetting", "trace.lr_ignored", "trace.stopped_rising"]
    assert found["trace.forgetting"].data["evidence"]["lowest_epoch"] == 3
    assert found["trace.lr_ignored"].data["evidence"]["lr0_used"] == pytest.approx(0.01, rel=0.02)
    assert found["trace.lr_ignored"].data["experiment"] == {"optimizer": "SGD"}
    assert found["trace.forgetting"].data["experiment"] == {"optimizer": "SGD"}, "another lr0 would be ignored too"
    assert "patience=30" in found["trace.stopped_rising"].hint
    assert (diagnosis.epochs, diagnosis.best_epoch) == (50, 50)


def test_the_cone_trace_is_explained_without_its_learning_rate_columns_too(tmp_path: Path) -> None:
    folder = case_c(tmp_path / "run")
    rows = [line.split(",")[:-3] for line in (folder / "results.csv").read_text().splitlines()]
    (folder / "results.csv").write_text("\n".join(",".join(row) for row in rows))
    assert ids(folder) == ["trace.forgetting", "trace.lr_ignored", "trace.stopped_rising"]


def test_the_eight_epochs_that_were_published_are_enough(tmp_path: Path) -> None:
    folder = case_c(tmp_path / "run")
    rows = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join(rows[epoch] for epoch in (0, 1, 2, 3, 4, 15, 30, 40, 50)))
    diagnosis = diagnose([folder])[0]
    assert [one.id for one in diagnosis.findings] == ["trace.forgetting", "trace.lr_ignored", "trace.stopped_rising"]
    assert (diagnosis.epochs, diagnosis.best_epoch) == (8, 50)
    fallen = rows[50].replace(rows[50].split(",")[8], "0.515")  # the last epoch below the one before: no rise
    (folder / "results.csv").write_text("\n".join([*(rows[epoch] for epoch in (0, 1, 2, 3, 4, 15, 30, 40)), fallen]))
    assert "trace.stopped_rising" not in ids(folder)


def test_forgetting_that_never_heals(tmp_path: Path) -> None:
    curve = np.concatenate([[0.6, 0.45], 0.4 + 0.05 * (1 - np.exp(-np.arange(48) / 10)) + rng().normal(0, 0.003, 48)])
    assert "trace.forgetting" in ids(write(tmp_path / "run", curve))


def test_a_learning_rate_at_its_floor_for_half_the_run(tmp_path: Path) -> None:
    lr = np.concatenate([rates(100, 100, 0.002, 0.001), np.full((100, 3), 2e-6)])
    curve = learned(200, 0.2, 25, rng(), 0.004)
    diagnosis = diagnose([write(tmp_path / "run", curve, lr=lr, args={"epochs": 200, "lr0": 0.002, "lrf": 0.001})])[0]
    exhausted = next(finding for finding in diagnosis.findings if finding.id == "trace.lr_exhausted")
    assert 95 <= exhausted.data["evidence"]["epoch"] <= 100


def test_a_schedule_that_ends_while_the_metric_rises_is_one_finding(tmp_path: Path) -> None:
    """Every linear schedule ends at 1% of its peak: an exhausted rate beside it would be the same symptom again."""
    curve = np.linspace(0.0, 0.3, 100) + rng().normal(0, 0.004, 100)
    found = ids(write(tmp_path / "run", np.clip(curve, 0, 1), args={"epochs": 100, "lr0": 0.002, "lrf": 0.001}))
    assert found == ["trace.stopped_rising"]


def test_a_run_cut_off_while_it_rises(tmp_path: Path) -> None:
    curve = learned(30, 0.7, 25, rng(), 0.004)
    assert ids(write(tmp_path / "run", curve, args={"epochs": 200})) == ["trace.stopped_rising"]


def test_a_model_that_never_finds_anything(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", np.full(60, 0.0004) * rng().random(60))
    finding = diagnose([folder])[0].findings[0]
    assert finding.id == "trace.never_learned"
    assert "geometry probe" in finding.hint, "the cheap look comes before the learning rate"


def test_epochs_of_a_few_batches_are_no_chance_to_learn(tmp_path: Path) -> None:
    """As a real run on 24 images: nothing found in 40 epochs, which are 240 batches."""
    folder = write(tmp_path / "run", np.zeros(40), args={"epochs": 60})
    assert ids(folder) == ["trace.never_learned"]
    line = "      1/60       0G   0.0008   0.0105   0.0004        6       64: 100% ━━━━━━ {0}/{0} 25.9it/s 0.2s\n"
    (folder / "train.log").write_text(line.format(6))
    (finding,) = diagnose([folder])[0].findings
    assert finding.id == "trace.too_short" and "too early to say why" in finding.message
    (folder / "train.log").write_text(line.format(9))
    assert ids(folder) == ["trace.never_learned"]


def test_keypoints_that_were_never_trained_beside_boxes_that_were(tmp_path: Path) -> None:
    n = 100
    columns = {"train/pose_loss": np.zeros(n), "metrics/mAP50(P)": np.zeros(n), "metrics/mAP50-95(P)": np.zeros(n)}
    diagnosis = diagnose([write(tmp_path / "run", learned(n, 0.68, 8, rng()), columns=columns)])[0]
    assert [finding.id for finding in diagnosis.findings] == ["trace.never_learned"]
    assert "keypoints" in diagnosis.findings[0].message


def test_a_run_that_blew_up(tmp_path: Path) -> None:
    curve = np.concatenate([learned(40, 0.5, 6, rng()), np.full(60, 0.02)])
    train = np.concatenate([np.linspace(2.5, 1.2, 40), np.linspace(1.5, 4.0, 60)])
    assert "trace.diverged" in ids(write(tmp_path / "run", curve, train=train))


def test_a_loss_that_rises_before_anything_is_found_is_sound(tmp_path: Path) -> None:
    """As real runs from scratch did: 0.92 in the first epoch, 6 in the fourth, 2.9 at the end, mAP50 .71."""
    train = np.concatenate([[0.9, 1.5, 3.0, 6.0], np.linspace(5.8, 2.9, 36)])
    curve = learned(40, 0.47, 6, rng(), late=9)
    assert ids(write(tmp_path / "run", curve, train=train)) == []


def test_nan_in_a_training_loss(tmp_path: Path) -> None:
    train = np.linspace(2.5, 1.2, 60)
    train[40:] = np.nan
    finding = diagnose([write(tmp_path / "run", learned(60, 0.5, 6, rng()), train=train)])[0].findings[0]
    assert (finding.id, finding.data["evidence"]["epochs"][0]) == ("trace.nan", 41)


def test_over_fitting_needs_a_metric_that_falls(tmp_path: Path) -> None:
    n = 120
    rise, fall = learned(40, 0.6, 6, rng(), 0.004), np.linspace(0.6, 0.5, 80) + rng(1).normal(0, 0.004, 80)
    val = np.concatenate([np.linspace(2.4, 1.4, 40), np.linspace(1.4, 2.2, 80)])
    train = np.linspace(2.5, 0.6, n)
    assert "trace.overfit" in ids(write(tmp_path / "run", np.concatenate([rise, fall]), val=val, train=train))


def test_metric_and_loss_that_swing_together(tmp_path: Path) -> None:
    swing = rng(3).normal(0, 1, 100)
    curve = np.clip(0.4 + 0.12 * swing, 0, 1)
    val = 2.0 - 0.5 * swing
    assert "trace.oscillation" in ids(write(tmp_path / "run", curve, val=val))


def test_a_long_flat_run_at_full_rate_with_a_flat_loss(tmp_path: Path) -> None:
    n = 150
    curve = 0.14 * (1 - np.exp(-np.arange(n) / 4)) + rng().normal(0, 0.004, n)
    train = 2.0 + 0.5 * np.exp(-np.arange(n) / 4) + rng(1).normal(0, 0.01, n)
    found = ids(write(tmp_path / "run", np.clip(curve, 0, 1), train=train, args={"epochs": 500}))
    assert found == ["trace.plateau"]


def test_losses_that_are_rounded_to_nothing_are_read_too(tmp_path: Path) -> None:
    n = 150
    flat = np.clip(0.14 * (1 - np.exp(-np.arange(n) / 4)) + rng().normal(0, 0.004, n), 0, 1)
    found = ids(write(tmp_path / "flat", flat, train=np.zeros(n), args={"epochs": 500}))
    assert found == ["trace.plateau"]
    rise, fall = learned(40, 0.6, 6, rng(), 0.004), np.linspace(0.6, 0.5, 80) + rng(1).normal(0, 0.004, 80)
    fell = write(tmp_path / "fell", np.concatenate([rise, fall]), val=np.zeros(120), train=np.zeros(120))
    assert "trace.overfit" not in ids(fell), "no loss rose or fell"
    swing = np.clip(0.4 + 0.12 * rng(3).normal(0, 1, 100), 0, 1)
    assert "trace.oscillation" not in ids(write(tmp_path / "swing", swing, val=np.zeros(100)))


def test_a_metric_that_stands_low_is_a_plateau_though_the_training_loss_falls(tmp_path: Path) -> None:
    """As the X-ray project's .2; of a good metric that is how a sound run ends."""
    flat = 1 - np.exp(-np.arange(100) / 5)
    (finding,) = diagnose([write(tmp_path / "low", 0.14 * flat + rng().normal(0, 0.003, 100))])[0].findings
    assert finding.id == "trace.plateau" and "while the training loss fell" in finding.message
    assert "val shows other things than train" in finding.hint
    assert ids(write(tmp_path / "good", 0.5 * flat + rng().normal(0, 0.003, 100))) == []


def test_what_fell_or_swings_did_not_stand(tmp_path: Path) -> None:
    train = 2.0 + 0.5 * np.exp(-np.arange(100) / 4)
    swing = np.clip(0.3 + 0.1 * rng(1).normal(0, 1, 100), 0, 1)
    fell = np.concatenate([learned(60, 0.5, 6, rng()), 0.5 * np.exp(-np.arange(40) / 5)])
    for name, curve in {"swing": swing, "fell": fell}.items():
        assert "trace.plateau" not in ids(write(tmp_path / name, curve, train=train, args={"epochs": 300}))


def test_a_constant_rate_has_no_warm_up_to_wait_for(tmp_path: Path) -> None:
    flat = np.full((60, 3), 0.01)
    assert ids(write(tmp_path / "run", np.zeros(60), lr=flat)) == ["trace.never_learned"]
    rising = np.linspace(0, 0.6, 60)
    (rate_known,) = diagnose([write(tmp_path / "up", rising, lr=flat, args={"epochs": 60})])[0].findings
    assert rate_known.data["experiment"] == {"epochs": 120}, "it ran as long as it was to"


def test_under_auto_a_lower_rate_needs_a_named_optimizer(tmp_path: Path) -> None:
    curve = np.concatenate([[0.6, 0.4], np.full(48, 0.4) + rng().normal(0, 0.003, 48)])
    for said, experiment in (
        ({"optimizer": "auto"}, {"optimizer": "AdamW", "lr0": 0.0002}),
        ({"optimizer": "auto", "lr0": 0.0005}, {"optimizer": "AdamW"}),
        ({"optimizer": "AdamW", "lr0": 0.002}, {"lr0": 0.0002}),
    ):
        folder = write(tmp_path / "run", curve, lr=rates(50, 50, 0.002), args={"epochs": 50, **said})
        assert diagnose([folder])[0].findings[0].data["experiment"] == experiment


def test_a_batch_that_was_halved_is_read_in_the_log(tmp_path: Path) -> None:
    folder = write(tmp_path / "run" / "results", learned(100, 0.6, 12, rng()))
    line = "WARNING CUDA out of memory with batch=64. Reducing to batch=32 and retrying (1/3).\n"
    (tmp_path / "run" / "train.log").write_text(line)
    diagnosis = diagnose([folder])[0]
    assert diagnosis.findings[0].id == "trace.batch_halved"
    assert diagnosis.findings[0].data["evidence"] == {"asked": 64, "used": 32}


@pytest.mark.parametrize("name", ["train.log", "log.txt", "nohup.out", "my run.log", "slurm-4711.out"])
def test_a_log_is_found_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "run", learned(100, 0.6, 12, rng()))
    (folder / name).write_text("CUDA out of memory with batch=64. Reducing to batch=32 and retrying (1/3).\n")
    assert ids(folder) == ["trace.batch_halved"]


def test_an_epoch_that_stands_twice_and_one_that_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(100, 0.6, 12, rng()))
    lines = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join([*lines[:21], lines[20], *lines[21:40], *lines[41:]]))
    diagnosis = diagnose([folder])[0]
    assert [finding.id for finding in diagnosis.findings] == ["trace.duplicate_epoch", "trace.missing_epoch"]
    assert diagnosis.findings[0].data["evidence"]["epochs"] == [20]
    assert diagnosis.epochs == 99


def test_equal_validation_rows_mean_that_no_step_was_taken(tmp_path: Path) -> None:
    curve = learned(100, 0.6, 12, rng())
    val = np.linspace(2, 1, 100)
    curve[50:56], val[50:56] = curve[50], val[50]
    assert "trace.no_step" in ids(write(tmp_path / "run", curve, val=val))


def test_the_same_run_twice_is_a_repeat_and_not_a_seed(tmp_path: Path) -> None:
    curve = learned(100, 0.6, 12, rng())
    a, b = write(tmp_path / "a", curve), write(tmp_path / "b", curve)
    assert ids(a, b) == ["trace.repeat"]


def test_val_that_is_train_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: images/all\nval: images/all\nnames: [a]\n")
    args = {"data": str(tmp_path / "data.yaml")}
    assert ids(write(tmp_path / "run", learned(100, 0.9, 8, rng()), args=args)) == ["trace.val_is_train"]


def test_a_rate_that_broke_trained_weights_for_good_comes_before_the_geometry(tmp_path: Path) -> None:
    """As a real run did: SGD at 0.2 without warm-up from a good checkpoint."""
    n = 24
    flat = np.stack([0.2 * (1 - np.arange(n) / n) + 0.002] * 3, axis=1)
    args = {"epochs": n, "lr0": 0.2, "warmup_epochs": 0, "model": "runs/a/weights/best.pt"}
    findings = diagnose([write(tmp_path / "run", np.linspace(0, 0.006, n), lr=flat, args=args)])[0].findings
    assert [finding.id for finding in findings] == ["trace.never_learned"]
    assert "learning rate of 0.2" in findings[0].hint and findings[0].data["experiment"] == {"lr0": 0.02}


def test_a_loss_that_leaps_without_warm_up_and_stays_high(tmp_path: Path) -> None:
    n = 60
    train = np.concatenate([[2.0], np.linspace(5.0, 1.8, n - 1)])
    flat = np.stack([0.01 * (1 - np.arange(n) / n) + 0.0001] * 3, axis=1)
    asked = {"epochs": n, "warmup_epochs": 0}
    curve = learned(n, 0.5, 12, rng())
    assert ids(write(tmp_path / "run", curve, lr=flat, train=train, args=asked)) == ["trace.warmup_short"]
    back = np.concatenate([[2.0, 3.4, 2.4], np.linspace(1.9, 1.0, n - 3)])
    assert ids(write(tmp_path / "back", curve, lr=flat, train=back, args=asked)) == [], "it came back: a sound run"
    ramp = rates(n, n, warmup=3)
    assert ids(write(tmp_path / "ramp", curve, lr=ramp, train=train, args={"epochs": n})) == [], "it was warmed up"


def test_the_optimizer_that_ran_is_read_in_the_log(tmp_path: Path) -> None:
    args = {"optimizer": "auto", "lr0": 0.0001, "epochs": 60}
    folder = write(tmp_path / "run", learned(60, 0.6, 8, rng()), lr=rates(60, 60, 0.001429), args=args)
    line = (
        "\x1b[34m\x1b[1moptimizer:\x1b[0m AdamW(lr=0.001429, momentum=0.9) with parameter groups 32 weight(decay=0.0)\n"
    )
    (folder / "train.log").write_text(line)
    (finding,) = diagnose([folder])[0].findings
    assert finding.id == "trace.lr_ignored" and "AdamW with lr 0.001429" in finding.message
    assert finding.data["evidence"]["lr0_used"] == 0.001429


def test_keypoints_are_judged_by_their_own_loss_and_boxes_by_theirs(tmp_path: Path) -> None:
    """Keypoints over-fit beside sound boxes: the sum of all losses would show neither."""
    n = 120
    rise, fall = learned(40, 0.6, 6, rng(), 0.004), np.linspace(0.6, 0.5, 80) + rng(1).normal(0, 0.004, 80)
    keypoints = np.concatenate([rise, fall])
    columns = {
        "train/pose_loss": np.linspace(0.5, 0.1, n),
        "val/pose_loss": np.concatenate([np.linspace(0.5, 0.3, 40), np.linspace(0.3, 0.5, 80)]),
        "metrics/mAP50(P)": np.clip(keypoints * 1.3, 0, 1),
        "metrics/mAP50-95(P)": keypoints,
    }
    (finding,) = diagnose([write(tmp_path / "run", learned(n, 0.7, 10, rng(2)), columns=columns)])[0].findings
    assert (finding.id, finding.data["evidence"]["metric"]) == ("trace.overfit", "mAP50-95(P)")


def test_a_rise_beside_a_wide_gap_of_losses_asks_for_images_and_not_for_epochs(tmp_path: Path) -> None:
    """As a real run on twelve images did."""
    curve = np.clip(np.linspace(0.0, 0.3, 100) + rng().normal(0, 0.004, 100), 0, 1)
    gap = {"train": np.linspace(2.0, 0.4, 100), "val": np.linspace(3.0, 2.4, 100)}
    finding = diagnose([write(tmp_path / "run", curve, args={"epochs": 100, "lrf": 0.2}, **gap)])[0].findings[0]
    assert finding.id == "trace.stopped_rising"
    assert "more images" in finding.hint and finding.data["experiment"] == {}


def test_a_rise_at_the_end_of_a_rate_far_too_high_asks_for_a_lower_one(tmp_path: Path) -> None:
    """As a real run with SGD at 0.1 did: it learned only once the rate had fallen."""
    curve = np.concatenate([np.zeros(14), np.linspace(0.01, 0.25, 11)])
    (finding,) = diagnose([write(tmp_path / "run", curve, args={"epochs": 25, "lr0": 0.1})])[0].findings
    assert finding.id == "trace.stopped_rising" and finding.data["experiment"] == {"lr0": 0.01}


def test_a_head_that_rises_while_another_falls_is_no_rise(tmp_path: Path) -> None:
    """Boxes pay for keypoints: more epochs would not help the model."""
    n = 40
    rising = np.linspace(0.1, 0.4, n) + rng(1).normal(0, 0.004, n)
    columns = {"train/pose_loss": np.linspace(2, 1, n), "val/pose_loss": np.linspace(2, 1, n)}
    columns |= {"metrics/mAP50(P)": np.clip(1.3 * rising, 0, 1), "metrics/mAP50-95(P)": rising}
    for name, boxes, found in (
        ("stays", learned(n, 0.6, 4, rng()), ["trace.stopped_rising"]),
        ("falls", np.concatenate([learned(20, 0.6, 3, rng()), np.linspace(0.6, 0.5, 20)]), []),
    ):
        diagnosis = diagnose([write(tmp_path / name, boxes, columns=columns, args={"epochs": 200})])[0]
        assert [one.id for one in diagnosis.findings if one.id == "trace.stopped_rising"] == found, name
    evidence = diagnose([tmp_path / "stays"])[0].findings[0].data["evidence"]
    assert evidence["metric"] == "mAP50-95(P)" and list(evidence["other_heads"]) == ["mAP50-95(B)"]


def test_a_short_run_gets_cannot_say(tmp_path: Path) -> None:
    assert ids(write(tmp_path / "run", np.array([0.1, 0.2, 0.3]))) == ["trace.too_short"]


# What the 43 public runs of fixtures/traces showed, planted: see benchmarks/doctor.py.


def rows_of(folder: Path) -> list[str]:
    return (folder / "results.csv").read_text().splitlines()


def test_a_trial_of_a_few_epochs_that_still_rises_steeply(tmp_path: Path) -> None:
    """4 epochs at .36 to .59, or 8 at .17 to .56: too short for most rules, and what to do next is plain."""
    for name, curve in {
        "four": [0.21, 0.27, 0.33, 0.38],
        "eight": [0.06, 0.06, 0.08, 0.1, 0.12, 0.2, 0.24, 0.27],
    }.items():
        assert ids(write(tmp_path / name, np.array(curve))) == ["trace.stopped_rising"], name
    flat = np.array([0.20, 0.26, 0.24, 0.27, 0.25])
    assert ids(write(tmp_path / "flat", flat)) == ["trace.too_short"]


def test_a_run_that_was_cut_while_it_began_to_find_something(tmp_path: Path) -> None:
    """mAP50 .014 to .188, cut at 13 of 50: against Sen's 99% interval on 8 points anything is possible."""
    curve = np.concatenate([np.full(5, 0.004), np.linspace(0.01, 0.13, 8) + rng().normal(0, 0.006, 8)])
    assert ids(write(tmp_path / "run", curve, args={"epochs": 50})) == ["trace.stopped_rising"]


def test_a_sound_end_of_a_linear_schedule_still_creeps_up(tmp_path: Path) -> None:
    """mAP50 at .98 and mAP50-95 from .80 to .88 over the last third: every linear decay ends so."""
    n = 100
    fine = 0.88 - 0.3 * np.exp(-np.arange(n) / 40) + rng().normal(0, 0.004, n)
    columns = {"metrics/mAP50(B)": np.clip(0.985 - 0.3 * np.exp(-np.arange(n) / 8), 0, 1)}
    assert ids(write(tmp_path / "run", fine, columns=columns)) == []


def test_patience_of_five_that_ended_a_run_at_four_fifths_of_its_rate_is_named(tmp_path: Path) -> None:
    rising = np.concatenate([0.1 + 0.2 * np.arange(24) / 24 + rng().normal(0, 0.015, 24), np.full(5, 0.28)])
    rising[23] = 0.33
    asked = {"epochs": 150, "patience": 5}
    (finding,) = diagnose([write(tmp_path / "rising", rising, args=asked)])[0].findings
    assert finding.id == "trace.stopped_rising" and "patience=5 ended it" in finding.hint
    flat = np.full(29, 0.3) + rng(1).normal(0, 0.02, 29)
    flat[23] = 0.4
    (finding,) = diagnose([write(tmp_path / "flat", flat, args=asked)])[0].findings
    assert (finding.id, finding.severity) == ("trace.patience_short", "info")


def test_a_box_loss_of_exactly_0_is_evidence_at_once(tmp_path: Path) -> None:
    """No box ever reached the loss; with mAP50 at .04 by luck."""
    n = 12
    none = {"train/box_loss": np.zeros(n), "train/dfl_loss": np.zeros(n)}
    (finding,) = diagnose([write(tmp_path / "run", np.full(n, 0.02), columns=none, args={"epochs": 50})])[0].findings
    assert finding.id == "trace.never_learned" and "train/box_loss is exactly 0" in finding.message
    without = {"train/dfl_loss": np.zeros(60)}  # a head without distribution focal loss
    assert ids(write(tmp_path / "sound", learned(60, 0.6, 8, rng()), columns=without)) == []


def test_a_plan_that_came_to_its_end_inside_the_warm_up(tmp_path: Path) -> None:
    lr = rates(20, 20, 0.002, warmup=100)
    (finding,) = diagnose([write(tmp_path / "run", np.zeros(20), lr=lr)])[0].findings
    assert finding.id == "trace.never_learned" and "too few optimizer steps" in finding.hint
    (finding,) = diagnose([write(tmp_path / "cut", np.zeros(20), lr=lr, args={"epochs": 300})])[0].findings
    assert finding.id == "trace.too_short" and "nothing was found in any epoch (of 20)" in finding.message


def test_over_fitting_that_begins_when_mosaic_closes(tmp_path: Path) -> None:
    """.44 to .08 in the last tenth, among swings of .1."""
    swing = 0.35 + rng(4).normal(0, 0.07, 40)
    curve = np.concatenate([swing, np.linspace(0.3, 0.08, 12)])
    val = np.concatenate([np.full(40, 2.0), np.linspace(2.1, 3.0, 12)])
    train = np.concatenate([np.linspace(2.5, 1.5, 40), np.linspace(1.3, 0.9, 12)])
    assert "trace.overfit" in ids(write(tmp_path / "run", curve, val=val, train=train))


def test_equal_validation_rows_beside_a_training_loss_that_falls_are_another_fault(tmp_path: Path) -> None:
    curve, val = learned(60, 0.6, 8, rng()), np.linspace(2, 1, 60)
    curve[40:], val[40:] = curve[40], val[40]
    finding = next(one for one in diagnose([write(tmp_path / "run", curve, val=val)])[0].findings)
    assert finding.id == "trace.no_step" and "though the training loss fell" in finding.message
    assert "moving average" in finding.hint


# Files of every shape are read.


_METRICS = "metrics/precision(B),metrics/recall(B),metrics/mAP50(B),metrics/mAP50-95(B)"
_POSE = _METRICS + "," + _METRICS.replace("(B)", "(P)")
_HEADERS = {
    "8.0, detection": f"epoch,train/box_loss,train/cls_loss,train/dfl_loss,{_METRICS},val/box_loss,lr/pg0,lr/pg1",
    "YOLOv10": f"epoch,train/box_om,train/cls_om,train/dfl_om,train/box_oo,{_METRICS},val/box_om,lr/pg0",
    "pose with rle_loss": f"epoch,time,train/box_loss,train/pose_loss,train/rle_loss,{_POSE},val/box_loss,lr/pg0",
    "RT-DETR": f"epoch,time,train/giou_loss,train/cls_loss,train/l1_loss,{_METRICS},val/giou_loss,lr/pg0",
    "YOLOv5": "epoch,train/box_loss,train/obj_loss,metrics/precision,metrics/recall,metrics/mAP_0.5,"
    "metrics/mAP_0.5:0.95,val/box_loss,x/lr0,x/lr1,x/lr2",
    "classification": "epoch,time,train/loss,metrics/accuracy_top1,metrics/accuracy_top5,val/loss,lr/pg0",
}


@pytest.mark.parametrize("header", _HEADERS.values(), ids=_HEADERS.keys())
def test_headers_of_every_version_and_task_are_read(tmp_path: Path, header: str) -> None:
    names = header.split(",")
    rows = [",".join("0.5" if name != "epoch" else str(epoch) for name in names) for epoch in range(1, 13)]
    (tmp_path / "results.csv").write_text("\n".join([header, *rows]))
    trace = read_trace(tmp_path)
    assert len(trace) == 12
    assert trace.fitness is not None and trace.learning_rate is not None
    assert trace.summed("train/") is not None and trace.summed("val/") is not None
    assert list(head_curves(trace))


def test_two_runs_in_one_file_are_no_chimera(tmp_path: Path) -> None:
    """exist_ok=True: the second run appended its rows to the first one's."""
    first = rows_of(write(tmp_path / "first", learned(80, 0.9, 8, rng())))
    folder = write(tmp_path / "run", learned(60, 0.5, 8, rng(1)))
    alone = read_trace(folder)
    (folder / "results.csv").write_text("\n".join([*first, *rows_of(folder)[1:]]))
    diagnosis = diagnose([folder])[0]
    assert [finding.id for finding in diagnosis.findings] == ["trace.duplicate_epoch"]
    assert "2 runs, of 80 and then 60 epochs" in diagnosis.findings[0].message
    both = read_trace(folder)
    assert all(np.array_equal(both.columns[name], alone.columns[name]) for name in alone.columns)


def test_a_second_run_with_other_columns_is_the_one_that_is_read(tmp_path: Path) -> None:
    """Another version or task: with a header of its own, or only rows."""
    first = rows_of(write(tmp_path / "first", learned(80, 0.9, 8, rng())))
    folder = write(tmp_path / "run", learned(60, 0.5, 8, rng(1)), columns={"lr/pg3": np.full(60, 0.01)})
    alone, second = read_trace(folder), rows_of(folder)
    (folder / "results.csv").write_text("\n".join([*first, *second]))
    both = read_trace(folder)
    assert len(both.other_runs[0]) == 80
    assert all(np.array_equal(both.columns[name], alone.columns[name]) for name in alone.columns)
    (folder / "results.csv").write_text("\n".join([*first, *second[1:]]))
    (finding,) = diagnose([folder])[0].findings
    assert finding.id == "trace.missing_epoch" and "60 lines, the first of them line 82" in finding.message


def test_rows_of_two_runs_that_wrote_at_the_same_time_are_no_curve(tmp_path: Path) -> None:
    one, two = (rows_of(write(tmp_path / str(seed), learned(40, 0.3 * seed, 8, rng(seed)))) for seed in (1, 2))
    mixed = [row for pair in zip(one[1:], two[1:], strict=True) for row in pair]
    (tmp_path / "1" / "results.csv").write_text("\n".join([one[0], *mixed]))
    (finding,) = diagnose([tmp_path / "1"])[0].findings
    assert finding.id == "trace.duplicate_epoch" and "mixed" in finding.message


def test_a_run_that_was_resumed_from_an_earlier_epoch_is_one_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(100, 0.6, 12, rng()))
    lines = rows_of(folder)
    (folder / "results.csv").write_text("\n".join([*lines[:41], *lines[36:]]))
    diagnosis = diagnose([folder])[0]
    assert diagnosis.epochs == 100
    assert diagnosis.findings[0].data["evidence"]["epochs"] == [36, 37, 38, 39, 40]


def test_isolated_missing_values_of_a_metric_do_not_hide_a_rise(tmp_path: Path) -> None:
    curve = learned(30, 0.7, 25, rng(), 0.004)
    curve[12] = np.nan
    assert ids(write(tmp_path / "run", curve, args={"epochs": 200})) == ["trace.stopped_rising"]


@pytest.mark.parametrize(
    ("name", "content", "trainer"),
    [
        ("metrics.json", "{}", "Detectron2"),
        ("trainer_state.json", "{}", "Hugging Face"),
    ],
)
def test_files_of_other_trainers_are_named_and_not_misread(
    tmp_path: Path, name: str, content: str, trainer: str
) -> None:
    (tmp_path / name).write_text(content)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(DataError, match=trainer):
            diagnose([place])


def test_old_files_with_padding_and_epochs_from_nought_are_read_the_same(tmp_path: Path) -> None:
    curve = learned(60, 0.6, 8, rng())
    new = read_trace(write(tmp_path / "new", curve))
    old = read_trace(write(tmp_path / "old", curve, first=0, padded=True))
    assert old.epochs.tolist() == new.epochs.tolist() == list(range(1, 61))
    assert set(old.columns) == set(HEADER) - {"epoch"}


def test_half_a_last_line_and_a_second_header_are_no_rows(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(20, 0.6, 8, rng()))
    lines = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join([*lines[:10], lines[0], *lines[10:], "21,33.1,0."]))
    trace = read_trace(folder)
    assert len(trace) == 20
    assert trace.unreadable == (23,)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "empty"), ("a,b\n1,2\n", "not a results.csv"), ("\x00\x01\x02", "not a results.csv")],
)
def test_what_is_no_curve_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "results.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        diagnose([tmp_path])


def test_quotes_and_a_broken_epoch_column_cost_no_row(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(60, 0.6, 8, rng()))
    rows = (folder / "results.csv").read_text().splitlines()
    for lines in (
        [",".join(f'"{cell}"' for cell in row.split(",")) for row in rows],
        [rows[0], '"' + rows[1], *rows[2:]],
        [rows[0], *(f"-1e400,{row.partition(',')[2]}" for row in rows[1:])],
    ):
        (folder / "results.csv").write_text("\n".join(lines))
        assert read_trace(folder).epochs.tolist() == list(range(1, 61))


def test_a_curve_of_twenty_thousand_epochs_is_read_in_seconds(tmp_path: Path) -> None:
    assert ids(write(tmp_path / "run", learned(20_000, 0.6, 800, rng()))) == []


def test_a_file_too_large_for_a_curve_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "results.csv").open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(DataError, match="too large"):
        diagnose([tmp_path])


def test_a_folder_of_runs_is_told_from_a_run(tmp_path: Path) -> None:
    write(tmp_path / "train2", learned(20, 0.6, 8, rng()))
    with pytest.raises(DataError, match="train2"):
        diagnose([tmp_path])


def test_a_header_alone_is_a_run_that_ended_before_its_first_epoch(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(",".join(HEADER) + "\n")
    diagnosis = diagnose([tmp_path])[0]
    assert (diagnosis.epochs, diagnosis.best_epoch) == (0, None)


_cells = st.sampled_from(["0", "1", "-1", "nan", "inf", "", "x", "1e308", "0.5", "7", "7"])


@given(st.lists(st.lists(_cells, min_size=14, max_size=16), max_size=40))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_rows_whatever_are_read_without_a_traceback(tmp_path: Path, rows: Sequence[Sequence[str]]) -> None:
    (tmp_path / "results.csv").write_text("\n".join(",".join(row) for row in [HEADER, *rows]))
    assert [json.dumps(diagnosis.to_dict(), allow_nan=False) for diagnosis in diagnose([tmp_path])]


# The command.


def test_the_command_prints_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(case_c(tmp_path / "run")), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"findings", "best_epoch", "epochs"} <= said.keys()
    assert all({"id", "severity", "where", "message", "hint"} <= finding.keys() for finding in said["findings"])


def test_the_command_tells_a_person_what_to_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", str(case_c(tmp_path / "run") / "results.csv")])
    out = capsys.readouterr().out
    assert "trace.forgetting" in out and "next experiment, one change" in out


def test_args_of_the_trace_default_to_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(100, 0.6, 12, rng()), args={})
    assert read_trace(folder).args == {}
    assert ids(folder) == []
    assert ARGS["optimizer"] == "SGD"
