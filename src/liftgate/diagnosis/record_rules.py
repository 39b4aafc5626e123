"""Rules about the record itself: what was written twice, what was changed without being asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace
from liftgate.documents import DocumentError, load_yaml

_HALVED = re.compile(
    r"(?:out of memory|memory error)\D*batch\W*(\d+)\D+?batch\W*(\d+)", re.IGNORECASE
)  # of no version's exact words


def duplicate_epoch(trace: Trace) -> Iterator[Symptom]:
    """An epoch that stands twice in results.csv: a resume after a kill, or two runs in one file."""
    if trace.repeated:
        first = trace.repeated[0]
        many = len(trace.repeated) > 1
        yield Symptom(
            "trace.duplicate_epoch",
            "warning",
            f"epoch {first}" + (f" and {len(trace.repeated) - 1} more" if many else "") + " stand twice in the curve; "
            "the later row is read",
            {"epochs": list(trace.repeated)},
            (
                "two runs wrote into one folder"
                if 1 in trace.repeated
                else "killed between the row and the checkpoint, "
                "then resumed: the epoch was trained twice and the run is not what a straight run would be",
            ),
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


def batch_halved(trace: Trace) -> Iterator[Symptom]:
    """The device ran out of memory and Ultralytics went on with half the batch: another experiment."""
    steps = _HALVED.findall(trace.log)
    if not steps:
        return
    yield Symptom(
        "trace.batch_halved",
        "warning",
        f"out of memory: the batch went from {steps[0][0]} to {steps[-1][1]}: not the run that was asked for",
        {"asked": int(steps[0][0]), "used": int(steps[-1][1])},
        ("the device's memory is too small for batch and imgsz together, or somebody else used it",),
        {"batch": int(steps[-1][1])},
    )


def no_step(trace: Trace) -> Iterator[Symptom]:
    """Validation figures that do not change in any digit: the weights did not change."""
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
    yield Symptom(
        "trace.no_step",
        "warning",
        f"epochs {trace.epochs[end - longest]}–{trace.epochs[end]} have the same validation figures to the last digit: "
        "the weights did not change",
        {"epochs": [int(trace.epochs[end - longest]), int(trace.epochs[end])]},
        (
            "fewer batches in an epoch than gradients accumulate over (nbs / batch): epochs without a step",
            "everything is frozen, or the learning rate is 0",
        ),
        {"nbs": trace.args.get("batch", "batch")},
    )


def val_is_train(trace: Trace) -> Iterator[Symptom]:
    """The data.yaml names the same place for train and val, where it can still be read."""
    said = trace.args.get("data")
    if not isinstance(said, str) or not said.endswith((".yaml", ".yml")):
        return
    for place in (Path(said), trace.source.parent / said, trace.source.parent / Path(said).name):
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
