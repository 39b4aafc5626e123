"""Contract tests of a backend: subclass `BackendContract` in a test file and name the backend to run them.

    class TestMine(BackendContract):
        backend = "my_package.mine:Mine"
        recipe = {"epochs": 6}

Each test runs the backend as Liftgate does, in a child process. One training and one paused training are made once and
shared by the tests.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import yaml
from PIL import Image

from liftgate.backends import SPLITTING
from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import EpochReport, Event, Json, StartedEvent
from liftgate.backends.prediction_output import join_predictions
from liftgate.errors import UsageError
from liftgate.training import launch

CLASSES = ("red", "blue")
_COLOURS = ((230, 60, 60), (60, 60, 230))


def write_tree(folder: Path, *, train: int = 16, held_out: int = 6, size: tuple[int, int] = (96, 64)) -> Path:
    """Write a small training tree (red and blue rectangles on noise) and return its data.yaml.

    Args:
        folder: created, with images, labels, train.txt, val.txt, test.txt and data.yaml.
        train: number of training images.
        held_out: number of val and of test images.
        size: width and height in pixels.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", held_out), ("test", held_out)):
        names = [f"{split}{i:03d}.png" for i in range(count)]
        for name in names:
            _write_scene(folder, name, rng, size)
        (folder / f"{split}.txt").write_text("".join(f"./images/{name}\n" for name in names))
    document = {"path": str(folder), **{split: f"{split}.txt" for split in ("train", "val", "test")}}
    (folder / "data.yaml").write_text(yaml.safe_dump(document | {"names": dict(enumerate(CLASSES))}))
    return folder / "data.yaml"


def _write_scene(folder: Path, name: str, rng: np.random.Generator, size: tuple[int, int]) -> None:
    width, height = size
    pixels = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
    rows = []
    for cls in rng.integers(0, 2, int(rng.integers(1, 4))):
        w, h = rng.integers(14, 26, 2)
        x, y = rng.integers(0, width - w), rng.integers(0, height - h)
        pixels[y : y + h, x : x + w] = _COLOURS[cls]
        rows.append(f"{cls} {(x + w / 2) / width:.6f} {(y + h / 2) / height:.6f} {w / width:.6f} {h / height:.6f}\n")
    for kind, suffix in (("images", ".png"), ("labels", ".txt")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        target = (folder / kind / name).with_suffix(suffix)
        if kind == "images":
            Image.fromarray(pixels).save(target)
        else:
            target.write_text("".join(rows))


def require_parts_like_whole(job: PredictJob, backend: str) -> None:
    """Predict a split as a whole and in three parts, and compare the files byte for byte."""
    whole, folder = job.out, job.out.parent
    parts = [folder / f"part{part}.json" for part in range(3)]
    jobs = [job, *(replace(job, out=path, part=part, parts=3) for part, path in enumerate(parts))]
    for one in jobs:
        launch.predict(one, backend=backend, folder=folder / one.out.stem, on_event=lambda event: None)
    images = json.loads((folder / "whole.settings.json").read_text())["images"]
    joined = folder / "joined.json"
    join_predictions(joined, parts, images)
    assert joined.read_bytes() == whole.read_bytes()
    assert all("bbox" in path.read_text() for path in parts), "nothing was detected in a part"
    assert (folder / "joined.settings.json").read_bytes() == (folder / "whole.settings.json").read_bytes()


class _Ran(NamedTuple):
    outcome: launch.TrainOutcome
    events: list[Event]
    pauses: int


class BackendContract:
    """Tests of the laws in backends/base.py."""

    backend: ClassVar[str]
    recipe: ClassVar[Json]
    settings: ClassVar[Json] = {}
    task: ClassVar[str] = "detect"
    epochs_in_csv: ClassVar[str] = "epoch"
    _made: ClassVar[dict[tuple[str, str], Any]] = {}

    def weights(self, tree: Path) -> str:
        """Return the start weights of a training; a model YAML (here: an empty one) means from scratch."""
        path = tree.parent / "model.yaml"
        path.write_text("{}\n")
        return str(path)

    def test_a_finished_run_leaves_weights_curve_and_arguments(self, tmp_path_factory: Any) -> None:
        """Check law 2: the files of a finished run."""
        ran = self._run(tmp_path_factory, "whole")
        for name in ("weights/best.pt", "weights/last.pt", "results.csv", "args.yaml"):
            assert (ran.outcome.out / name).stat().st_size > 0

    def test_every_epoch_is_reported_once_and_is_once_in_the_curve(self, tmp_path_factory: Any) -> None:
        """Check law 3: each epoch is reported once, also across a pause."""
        for name in ("whole", "paused"):
            ran = self._run(tmp_path_factory, name)
            expected = list(range(1, int(self.recipe["epochs"]) + 1))
            assert [event.epoch for event in ran.events if isinstance(event, EpochReport)] == expected
            with (ran.outcome.out / "results.csv").open() as file:
                rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
            assert [int(row[self.epochs_in_csv]) for row in rows] == expected

    def test_an_epoch_report_has_losses_metrics_and_learning_rate(self, tmp_path_factory: Any) -> None:
        """Check that the report of each epoch has losses, metrics and learning rate."""
        ran = self._run(tmp_path_factory, "whole")
        report = next(event for event in ran.events if isinstance(event, EpochReport))
        assert report.losses and report.lr
        assert {"mAP50", "mAP50-95", "precision", "recall"} <= report.metrics.keys()

    def test_a_paused_run_ends_with_the_same_model(self, tmp_path_factory: Any) -> None:
        """Check laws 4 and 6: a paused run ends with the same model as one without a pause."""
        ran = self._run(tmp_path_factory, "paused")
        assert ran.pauses == 1
        begun = [event.resumed_after for event in ran.events if isinstance(event, StartedEvent)]
        assert begun[0] == 0 and begun[1] >= 1, "it resumed, it did not start again"
        assert self._predicted(tmp_path_factory, "paused") == self._predicted(tmp_path_factory, "whole")

    def test_the_same_job_again_returns_at_once(self, tmp_path_factory: Any) -> None:
        """Check that a finished job is not trained again."""
        ran = self._run(tmp_path_factory, "whole")
        again: list[Event] = []
        outcome = launch.train(
            self._job(tmp_path_factory, "whole"), backend=self.backend, folder=ran.outcome.folder, on_event=again.append
        )
        assert outcome.cached
        assert not again
        assert outcome.epochs == ran.outcome.epochs

    def test_predictions_lie_inside_the_images_and_name_their_classes(self, tmp_path_factory: Any) -> None:
        """Check law 5: boxes in pixels of the image, classes of the data set."""
        rows = self._predicted(tmp_path_factory, "whole")
        tree = self._tree(tmp_path_factory)
        for row in rows:
            with Image.open(tree.parent / row["image_id"]) as image:
                width, height = image.size
            x, y, w, h = row["bbox"]
            assert -0.5 <= x <= x + w <= width + 0.5 and -0.5 <= y <= y + h <= height + 0.5
            assert 1 <= row["category_id"] <= len(CLASSES)
            assert 0 <= row["score"] <= 1

    def test_the_parts_of_a_split_are_predicted_as_in_the_whole(self, tmp_path_factory: Any) -> None:
        """Check law 5 for the backends whose predictions an engine splits: joined, the parts are the whole."""
        if self.backend in SPLITTING:
            weights, tree = str(self._run(tmp_path_factory, "whole").outcome.last), self._tree(tmp_path_factory)
            folder = tmp_path_factory.mktemp("parts")
            job = PredictJob(
                weights, tree, "test", self.task, folder / "whole.json", {**self.settings, "batch": 2}, "cpu"
            )
            require_parts_like_whole(job, self.backend)

    def test_an_unknown_argument_is_refused_with_the_near_name(self, tmp_path_factory: Any) -> None:
        """Check that a wrong name in a recipe is refused."""
        folder = tmp_path_factory.mktemp("unknown")
        recipe = {**self.recipe, "epoch": 3}
        job = TrainJob(
            self._start(tmp_path_factory), self._tree(tmp_path_factory), recipe, 0, self.task, folder / "out"
        )
        try:
            launch.train(job, backend=self.backend, folder=folder, on_event=lambda event: None)
        except UsageError as error:
            assert "did you mean epochs?" in str(error)
        else:
            raise AssertionError("the recipe was taken")

    # Runs that the tests share, made once per backend.

    def _once(self, name: str, make: Any) -> Any:
        key = (type(self).__qualname__, name)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _tree(self, factory: Any) -> Path:
        tree: Path = self._once("tree", lambda: write_tree(factory.mktemp("tree")))
        return tree

    def _start(self, factory: Any) -> str:
        start: str = self._once("start", lambda: self.weights(self._tree(factory)))
        return start

    def _folder(self, factory: Any, name: str) -> Path:
        folder: Path = self._once(f"folder {name}", lambda: factory.mktemp(name))
        return folder

    def _job(self, factory: Any, name: str) -> TrainJob:
        out = self._folder(factory, name) / "results"
        return TrainJob(self._start(factory), self._tree(factory), self.recipe, 3, self.task, out, "cpu")

    def _run(self, factory: Any, name: str) -> _Ran:
        ran: _Ran = self._once(f"run {name}", lambda: self._train(factory, name))
        return ran

    def _train(self, factory: Any, name: str) -> _Ran:
        events: list[Event] = []
        pauses = 0

        def stop() -> bool:
            return name == "paused" and not pauses and any(isinstance(event, EpochReport) for event in events)

        while True:
            try:
                folder, job = self._folder(factory, name), self._job(factory, name)
                outcome = launch.train(job, backend=self.backend, folder=folder, on_event=events.append, stop=stop)
            except Paused:
                pauses += 1
            else:
                return _Ran(outcome, events, pauses)

    def _predicted(self, factory: Any, name: str) -> list[Json]:
        rows: list[Json] = self._once(f"predicted {name}", lambda: self._predict(factory, name))
        return rows

    def _predict(self, factory: Any, name: str) -> list[Json]:
        ran, folder = self._run(factory, name), self._folder(factory, name)
        out = folder / "test.json"
        job = PredictJob(str(ran.outcome.last), self._tree(factory), "test", self.task, out, self.settings, "cpu")
        used = launch.predict(job, backend=self.backend, folder=folder, on_event=ran.events.append)
        written = json.loads((folder / "test.settings.json").read_text())
        assert len(written.pop("images")) == used["n_images"] == 6
        assert written == used
        rows: list[Json] = json.loads(out.read_text())
        assert rows, "nothing was detected: the contract needs a recipe that learns something"
        return rows
