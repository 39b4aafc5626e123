"""Names with quotes, %, spaces, line breaks, backslashes, markup and bytes that are not UTF-8, through every verb."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from deploy.colours import write_detector, write_images
from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.testing.data import yolo_folder
from pipeline.conftest import write_study as write_study

pytest.importorskip("onnxruntime")

MARKS = 'it\'s "so" `x` 50%s %20 %% \\b\\n <script>x<b>&lt;$x_1$ #{y}~^ a[b]*?{c,d} =1+1 -x --json '
NAMES = {"marks": MARKS, "line break": "a\nb\r", "bytes": os.fsdecode(b"k\xfc\xffche")}
NOT_HELD = ("not UTF-8", "a list file cannot hold this name", "special characters are not allowed", "o such file")
"""Errors about a name that the format cannot hold, and about a file that is not there because of one"""


class Place(NamedTuple):
    """A folder with an odd name, and in it a data set whose images, and models whose files, have it too"""

    folder: Path
    name: str

    def __call__(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    name = NAMES[request.param]
    folder = tmp_path / name
    folder.mkdir()
    write_images(folder / "set", 8)
    write_images(folder / "plain", 3, split="train", seed=1)
    for kind, suffix in (("images", ".png"), ("labels", ".txt")):
        for path in sorted((folder / "set" / kind).rglob(f"*{suffix}")):
            path.rename(path.with_name(f"{path.stem}_{name}{suffix}"))
    write_detector(folder / f"m{name}.onnx")
    write_detector(folder / f"n{name}.onnx")
    (folder / f"run{name}").mkdir()
    rows = "".join(f"{n},{n / 30},{n / 40}\n" for n in range(1, 20))
    (folder / f"run{name}" / "results.csv").write_text(f"epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n{rows}")
    monkeypatch.setenv("LIFTGATE_TRACEBACK", "1")  # an unforeseen error is raised, not printed
    return Place(folder, name)


def run(command: list[str]) -> tuple[int, str, str]:
    """Run a command with streams that take UTF-8 and nothing else; pytest's own take everything."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    return code, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err))  # type: ignore[attr-defined]


def test_every_verb_takes_the_name(place: Place) -> None:
    n = place.name
    data, split = place("set/data.yaml"), ["--split", "test"]
    groups = ["--groups", "(?P<group>g[0-9])_"]
    truth = ["--truth", data, *split, *groups]
    found = [place(f"p{n}.json"), place(f"q{n}.json")]
    pair = ["--control", found[0], "--treatment", found[1]]
    registry = ["--registry", place(f"models{n}")]
    commands: list[list[str]] = [
        ["check", data, "--page", place(f"page{n}.html")],
        ["check", data, "--fix", place(f"fixed{n}")],
        ["data", "stats", data, "--out", place(f"stats{n}.html")],
        *(["data", "convert", data, "--to", to, "--out", place(f"{to}{n}")] for to in ("yolo", "coco", "voc", "cvat")),
        ["data", "split", data, "--ratios", "0.5", "0.2", "0.3", *groups, "--out", place(f"s{n}")],
        ["data", "stats", data, "--split", place(f"s{n}/split.csv")],
        ["data", "merge", data, place(f"coco{n}"), "--out", place(f"merged{n}"), "--accept", "same_image"],
        ["data", "mix", data, place("plain/data.yaml"), "--out", place(f"mixed{n}")],
        ["data", "agree", "--a", data, "--b", data, "--out", place(f"agree{n}.html")],
        ["data", "duplicates", data, "--page", place(f"pairs{n}.html")],
        ["data", "sample", place("set/images"), "--budget", "2", "--out", place(f"sample{n}.csv"),
         "--copy", place(f"chosen{n}")],
        ["data", "frames", place("set/images/test"), "--out", place(f"frames{n}")],
        ["data", "snapshot", data, "--out", place(f"snap{n}.json")],
        ["data", "snapshot", data, "--verify", place(f"snap{n}.json")],
        ["predict", place(f"m{n}.onnx"), data, *split, "--out", found[0]],
        ["predict", place(f"n{n}.onnx"), data, *split, "--out", found[1], "--conf", "0.3"],
        ["data", "prelabel", data, "--images", place("set/images/test"), "--predictions", found[0],
         "--out", place(f"pre{n}")],
        ["evaluate", *truth, "--predictions", found[0], "--errors", "--by", "_(?P<slice>.)"],
        ["compare", *truth, *pair, "--metric", "mAP50"],
        ["judge", *found, "--images", data, *split, *groups, "--out", place(f"judged{n}")],
        ["bench", place(f"m{n}.onnx"), "--batch", "1", "--blocks", "1", "--seconds", "0.1"],
        ["models", "add", place(f"m{n}.onnx"), *registry],
        ["models", "list", *registry], ["models", "show", "v0", *registry],
        ["models", "promote", "v0", "--override", f"--reason=because {n}", *registry],
        ["models", "verify", *registry],
        ["doctor", place(f"run{n}")], ["status", str(place.folder)],
        ["init", place(f"new{n}"), "--template", "measure-first", "--data", data],
    ]  # fmt: skip
    for command in commands:
        code, _, err = run(command)
        assert "Traceback" not in err
        if code == 2:
            assert place.name != MARKS and any(words in err for words in NOT_HELD), (command, err)
        else:
            assert code in (0, 3, 10, 11), (command, err)
    odd = [place("yolo") + n, place("voc") + n] if place.name == NAMES["bytes"] else []
    for folder in odd or [place(f"{to}{n}") for to in ("yolo", "coco", "voc", "cvat")]:
        converted = read(Path(folder))
        faults = {fault.kind for fault in converted.faults} - {"split_empty"}
        assert (len(converted.images), len(converted.labels), faults) == (8, 40, set()), folder
        assert all(image.path.is_file() for image in converted.images), folder


def test_a_name_that_is_not_utf8_is_an_error_before_anything_is_trained(write_study: Callable[..., Path]) -> None:
    study = write_study()
    scenes = study.parent / "scenes"
    for path in sorted(scenes.glob("*/*[0-9].*")):  # images/test000.png → images/test/test000.png
        folder = path.parent / path.stem.rstrip("0123456789")
        folder.mkdir(exist_ok=True)
        name = os.fsdecode(b"k\xfcche") if path.stem == "test000" else path.stem
        path.rename(folder / f"{name}{path.suffix}")
    splits = {split: f"images/{split}" for split in ("train", "val", "test")}
    (scenes / "data.yaml").write_text(yaml.safe_dump({"path": ".", "names": ["red", "blue"], **splits}))
    code, _, err = run(["run", str(study)])
    assert code == 3 and "images.names" in err and not list((study.parent / "runs").glob("*/2*")), err


def test_nothing_is_asked_about_images_that_the_results_could_not_name(tmp_path: Path) -> None:
    data = yolo_folder(tmp_path, {f"val/{NAMES['bytes']}.png": "0 .5 .5 .5 .5\n"})
    (tmp_path / "m.yaml").write_text("boxes: p.*.b\nscores: p.*.s\nclasses: p.*.c\n")
    where = ["--api-url", "http://127.0.0.1:9/x", "--mapping", str(tmp_path / "m.yaml")]
    code, _, err = run(["ask", "--truth", str(data), *where, "--out", str(tmp_path / "o.json")])
    assert code == 2 and "not UTF-8" in err and not (tmp_path / "o.answers").exists()


def test_a_study_with_such_names_comes_to_its_report(
    write_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = write_study()
    document = yaml.safe_load((study.parent / "scenes" / "data.yaml").read_text())
    document |= {"path": ".", "names": [f"{MARKS} {name}" for name in document["names"].values()]}
    (study.parent / "scenes" / "data.yaml").write_text(yaml.safe_dump(document))
    home = tmp_path / MARKS
    home.mkdir()
    for path in sorted(tmp_path.iterdir()):
        if path != home:
            path.rename(home / path.name)
    study = home / study.name
    for command in ("plan", "run", "status", "report"):
        code, _, err = run([command, str(study)])
        assert code in (0, 10, 11), err
    results = home / "runs" / "colours"
    pages = {path.suffix: path.read_text() for path in results.rglob("report*/**/*") if path.suffix in (".md", ".tex")}
    pages[".html"] = (results / "report.html").read_text()
    assert len(pages) == 3
    assert "<script>x" not in pages[".html"] + pages[".md"]
    assert not re.search(r"(?<!\\)([$#_]|&(?! ))", pages[".tex"]), pages[".tex"]
