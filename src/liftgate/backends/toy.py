"""The toy backend: a small detector in NumPy that trains in milliseconds, for tests and for trying out a study.

Boxes are the connected regions that differ from an image's median colour; a box's class is that of the nearest
centroid in a space of eight features (colour, size, shape). Centroids are learned by stochastic steps, so epochs, the
learning rate, seeds and start weights matter as they do for a network. It knows these arguments: `epochs`, `lr0`,
`patience`, `batch` (images per step; -1: chosen by the backend) and `imgsz`, which only that choice depends on.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from liftgate.backends import prediction_output, sidecar
from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import Emit, EpochReport, Json, StartedEvent, WarningEvent
from liftgate.backends.recipe_arguments import check_recipe
from liftgate.backends.training_tree import Tree, label_path, read_tree
from liftgate.boxes import Boxes, cxcywh_to_xyxy, iou
from liftgate.errors import DataError, TrainingError, UsageError
from liftgate.files import write_bytes, write_text
from liftgate.hashing import file_hash

Floats = NDArray[np.float64]

_ARGUMENTS = ("epochs", "lr0", "patience", "batch", "imgsz")
_FEATURES = 8
_FILES = ("results.csv", "weights/best.pt", "weights/last.pt")
_SETTINGS = {"conf": 0.001, "max_det": 300}
_MIN_REGION_PIXELS = 9  # in smaller regions nothing is detected


class _Scene(NamedTuple):
    """The regions and labels of one image."""

    boxes: Boxes
    features: Floats
    truth: Boxes
    cls: NDArray[np.int64]


class _Model(NamedTuple):
    classes: tuple[str, ...]
    centroids: Floats
    """(number of classes, 8)"""


@dataclass
class _State:
    """The training state that the side-car saves."""

    centroids: list[list[float]]
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    report: Json | None = None
    """Body of the last epoch's report"""
    rows: list[list[float]] = field(default_factory=list)
    """Rows of results.csv"""

    def write(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self)))


class Toy:
    """Backend that classifies connected regions by nearest centroids."""

    name = "toy"

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        """Train a stage; see `Backend.train`."""
        check_recipe(job.recipe, _ARGUMENTS)
        _require_detect(job.task)
        if "," in (job.device or ""):
            raise UsageError("the toy backend learns on one device", got=job.device, hint="leave `device` out")
        recipe = {"epochs": 10, "lr0": 0.2, "patience": 100, "batch": 4, **job.recipe}
        if recipe["batch"] < 1:  # chosen by image size, as if large images took memory
            recipe["batch"] = max(1, 256 // int(recipe.get("imgsz", 64)))
        patience = recipe["patience"] or math.inf  # 0: no early stopping, as in Ultralytics
        tree = read_tree(job.data)
        train, val = _scenes(tree, "train"), _scenes(tree, "val")
        state = _restore_state(job) or _initial_state(job, tree)
        emit(StartedEvent(resumed_after=state.epoch, extra={"backend": self.name}))
        write_text(job.out / "args.yaml", yaml.safe_dump({**recipe, "seed": job.seed, "task": job.task}))
        if state.report and state.epoch > job.reported:
            emit(EpochReport.from_body(state.report))
        begun = time.monotonic()
        while state.epoch < recipe["epochs"] and state.epoch - state.best_epoch < patience:
            report = _train_epoch(state, tree, train, val, recipe, job)
            sidecar.commit(job.out, state.epoch, state.write, _FILES)
            emit(report)
            if should_stop() and state.epoch < recipe["epochs"]:
                raise Paused(f"paused after epoch {state.epoch} of {recipe['epochs']}")
        return {
            "backend": self.name,
            "device": "cpu",
            "recipe": dict(job.recipe),
            "args": recipe,
            "batch": recipe["batch"],
            "epochs": state.epoch,
            "best_epoch": state.best_epoch,
            "images": {"train": len(train), "val": len(val)},
            "seconds": round(time.monotonic() - begun, 3),
            "exact_resume": True,
        }

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        """Write detections; see `Backend.predict`."""
        _require_detect(job.task)
        tree = read_tree(job.data)
        model = load_model(Path(job.weights))
        mapping, note = prediction_output.match_classes(model.classes, tree.classes)
        if note:
            emit(WarningEvent(message=note, fact="classes"))
        settings = _SETTINGS | {name: job.settings[name] for name in _SETTINGS if name in job.settings}
        rows = []
        images = list(dict.fromkeys(tree.images(job.split)))
        for path in images[job.share(len(images))]:
            boxes, features = _regions(path)
            cls, conf = _classify(model.centroids, features)
            kept = np.flatnonzero(conf >= settings["conf"])[: int(settings["max_det"])]
            rows.append((tree.image_id(path), {"bboxes": boxes[kept], "conf": conf[kept], "cls": cls[kept]}))
        used = settings | {
            "backend": self.name,
            "split": job.split,
            "weights": file_hash(Path(job.weights)),
            "classes": {model.classes[i]: tree.classes[j] for i, j in mapping.items()},
            "classes_note": note,
        }
        return prediction_output.write_predictions(job.out, rows, mapping, used)


def _require_detect(task: str) -> None:
    if task != "detect":
        raise UsageError("the toy backend knows boxes only", expected="detect", got=task)


def _train_epoch(
    state: _State, tree: Tree, train: Sequence[_Scene], val: Sequence[_Scene], recipe: Json, job: TrainJob
) -> EpochReport:
    """Train one epoch, write its files and return its report; changes `state`."""
    begun = time.monotonic()
    rng = np.random.default_rng([job.seed, state.epoch])
    centroids = np.array(state.centroids)
    rate = recipe["lr0"] * (1 - 0.9 * state.epoch / max(recipe["epochs"], 1))
    order = rng.permutation(len(train))
    losses = []
    for start in range(0, len(order), int(recipe["batch"])):
        features, cls = _examples([train[i] for i in order[start : start + int(recipe["batch"])]])
        for k in np.unique(cls):
            gap = features[cls == k].mean(axis=0) - centroids[k]
            losses.append(float(np.square(gap).sum()))
            centroids[k] += rate * gap
    model = _Model(tree.classes, centroids)
    precision, recall, ap = _score(model, val)
    metrics = {"precision": precision, "recall": recall, "mAP50": ap, "mAP50-95": ap}
    if (job.select or "mAP50") not in metrics:
        raise UsageError("no such metric to select by", expected=", ".join(metrics), got=job.select)
    fitness = metrics[job.select or "mAP50"]
    loss = round(float(np.mean(losses)) if losses else 0.0, 5)
    state.epoch += 1
    state.centroids = centroids.tolist()
    report = EpochReport(
        epoch=state.epoch,
        epochs=recipe["epochs"],
        losses={"train/loss": loss},
        metrics=metrics,
        fitness=fitness,
        lr={"lr/pg0": rate},
        seconds=round(time.monotonic() - begun, 4),
    )
    weights = job.out / "weights"
    write_bytes(weights / "last.pt", _model_bytes(model))
    if state.best is None or fitness > state.best:
        state.best, state.best_epoch = fitness, state.epoch
        write_bytes(weights / "best.pt", _model_bytes(model))
    state.report = report.to_body()
    state.rows.append([state.epoch, loss, *metrics.values(), rate])
    write_text(job.out / "results.csv", _csv(state.rows))
    return report


def _initial_state(job: TrainJob, tree: Tree) -> _State:
    centroids = np.random.default_rng(job.seed).uniform(0, 1, (len(tree.classes), _FEATURES))
    if not job.weights.endswith((".yaml", ".yml")):
        start = load_model(Path(job.weights))
        mapping, _ = prediction_output.match_classes(start.classes, tree.classes)
        if not mapping and len(start.classes) == len(tree.classes):
            mapping = dict(enumerate(range(len(tree.classes))))  # as a head of the same size keeps its weights
        for i, j in mapping.items():
            centroids[j] = start.centroids[i]
    return _State(centroids.tolist())


def _restore_state(job: TrainJob) -> _State | None:
    """Return the newest saved state, with its files in place; None: the job does not resume.

    Raises:
        TrainingError: no saved state can be read: a silent new start would hide the loss.
    """
    if not job.resume:
        return None
    for generation in sidecar.generations(job.out):
        if generation.damage():
            continue
        with contextlib.suppress(OSError, ValueError, TypeError):  # also a state of another version
            state = _State(**json.loads(generation.state.read_text(encoding="utf-8")))
            sidecar.restore_files(generation, job.out, _FILES)
            return state
    raise TrainingError("no saved state of this run can be read", where=job.out / "state", hint=sidecar.UNREADABLE_HINT)


def _scenes(tree: Tree, split: str) -> list[_Scene]:
    return [_scene(path, len(tree.classes)) for path in tree.images(split)]


def _scene(path: Path, classes: int) -> _Scene:
    boxes, features = _regions(path)
    rows = np.zeros((0, 5))
    label = label_path(path)
    if label.is_file() and label.stat().st_size:
        rows = np.loadtxt(label, ndmin=2)[:, :5]
    cls = rows[:, 0].astype(np.int64)
    if len(cls) and cls.max() >= classes:
        raise DataError("a class that the data set does not have", where=label, got=str(cls.max()))
    with Image.open(path) as image:
        size = np.array(image.size, dtype=np.float64)
    return _Scene(boxes, features, cxcywh_to_xyxy(rows[:, 1:5], size), cls)


def _regions(path: Path) -> tuple[Boxes, Floats]:
    """Return boxes (n, 4), xyxy in pixels, of regions unlike the background, and features (n, 8), about 0 to 1."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    except OSError as error:
        raise DataError(f"not an image: {error}", where=path) from error
    grey = pixels.mean(axis=2)
    different = np.abs(pixels - np.median(pixels, axis=(0, 1))).max(axis=2) > 0.25
    labelled, places = connected_regions(different)
    boxes, features = [], []
    for number, place in enumerate(places, start=1):
        inside = labelled[place] == number
        if inside.sum() < _MIN_REGION_PIXELS:
            continue
        (top, bottom), (left, right) = ((part.start, part.stop) for part in place)
        height, width = bottom - top, right - left
        boxes.append([left, top, right, bottom])
        colour = pixels[place][inside]
        shape = [height / grey.shape[0], width / grey.shape[1], inside.mean(), min(width / height, 2.0) / 2]
        features.append([*colour.mean(axis=0), colour.std(), *shape])
    return np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(features).reshape(-1, _FEATURES)


def connected_regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[tuple[slice, slice]]]:
    """Number the regions of a mask that hang together by sides, and return the numbers and each region's box.

    As scipy.ndimage.label and find_objects; importing those takes longer than all that a child process does with them.
    """
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (row, begin), end = np.nonzero(steps == 1), np.nonzero(steps == -1)[1]
    number = _joined_runs(row.tolist(), begin.tolist(), end.tolist())
    labelled = np.zeros(mask.shape, dtype=np.int64)
    labelled[mask] = np.repeat(number, end - begin) + 1
    first = np.full((2, int(number.max(initial=-1)) + 1), max(mask.shape), dtype=np.int64)
    last = np.zeros_like(first)
    for axis, (low, high) in enumerate(((row, row + 1), (begin, end))):
        np.minimum.at(first[axis], number, low)
        np.maximum.at(last[axis], number, high)
    boxes = zip(*first.tolist(), *last.tolist(), strict=True)
    return labelled, [(slice(top, bottom), slice(left, right)) for top, left, bottom, right in boxes]


def _joined_runs(row: list[int], begin: list[int], end: list[int]) -> NDArray[np.int64]:
    """Return for each run of pixels, in reading order, the number of its region, from 0, also in reading order."""
    parent = list(range(len(row)))

    def root(run: int) -> int:
        while parent[run] != run:
            run = parent[run]
        return run

    above = 0  # the first run of the row above that may touch this one
    for run, place in enumerate(row):
        while above < run and (row[above] < place - 1 or (row[above] == place - 1 and end[above] <= begin[run])):
            above += 1
        other = above
        while other < run and row[other] == place - 1 and begin[other] < end[run]:
            low, high = sorted((root(run), root(other)))
            parent[high] = low
            other += 1
    roots = np.array([root(run) for run in range(len(row))], dtype=np.int64)
    numbers: NDArray[np.int64] = np.unique(roots, return_inverse=True)[1].reshape(-1)
    return numbers


def _examples(scenes: Sequence[_Scene]) -> tuple[Floats, NDArray[np.int64]]:
    """Return features and classes of the regions that lie on a labelled object."""
    features, classes = [np.zeros((0, _FEATURES))], [np.zeros(0, dtype=np.int64)]
    for scene in scenes:
        if len(scene.boxes) and len(scene.truth):
            overlap = iou(scene.boxes, scene.truth)
            hit = overlap.max(axis=1) >= 0.5
            features.append(scene.features[hit])
            classes.append(scene.cls[overlap.argmax(axis=1)[hit]])
    return np.concatenate(features), np.concatenate(classes)


def _classify(centroids: Floats, features: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return class (n,) and confidence (n,) of regions (n, 8): how close the nearest of the centroids (k, 8) is."""
    distance = np.square(features[:, None, :] - centroids[None, :, :]).sum(axis=2)
    weight = np.exp(-8 * distance)
    cls = weight.argmax(axis=1) if len(features) else np.zeros(0, dtype=np.int64)
    conf = weight.max(axis=1, initial=0) / (weight.sum(axis=1) + 0.1)
    return cls, conf


def _score(model: _Model, scenes: Sequence[_Scene]) -> tuple[float, float, float]:
    """Return precision, recall and average precision at IoU 0.5, over all classes together."""
    found: list[tuple[float, bool]] = []
    total = 0
    for scene in scenes:
        cls, conf = _classify(model.centroids, scene.features)
        free = np.ones(len(scene.truth), dtype=np.bool_)
        total += len(scene.truth)
        overlap = iou(scene.boxes, scene.truth)
        for i in np.argsort(-conf, kind="stable"):
            right = free & (scene.cls == cls[i]) & (overlap[i] >= 0.5)
            free[np.flatnonzero(right)[:1]] = False
            found.append((float(conf[i]), bool(right.any())))
    hits = np.array([hit for _, hit in sorted(found, key=lambda row: -row[0])], dtype=np.float64)
    if not len(hits) or not total:
        return 0.0, 0.0, 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    ap = float((envelope * hits).sum() / total)
    return round(float(precision[-1]), 5), round(float(hits.sum() / total), 5), round(ap, 5)


def _model_bytes(model: _Model) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, classes=np.array(model.classes), centroids=model.centroids)
    return buffer.getvalue()


def load_model(path: Path) -> _Model:
    """Read the weights of a toy model.

    Raises:
        UsageError: `path` has no weights of the toy backend.
    """
    try:
        with np.load(path, allow_pickle=False) as raw:
            return _Model(tuple(str(name) for name in raw["classes"]), raw["centroids"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"the weights cannot be loaded: {error}", where=path, hint="weights of the toy backend?"
        ) from error


def _csv(rows: Sequence[Sequence[float]]) -> str:
    names = ["train/loss", "metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)"]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([["epoch", *names, "lr/pg0"], *rows])
    return buffer.getvalue()
