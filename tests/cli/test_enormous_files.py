"""Files of 10 GB, with nothing on the disk, in place of each file that a verb reads: a result or one message."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.test_mutated_files import ARGS, CASES, COCO, CURVE, MAPPING, RESULTS, VOC
from liftgate.cli import main
from liftgate.testing.data import picture, yolo_folder

SIZE = 10 << 30
TRUTH = ["--truth", "truth.json"]
EVALUATE = ["evaluate", *TRUTH, "--predictions"]
JUDGED = ["compare", "--control", "q.json", "--treatment", "q.json", "--judgements"]
SAMPLE = ["data", "sample", "y/images", "--budget", "1", "--out", "s.csv"]
MORE: dict[str, tuple[str, list[str]]] = {
    "image": ("y/images/val/b.png", ["check", "y/data.yaml"]),
    "image, stats": ("y/images/val/b.png", ["data", "stats", "y/data.yaml"]),
    "image, duplicates": ("y/images/val/b.png", ["data", "duplicates", "y/data.yaml"]),
    "image, convert": ("y/images/val/b.png", ["data", "convert", "y/data.yaml", "--to", "coco", "--out", "o"]),
    "image, sample": ("y/images/val/b.png", SAMPLE),
    "image, frames": ("y/images/val/b.png", ["data", "frames", "y/images/val", "--out", "frames"]),
    "image, ask": ("a.png", ["ask", "--mapping", "mapping.yaml", *TRUTH, "--out", "o.json", "--api-url",
                              "http://127.0.0.1:9/x", "--tries", "1", "--timeout", "0.2"]),
    "labels, fix": ("y/labels/train/a.txt", ["check", "y/data.yaml", "--fix", "fixed"]),
    "video": ("v.mp4", ["data", "frames", "v.mp4", "--out", "frames"]),
    "archive": ("set.zip", ["check", "set.zip"]),
    "list": ("y/train.txt", ["check", "list.yaml"]),
    "classes.txt": ("bare/classes.txt", ["check", "bare"]),
    "PaliGemma": ("p.jsonl", ["check", "p.jsonl"]),
    "labelme": ("lm/a.json", ["check", "lm"]),
    "CreateML": ("_annotations.createml.json", ["check", "_annotations.createml.json"]),
    "CSV predictions": ("p.csv", [*EVALUATE, "p.csv"]),
    "text predictions": ("txt/a.txt", [*EVALUATE, "txt"]),
    "lines of predictions": ("p.jsonl", [*EVALUATE, "p.jsonl"]),
    "slices": ("by.csv", [*EVALUATE, "q.json", "--by", "by.csv"]),
    "manifest": ("m.json", ["data", "snapshot", "y/data.yaml", "--verify", "m.json"]),
    "weights": ("w.pt", ["predict", "w.pt", "y/images", "--out", "o.json"]),
    "weights, models": ("w.pt", ["models", "add", "w.pt", "--registry", "models"]),
    "export": ("w.onnx", ["predict", "w.onnx", "y/images", "--out", "o.json"]),
    "card": ("w.card.json", ["predict", "w2.onnx", "y/images", "--out", "o.json"]),
    "prices": ("prices.yaml", ["cost", "s.yaml", "--prices", "prices.yaml"]),
    "log of a run": ("run/train.log", ["doctor", "run"]),
    "a log alone": ("train.log", ["doctor", "train.log"]),
    "ledger": ("runs/s/ledger.sqlite", ["ledger", "verify", "s.yaml"]),
    "ledger, status": ("runs/s/ledger.sqlite", ["status", "s.yaml"]),
    "head": ("runs/s/ledger.sqlite.head", ["ledger", "verify", "s.yaml"]),
    "head, status": ("runs/s/ledger.sqlite.head", ["status", "s.yaml"]),
    "head, run": ("runs/s/ledger.sqlite.head", ["run", "s.yaml"]),
    "status": ("runs/s/status.json", ["status", "s.yaml"]),
    "stop": ("runs/s/stop.json", ["status", "s.yaml"]),
    "registry": ("models/ledger.sqlite", ["models", "list", "--registry", "models"]),
    "registry head": ("models/ledger.sqlite.head", ["models", "list", "--registry", "models"]),
    "judge": ("p.csv", ["judge", "p.csv", "q.json", "--images", "y/data.yaml", "--plan"]),
    "answers": ("judged/answers.csv", [*JUDGED, "judged/answers.csv"]),
    "draw": ("judged/draw.json", [*JUDGED, "j.csv", "--draw", "judged/draw.json"]),
    "drawn images": ("drawn.csv", ["evaluate", *TRUTH, "--predictions", "q.json", "--sample", "drawn.csv"]),
    "list of names": ("voc/ImageSets/Main/train.txt", ["check", "voc"]),
    "lock": ("runs/s/lock", ["status", "s.yaml"]),
}  # fmt: skip
"""What is enormous: file, the command that reads it"""
READ = {case: (file, command) for case, (_, file, command) in CASES.items()} | MORE


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Give the process 2 GB more than it has: reading all of a file fails at once, and the machine does not swap."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    yolo_folder(tmp_path / "y", {"train/a.png": "0 .5 .5 .5 .5\n", "val/b.png": "1 .5 .5 .5 .5\n"})
    for folder in (tmp_path, tmp_path / "voc" / "JPEGImages", tmp_path / "bare", tmp_path / "lm"):
        picture(folder / "a.png", (64, 48))
    texts = {
        "truth.json": COCO, "run/results.csv": CURVE, "run/args.yaml": ARGS, "w.yaml": "nc: 2\n", "q.json": RESULTS,
        "mapping.yaml": MAPPING, "list.yaml": "path: y\ntrain: train.txt\nval: images/val\nnames: [cat, dog]\n",
        "bare/a.txt": "0 .5 .5 .5 .5\n", "obj2.data": "classes = 2\ntrain = y/train.txt\nnames = obj.names\n",
        "s.yaml": CASES["study"][0], "voc/Annotations/a.xml": VOC, "j.csv": "draw,question,answer\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")  # an unforeseen error is raised, not printed
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize("case", READ)
def test_a_file_of_10_gb_ends_in_a_result_or_one_message(
    place: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, command = READ[case]
    (place / file).parent.mkdir(parents=True, exist_ok=True)
    (place / file).touch()
    os.truncate(place / file, SIZE)
    begun = time.process_time()
    code = main(command)
    shown = capsys.readouterr()
    assert code in (0, 1, 2, 3), shown.err
    assert len(shown.err) < 20_000
    assert time.process_time() - begun < 5, shown.err
