"""Bundles for the device that builds its own engine, and the results that come home."""

from __future__ import annotations

from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.deploy.export.calibration import USUAL, draw_calibration
from liftgate.deploy.export.card import PRECISIONS, Precision
from liftgate.deploy.export.target import BundleRecord, TakenResult, take_result, write_bundle
from liftgate.errors import UsageError
from liftgate.files import require_empty
from liftgate.progress import Progress, silent
from liftgate.suggestions import suggestion


def export_on_target(
    export: Path | str,
    data: Dataset | Path | str,
    out: Path | str,
    *,
    precision: str = "fp16",
    groups: str | None = None,
    n_calibration: int = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> BundleRecord:
    """Write a bundle with which a device builds, checks and measures an engine of its own, without Liftgate.

    Args:
        export: folder of an ONNX export in fp32.
        data: at least 50 images to compare results on (val, else train), and for int8 its train to calibrate on.
        out: the folder to write; missing or empty.
        precision: of the engine: fp32, fp16 or int8.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`; None: the data set's own.
        n_calibration: images to calibrate on.
        seed: of the draw of calibration images.
        progress: called while files are read.

    Raises:
        UsageError: another format, too few images, or `out` is not empty.
        DataError: the export, the data or an image cannot be read.
    """
    if precision not in PRECISIONS:
        hint = suggestion(precision, PRECISIONS)
        raise UsageError(f"no precision {precision!r}", expected=", ".join(PRECISIONS), got=precision, hint=hint)
    chosen: Precision = next(one for one in PRECISIONS if one == precision)
    require_empty(Path(out))
    dataset = data if isinstance(data, Dataset) else read(Path(data), progress=progress)
    dataset = dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())
    calibration = None
    if chosen == "int8":
        calibration = draw_calibration(dataset, n_images=n_calibration, seed=seed)
    split = next((name for name in ("val", "train") if name in dataset.splits), None)
    images = dataset if split is None else dataset.split(split)
    return write_bundle(Path(export), images, Path(out), precision=chosen, calibration=calibration)


def take_export(result: Path | str, out: Path | str, *, bundle: Path | str | None = None) -> TakenResult:
    """Take the result of a device home: check it against its bundle, and write the export with a card.

    Args:
        result: the folder `result` that the script wrote.
        out: the folder to write; missing or empty.
        bundle: the bundle; None: the folder that the result lies in.

    Raises:
        DataError: the result is damaged, of another bundle, or its model is missing or another one.
        UsageError: `out` is not empty.
    """
    require_empty(Path(out))
    return take_result(Path(result), Path(result).resolve().parent if bundle is None else Path(bundle), Path(out))
