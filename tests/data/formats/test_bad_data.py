"""Round trips of bad data: nothing unreadable becomes a background, every loss is counted, and `--verify` agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import liftgate
from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import UNREAD_OBJECTS
from liftgate.data.formats.read import read
from liftgate.services.convert import convert
from liftgate.testing.data import picture

FORMATS = ("yolo", "coco", "voc", "cvat")
GOOD = "0 .5 .5 .25 .5"

# What can be wrong with one image's labels, by the format that says it: text of the label file, or of its annotations.
YOLO = {
    "commas": "0,.5,.5,.25,.5\n",
    "four columns": "0 .5 .5 .25\n",
    "a confidence": "0 .5 .5 .25 .5 .9\n",
    "a track": "0 .5 .5 .25 .5 .9 7\n",
    "words": "cat .5 .5 .25 .5\n",
    "nan": "0 nan .5 .25 .5\n",
    "pixels": "0 80 60 40 60\n",
    "negative": "0 .5 .5 -.25 .5\n",
    "class beyond": "9 .5 .5 .25 .5\n",
    "half a class": "0.5 .5 .5 .25 .5\n",
    "not text": "\udcff\udcfe\udcff",
}
COCO: dict[str, dict[str, Any]] = {
    "no box": {"bbox": None},
    "three numbers": {"bbox": [1, 2, 3]},
    "words": {"bbox": ["a", "b", "c", "d"]},
    "negative": {"bbox": [30, 30, -10, 10]},
    "no such category": {"category_id": 77},
    "a mask": {"bbox": None, "segmentation": {"counts": "x", "size": [9, 9]}},
    "crowd": {"iscrowd": 1},
    "ignored": {"ignore": 1},
}
VOC = {
    "not xml": "<annotation><object>",
    "another root": "<html><body/></html>",
    "no box": "<annotation><object><name>cat</name></object></annotation>",
    "words": "<annotation><object><name>cat</name><bndbox><xmin>a</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
    "</bndbox></object></annotation>",
    "inverted": "<annotation><object><name>cat</name><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>1</xmax><ymax>9</ymax>"
    "</bndbox></object></annotation>",
}
CVAT = {
    "no label": '<box xtl="1" ytl="1" xbr="9" ybr="9"/>',
    "inverted": '<box label="cat" xtl="9" ytl="1" xbr="1" ybr="9"/>',
    "words": '<box label="cat" xtl="a" ytl="1" xbr="9" ybr="9"/>',
    "points": '<points label="cat" points="1,1;2,2"/>',
    "crowd": '<box label="cat" xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="is_crowd">true</attribute></box>',
}
KINDS: dict[str, dict[str, Any]] = {"yolo": YOLO, "coco": COCO, "voc": VOC, "cvat": CVAT}
CASES = [(form, kind) for form, kinds in KINDS.items() for kind in kinds]


def made(folder: Path, form: str, bad: list[str]) -> Path:
    """Write three sound images, one that is empty, and one for each of `bad` kinds."""
    names = ["good0", "good1", "good2", "empty", *(f"bad{n}" for n in range(len(bad)))]
    for number, name in enumerate(names):
        picture(folder / place(form) / f"{name}.png", seed=number)
    texts = dict(zip(names, [None] * 4 + bad, strict=True))
    WRITERS[form](folder, texts)
    return folder / "data.yaml" if form == "yolo" else folder / "gt.json" if form == "coco" else folder


def place(form: str) -> str:
    return {"yolo": "images/train", "coco": "images", "voc": "JPEGImages", "cvat": "images"}[form]


def _yolo(folder: Path, texts: dict[str, str | None]) -> None:
    (folder / "labels/train").mkdir(parents=True)
    for name, kind in texts.items():
        text = YOLO[kind] if kind else "" if name == "empty" else f"{GOOD}\n"
        (folder / f"labels/train/{name}.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    (folder / "data.yaml").write_text("train: images/train\nnames: [cat]\n")


def _coco(folder: Path, texts: dict[str, str | None]) -> None:
    rows = []
    for number, (name, kind) in enumerate(texts.items(), 1):
        row = {"id": number, "image_id": number, "category_id": 1, "bbox": [10, 10, 30, 30], "area": 900}
        if name != "empty":
            rows.append(row | (COCO[kind] if kind else {}))
    images = [{"id": n, "file_name": f"{name}.png", "width": 64, "height": 48} for n, name in enumerate(texts, 1)]
    document = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "gt.json").write_text(json.dumps(document))


def _voc(folder: Path, texts: dict[str, str | None]) -> None:
    (folder / "Annotations").mkdir()
    box = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    for name, kind in texts.items():
        objects = "" if name == "empty" else f"<object><name>cat</name>{box}</object>"
        text = VOC[kind] if kind else f"<annotation>{objects}</annotation>"
        (folder / f"Annotations/{name}.xml").write_text(text)


def _cvat(folder: Path, texts: dict[str, str | None]) -> None:
    lines = []
    for number, (name, kind) in enumerate(texts.items()):
        shape = (
            CVAT[kind] if kind else "" if name == "empty" else '<box label="cat" xtl="9" ytl="9" xbr="40" ybr="40"/>'
        )
        lines.append(f'<image id="{number}" name="{name}.png" width="64" height="48">{shape}</image>')
    (folder / "annotations.xml").write_text(f"<annotations>{''.join(lines)}</annotations>")


WRITERS: dict[str, Callable[[Path, dict[str, str | None]], None]] = {
    "yolo": _yolo,
    "coco": _coco,
    "voc": _voc,
    "cvat": _cvat,
}


def backgrounds(dataset: Dataset) -> set[str]:
    """Stems of the images that somebody would take for empty."""
    held = {dataset.images[index].id for index in dataset.labels.image.tolist()}
    return {Path(image.id).stem for image in dataset.images if image.id not in held}


def round_trip(folder: Path, form: str, bad: list[str], to: str) -> tuple[dict[str, object], dict[str, object]]:
    """Convert a data set with faults; return what was counted, and what it has to be."""
    source = made(folder / "source", form, bad)
    before = read(source)
    done = convert(source, to, folder / "out", verify=True)
    after = [read(path) for path in done.files]
    left_out = sum(loss.count for loss in done.losses if loss.what.startswith("images") and "left out" in loss.what)
    gone = sum(
        loss.count
        for loss in done.losses
        if loss.what in ("crowd objects", "ignored objects", "objects on images that are left out")
    )
    unreadable = [kind for kind in bad if kind not in ("crowd", "ignored")]
    assert done.read_back is not None
    counted: dict[str, object] = {
        "kinds of backgrounds": set().union(*(backgrounds(one) for one in after)) - {"empty"},
        "images": (done.n_images, done.n_images + left_out, done.n_images_read),
        "objects": (done.n_objects, done.n_objects + gone, done.n_objects_read),
        "faults": sum(done.faults.counts.get(kind, 0) for kind in UNREAD_OBJECTS),
        "unread images": {Path(name).stem for name in done.faults.unread_images},
        "not read back": (done.read_back.images_missing, done.read_back.objects_missing),
        "same": done.read_back.same,
    }
    return counted, {
        "kinds of backgrounds": set(),  # nothing unreadable becomes a background
        "images": (sum(len(one.images) for one in after), len(before.images), len(before.images)),
        "objects": (sum(len(one.labels) for one in after), len(before.labels), len(before.labels)),
        "faults": len(unreadable),
        "unread images": {f"bad{n}" for n, kind in enumerate(bad) if kind in unreadable},
        "not read back": (left_out, gone),  # what --verify says
        "same": not left_out and not gone and not done.read_back.flags_changed,
    }


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("form", "kind"), CASES)
def test_every_kind_of_fault_through_every_pair_of_formats(form: str, kind: str, to: str, tmp_path: Path) -> None:
    counted, expected = round_trip(tmp_path, form, [kind], to)
    assert counted == expected


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_mixture_of_faults_through_any_pair_of_formats(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    form = data.draw(st.sampled_from(FORMATS))
    bad = data.draw(st.lists(st.sampled_from(sorted(KINDS[form])), max_size=6))
    counted, expected = round_trip(tmp_path_factory.mktemp("bad"), form, bad, data.draw(st.sampled_from(FORMATS)))
    assert counted == expected


def test_verify_exits_1_on_a_difference_and_0_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = made(tmp_path / "bad", "yolo", ["commas"]), made(tmp_path / "good", "yolo", [])
    words = ["data", "convert", "--to", "coco", "--verify"]
    assert main([*words, str(bad), "--out", str(tmp_path / "a"), "--json"]) == 1
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["n_images"] == 4
    assert record["n_images_read"] == 5
    assert record["faults"] == {"row_columns": 1}
    assert record["unread_images"] == ["images/train/bad0.png"]
    assert "no object of 1 images could be read" in err
    assert main([*words, str(good), "--out", str(tmp_path / "b")]) == 0


def test_coco_with_sizes_and_missing_files_counts_what_it_wrote(tmp_path: Path) -> None:
    source = made(tmp_path / "set", "coco", [])
    for name in ("good0", "good1"):
        (tmp_path / f"set/images/{name}.png").unlink()
    done = convert(source, "yolo", tmp_path / "out", verify=True)
    assert (done.n_images, done.n_objects, done.n_images_read, done.n_objects_read) == (2, 1, 4, 3)
    assert ("images that are not there: left out", 2) in [(loss.what, loss.count) for loss in done.losses]
    assert done.read_back is not None
    assert not done.read_back.same


def test_merge_says_what_it_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = made(tmp_path / "one", "yolo", ["commas", "words"]), made(tmp_path / "two", "coco", ["crowd"])
    out_dir = str(tmp_path / "out")
    words = ["data", "merge", f"one={one}", f"two={two}", "--out", out_dir, "--accept", "same_image", "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert (record["n_images_read"], record["n_images"]) == (11, 8)
    assert record["faults"] == {"row_columns": 1, "row_not_number": 1}
    assert "one was read with faults" in err
    assert "nothing but crowd or ignored objects: left out, not empty (1" in err


def test_a_fix_does_not_turn_an_alarm_into_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = made(tmp_path / "set", "yolo", ["commas", "class beyond"])
    main(["check", str(source), "--fix", str(tmp_path / "fixed"), "--json"])
    assert "left out, not empty" in (tmp_path / "fixed/mended.json").read_text()
    again = read(tmp_path / "fixed/data.yaml")
    assert backgrounds(again) == {"empty"}
    assert len(again.images) == 4


def test_the_card_of_a_copy_keeps_what_the_copy_no_longer_shows(tmp_path: Path) -> None:
    from liftgate.data.provenance.card import read_card

    convert(made(tmp_path / "set", "yolo", ["commas", "pixels"]), "voc", tmp_path / "out")
    card = read_card(tmp_path / "out")
    assert card is not None
    assert card.faults == {"row_columns": 1, "row_out_of_range": 1}


def test_crowds_are_no_backgrounds_in_the_counts(tmp_path: Path) -> None:
    from liftgate.data.core.counts import describe

    (row,) = describe(read(made(tmp_path / "set", "coco", ["crowd", "no box"]))).splits
    assert (row.n_images, row.n_background) == (6, 1)


@pytest.mark.parametrize(("form", "kind"), [("coco", "no box"), ("yolo", "commas"), ("voc", "not xml")])
def test_an_evaluation_leaves_out_images_whose_labels_could_not_be_read(
    tmp_path: Path, form: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, predictions = made(tmp_path / "set", form, [kind, kind]), tmp_path / "p.json"
    row = {"category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.9}
    rows = [{"image_id": image.id, "file_name": image.id, **row} for image in read(source).images]
    predictions.write_text(json.dumps(rows))
    found = liftgate.evaluate(source, predictions)
    assert (found.n_images, found.metrics["false_positives_per_image"]) == (4, 1.0), "the empty image counts"
    assert not [row["id"] for row in found.images if "bad" in row["id"]]
    assert found.settings["left_out"].startswith("2 of 6 images of the truth are left out: no object of their labels")
    same = liftgate.compare(source, predictions, predictions, metric="false_positives_per_image")
    assert (same.delta.n_images, same.control) == (4, 1.0)
    assert found.settings["left_out"] in same.caveats
    assert main(["evaluate", "--truth", str(source), "--predictions", str(predictions), "--json"]) == 0
    said = capsys.readouterr()
    assert "2 of 6 images of the truth are left out" in said.err
    assert json.loads(said.out)["settings"]["left_out"] == found.settings["left_out"]
