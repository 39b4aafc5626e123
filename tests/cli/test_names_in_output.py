"""Names of other people, through every verb: no control character, and no line that a name has forged."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from data.production_log.rows import write
from deploy.colours import GROUPS, ULTRALYTICS, write_detector, write_images
from liftgate.cli import main
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.deploy.shadow.frames import frame_name
from liftgate.deploy.shadow.pairs import Pair, PairStore, match
from liftgate.deploy.shadow.request import ShadowRequest, ShadowState, create_test, write_state
from liftgate.live.page import render_page
from liftgate.live.read import places, read_board
from liftgate.testing.data import picture

NAME = "cat\nFORGED one\r\x1b[2J\u202egpj\u2066\x9b31m\u2028FORGED two"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
FORGED = re.compile(r"^\W*FORGED", re.MULTILINE)


def coco(boxes: list[list[float]], scores: bool = False) -> str:
    rows = [
        {"id": number, "image_id": number % 6 + 1, "category_id": number % 2 + 1, "bbox": box, "area": box[2] * box[3]}
        | ({"score": 0.9 - number / 100} if scores else {})
        for number, box in enumerate(boxes)
    ]
    if scores:
        return json.dumps(rows)
    images = [{"id": number, "file_name": f"{NAME}_{number}.png", "width": 64, "height": 48} for number in range(1, 7)]
    categories = [{"id": 1, "name": NAME}, {"id": 2, "name": f"dog{NAME}"}]
    return json.dumps({"images": images, "categories": categories, "annotations": rows})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of files in which every name hides something."""
    boxes = [[2.0 + n, 3.0 + n, 20.0, 15.0] for n in range(12)]
    (tmp_path / "truth.json").write_text(coco(boxes))
    (tmp_path / "other.json").write_text(coco([[x + 2, y, w, h] for x, y, w, h in boxes[:10]]))
    (tmp_path / "found.json").write_text(coco(boxes, scores=True))
    (tmp_path / "worse.json").write_text(coco([[x + 9, y, w, h] for x, y, w, h in boxes], scores=True))
    (tmp_path / "strange.json").write_text(json.dumps([{"image_id": NAME, "category_id": 1, "bbox": [1, 1, 2, 2]}]))
    for number in range(1, 7):
        picture(tmp_path / f"{NAME}_{number}.png", (64, 48), seed=number % 3)
    yolo = tmp_path / "yolo"
    for number, split in enumerate(("train", "train", "val", "val")):
        picture(yolo / "images" / split / f"{NAME}_{number}.png", (64, 48), seed=number % 2)
        label = yolo / "labels" / split / f"{NAME}_{number}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 .5 .5 .4 .4\n7 .5 .5 .2 .2\nx y\n")
    keys = {"train": "images/train", "val": "images/val", "names": [NAME, f"dog{NAME}"], NAME: NAME}
    (yolo / "data.yaml").write_text(yaml.safe_dump(keys))
    (tmp_path / f"run{NAME}").mkdir()
    rows = "".join(f"{n},{n / 30},{n / 40}\n" for n in range(1, 20))
    (tmp_path / f"run{NAME}" / "results.csv").write_text(f"epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n{rows}")
    (tmp_path / f"run{NAME}" / "args.yaml").write_text(yaml.safe_dump({"optimizer": NAME, "data": NAME, "epochs": 40}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = ("refused", "strange.json")
PREDICTIONS = ["--truth", "truth.json", "--groups", r"_(?P<group>\d)\.png"]
COMMANDS: list[list[str]] = [
    ["check", "truth.json"],
    ["check", "yolo/data.yaml", "--page", "page.html"],
    ["check", "yolo/data.yaml", "--fix", "fixed"],
    ["check", f"no{NAME}.yaml"],
    ["evaluate", *PREDICTIONS, "--predictions", "found.json", "--by", f"_(?P<slice>{'.'})", "--errors"],
    ["evaluate", *PREDICTIONS, "--predictions", "strange.json"],
    ["compare", *PREDICTIONS, "--control", "worse.json", "--treatment", "found.json", "--metric", "mAP50"],
    ["doctor", f"run{NAME}"],
    ["doctor", f"run{NAME}", "--truth", "truth.json", "--predictions", "worse.json"],
    ["plan", f"no{NAME}.yaml"],
    ["status", f"no{NAME}"],
    ["ledger", "show", f"no{NAME}"],
    ["data", "stats", "yolo/data.yaml", "--out", "stats.html", "--against", "truth.json"],
    ["data", "convert", "truth.json", "--to", "voc", "--out", "voc"],
    ["data", "convert", "yolo/data.yaml", "--to", "coco", "--out", f"out{NAME}"],
    ["data", "merge", "truth.json", "yolo/data.yaml", "--out", "refused"],
    ["data", "merge", "truth.json", "yolo/data.yaml", "--out", "merged", "--accept", "same_image"],
    ["data", "mix", "yolo/data.yaml", "truth.json", "--out", "mixed", "--accept", "same_image"],
    ["data", "split", "truth.json", "--ratios", "0.5", "0.2", "0.3", "--out", f"{NAME}.csv"],
    ["data", "agree", "--a", "truth.json", "--b", "other.json", "--out", "agree.html"],
    ["data", "duplicates", "yolo/data.yaml", "--page", "pairs.html"],
    ["data", "sample", "yolo/images", "--budget", "2", "--out", "sample.csv"],
    ["data", "snapshot", "yolo/data.yaml", "--out", f"{NAME}.json"],
    ["data", "prelabel", "truth.json", "--images", ".", "--predictions", "found.json", "--out", "pre"],
    ["init", f"new{NAME}", "--template", "two-stage", "--data", "yolo/data.yaml"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:3])[:30])
def test_no_verb_prints_what_a_name_hides(place: Path, command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    code = main(command)
    shown = capfd.readouterr()
    refused = f"no{NAME}" in command[-1] or command[-1] in REFUSED or command[1] in ("split", "sample")
    assert code != 2 or refused, shown.err
    for text in (shown.out, shown.err):
        assert not HIDDEN.search(text), repr(text)
        assert not FORGED.search(text), text
    for page in place.glob("*.html"):
        assert not HIDDEN.search(page.read_text(encoding="utf-8")), page


def test_a_study_and_its_report_print_no_hidden_name(
    write_study: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    study = write_study(question=f"Does it help {NAME}?")
    scenes = study.parent / "scenes" / "data.yaml"
    scenes.write_text(yaml.safe_dump(yaml.safe_load(scenes.read_text()) | {"names": [NAME, f"dog{NAME}"]}))
    for command in (["plan"], ["run"], ["status"], ["report"], ["ledger", "show"], ["worth"], ["report", "--months"]):
        main([*command, str(study)])
    shown = capfd.readouterr()
    results = study.parent / "runs" / "colours"
    pages = [results / "report.html", *(path for path in (results / "report").rglob("*") if path.suffix != ".png")]
    texts = [shown.out, shown.err, *(page.read_text(encoding="utf-8") for page in pages if page.is_file())]
    assert len(texts) > 6
    for text in texts:
        assert not HIDDEN.search(text)
    for text in (texts[0], texts[1], *(p.read_text() for p in pages if p.suffix in (".md", ".tex"))):
        assert not FORGED.search(text), text
    for table in (page for page in pages if page.suffix == ".csv"):
        assert not any(FORGED.search(cell) for row in csv.reader(io.StringIO(table.read_text())) for cell in row), table


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a registry, a log and a shadow test whose classes, cameras and images have such names."""
    pytest.importorskip("onnxruntime")
    classes = {index: f"{index} {NAME}" for index in range(3)}
    data = write_images(tmp_path / "set", 20, n_groups=10)
    data.write_text(yaml.safe_dump(yaml.safe_load(data.read_text()) | {"names": classes}))
    for path in [*(tmp_path / "set").rglob("*.png"), *(tmp_path / "set" / "labels").rglob("*.txt")]:
        path.rename(path.with_name(f"{path.stem}_{NAME}{path.suffix}"))
    for model, order in (("a", (0, 1, 2)), ("b", (1, 0, 2))):
        write_detector(
            tmp_path / f"{model}.onnx", order=order, metadata={**ULTRALYTICS, "names": yaml.safe_dump(classes)}
        )
    box = (LoggedBox(classes[0], 0.9, (1.0, 2.0, 30.0, 40.0)),)
    names = sorted(path.name for path in (tmp_path / "set" / "images" / "test").iterdir())
    write(tmp_path / "log", [
        LoggedImage(1.79e9 + 60 * n, f"camera {NAME}", names[n % 20], f"v{NAME}", 128, 128, 3.0 * n, "yellow",
                    ("too_dark",), box) for n in range(200)
    ])  # fmt: skip
    test = create_test(tmp_path / "log", ShadowRequest("v0.1", f"models{NAME}", time.time() - 90_000))
    store = PairStore(test.folder)
    frame = (tmp_path / "set" / "images" / "test" / names[0]).read_bytes()
    (test.folder / "frames").mkdir()
    (test.folder / "frames" / frame_name(frame)).write_bytes(frame)
    for n in range(1500):
        store.add(Pair(60.0 * n, 1.79e9 + 60 * n, f"camera {NAME}", names[n % 20], f"v{NAME}", match(box, ()),
                       100.0, 128, 128, frame_name(frame), box, ()))  # fmt: skip
    store.close()
    write_state(test.folder, ShadowState("crashed", f"exit code 1: {NAME}", 1500, 3, time.time()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")
    return tmp_path


TEST_SET = ["set/data.yaml", "--split", "test"]
REGISTRY = ["--registry", f"models{NAME}"]
NEWER: list[list[str]] = [
    ["predict", "a.onnx", *TEST_SET, "--out", "p.json"],
    ["predict", "b.onnx", *TEST_SET, "--out", "q.json"],
    ["judge", "p.json", "q.json", "--images", *TEST_SET, "--groups", GROUPS, "--out", "judged"],
    ["judge", "p.json", "q.json", "--images", *TEST_SET, "--groups", GROUPS, "--plan"],
    ["evaluate", "--truth", *TEST_SET, "--predictions", "p.json"],
    ["data", "frames", "set/images/test", "--out", "frames"],
    ["drift", "log", "--against", *TEST_SET, "--predictions", "p.json", "--images", "set/images/test"],
    ["drift", "log", "--against", "log", "--since", "2026-09-21"],
    ["data", "sample", "set/images/test", "--budget", "5", "--out", "next.csv", "--champion", "log"],
    ["data", "sample", "set/images/test", "--budget", "5", "--out", "map.csv", "--for", "map", "--groups", GROUPS,
     "--champion", "p.json"],
    ["shadow", "status", "--log", "log"],
    ["shadow", "report", "--log", "log", "--out", "shadowed"],
    ["watch", "gate=set/images/test", "--model", "a.onnx", "--log", "watched", "--once"],
    ["watch", f"set/images/no{NAME}", "--model", "a.onnx", "--log", "watched", "--once"],
    ["bench", "a.onnx", "--images", "set/images/test", "--blocks", "5", "--seconds", "0.02", "--truth", *TEST_SET],
    ["models", "add", "a.onnx", *REGISTRY],
    ["models", "add", "b.onnx", "--weights-licence", NAME, *REGISTRY],
    ["models", "promote", "v0", "--override", f"--reason={NAME}", *REGISTRY],
    ["models", "promote", "v0.1", "--override", f"--reason={NAME}", *REGISTRY],
    ["models", "show", "v0", *REGISTRY], ["models", "list", *REGISTRY], ["models", "rollback", *REGISTRY],
    ["models", "promote", f"v9{NAME}", *REGISTRY], ["models", "verify", *REGISTRY],
    ["serve", f"v9{NAME}", *REGISTRY, "--port", "0"],
    ["shadow", "start", f"v9{NAME}", *REGISTRY, "--log", "log"],
]  # fmt: skip


def test_no_newer_verb_prints_what_a_name_hides(production: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in NEWER:
        code = main(command)
        shown = capfd.readouterr()
        refused = any(f"v9{NAME}" in word or f"no{NAME}" in word for word in command)
        assert (code == 2) == refused or code in (0, 10, 11), (command, code, shown.err)
        for text in (shown.out, shown.err):
            assert not HIDDEN.search(text), (command, text)
            assert not FORGED.search(text), (command, text)
    pages = [*production.rglob("*.html"), *production.rglob("*.md")]
    assert len(pages) >= 3, pages
    for page in pages:
        assert not HIDDEN.search(page.read_text(encoding="utf-8")), page
    assert not HIDDEN.search(render_page(read_board(*places([production]))))
