"""The Ultralytics backend: keeps the contract, sealed from network and home, exact across kills, val-equivalent."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml
from PIL import Image

from backends.scripted_metrics import SCRIPT
from backends.tiny import RECIPE, write_model
from liftgate.backends.base import DecisionPoint, Paused, PredictJob, TrainJob
from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.backends.sandbox import sandbox_environment
from liftgate.errors import TrainingError, UsageError
from liftgate.testing.backends import BackendContract, require_parts_like_whole, write_tree
from liftgate.training import launch
from liftgate.training.command import training_command

# Looked for, not imported: in this process it would write to the home folder.
SCRIPTED = "scripted_metrics:Scripted"
_ABSENT = importlib.util.find_spec("ultralytics") is None
pytestmark = [pytest.mark.train, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]


@pytest.mark.slow
@pytest.mark.promise
class TestUltralyticsKeepsTheContract(BackendContract):
    backend = "ultralytics"
    recipe: ClassVar = {**RECIPE, "epochs": 30, "lr0": 0.005, "mosaic": 0.0}
    settings: ClassVar = {"imgsz": 64}

    def weights(self, tree: Path) -> str:
        return str(write_model(tree.parent / "tiny.yaml"))


def _job(folder: Path, tree: Path, **recipe: Any) -> TrainJob:
    weights = write_model(tree.parent / "tiny.yaml")
    return TrainJob(str(weights), tree, {**RECIPE, **recipe}, 0, "detect", folder / "results", "cpu")


def _train(job: TrainJob, on_event: Any = lambda event: None, *, backend: str = "ultralytics") -> launch.TrainOutcome:
    return launch.train(job, backend=backend, folder=job.out.parent, on_event=on_event)


_AUDIT = """
import sys
def hook(name, args):
    if name in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        with open({path!r}, "a") as file:
            print(name, args[1:] if name == "socket.connect" else args, file=file)
    if name == "import" and args[0] == "torch._dynamo":
        open({path!r} + "-compiler", "w").close()
sys.addaudithook(hook)
open({path!r} + "-ready", "w").close()
"""


@pytest.mark.slow
def test_training_and_predicting_touch_no_network_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit hook in the child sees Python's sockets; without a network, native ones would fail (the next test)."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_AUDIT.format(path=str(tmp_path / "calls")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    outcome = _train(_job(tmp_path / "run", tree, epochs=1, plots=True))
    predicted = PredictJob(str(outcome.best), tree, "test", "detect", tmp_path / "p.json", {"imgsz": 64}, "cpu")
    launch.predict(predicted, backend="ultralytics", folder=tmp_path / "run", on_event=lambda event: None)
    assert (tmp_path / "calls-ready").exists(), "the hook listened"
    assert not (tmp_path / "calls").exists(), (tmp_path / "calls").read_text()
    assert list((tmp_path / "home").iterdir()) == []
    assert not (tmp_path / "calls-compiler").exists(), "torch's compiler doubles the start of every child"
    for name in ("results.csv", "args.yaml", "results.png", "confusion_matrix.png"):
        assert (outcome.out / name).is_file()


@pytest.mark.slow
def test_parts_of_images_of_many_shapes_are_predicted_as_in_the_whole(tmp_path: Path) -> None:
    """The validator pads the images of a batch alike, sorted by shape: a part has whole batches of that order."""
    tree = write_tree(tmp_path / "tree", train=8, held_out=11)
    outcome = _train(_job(tmp_path / "run", tree, epochs=1))
    for number in range(11):
        path = tree.parent / "images" / f"test{number:03d}.png"
        with Image.open(path) as image:
            image.resize([(96, 64), (64, 96), (96, 30), (80, 80)][number % 4]).save(path)
    settings = {"imgsz": 64, "batch": 2, "conf": 0.0001}
    job = PredictJob(str(outcome.last), tree, "test", "detect", tmp_path / "whole.json", settings, "cpu")
    require_parts_like_whole(job, "ultralytics")


@pytest.mark.slow
@pytest.mark.promise
def test_training_needs_no_network(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here: only the audit hook looks")
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    job = _job(tmp_path / "run", tree, epochs=1)
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from liftgate.backends.base import TrainJob
        from liftgate.training import launch
        out = Path({str(job.out)!r})
        job = TrainJob({job.weights!r}, Path({str(tree)!r}), {dict(job.recipe)!r}, 0, "detect", out, "cpu")
        launch.train(job, backend="ultralytics", folder=out.parent, on_event=print)
        """
    )
    subprocess.run(["unshare", "-rn", sys.executable, "-c", code], check=True)
    assert (job.out / "weights" / "best.pt").is_file()


@pytest.mark.slow
def test_what_ultralytics_does_without_a_word_is_said(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    for name in ("train000", "test001"):
        (tree.parent / "labels" / f"{name}.txt").write_text("0 1.5 0.5 0.2 0.2\n")
    heard: list[Event] = []
    outcome = _train(_job(tmp_path / "run", tree, epochs=1, optimizer="auto", lr0=0.123), heard.append)
    facts = outcome.facts
    assert facts["optimizer"]["name"] == "AdamW"
    assert (facts["optimizer"]["lr0_asked"], facts["optimizer"]["name_asked"]) == (0.123, "auto")
    assert facts["optimizer"]["lr0"] < 0.01
    dropped = next(event for event in heard if event.to_body().get("fact") == "dropped_images")
    assert dropped.to_body()["images"] == ["images/train000.png"]
    assert facts["device"] == "cpu" and facts["exact_resume"] and facts["peak_memory_mb"] > 100
    job = PredictJob(str(outcome.best), tree, "test", "detect", tmp_path / "p.json", {"imgsz": 64}, "cpu")
    with pytest.raises(TrainingError, match=r"left out 1 of 4 images: got images/test001.png"):
        launch.predict(job, backend="ultralytics", folder=tmp_path / "run", on_event=heard.append)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.slow
def test_unusable_jobs_are_one_clear_error_each(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", train=4, held_out=2)
    job = _job(tmp_path / "a", tree)
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 half a download")
    for number, (weights, recipe, task, message) in enumerate(
        [
            (job.weights, {"epochs": "many"}, "detect", "cannot be used"),
            (job.weights, {"data": "other.yaml"}, "detect", "not for a recipe"),
            (str(tmp_path / "cut.pt"), {}, "detect", "cannot be loaded"),
            (str(tmp_path / "none.pt"), {}, "detect", "no such weights"),
            (job.weights, {}, "segment", "unknown task"),
        ]
    ):
        out = tmp_path / f"run{number}" / "results"
        with pytest.raises(UsageError, match=message):
            _train(TrainJob(weights, tree, {**RECIPE, "epochs": 1, **recipe}, 0, task, out, "cpu"))


def _killed_at(job: TrainJob, epochs: list[int], *, backend: str = "ultralytics") -> launch.TrainOutcome:
    """Train with kill -9 of the child at the report of each of these epochs."""

    def on_event(event: Event) -> None:
        if isinstance(event, EpochReport) and epochs and event.epoch >= epochs[0]:
            epochs.pop(0)
            os.kill(_worker_of(job), signal.SIGKILL)

    while True:
        try:
            return _train(job, on_event, backend=backend)
        except TrainingError as error:
            assert "without a report" in str(error)


def _worker_of(job: TrainJob) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        words = (entry / "cmdline").read_bytes() if (entry / "cmdline").exists() else b""
        if b"liftgate.training.worker" in words and str(job.out.parent).encode() in words:
            return int(entry.name)
    raise AssertionError("no worker")


# Recipe, epochs, and those after which the training is killed. A start costs five seconds of processor time: the first
# is killed three times, the others where they differ.
_EXACT = {
    # 4 batches an epoch; steps every 5: gradients wait across the end of an epoch
    "SGD, accumulation over epochs, cosine": ({"optimizer": "SGD", "nbs": 20, "cos_lr": True}, 6, (2, 5, 6)),
    "AdamW, kills before and after mosaic closes": ({"optimizer": "AdamW", "close_mosaic": 3}, 5, (2, 4)),
    "MuSGD, uneven last batch, long warm-up": (
        {"optimizer": "MuSGD", "batch": 5, "nbs": 10, "warmup_epochs": 4.5},
        4,
        (2,),
    ),
}


# `make check` runs the first one, `make test` all.
_EXACT_CASES = [pytest.param(*case, id=name, marks=[pytest.mark.promise] * (number == 0))
                for number, (name, case) in enumerate(_EXACT.items())]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "epochs", "kills"), _EXACT_CASES)
def test_a_killed_run_ends_with_the_same_bits(
    tmp_path: Path, recipe: dict[str, Any], epochs: int, kills: tuple[int, ...]
) -> None:
    tree = write_tree(tmp_path / "tree")
    whole = _train(_job(tmp_path / "whole", tree, epochs=epochs, **recipe))
    killed = _killed_at(_job(tmp_path / "killed", tree, epochs=epochs, **recipe), [*kills])
    assert _curve(whole.out) == _curve(killed.out)
    assert [report.epoch for report in killed.reports] == [*range(1, epochs + 1)]
    events = launch.read_events(killed.folder / "events.jsonl")
    begun = [event.resumed_after for event in events if isinstance(event, StartedEvent)]
    assert len(begun) == len(kills) + 1
    assert begun == sorted(begun) and begun[1] >= 2, "it went on, it did not begin anew"
    names = ("best.pt", "last.pt")
    read = _tensors([outcome.out / "weights" / name for outcome in (whole, killed) for name in names])
    for name, a, b in zip(names, read[:2], read[2:], strict=True):
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[key], b[key]) for key in a), name


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let `scripted_metrics` report given figures, so that nothing rests on how a training goes on one processor."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)

    def write(**figures: list[float]) -> None:
        names = {"recall": "metrics/recall(B)", "mAP50": "metrics/mAP50(B)"}
        monkeypatch.setenv(SCRIPT, json.dumps({names.get(name, name): values for name, values in figures.items()}))

    return write


@pytest.mark.slow
def test_early_stopping_ends_a_killed_run_at_the_same_epoch(tmp_path: Path, script: Callable[..., None]) -> None:
    script(fitness=[0.1, 0.2, 0.3, 0.2, 0.1, 0.2, 0.1])
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    whole = _train(_job(tmp_path / "whole", tree, epochs=40, patience=4), backend=SCRIPTED)
    assert (whole.epochs, whole.facts["best_epoch"]) == (7, 3), "four epochs after the best one"
    killed = _killed_at(_job(tmp_path / "killed", tree, epochs=40, patience=4), [4, 6], backend=SCRIPTED)
    assert (killed.epochs, killed.facts["best_epoch"]) == (7, 3)
    assert _curve(whole.out) == _curve(killed.out)


@pytest.mark.slow
@pytest.mark.promise
def test_a_decision_point_ends_the_run_after_its_own_epoch(tmp_path: Path) -> None:
    job = _job(tmp_path / "run", write_tree(tmp_path / "tree", train=8, held_out=4), epochs=5)
    point = DecisionPoint(2, "mAP50 > 1")
    heard: list[Event] = []
    with pytest.raises(Paused):
        _train(replace(job, decide=(point,)), heard.append)
    assert [event.epoch for event in heard if isinstance(event, EpochReport)] == [1, 2]


@pytest.mark.slow
def test_checkpoints_every_few_epochs_are_kept_whole_and_the_same_through_a_kill(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    whole = _train(_job(tmp_path / "whole", tree, epochs=5, save_period=2))
    killed = _killed_at(_job(tmp_path / "killed", tree, epochs=5, save_period=2), [2, 4])
    names = [sorted(path.name for path in outcome.out.glob("weights/*.pt")) for outcome in (whole, killed)]
    assert names[0] == names[1] == ["best.pt", "epoch0.pt", "epoch2.pt", "epoch4.pt", "last.pt"]
    kept = ("epoch0.pt", "epoch2.pt", "epoch4.pt")
    states = _weights([outcome.out / "weights" / name for outcome in (whole, killed) for name in kept])
    assert len(states) == 6 and states[:3] == states[3:]


def _weights(paths: list[Path]) -> list[str]:
    """A hash of the weights in each checkpoint of a running training, by a process of its own."""
    code = (
        "import sys, torch, hashlib\nfor path in sys.argv[1:]:\n  h = hashlib.sha256()\n"
        "  m = torch.load(path, map_location='cpu', weights_only=False)['ema']\n"
        "  [h.update(v.float().numpy().tobytes()) for v in m.state_dict().values()]; print(h.hexdigest())"
    )
    words = [sys.executable, "-c", code, *map(str, paths)]
    found = subprocess.run(words, capture_output=True, text=True, check=True, env=_quiet(paths[0].parent))
    return found.stdout.split()[-len(paths) :]


def _curve(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(file)]


def _tensors(paths: list[Path]) -> list[dict[str, np.ndarray]]:
    """Read checkpoints in a process of its own: this one stays without ultralytics."""
    code = (
        "import sys, torch, numpy\nfor path in sys.argv[1:]:\n"
        "  m = torch.load(path, map_location='cpu', weights_only=False)['model']\n"
        "  numpy.savez(path + '.npz', **{k: v.float().numpy() for k, v in m.state_dict().items()})"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    subprocess.run(command, check=True, env=_quiet(paths[0].parent))
    found = []
    for path in paths:
        with np.load(f"{path}.npz") as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    return found


def _quiet(folder: Path) -> dict[str, str]:
    return {**os.environ, "YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(folder), "YOLO_AUTOINSTALL": "false"}


@pytest.mark.slow
def test_the_best_epoch_is_chosen_by_the_metric_that_the_job_names(tmp_path: Path, script: Callable[..., None]) -> None:
    script(recall=[0.1, 0.5, 0.3, 0.2], mAP50=[0.1, 0.2, 0.3, 0.4], fitness=[0.1, 0.2, 0.3, 0.4])
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    plain = _job(tmp_path / "run", tree, epochs=4)
    outcome = _train(replace(plain, select="recall"), backend=SCRIPTED)
    assert [report.metrics["recall"] for report in outcome.reports] == [0.1, 0.5, 0.3, 0.2]
    assert (outcome.facts["best_epoch"], outcome.facts["best_fitness"]) == (2, 0.5)
    with pytest.raises(UsageError, match="no such metric"):
        _train(replace(plain, select="mAP", out=tmp_path / "other" / "results"))


@pytest.mark.slow
@pytest.mark.promise
def test_the_command_beside_a_run_gives_the_same_bits_without_liftgate(tmp_path: Path) -> None:
    job = _job(tmp_path / "run", write_tree(tmp_path / "tree", train=8, held_out=4), epochs=3)
    ours = _train(job)
    script = tmp_path / "command.sh"
    script.write_text(training_command(job))
    env = sandbox_environment(tmp_path / "home", os.environ)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    subprocess.run(["sh", str(script)], env=env, check=True, capture_output=True)
    by_hand = job.out.with_name("results-by-hand")
    assert _curve(by_hand) == _curve(ours.out)
    a, b = _tensors([out / "weights" / "last.pt" for out in (by_hand, ours.out)])
    assert all(np.array_equal(a[key], b[key]) for key in a)


_VAL = """
import json, sys
import numpy as np, torch, yaml
from pathlib import Path
from PIL import Image
from ultralytics import YOLO
from ultralytics.utils.metrics import DetMetrics, box_iou
from ultralytics.models.yolo.detect import DetectionValidator
weights, data, results = sys.argv[1:]

class Cut(DetectionValidator):
    def _process_batch(self, preds, batch):
        (gain_y, gain_x), (left, top) = batch["ratio_pad"]
        height, width = batch["ori_shape"]
        boxes = preds["bboxes"]
        boxes[:, 0::2] = boxes[:, 0::2].clamp(left, left + width * gain_x)
        boxes[:, 1::2] = boxes[:, 1::2].clamp(top, top + height * gain_y)
        return super()._process_batch(preds, batch)

def val(**how):
    return YOLO(weights).val(data=data, split="test", imgsz=64, batch=16, device="cpu", plots=False, verbose=False,
                             project=str(Path(results).parent), name="val", **how).results_dict
# The same figures once more, from the predictions file alone.
root = Path(data).parent
rows = json.loads(Path(results).read_text())
judge, metrics = DetectionValidator(args={"plots": False}, save_dir=Path(results).parent), DetMetrics()
metrics.names = yaml.safe_load(Path(data).read_text())["names"]
for line in (root / "test.txt").read_text().split():
    path = root / line
    width, height = Image.open(path).size
    truth = np.loadtxt(root / "labels" / f"{path.stem}.txt", ndmin=2)
    cls, cxcywh = torch.tensor(truth[:, 0]), truth[:, 1:] * [width, height, width, height]
    boxes = np.concatenate([cxcywh[:, :2] - cxcywh[:, 2:] / 2, cxcywh[:, :2] + cxcywh[:, 2:] / 2], axis=1)
    mine = [row for row in rows if row["image_id"] == line.removeprefix("./")]
    found = np.array([row["bbox"] for row in mine]).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    kinds = torch.tensor([row["category_id"] - 1.0 for row in mine])
    hit = np.zeros((0, 10), dtype=bool)
    if mine:
        hit = judge.match_predictions(kinds, cls, box_iou(torch.tensor(boxes), torch.tensor(found))).numpy()
    metrics.update_stats({"tp": hit, "conf": np.array([row["score"] for row in mine]), "pred_cls": kinds.numpy(),
                          "target_cls": cls.numpy(), "target_img": np.unique(cls.numpy()), "im_name": path.name})
metrics.process(save_dir=Path(results).parent, plot=False)
print(json.dumps([val(), val(validator=Cut), metrics.results_dict]))
"""


@pytest.mark.slow
@pytest.mark.promise
def test_the_predictions_are_those_behind_ultralytics_own_figures(tmp_path: Path) -> None:
    """Scored Ultralytics' way they give model.val()'s figures, once val too cuts boxes at the image's edge.

    (It matches boxes before it cuts them, and exports them cut; an image's pixels are the contract here.)
    """
    tree = write_tree(tmp_path / "tree", train=24, held_out=8, size=(96, 72))
    outcome = _train(_job(tmp_path / "run", tree, epochs=30, lr0=0.005, mosaic=0.0))
    out = tmp_path / "p.json"
    job = PredictJob(str(outcome.best), tree, "test", "detect", out, {"imgsz": 64}, "cpu")
    launch.predict(job, backend="ultralytics", folder=tmp_path / "run", on_event=lambda event: None)
    words = [sys.executable, "-c", _VAL, str(outcome.best), str(tree), str(out)]
    ran = subprocess.run(words, capture_output=True, text=True, env=_quiet(tmp_path))
    assert ran.returncode == 0, ran.stderr
    own, cut, mine = json.loads(ran.stdout.splitlines()[-1])
    assert own["metrics/mAP50(B)"] > 0.1
    for name in ("metrics/mAP50(B)", "metrics/mAP50-95(B)", "metrics/precision(B)", "metrics/recall(B)"):
        assert mine[name] == pytest.approx(cut[name], abs=1e-4)
        assert mine[name] == pytest.approx(own[name], abs=0.05)


@pytest.mark.slow
def test_a_model_without_any_class_of_the_data_set_finds_nothing_and_says_so(tmp_path: Path, fixtures: Path) -> None:
    tree = write_tree(tmp_path / "tree", train=2, held_out=2)
    heard: list[Event] = []
    weights = str(fixtures / "weights" / "yolov8n_coco_recon.pt")
    job = PredictJob(weights, tree, "test", "detect", tmp_path / "p.json", {"imgsz": 64}, "cpu")
    launch.predict(job, backend="ultralytics", folder=tmp_path / "run", on_event=heard.append)
    assert json.loads((tmp_path / "p.json").read_text()) == []
    assert any("nothing can be detected" in event.to_body().get("message", "") for event in heard)


@pytest.mark.slow
def test_pose_trains_and_predicts_keypoints(tmp_path: Path) -> None:
    tree = _pose_tree(tmp_path / "tree")
    model = write_model(tmp_path / "pose.yaml", keypoints=2)
    recipe = {**RECIPE, "epochs": 20, "mosaic": 0.0}
    job = TrainJob(str(model), tree, recipe, 0, "pose", tmp_path / "run" / "results", "cpu")
    outcome = _train(job)
    assert {"pose_mAP50", "mAP50"} <= outcome.reports[-1].metrics.keys()
    out = tmp_path / "p.json"
    asked = PredictJob(str(outcome.last), tree, "test", "pose", out, {"imgsz": 64}, "cpu")
    launch.predict(asked, backend="ultralytics", folder=tmp_path / "run", on_event=lambda event: None)
    rows = json.loads(out.read_text())
    assert rows and all(len(row["keypoints"]) == 6 for row in rows)
    with pytest.raises(UsageError, match="another task"):
        wrong = PredictJob(str(outcome.last), tree, "test", "detect", out, {"imgsz": 64}, "cpu")
        launch.predict(wrong, backend="ultralytics", folder=tmp_path / "run", on_event=lambda event: None)


def _pose_tree(folder: Path) -> Path:
    """The rectangles again, with two keypoints each: left and right middle."""
    source = write_tree(folder)
    for label in (folder / "labels").iterdir():
        rows = [[float(word) for word in line.split()] for line in label.read_text().splitlines()]
        label.write_text(
            "".join(f"{c:.0f} {x} {y} {w} {h} {x - w / 2} {y} 2 {x + w / 2} {y} 2\n" for c, x, y, w, h in rows)
        )
    document = yaml.safe_load(source.read_text()) | {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
    source.write_text(yaml.safe_dump(document))
    return source
