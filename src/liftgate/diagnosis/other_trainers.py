"""Read the curves of other trainers as rows of a results.csv: LibreYOLO's metrics.jsonl and Lightning's metrics.csv.

Names are translated to Ultralytics', so that the rules about the shape of a curve apply: `train/…` and `val/…` are
losses, `metrics/mAP50(B)` and `metrics/mAP50-95(B)` the metrics of boxes, `lr/…` learning rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from liftgate.documents import DocumentError, parse_json
from liftgate.errors import DataError

LIBREYOLO, LIGHTNING = "LibreYOLO", "Lightning"
FILES: Mapping[str, str] = {"metrics.jsonl": LIBREYOLO, "metrics.csv": LIGHTNING}
"""Name of a file that is read → who writes it"""

# RF-DETR writes mAP_50, getitune map_50; both count every other word in lower case.
_METRICS = {
    "map": "metrics/mAP50-95(B)",
    "map_50_95": "metrics/mAP50-95(B)",
    "map_50": "metrics/mAP50(B)",
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}
_MAX_BYTES = 100_000_000


class Rows(NamedTuple):
    """The curve as cells, as a CSV has them."""

    lines: list[list[str]]
    """The header, and one row for each epoch"""
    unreadable: list[int]
    """Numbers of the lines of the file that are no rows, from 1"""


def read_rows(source: Path) -> Rows:
    """Read metrics.jsonl or metrics.csv.

    Raises:
        DataError: it has no row with an epoch, or nothing of a training of boxes.
    """
    if (size := source.stat().st_size) > _MAX_BYTES:
        raise DataError(
            "too large for a curve", where=source, expected=f"at most {_MAX_BYTES:,} bytes", got=f"{size:,}"
        )
    text = source.read_bytes().decode("utf-8-sig", "replace").replace("\x00", "")
    rows, unreadable = _json_rows(text) if source.suffix == ".jsonl" else _csv_rows(text)
    names = list(dict.fromkeys(name for row in rows for name in row if name != "epoch"))
    if not rows or not any(name.startswith(("train/", "val/", "metrics/")) for name in names):
        expected = "rows with epoch, train/…, and val/… or metrics/…"
        raise DataError(
            "no curve of a training", where=source, expected=expected, got=", ".join(names)[:80] or "no row"
        )
    table = [[row["epoch"], *(row.get(name, "") for name in names)] for row in rows]
    return Rows([["epoch", *names], *table], unreadable)


def _json_rows(text: str) -> tuple[list[dict[str, str]], list[int]]:
    """Return the rows of metrics.jsonl, one for each epoch that was finished."""
    rows: list[dict[str, str]] = []
    unreadable = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            raw = parse_json(line)
        except DocumentError:
            raw = None
        if not isinstance(raw, dict) or not _is_number(raw.get("epoch")):
            unreadable.append(number)
            continue
        figures = {str(name): value for name, value in raw.items() if value is None or _is_number(value)}
        rows.append({_figure(name): "" if value is None else repr(value) for name, value in figures.items()})
    return rows, unreadable


def _csv_rows(text: str) -> tuple[list[dict[str, str]], list[int]]:
    """Return one row for each epoch of Lightning's metrics.csv, which has several, each with some of the columns.

    Of a figure that was logged at every step the value of the epoch counts, else the last step's.
    """
    lines = text.splitlines()
    header = [cell.strip(' "') for cell in lines[0].split(",")] if lines else []
    known = {name: _figure(name.removesuffix("_epoch")) for name in header}
    steps = {name for name in header if name.endswith("_step") and f"{name.removesuffix('_step')}_epoch" in header}
    by_epoch: dict[str, dict[str, str]] = {}
    unreadable = []
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip(' "') for cell in line.split(",")]
        if not any(cells):
            continue
        row = dict(zip(header, cells, strict=False))
        epoch = row.get("epoch", "").partition(".")[0]
        if len(cells) != len(header) or not epoch.isdecimal():
            unreadable.append(number)
            continue
        found = by_epoch.setdefault(epoch, {"epoch": epoch})
        found |= {known[name]: cell for name, cell in row.items() if cell and name not in steps and name != "step"}
        found["epoch"] = epoch
    return list(by_epoch.values()), unreadable


def _figure(name: str) -> str:
    """Return Ultralytics' name of a figure.

    >>> _figure("val/mAP_50_95"), _figure("val/map_50"), _figure("train/lr_max"), _figure("metrics/mAP50-95")
    ('metrics/mAP50-95(B)', 'metrics/mAP50(B)', 'lr/lr_max', 'metrics/mAP50-95')
    """
    room, slash, rest = name.partition("/")
    if room == "val" and rest.lower() in _METRICS:
        return _METRICS[rest.lower()]
    if room == "val" and "loss" not in rest.lower():
        return f"other/{rest}"  # no loss, and no metric that the rules know
    return f"lr/{rest}" if slash and rest.startswith("lr") else name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
