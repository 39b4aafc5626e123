"""Read the trace of a training run: results.csv, with args.yaml and the log where they exist.

Curves of LibreYOLO and Lightning are read through other_trainers.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.diagnosis import other_trainers
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import DataError

Floats = NDArray[np.float64]

# Column names of older versions and YOLOv5 → names since Ultralytics 8.0.
_ALIASES = {
    "metrics/mAP_0.5": "metrics/mAP50(B)",
    "metrics/mAP_0.5:0.95": "metrics/mAP50-95(B)",
    "metrics/mAP50": "metrics/mAP50(B)",
    "metrics/mAP50-95": "metrics/mAP50-95(B)",
    "metrics/precision": "metrics/precision(B)",
    "metrics/recall": "metrics/recall(B)",
}
_LOSSES = {"P": ("pose_", "kobj_", "rle_"), "M": ("seg_", "sem_")}
_FORMAT_HINT = "the doctor reads results.csv of Ultralytics, metrics.jsonl of LibreYOLO and metrics.csv of Lightning"
_OTHER_TRAINERS = {
    "trainer_state.json": "Hugging Face's Trainer",
    "metrics.json": "Detectron2",
    "log.txt": "RT-DETR, D-FINE or DETR",
}
"""File that a run folder of another trainer has → who writes it"""
# LibreYOLO writes both of the first two: metrics.jsonl is the one that it writes of every model.
_CURVES = ("metrics.jsonl", "results.csv", "metrics.csv")
_LOGS = ("train.log", "../train.log", "log.txt", "nohup.out")
_FAR_BACK = 5  # epochs: further than a resumed run goes back
_TWO_HEADED = ("_om", "_oo")  # losses of YOLOv10: one-to-many and one-to-one assignment
_LOSS_LIMIT = 1e15  # losses are clipped here, so that their sums stay finite
_MAX_LOG_BYTES = 20_000_000  # bytes read of a log's end
_MAX_CSV_BYTES = 100_000_000  # bytes of a results.csv: a hundred thousand epochs and more


@dataclass(frozen=True, slots=True)
class Trace:
    """One row per epoch, in the order of the file, epochs counted from 1."""

    source: Path
    epochs: NDArray[np.int64]
    """(n,) strictly rising, from 1"""
    columns: Mapping[str, Floats]
    """(n,) each; NaN where the file has nan, inf or nothing"""
    args: Mapping[str, object] = field(default_factory=dict)
    """args.yaml; empty: there is none"""
    log: str = ""
    non_finite: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Column → epochs with nan or inf in the file (not empty cells)"""
    repeated: tuple[int, ...] = ()
    """Epochs that are in the file more than once; the later row is read"""
    other_runs: tuple[tuple[int, ...], ...] = ()
    """Epochs of earlier runs in the same file, which are not read"""
    interleaved: bool = False
    """Whether rows of several runs are mixed, so that no curve can be read"""
    missing: tuple[int, ...] = ()
    """Epochs that are skipped"""
    unreadable: tuple[int, ...] = ()
    """Numbers of the lines that are no rows, from 1"""
    trainer: str = "Ultralytics"
    """Who wrote it: Ultralytics (or YOLOv5), LibreYOLO or Lightning"""

    def __len__(self) -> int:
        return len(self.epochs)

    def column(self, name: str) -> Floats | None:
        """Return a column; None where the file does not have it."""
        return self.columns.get(name)

    def columns_with_prefix(self, prefix: str) -> dict[str, Floats]:
        """Return the columns whose names have a prefix."""
        return {name: values for name, values in self.columns.items() if name.startswith(prefix)}

    def losses(self, prefix: str, head: str | None = None) -> list[Floats]:
        """Return the losses with a prefix, of one head if it is named."""
        return [
            values
            for name, values in self.columns_with_prefix(prefix).items()
            if ("loss" in name or name.endswith(_TWO_HEADED)) and head in (None, _head_of_loss(name))
        ]

    def summed(self, prefix: str, head: str | None = None) -> Floats | None:
        """Return the sum of the losses with a prefix, of one head if it is named; None where there is no such loss."""
        losses = self.losses(prefix, head)
        return np.sum(losses, axis=0) if losses else None

    @property
    def learning_rate(self) -> Floats | None:
        """Return (n,) the lowest rate of all parameter groups (biases warm up from above; some heads use 3 ×)."""
        groups = list((self.columns_with_prefix("lr/") or self.columns_with_prefix("x/lr")).values())
        return np.min(groups, axis=0) if groups else None

    @property
    def fitness(self) -> Floats | None:
        """Return (n,) the fitness: mAP50-95 of boxes plus keypoints or masks, else top-1 accuracy; None: neither."""
        heads = [self.column(f"metrics/mAP50-95({head})") for head in "BPM"]
        known = [values for values in heads if values is not None]
        return np.sum(known, axis=0) if known else self.column("metrics/accuracy_top1")


def read_trace(path: Path) -> Trace:
    """Read a run folder or a results.csv of any version from 8.0 on (YOLOv5's too), or another trainer's curve.

    Of several runs in one file the last is read.

    Raises:
        DataError: there is no such file, or no curve in it; a file of a trainer that is not read is named.
    """
    source = _find_csv(path)
    trainer = other_trainers.FILES.get(source.name, "Ultralytics")
    lines, unreadable, earlier = _rows(source) if trainer == "Ultralytics" else (*other_trainers.read_rows(source), [])
    names = [_ALIASES.get(name, name) for name in lines[0]]
    _refuse_other_trainers(source, names)
    table = np.array([[_number(cell) for cell in row] for row in lines[1:]], dtype=np.float64).reshape(-1, len(names))
    numbers, rows = _epoch_numbers(names, table)
    begins, interleaved = _run_starts(numbers)
    others = [tuple(int(_number(row[0])) for row in run[1:] if row[0].isdecimal()) for run in earlier]
    others += [tuple(map(int, _from_one(part))) for part in np.split(numbers, begins)[:-1]] if begins else []
    start = begins[-1] if begins and not interleaved else 0
    epochs, keep, repeated = _last_rows(_from_one(numbers[start:]), rows[start:])
    columns = {name: table[keep, i] for i, name in enumerate(names) if name != "epoch"}
    run = source.parent
    gaps = tuple(int(e) for e in np.setdiff1d(np.arange(1, epochs[-1] + 1), epochs)) if len(epochs) else ()
    missing = gaps if len(gaps) < max(3, len(epochs)) else ()  # an excerpt of a curve is no damage
    return Trace(
        source,
        epochs,
        columns,
        _args(run),
        _log(run),
        _non_finite(names, lines[1:], epochs, keep),
        repeated,
        tuple(one for one in others if one),
        interleaved,
        missing,
        tuple(unreadable),
        trainer,
    )


def filled(trace: Trace) -> Trace:
    """Return an excerpt of a curve, as papers print them, linearly interpolated between its epochs; else the trace.

    Only rules about slow changes may use it: between the given epochs there is no noise to measure.
    """
    if len(trace) < 4 or trace.epochs[-1] - trace.epochs[0] + 1 < 2 * len(trace):
        return trace
    every = np.arange(trace.epochs[0], trace.epochs[-1] + 1)
    lines = {name: np.interp(every, trace.epochs, values) for name, values in trace.columns.items()}
    return replace(trace, epochs=every, columns=lines)


class Curve(NamedTuple):
    """A metric of one head of the model, one value for each epoch."""

    name: str
    values: Floats
    head: str | None
    """B boxes, P keypoints, M masks; None: a classifier, which has no heads"""


def head_curves(trace: Trace, metrics: Sequence[str] = ("mAP50-95", "mAP50")) -> Iterator[Curve]:
    """Yield for each head the first of `metrics` that exists and is not zero throughout.

    Values missing in up to a tenth of the epochs, or in one, are taken from the epoch before.
    """
    for head in "BPM":
        for name in metrics:
            curve = without_gaps(trace.column(f"metrics/{name}({head})"))
            if curve is not None and curve.max() > 0:
                yield Curve(f"{name}({head})", curve, head)
                break
    top1 = without_gaps(trace.column("metrics/accuracy_top1"))
    if top1 is not None:
        yield Curve("top-1 accuracy", top1, None)


def without_gaps(values: Floats | None) -> Floats | None:
    """Return a curve whose missing values are those of the epoch before.

    None where more than a tenth is missing; of four epochs or more, one may always be.
    """
    if values is None or not len(values):
        return None
    known = np.isfinite(values)
    if known.mean() < 0.9 and not (len(values) >= 4 and (~known).sum() == 1):
        return None
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    filled_from: Floats = values[np.maximum(place, int(known.argmax()))]
    return filled_from


def _head_of_loss(name: str) -> str:
    """Return the head of a loss: boxes B, keypoints P or masks M."""
    word = name.partition("/")[2]
    return next((head for head, words in _LOSSES.items() if word.startswith(words)), "B")


def _find_csv(path: Path) -> Path:
    if path.is_dir():
        for candidate in (*(path / name for name in _CURVES), path / "results" / "results.csv"):
            if candidate.is_file():
                return candidate
        below = sorted(run.parent.name for run in path.glob("*/results.csv"))
        other = next((name for name in _OTHER_TRAINERS if (path / name).is_file()), None)
        if other is not None and not below:
            what = f"no results.csv in this folder, but {other}: a run of {_OTHER_TRAINERS[other]}"
            raise DataError(what, where=path, hint=_FORMAT_HINT)
        hint = f"give the folder of one run: {', '.join(below[:5])}{' …' if below[5:] else ''}"
        raise DataError("no results.csv in this folder", where=path, hint=hint if below else hint.partition(":")[0])
    if not path.is_file():
        raise DataError("no such file", where=path)
    if path.suffix in (".json", ".jsonl") and path.name not in other_trainers.FILES:
        known = _OTHER_TRAINERS.get(path.name)
        raise DataError(f"a run of {known}" if known else "JSON, not a results.csv", where=path, hint=_FORMAT_HINT)
    return path


class _Rows(NamedTuple):
    """The rows below the last header of a file, and the rest."""

    lines: list[list[str]]
    """The header, and the rows with as many cells"""
    unreadable: list[int]
    """Numbers of the other lines, from 1"""
    earlier: list[list[list[str]]]
    """Header and rows of runs with other columns that come before"""


def _rows(source: Path) -> _Rows:
    if (size := source.stat().st_size) > _MAX_CSV_BYTES:
        raise DataError(
            "too large for a results.csv", where=source, expected=f"at most {_MAX_CSV_BYTES:,} bytes", got=f"{size:,}"
        )
    text = source.read_bytes().decode("utf-8-sig", "replace").replace("\x00", "")
    rows: list[list[str]] = []
    unreadable: list[int] = []
    earlier: list[list[list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip(' \t"') for cell in line.split(",")]  # no cell of any version has a comma in it
        if not any(cells):
            continue
        if rows and cells == rows[0]:
            continue  # a run that was started again wrote its header again
        if rows and cells[0] == "epoch" == rows[0][0]:
            earlier.append(rows)
            rows, unreadable = [], []
        if rows and len(cells) != len(rows[0]):
            unreadable.append(number)
            continue
        rows.append(cells)
    if not rows:
        raise DataError("the file is empty", where=source)
    return _Rows(rows, unreadable, earlier)


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return max(-_LOSS_LIMIT, min(_LOSS_LIMIT, value)) if math.isfinite(value) else math.nan


def _epoch_numbers(names: list[str], table: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return epochs in the order of the file, as they are counted there, and the row of each."""
    counted = np.arange(1.0, len(table) + 1)
    raw = table[:, names.index("epoch")] if "epoch" in names else counted
    if not ((raw >= 0) & (raw < 1e6)).any():
        raw = counted  # no number in the whole column
    rows = np.flatnonzero((raw >= 0) & (raw < 1e6))
    return raw[rows].astype(np.int64), rows


def _from_one(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the epochs of one run, counted from 1; versions until 8.0.2xx count from 0."""
    return numbers + 1 if len(numbers) and numbers.min() == 0 else numbers


def _run_starts(numbers: NDArray[np.int64]) -> tuple[list[int], bool]:
    """Return where further runs begin in a file, and whether they are mixed instead of one after the other.

    A further run begins where the numbers fall back to the first epoch, or from far to the second: one version counts
    from 0 and another from 1. A run that was resumed falls back too, but to a later one; a first epoch that is there
    twice in a row was trained again after a kill.
    """
    if len(numbers) < 2:
        return [], False
    first = int(numbers.min())
    back = np.flatnonzero(np.diff(numbers) <= 0) + 1
    begins = [int(row) for row in back if numbers[row] == first < numbers[row - 1]]
    begins += [int(row) for row in back if numbers[row] == first + 1 and numbers[row - 1] > first + _FAR_BACK]
    begins.sort()
    mixed = len(back) > 3 and len(back) > 0.3 * len(numbers) and len(back) > len(begins)
    return ([int(back[0])], True) if mixed else (begins, False)


def _last_rows(
    numbers: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, ...]]:
    """Return epochs in order, the last row of each, and the epochs that have several rows."""
    last = {int(epoch): int(row) for epoch, row in zip(numbers, rows, strict=True)}
    epochs, counts = np.unique(numbers, return_counts=True)
    repeated = tuple(int(epoch) for epoch in epochs[counts > 1])
    return epochs, np.array([last[int(epoch)] for epoch in epochs], dtype=np.int64), repeated


def _refuse_other_trainers(source: Path, names: list[str]) -> None:
    if "step" in names and "metrics/mAP50(B)" not in names:
        raise DataError("a metrics file of Lightning, not of Ultralytics", where=f"{source}:1", hint=_FORMAT_HINT)
    if names[0].startswith("{"):
        raise DataError(
            "a file of JSON lines, as LibreYOLO and others write them", where=f"{source}:1", hint=_FORMAT_HINT
        )
    if len(names) < 2 or not any(name.startswith(("train/", "metrics/", "val/")) for name in names):
        expected = "a header with epoch, train/…, metrics/…"
        raise DataError("not a results.csv", where=f"{source}:1", expected=expected, got=",".join(names)[:80])


def _non_finite(
    names: list[str], rows: list[list[str]], epochs: NDArray[np.int64], keep: NDArray[np.int64]
) -> dict[str, tuple[int, ...]]:
    words = ("nan", "inf")
    found = {}
    for i, name in enumerate(names):
        cells = (rows[row][i].lstrip("+-").lower() for row in keep)
        hits = tuple(int(epoch) for epoch, cell in zip(epochs, cells, strict=True) if cell.startswith(words))
        if hits:
            found[name] = hits
    return found


def _args(run: Path) -> dict[str, object]:
    for name in ("args.yaml", "opt.yaml", "train_config.yaml"):
        try:
            raw = load_yaml(run / name)
        except (OSError, DocumentError):
            continue
        if isinstance(raw, dict):
            return {str(key): value for key, value in raw.items()}
    return {}


def _log(run: Path) -> str:
    for path in (*(run / name for name in _LOGS), *sorted(run.glob("*.log")), *sorted(run.glob("slurm-*.out"))):
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _MAX_LOG_BYTES))
                return re.sub(r"\x1b\[[0-9;]*[mK]", "", file.read().decode("utf-8", "replace"))
    return ""
