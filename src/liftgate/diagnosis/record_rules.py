"""Rules about a run's files: repeated or missing epochs, a halved batch, epochs without a step, val that is train."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftgate.diagnosis.other_trainers import LIBREYOLO
from liftgate.diagnosis.signals import theil_sen
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace
from liftgate.documents import DocumentError, load_yaml

_HALVED = re.compile(
    r"(?:out of memory|memory error)\D*batch\W*(\d+)\D+?batch\W*(\d+)", re.IGNORECASE
)  # the words differ between versions


def duplicate_epoch(trace: Trace) -> Iterator[Symptom]:
    """Report epochs that are in results.csv twice (a resume after a kill, or two runs in one file) or missing."""
    if trace.other_runs:
        yield _several_runs(trace)
    elif trace.repeated:
        first = trace.repeated[0]
        many = len(trace.repeated) > 1
        yield Symptom(
            "trace.duplicate_epoch",
            "warning",
            f"epoch {first}" + (f" and {len(trace.repeated) - 1} more" if many else "") + " are in the curve twice; "
            "the later row is read",
            {"epochs": list(trace.repeated)},
            (
                "killed between the row and the checkpoint, then resumed: the epoch was trained twice, unlike in a "
                "run that was left alone",
            ),
        )
    if len(trace.unreadable) > 1:
        yield Symptom(
            "trace.missing_epoch",
            "warning",
            f"{len(trace.unreadable)} lines, the first of them line {trace.unreadable[0]}, have more or fewer cells "
            "than the header: they are not read",
            {"lines": list(trace.unreadable)},
            ("another run with other columns wrote into the same file", "the file was edited or damaged"),
        )
    if trace.missing:
        yield Symptom(
            "trace.missing_epoch",
            "warning",
            f"epoch {trace.missing[0]}"
            + (f" and {len(trace.missing) - 1} more are" if trace.missing[1:] else " is")
            + " missing from the curve",
            {"epochs": list(trace.missing)},
            ("rows were lost in a crash or by hand",),
        )


def _several_runs(trace: Trace) -> Symptom:
    lengths = [len(epochs) for epochs in trace.other_runs]
    message = (
        f"results.csv holds {len(lengths) + 1} runs, of {', '.join(map(str, lengths))} and then {len(trace)} epochs: "
        "only the last one is judged"
    )
    if trace.interleaved:
        message = "results.csv holds the rows of several runs, mixed: the later row of each epoch is read, and no curve"
    return Symptom(
        "trace.duplicate_epoch",
        "warning",
        message,
        {"epochs_of_other_runs": [list(epochs) for epochs in trace.other_runs]},
        ("the runs were given one folder (exist_ok=True, or the same project and name)",),
    )


def batch_halved(trace: Trace) -> Iterator[Symptom]:
    """Report a batch that Ultralytics halved after running out of memory."""
    steps = _HALVED.findall(trace.log)
    if not steps:
        return
    yield Symptom(
        "trace.batch_halved",
        "warning",
        f"out of memory: the batch went from {steps[0][0]} to {steps[-1][1]}: not the run of the recipe",
        {"asked": int(steps[0][0]), "used": int(steps[-1][1])},
        ("the device's memory is too small for batch and imgsz together, or another process used it",),
        {"batch": int(steps[-1][1])},
    )


def no_step(trace: Trace) -> Iterator[Symptom]:
    """Report validation figures that are equal for several epochs: the validated weights did not change."""
    columns = [values for name, values in trace.columns.items() if name.startswith(("val/", "metrics/"))]
    if len(columns) < 3 or len(trace) < 8:
        return
    table = np.stack(columns, axis=1)
    known = np.isfinite(table).all(axis=1) & (table != 0).any(axis=1)
    same = known[1:] & known[:-1] & (table[1:] == table[:-1]).all(axis=1)
    longest, run, end = 0, 0, 0
    for row, equal in enumerate(same, start=1):
        run = run + 1 if equal else 0
        if run > longest:
            longest, end = run, row
    if longest < 3:
        return
    first, last = int(trace.epochs[end - longest]), int(trace.epochs[end])
    loss = trace.summed("train/")
    part = None if loss is None else loss[end - longest : end + 1]
    learned = part is not None and len(part) >= 5 and theil_sen(part).high < 0
    message = f"epochs {first}–{last} have the same validation figures to the last digit: "
    if learned:
        yield Symptom(
            "trace.no_step",
            "warning",
            message + "what was validated did not change, though the training loss fell",
            {"epochs": [first, last]},
            ("the moving average of the weights, which is validated, was not updated, or another model was validated",),
        )
        return
    yield Symptom(
        "trace.no_step",
        "warning",
        message + "no optimizer step was taken in between",
        {"epochs": [first, last]},
        (
            "fewer batches in an epoch than gradients accumulate over (nbs / batch): epochs without a step",
            "everything is frozen, or the learning rate is 0",
        ),
        {"nbs": trace.args.get("batch", "batch")},
    )


def val_is_train(trace: Trace) -> Iterator[Symptom]:
    """Report a data.yaml with the same images for train and val, where it can still be read."""
    data = trace.args.get("data")
    if not isinstance(data, str) or not data.endswith((".yaml", ".yml")):
        return
    for place in (Path(data), trace.source.parent / data, trace.source.parent / Path(data).name):
        try:
            raw = load_yaml(place)
        except (OSError, DocumentError):
            continue
        if isinstance(raw, dict) and raw.get("train") and raw.get("train") == raw.get("val"):
            yield Symptom(
                "trace.val_is_train",
                "error",
                f"train and val are the same images ({raw['val']}): every figure of this run is about images it was "
                "trained on",
                {"data": str(place), "val": raw["val"]},
                ("the data.yaml was written so: `liftgate data split` makes a split by group",),
            )
        return


def augmentation_off(trace: Trace) -> Iterator[Symptom]:
    """Report that LibreYOLO trained without its strong augmentation from the first epoch on.

    It switches mosaic and mixup off for the last `no_aug_epochs` epochs (15 unless told otherwise), which in a run of
    fewer epochs are all of them.
    """
    epochs, last = trace.args.get("epochs"), trace.args.get("no_aug_epochs")
    if trace.trainer != LIBREYOLO or not isinstance(epochs, int) or not isinstance(last, int):
        return
    if not 0 < epochs <= last:
        return
    yield Symptom(
        "recipe.augmentation_off",
        "warning",
        f"mosaic and mixup were off in all {epochs} epochs: no_aug_epochs is {last}, and counts from the end",
        {"epochs": epochs, "no_aug_epochs": last},
        ("a run that is no longer than no_aug_epochs has no strong augmentation; only its log says so",),
        {"no_aug_epochs": max(1, epochs // 10) if epochs > 1 else 0},
    )
