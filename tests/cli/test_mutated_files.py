"""Files that were changed at random, through the command line: one message, a known exit code, little time."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.testing.data import picture, yolo_folder

WORDS = "null [] {} -1 1e999 NaN 0 true [[[]]] 1:30:00 *a << ~ [1,2 } - 1e-400 0x10 .inf <a/> </ ; ,"
PIECES = WORDS.split(" ")
PIECES += ['""', '{"a":1}', '"\\ud800"', "'", '"', " ", "9" * 30, "x" * 5000, "&a [*a]", "!!python/name:os.system x"]
PIECES += ["\0", "\u202e", "2024-13-99", "<!DOCTYPE x>", "[" * 3000 + "]" * 3000, '{"a":' * 3000]

DATA_YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\nnc: 2\n"
POSE_YAML = f"{DATA_YAML}kpt_shape: [2, 3]\nflip_idx: [1, 0]\nkpt_oks_sigmas: [0.05, 0.05]\nkpt_names: [n, tail]\n"
POSES = "0 .5 .5 .5 .5 .4 .4 2 .6 .6 1\n"
ROW = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
IMAGE = {"id": 1, "file_name": "a.png", "width": 64, "height": 48}
COCO = json.dumps({"images": [IMAGE], "categories": [{"id": 1, "name": "cat"}], "annotations": [ROW]})
RESULTS = json.dumps([{**ROW, "score": 0.5}])
BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
VOC = f"<annotation><filename>a.png</filename><object><name>cat</name>{BOX}</object></annotation>"
CVAT = (
    '<annotations><image id="0" name="a.png" width="64" height="48"><box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    '<polygon label="cat" points="1,1;2,2;3,1"/></image></annotations>'
)
ARGS = "epochs: 10\nlr0: 0.01\noptimizer: SGD\nmosaic: 1.0\npatience: 5\ndata: data.yaml\nbatch: 16\n"
CURVE = "epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n1,0.1,0.05\n2,0.2,0.1\n3,0.3,0.15\n"
RULES = (
    "rename: {cat: dog}\ndrop: [x]\nkeep: [dog]\n"
    "datasets: {pose: {rename: {a: b}, keypoints: [n, tail], groups: '(?P<group>[^/]+)$'}, "
    "more: {keypoints: {n: n, tail: tail}}}\n"
)
MAPPING = (
    'send: {as: multipart, field: image}\nboxes: p.*.b\nscores: p.*.s\nclasses: p.*.c\nnames: {a: cat, "7": null}\n'
)
STUDY = (
    "study: s\nquestion: q\ntask: detect\nbackend: toy\ndatasets: {d: {path: y/data.yaml}}\n"
    "arms: {a: [{weights: w.yaml, data: d, recipe: {epochs: 1}}]}\n"
    "gates: {g: {arm: a, on: d.val, claims: [{metric: mAP50, at_least: 0.1}]}}\nflow: [check, train, g]\n"
)
LABELS = "0 .5 .5 .5 .5\n1 .2 .2 .1 .1\n"
OUTLINES = "0 .1 .1 .3 .1 .3 .3\n1 .5 .5 .7 .5 .7 .7 .5 .7\n"
SPLIT = "image,split,group\nimages/train/a.png,train,a\nimages/val/b.png,val,b\n"
GROUPS = "image,group\nimages/train/a.png,one\nimages/val/b.png,two\n"
SETTINGS = json.dumps({"images": [1], "category_numbering": "category ids", "imgsz": 640, "conf": 0.1, "max_det": 300})
LOG = '{"image": "train/a.png", "detections": [{"class": "cat", "score": 0.5, "bbox": [1, 1, 5, 5]}]}\n{"image": "b"}\n'
ASK = [
    "--truth",
    "truth.json",
    "--out",
    "o.json",
    "--api-url",
    "http://127.0.0.1:9/x",
    "--tries",
    "1",
    "--timeout",
    "0.2",
]
CASES: dict[str, tuple[str, str, list[str]]] = {
    "data.yaml": (DATA_YAML, "y/data.yaml", ["check", "y/data.yaml"]),
    "data.yaml of poses": (POSE_YAML, "pose/data.yaml", ["check", "pose/data.yaml"]),
    "COCO": (COCO, "c.json", ["check", "c.json"]),
    "results": (RESULTS, "p.json", ["evaluate", "--truth", "truth.json", "--predictions", "p.json"]),
    "VOC": (VOC, "voc/Annotations/a.xml", ["check", "voc"]),
    "CVAT": (CVAT, "annotations.xml", ["check", "annotations.xml"]),
    "args.yaml": (ARGS, "run/args.yaml", ["doctor", "run"]),
    "results.csv": (CURVE, "run/results.csv", ["doctor", "run"]),
    "merge rules": (
        RULES,
        "r.yaml",
        ["data", "merge", "pose/data.yaml", "more/data.yaml", "--rules", "r.yaml", "--plan"],
    ),
    "API mapping": (
        MAPPING,
        "m.yaml",
        ["ask", "--mapping", "m.yaml", *ASK],
    ),
    "study": (STUDY, "s.yaml", ["plan", "s.yaml"]),
    "YOLO labels": (LABELS, "y/labels/train/a.txt", ["check", "y/data.yaml"]),
    "YOLO outlines": (OUTLINES, "y/labels/train/a.txt", ["check", "y/data.yaml"]),
    "rows of poses": (POSES, "pose/labels/train/a.txt", ["check", "pose/data.yaml"]),
    "split CSV": (SPLIT, "split.csv", ["data", "stats", "y/data.yaml", "--split", "split.csv"]),
    "groups CSV": (GROUPS, "g.csv", ["data", "stats", "y/data.yaml", "--groups", "g.csv"]),
    "settings": (SETTINGS, "q.settings.json", ["evaluate", "--truth", "truth.json", "--predictions", "q.json"]),
    "prediction log": (
        LOG,
        "log.jsonl",
        ["data", "sample", "y/images", "--budget", "1", "--out", "s.csv", "--champion", "log.jsonl"],
    ),
}
"""What is changed, where it lies, the command that reads it"""


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randint(1, 12))
        words = list(re.finditer(r"[\w.-]+", text))
        word = rng.choice(words) if words else None
        text = rng.choice(
            [
                text[:start] + rng.choice(PIECES) + text[end:],
                text[:start] + text[end:],
                text[:start] + text[start:end] * 3 + text[end:],
                text[:start],
                text[: word.start()] + rng.choice(PIECES) + text[word.end() :] if word else text,
                text[:start] + rng.choice(PIECES) + text[start:],
            ]
        )
    return text


def write_place(folder: Path) -> None:
    """Write what the commands read beside the file that is changed."""
    yolo_folder(folder / "y", {"train/a.png": "0 .5 .5 .5 .5\n", "val/b.png": "1 .5 .5 .5 .5\n"})
    for name in ("pose", "more"):
        yolo_folder(folder / name, {"train/a.png": POSES, "val/b.png": POSES})
        (folder / name / "data.yaml").write_text(POSE_YAML)
    for images in (folder, folder / "voc" / "JPEGImages"):
        picture(images / "a.png", (64, 48))
    (folder / "voc" / "Annotations").mkdir()
    (folder / "run").mkdir()
    for name, text in (
        ("truth.json", COCO),
        ("run/results.csv", CURVE),
        ("run/args.yaml", ARGS),
        ("w.yaml", "nc: 2\n"),
        ("q.json", RESULTS),
    ):
        (folder / name).write_text(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_place(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")  # an unforeseen error is raised, not printed
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_a_mutated_file_ends_in_a_result_or_one_message(
    place: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, file, command = CASES[case]
    rng = random.Random(case + SEED)
    (place / file).write_text(text)
    code = main(command)  # which compiles what is not compiled yet
    shown = capsys.readouterr()
    assert code == UNCHANGED.get(case, 0), shown.err[-300:]
    assert case in UNCHANGED or "error" not in shown.err, shown.err[-300:]
    for _ in range(MUTATIONS):
        changed = mutated(text, rng)
        (place / file).write_bytes(changed.encode("utf-8", "surrogatepass"))
        begun = time.process_time()
        code = main(command)
        shown = capsys.readouterr()
        assert code in EXPECTED.get(case, (0, 2, 3)), changed
        assert "Traceback" not in shown.err and len(shown.err) < 20_000, changed
        if time.process_time() - begun > 5:  # it may have compiled a kernel, once
            begun = time.process_time()
            main(command)
            capsys.readouterr()
            assert time.process_time() - begun < 5, changed


MUTATIONS = int(os.environ.get("LIFTGATE_MUTATIONS", "30"))
"""For each kind of file"""
SEED = os.environ.get("LIFTGATE_MUTATIONS_SEED", "")
"""Other mutations than those of everybody"""
EXPECTED: dict[str, tuple[int, ...]] = {"API mapping": (1, 2)}
"""Exit codes, where nobody answers at the address"""
UNCHANGED = {"API mapping": 1}
"""Exit codes of files that were not changed, where it is another than 0"""
