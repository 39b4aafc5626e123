"""Facts about a model file for `check`: its contract, what is missing in it, or why it cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.checks.subject import CheckedModel
from liftgate.deploy.export.card import MODELS_OF_A_FOLDER
from liftgate.deploy.export.card_file import find_card
from liftgate.deploy.export.trusted import CHECKPOINTS, trusted_task
from liftgate.errors import DataError, Refused, UsageError

if TYPE_CHECKING:
    from liftgate.deploy.export.described import DescribedExport

_FILES = CHECKPOINTS | {".onnx", ".xml", ".torchscript", ".tflite"}


def is_model(path: Path) -> bool:
    """Return whether a path is a model: a file of one, or a folder that holds one and no data set or study."""
    if path.is_dir():
        if find_card(path) is not None:
            return True
        found = [list(path.glob(pattern)) for pattern in MODELS_OF_A_FOLDER]
        return not (path / "data.yaml").exists() and any(len(one) == 1 and is_model(one[0]) for one in found)
    if path.suffix.lower() == ".xml":
        return path.with_suffix(".bin").exists() or _is_openvino(path)
    return path.suffix.lower() in _FILES or (path.name == "card.json" and path.is_file())


def inspect_model(path: Path) -> CheckedModel:
    """Return what is known of a model file; it is loaded, but nothing of it is run except by its runtime.

    Args:
        path: the file, or the export's folder.
    """
    from liftgate.deploy.export.described import describe_export  # a check of data needs none of it
    from liftgate.deploy.runtime.predict import RUNS_HERE, load_model

    name = str(path)
    try:
        if path.suffix.lower() in CHECKPOINTS:
            _, notes = trusted_task(path)
            return CheckedModel(name, ignored=notes)
        export = describe_export(path)
        if export.card.format in RUNS_HERE:
            load_model(export.card, export.folder, threads=1)
        found = _symptoms(export)
    except (DataError, Refused, UsageError) as error:
        parts = [f"{word} {value}" for word, value in (("expected", error.expected), ("got", error.got)) if value]
        place = f" ({error.where})" if error.where and error.where != name else ""
        text = f"{error.what}{place}" + (f": {', '.join(parts)}" if parts else "")
        return CheckedModel(name, unusable=text, hint=error.hint)
    return CheckedModel(
        name,
        missing=export.missing,
        ignored=export.card.notes if export.missing else (),
        limits=(*found, *export.limits),
    )


def _symptoms(export: DescribedExport) -> list[str]:
    from liftgate.deploy.export.calibration import read_calibration
    from liftgate.deploy.export.symptoms import symptoms_of_card

    record = export.card.calibration
    images = () if record is None else read_calibration(export.folder, record)
    return [one.message for one in symptoms_of_card(export.card, calibration=images)]


def _is_openvino(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"<net" in file.read(4096)
    except OSError:
        return False
