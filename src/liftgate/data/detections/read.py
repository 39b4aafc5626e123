"""`read_predictions`: read predictions of any supported format, recognised by its content, not by an option."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import require_readable
from liftgate.data.formats import coco
from liftgate.data.formats.coco.class_numbering import OPTIONS
from liftgate.errors import DataError
from liftgate.files import require_no_device


class PrefetchedResults:
    """COCO results that a thread of their own reads, in compiled code without the interpreter lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: coco.CocoResults | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)  # a failure elsewhere does not wait for it
        self._thread.start()

    def _read(self) -> None:
        try:
            self._rows = coco.read_results(self.path)
        except BaseException as error:  # raised again by `predictions`
            self._error = error

    def predictions(self, dataset: Dataset) -> Predictions:
        """Wait for the rows and read them against the dataset; errors as `read_predictions`."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return coco.read_predictions(self.path, dataset, self._take())

    def _take(self) -> coco.CocoResults | None:
        """Return the rows and forget them: they take as much memory as the predictions. None: they are read again."""
        rows, self._rows = self._rows, None
        return rows


PredictionsSource = Path | str | Predictions | Mapping[str, Any] | Iterable[Any] | PrefetchedResults
"""A path, Predictions, supervision.Detections by image, FiftyOne samples, or the result of `prefetch`"""

_LARGEST_STREAMED = 5_000_000_000
"""Bytes of COCO results, which are read in chunks: about 50 million detections, which take about 16 GB to match"""

_TAKES = "COCO results JSON, FiftyOne JSON, CSV, or a folder of YOLO txt"


def read_predictions(source: PredictionsSource, dataset: Dataset) -> Predictions:
    """Read predictions on the images of a dataset.

    A path is COCO results (a JSON list; `results.json#class-from-0`, `#class-from-1` or `#category-ids` says how it
    counts classes), FiftyOne's labels.json or samples.json (a JSON object; `samples.json#FIELD`
    where it has more than one field of predictions), a CSV of answers, or a folder of YOLO txt, of CSV or of a FiftyOne
    export. A mapping is supervision.Detections by image; another iterable is FiftyOne samples.

    Raises:
        DataError: none of these formats, or an invalid row, with its file and line or index.
    """
    if isinstance(source, Predictions):
        return source
    if isinstance(source, PrefetchedResults):
        return source.predictions(dataset)
    if isinstance(source, Mapping):
        from liftgate.data.detections.supervision import from_supervision

        return from_supervision(source, dataset)
    if not isinstance(source, str | Path):
        from liftgate.data.detections import fiftyone

        return fiftyone.from_samples(source, dataset)
    path, field = _split_field(Path(source))
    require_no_device(path)
    if field in OPTIONS:
        require_readable(path, _LARGEST_STREAMED)
        return coco.read_predictions(path, dataset, numbering=OPTIONS[field])
    if path.is_dir():
        return _read_folder(path, dataset, field)
    if _is_results(path):
        require_readable(path, _LARGEST_STREAMED)
        return coco.read_predictions(path, dataset)
    from liftgate.data.detections import fiftyone, saved_answers  # COCO results, the most frequent form, need neither

    require_readable(path)
    if path.suffix.lower() == ".csv":
        return saved_answers.read(path, dataset)
    if path.suffix.lower() == ".json":
        return fiftyone.read(path, dataset, field)
    raise DataError("not a predictions file", where=path, expected=_TAKES)


def read_all_predictions(sources: Sequence[PredictionsSource], dataset: Dataset) -> tuple[Predictions, ...]:
    """Read the predictions that are compared with each other, such as control and treatment.

    Raises:
        DataError: as `read_predictions`; or the files number classes differently and none declares how.
    """
    found = tuple(read_predictions(source, dataset) for source in sources)
    guesses = {one.guessed_numbering for one in found if one.guessed_numbering}
    tables = {tuple(sorted(coco.numberings(dataset)[name].items())) for name in guesses}
    if len(tables) > 1:
        read_as = [
            f"{_shown(source)}: {one.guessed_numbering}"
            for source, one in zip(sources, found, strict=True)
            if one.guessed_numbering
        ]
        raise DataError(
            "the files of one comparison count classes in two ways", got="; ".join(read_as),
            hint=f"say how each file counts: results.json#{' or #'.join(OPTIONS)}",
        )  # fmt: skip
    return found


def _shown(source: PredictionsSource) -> str:
    if isinstance(source, PrefetchedResults):
        return source.path.name
    return Path(source).name if isinstance(source, str | Path) else type(source).__name__


def prefetch(source: PredictionsSource) -> PredictionsSource:
    """Start to read COCO results before their dataset is known; return any other source unchanged.

    Reading half a million detections takes as long as importing everything that evaluates them. A file that cannot be
    read is returned too: `read_predictions` raises the error again.
    """
    if not isinstance(source, str | Path):
        return source
    path = Path(source)
    try:
        if not path.is_file() or not _is_results(path):
            return source
        require_readable(path, _LARGEST_STREAMED)
    except (DataError, OSError):
        return source  # `read_predictions` raises it again
    return PrefetchedResults(path)


def _is_results(path: Path) -> bool:
    return path.suffix.lower() == ".json" and _first_byte(path) != b"{"


def _read_folder(path: Path, dataset: Dataset, field: str | None) -> Predictions:
    from liftgate.data.detections import fiftyone, saved_answers, yolo_txt

    for name in ("samples.json", "labels.json"):
        if (path / name).is_file():
            return fiftyone.read(path / name, dataset, field)
    if any(path.glob("*.csv")):
        return saved_answers.read(path, dataset)
    if any(path.rglob("*.txt")):
        return yolo_txt.read(path, dataset)
    inside = sorted(file.name for file in path.iterdir())[:5]
    raise DataError("no predictions in this folder", where=path, expected=_TAKES, got=", ".join(inside) or "nothing")


def _split_field(path: Path) -> tuple[Path, str | None]:
    """Divide `samples.json#yolo` into file and field; the path of an existing file is never divided."""
    if "#" not in path.name or path.exists():
        return path, None
    name, _, field = path.name.partition("#")
    return path.with_name(name), field or None


def _first_byte(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
