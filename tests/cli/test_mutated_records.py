"""What a verb wrote, or an exporter, changed at random before the next verb reads it: one message, a known exit code.

Beside tests/cli/test_mutated_files.py, which does it to files that people write.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("onnxruntime")

import onnx
from onnx import helper

import liftgate
from cli.test_mutated_files import CVAT, PIECES, SEED, mutated
from cli.test_mutated_files import place as place
from deploy.colours import GROUPS, ULTRALYTICS, write_detector, write_images
from deploy.registry.conftest import run_study
from liftgate.cli import main
from liftgate.deploy.export.card_file import write_card
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.shadow.request import ShadowRequest, create_test
from liftgate.judging.draw import MISSED
from liftgate.judging.draw_files import read_draw
from liftgate.testing.backends import write_tree

UNCHANGED = dict.fromkeys(("events", "draw.json", "draw.csv", "answers.csv", "answers of CVAT"), 11)
"""Exit codes of what was not changed, where it is another than 0: the answer is FAIL"""
MUTATIONS = int(os.environ.get("LIFTGATE_MUTATIONS", "8"))
"""Of each file"""
EVALUATE = ["evaluate", "--truth", "truth.json", "--predictions"]
SAMPLE = ["data", "sample", "y/images", "--budget", "1", "--out", "s.csv"]
LABELME = (
    '{"version": "5.0", "shapes": [{"label": "cat", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}], '
    '"imagePath": "a.png", "imageHeight": 48, "imageWidth": 64}'
)
CREATEML = (
    '[{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {"x": 3, "y": 3, "width": 4, "height": 4}}]}]'
)
PALIGEMMA = '{"image": "a.png", "prefix": "detect cat", "suffix": "<loc0100><loc0100><loc0500><loc0500> cat"}\n'
PRICES = (
    "options:\n  rented: {kind: rented, usd_per_hour: 2.0, speed: 1.5, region: eu-west-1, note: an A100}\n"
    "  own: {kind: bought, usd: 5000, usd_per_hour: 0.12, region: on-premises}\nallowed_regions: [on-premises]\n"
)
QUALITY = "red: {too_dark: 15}\nyellow: {too_dark: 30, low_confidence: 0.4, count_jump: 3, flicker: 2.0}\n"
PREDICTIONS_CSV = "image,class,score,x1,y1,x2,y2\na.png,cat,0.9,1,1,5,5\na.png,cat,0.4,2,2,6,6\n"
LOG_LINES = '{"image": "train/a.png", "class": "cat", "score": 0.9, "bbox": [1, 1, 5, 5], "time": "2024-05-01T10:00"}\n'
METADATA = "names: {0: cat, 1: dog, 2: bird}\ntask: detect\nimgsz: [128, 128]\nauthor: Ultralytics\nargs: {nms: no}\n"
INFERENCE = (
    '{"network_input": {"training_input_size": {"height": 128, "width": 128}, "color_mode": "rgb", '
    '"resize_mode": "letterbox", "padding_value": 114, "scaling_factor": 255}, "post_processing": {"fused": false}}'
)
FILES: dict[str, tuple[str, str, list[str]]] = {
    "labelme": (LABELME, "lm/a.json", ["check", "lm"]),
    "CreateML": (CREATEML, "_annotations.createml.json", ["check", "_annotations.createml.json"]),
    "PaliGemma": (PALIGEMMA, "p.jsonl", ["check", "p.jsonl"]),
    "names of darknet": ("cat\ndog\n", "dk/obj.names", ["check", "dk"]),
    "rows of darknet": ("0 .5 .5 .5 .5\n1 .2 .2 .1 .1\n", "dk/a.txt", ["check", "dk"]),
    "list of images": ("./images/train/a.png\n", "y/train.txt", ["check", "list.yaml"]),
    "prices": (PRICES, "prices.yaml", ["cost", "s.yaml", "--prices", "prices.yaml", "--hours", "3"]),
    "quality rules": (
        QUALITY, "rules.yaml",
        ["watch", "cam=frames", "--once", "--model", "bare/m.onnx", "--log", "log", "--quality-rules", "rules.yaml"],
    ),
    "slices": ("image,slice\na.png,day\n", "by.csv", [*EVALUATE, "q.json", "--by", "by.csv"]),
    "CSV predictions": (PREDICTIONS_CSV, "p.csv", [*EVALUATE, "p.csv"]),
    "lines of a log": (LOG_LINES, "p.jsonl", [*SAMPLE, "--champion", "p.jsonl"]),
    "text predictions": ("0 .5 .5 .1 .1 .9\n0 .2 .2 .1 .1 .3\n", "txt/a.txt", [*EVALUATE, "txt"]),
    "CSV log": ("image,class,score,x,y,width,height\ntrain/a.png,cat,0.5,1,1,5,5\n", "log.csv",
                [*SAMPLE, "--champion", "log.csv"]),
    "metadata.yaml": (METADATA, "ov/metadata.yaml", ["predict", "ov", "a.png", "--out", "o.json"]),
    "names of classes": (
        "cat\ndog\nbird\n", "bare/class_names.txt", ["predict", "bare/m.onnx", "a.png", "--out", "o.json"],
    ),
    "Roboflow's configuration": (
        INFERENCE, "bare/inference_config.json", ["predict", "bare/m.onnx", "a.png", "--out", "o.json"],
    ),
    "log of a run": ("AutoBatch: out of memory, reducing batch=16 → batch=8\n      1/10  0.5G  1.2  0.9\n",
                     "run/train.log", ["doctor", "run"]),
}  # fmt: skip
"""What is changed, where it lies, the command that reads it"""


def write_more(place: Path) -> None:
    """Write what these commands read beside the file that is changed, and what `write_place` writes."""
    for folder in ("lm", "dk", "frames"):
        (place / folder).mkdir()
        shutil.copy(place / "a.png", place / folder)
    (place / "dk" / "obj.names").write_text("cat\ndog\n")
    (place / "dk" / "a.txt").write_text("0 .5 .5 .5 .5\n")
    (place / "list.yaml").write_text("path: y\ntrain: train.txt\nval: images/val\nnames: [cat, dog]\n")
    (place / "y" / "train.txt").write_text("./images/train/a.png\n")
    (place / "s.yaml").write_text(STUDY_TEXT)
    write_detector(place / "bare" / "m.onnx", metadata={})
    (place / "txt").mkdir()


def write_openvino(place: Path) -> None:
    """Write the model to which metadata.yaml belongs."""
    openvino = pytest.importorskip("openvino")
    (place / "ov").mkdir()
    openvino.save_model(openvino.convert_model(str(place / "bare" / "m.onnx")), str(place / "ov" / "m.xml"))


@pytest.mark.parametrize("case", FILES)
def test_a_mutated_file_ends_in_a_result_or_one_message(
    place: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, file, command = FILES[case]
    write_more(place)
    if case == "metadata.yaml":
        write_openvino(place)

    def write(changed: str) -> None:
        (place / file).write_bytes(changed.encode("utf-8", "surrogatepass"))
        for output in ("o.json", "o.settings.json"):
            (place / output).unlink(missing_ok=True)

    assert mutate(case, text, write, command, capsys) == []


STUDY_TEXT = (
    "study: s\nquestion: q\ntask: detect\nbackend: toy\ndatasets: {d: {path: y/data.yaml}}\n"
    "arms: {a: [{weights: w.yaml, data: d, recipe: {epochs: 1}}]}\n"
    "gates: {g: {arm: a, on: d.val, claims: [{metric: mAP50, at_least: 0.1}]}}\nflow: [check, train, g]\n"
)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    said: str
    """On stderr"""
    seconds: float


def mutate(
    case: str, text: str, write: Callable[[str], object], command: list[str], capsys: pytest.CaptureFixture[str],
    expected: tuple[int, ...] = (0, 2, 3),
) -> list[tuple[str, Ended]]:  # fmt: skip
    """Run a command on so many mutations of a text; return those that did not end in a result or one message in 5 s."""

    def ended(changed: str) -> Ended:
        write(changed)
        begun = time.process_time()
        code = main(command)
        return Ended(code, capsys.readouterr().err, time.process_time() - begun)

    def is_bad(one: Ended) -> bool:
        return one.code not in expected or "Traceback" in one.said or len(one.said) >= 20_000 or one.seconds > 5

    rng = random.Random(case + SEED)
    first = ended(text)  # which compiles what is not compiled yet
    assert first.code == UNCHANGED.get(case, 0) and "error" not in first.said, first
    bad = [(changed, one) for _ in range(MUTATIONS) if is_bad(one := ended(changed := mutated(text, rng)))]
    # It may have compiled a kernel, once.
    return [(changed, one) for changed, one in bad if one.seconds <= 5 or is_bad(ended(changed))]


# What Liftgate wrote


class Written(NamedTuple):
    """A file that a verb wrote, and who reads it"""

    pattern: str
    """Of the file, below the folder of `home`"""
    command: list[str]
    expected: tuple[int, ...] = (0, 1, 2, 3, 10, 11)


SHADOW = ["shadow", "status", "--log", "log"]
REGISTRY = ["--registry", "models"]
JUDGED = ["compare", "--control", "p.json", "--treatment", "q.json", "--judgements", "judged/answers.csv"]
CORRECTED = ["data", "corrections", "task", "task/annotations.xml", "--times", "task/times.csv"]
WRITTEN: dict[str, Written] = {
    "model card": Written("exported/card.json", ["predict", "exported", "set/images/test", "--out", "o.json"]),
    "list of a version's files": Written("models/v0/files_v0.json", ["models", "verify", *REGISTRY]),
    "head of a registry": Written("models/ledger.sqlite.head", ["models", "list", *REGISTRY]),
    "draw.json": Written("judged/draw.json", JUDGED),
    "draw.csv": Written("judged/draw.csv", JUDGED),
    "answers.csv": Written("judged/answers.csv", JUDGED),
    "answers of CVAT": Written("in_cvat/cvat/annotations.xml", [*JUDGED[:-1], "in_cvat/cvat/annotations.xml", "--draw",
                                                                "in_cvat"]),
    "halves.json": Written("task/halves.json", CORRECTED),
    "times of work": Written("task/times.csv", CORRECTED),
    "manifest": Written("manifest.json", ["data", "snapshot", "set/data.yaml", "--verify", "manifest.json"]),
    "sample.csv": Written("sample.csv", ["evaluate", "--truth", "set/data.yaml", "--split", "test", "--predictions",
                                         "p.json", "--sample", "sample.csv"]),
    "frames.csv": Written("frames/frames.csv", ["data", "sample", "frames/frames.csv", "--budget", "2", "--out",
                                                "again.csv"]),
    "request of a shadow test": Written("log/shadow/*/request.json", SHADOW),
    "state of a shadow test": Written("log/shadow/*/state.json", SHADOW),
    "run.json": Written("runs/colours/2*/run.json", ["doctor", "RUN"]),
    "results.csv of a run": Written("runs/colours/2*/results/results.csv", ["doctor", "RUN"]),
    "args.yaml of a run": Written("runs/colours/2*/results/args.yaml", ["doctor", "RUN"]),
    "settings of a run": Written("runs/colours/predictions/*.settings.json", ["report", "study.yaml"]),
    "predictions of a run": Written("runs/colours/predictions/*[0-9a-f].json", ["report", "study.yaml"]),
    "evaluation of a run": Written("runs/colours/evaluations/*.json", ["report", "study.yaml"]),
    "status": Written("runs/colours/now.json", ["status", "study.yaml"]),
    "head": Written("runs/colours/ledger.sqlite.head", ["status", "study.yaml"]),
    "frozen split": Written("runs/colours/splits/*.csv", ["plan", "study.yaml"]),
    "events": Written("runs/colours/2*/events.jsonl", ["run", "study.yaml"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every verb wrote what WRITTEN names"""
    folder = tmp_path_factory.mktemp("home")
    write_tree(folder / "scenes", train=12, held_out=6)
    (folder / "start.yaml").write_text("nc: 2\n")
    scenes = {"path": "scenes/data.yaml", "licence": "CC-BY-4.0", "ratios": [0.5, 0.2, 0.3]}
    run_study(folder, datasets={"scenes": scenes}, arms={
        name: [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": n}}]
        for name, n in (("short", 1), ("long", 2))
    })  # fmt: skip
    data = write_images(folder / "set", 10, n_groups=10)
    for name, model, order in (("p", "a", (0, 1, 2)), ("q", "b", (1, 0, 2))):
        write_detector(folder / f"{model}.onnx", order=order, shift=0.5 if name == "q" else 0.0)
        liftgate.predict(folder / f"{model}.onnx", data, folder / f"{name}.json", split="test")
    liftgate.add_model(folder / "a.onnx", registry=folder / "models")
    (folder / "exported").mkdir()
    shutil.copy(folder / "a.onnx", folder / "exported")
    write_card(describe_export(folder / "exported" / "a.onnx").card, folder / "exported")
    words = {
        "judge": ["p.json", "q.json", "--images", "set/data.yaml", "--split", "test", "--groups", GROUPS,
                  "--out", "judged"],
        "data": ["snapshot", "set/data.yaml", "--out", "manifest.json"],
    }  # fmt: skip
    before = Path.cwd()
    os.chdir(folder)
    try:
        for verb, more in words.items():
            assert main([verb, *more]) == 0
        assert main(["data", "sample", "set/data.yaml", "--budget", "6", "--out", "sample.csv", "--for", "map",
                     "--groups", GROUPS, "--champion", "p.json"]) == 0  # fmt: skip
        assert main(["data", "frames", "set/images/test", "--out", "frames"]) == 0
        assert main(["judge", *words["judge"][:-1], "in_cvat", "--to", "cvat"]) == 0
        assert main(["data", "prelabel", "set/data.yaml", "--predictions", "p.json", "--groups", GROUPS,
                     "--measure-saving", "--out", "task"]) == 0  # fmt: skip
    finally:
        os.chdir(before)
    draw = read_draw(folder / "judged")
    words = ["0" if one.kind == MISSED else "both" if len(one.marks) == 2 else "yes" for one in draw.questions]
    rows = "".join(f"{draw.hash},{one.id},{word},ann,1.5\n" for one, word in zip(draw.questions, words, strict=True))
    (folder / "judged" / "answers.csv").write_text(f"draw,question,answer,person,seconds\n{rows}")
    task = folder / "in_cvat" / "cvat" / "annotations.xml"
    task.write_text(task.read_text().replace(">open<", ">unsure<"))
    images = json.loads((folder / "task" / "halves.json").read_text())["images"]
    (folder / "task" / "times.csv").write_text("image,seconds\n" + "".join(f"{name},12\n" for name in images))
    (folder / "log").mkdir()
    test = create_test(folder / "log", ShadowRequest("v0", str(folder / "models"), 1.7e9))
    (test.folder / "state.json").write_text('{"status": "running", "reason": "", "offered": 3, "shed": 1}')
    return folder


@pytest.mark.parametrize("case", WRITTEN)
def test_a_record_that_was_mutated_ends_in_a_result_or_one_message(
    home: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "home"
    shutil.copytree(home, work, symlinks=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")
    pattern, command, expected = WRITTEN[case]
    path = min(work.glob(pattern))
    run = str(min(work.glob("runs/colours/2*")))
    text = path.read_bytes().decode()

    def write(changed: str) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(changed.encode("utf-8", "surrogatepass"))
        for output in ("again.csv", "o.json", "o.settings.json"):
            (work / output).unlink(missing_ok=True)

    assert mutate(case, text, write, [run if word == "RUN" else word for word in command], capsys, expected) == []


# What exporters say of a model, and archives


def test_metadata_of_an_onnx_that_were_mutated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = onnx.load(str(write_detector(place / "m.onnx")))
    pose = {
        **ULTRALYTICS,
        "task": "pose",
        "names": "{0: 'red'}",
        "kpt_shape": "[1, 2]",
    }  # 7 rows, as three classes have
    for key in ("names", "imgsz", "args", "kpt_shape", "task", "end2end", "author"):
        metadata = pose if key == "kpt_shape" else ULTRALYTICS

        def write(changed: str, key: str = key, metadata: dict[str, str] = metadata) -> None:
            helper.set_model_props(sound, {**metadata, key: changed.encode("utf-8", "replace").decode()})
            onnx.save(sound, str(place / "m.onnx"))
            for output in ("o.json", "o.settings.json"):
                (place / output).unlink(missing_ok=True)

        assert (
            mutate(f"ONNX {key}", metadata[key], write, ["predict", "m.onnx", "a.png", "--out", "o.json"], capsys) == []
        )


MODEL_INFO = (
    '<rt_info><model_info><model_type value="YOLOv8"/><labels value="cat dog bird"/><pad_value value="114"/>'
    '<mean_values value="0 0 0"/><scale_values value="255 255 255"/><resize_type value="fit_to_window_letterbox"/>'
    '<reverse_input_channels value="YES"/></model_info></rt_info>'
)


def test_model_info_of_an_openvino_model_that_was_mutated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    openvino = pytest.importorskip("openvino")
    write_detector(place / "m.onnx", metadata={})
    (place / "ov").mkdir()
    xml = place / "ov" / "m.xml"
    openvino.save_model(openvino.convert_model(str(place / "m.onnx")), str(xml))
    body = xml.read_text().rpartition("<rt_info")[0]
    assert body

    def write(changed: str) -> None:
        xml.write_bytes(f"{body}{changed}</net>".encode("utf-8", "surrogatepass"))
        for output in ("o.json", "o.settings.json"):
            (place / output).unlink(missing_ok=True)

    assert mutate("model_info", MODEL_INFO, write, ["predict", "ov/m.xml", "a.png", "--out", "o.json"], capsys) == []


def test_archives_that_were_mutated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their entries' names and texts, and the bytes of the archive."""
    rng = random.Random("zip" + SEED)
    for number in range(MUTATIONS):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            names = {"annotations.xml": CVAT, "images/a.png": (place / "a.png").read_bytes()}
            for name, content in names.items():
                if number % 3 == 0:
                    name = mutated(name, rng)[:200].replace("\0", "") or "x"
                if number % 3 == 1 and isinstance(content, str):
                    content = mutated(content, rng)
                entry = name.encode("utf-8", "replace").decode()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # both names may have become the same
                    archive.writestr(
                        entry, content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
                    )
        data = bytearray(buffer.getvalue())
        for _ in range(rng.randint(1, 4) if number % 3 == 2 else 0):
            start = rng.randrange(len(data))
            data[start : start + rng.randint(0, 8)] = rng.choice(PIECES).encode("utf-8", "surrogatepass")[:20]
        (place / "set.zip").write_bytes(data)
        code = main(["check", "set.zip"])
        shown = capsys.readouterr()
        assert code in (0, 2, 3), (code, shown.err[-300:])
        assert "Traceback" not in shown.err and len(shown.err) < 20_000
