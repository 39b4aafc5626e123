"""Every fault of every reader is said by every verb: the table of docs/formats.md, generated here and compared.

`python tests/data/test_faults_said.py` writes it into the page again.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.testing.data import picture, yolo_folder

PAGE = Path(__file__).parents[2] / "docs/formats.md"
BEGIN, END = "<!-- faults said: begin -->", "<!-- faults said: end -->"
VERBS = ("check", "stats", "evaluate", "convert", "merge", "split", "mix", "snapshot")
RULES = {
    "image_missing": ("images.unreadable",),
    "image_unreadable": ("images.unreadable",),
    "size_rotated": ("images.exif_rotation",),
}
GOOD = "0 .5 .5 .25 .5\n"
BOX = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"


def pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        picture(folder / f"{name}.png", seed=number)


def yolo(folder: Path) -> Path:
    rows = {
        "columns": "0,.5,.5,.25,.5\n", "number": "0 nan .5 .25 .5\n", "range": "0 80 60 40 60\n",
        "beyond": "9 .5 .5 .2 .2\n", "half": "0.5 .5 .5 .25 .5\n", "twice": GOOD + GOOD,
        "mixed": GOOD + "0 .2 .2 .6 .2 .2 .8\n",
    }  # fmt: skip
    labels: dict[str, str | None] = {f"train/{name}.png": text for name, text in rows.items()}
    labels |= {f"{split}/{split}{n}.png": GOOD for split in ("train", "val") for n in range(4)}
    document = yolo_folder(folder, labels, names=["cat"])
    (folder / "labels/train/orphan.txt").write_text(GOOD)
    (folder / "labels/train/bytes.txt").write_bytes(b"\xff\xfe")
    picture(folder / "images/train/bytes.png", seed=77)
    (folder / "images/train/damaged.png").write_bytes(b"no picture")
    (folder / "labels/train/damaged.txt").write_text(GOOD)
    document.write_text(document.read_text() + "nc: 3\nnc: 1\n")
    return document


def coco(folder: Path) -> Path:
    pictures(folder / "images", *(f"i{n}" for n in range(12)))
    picture(folder / "images/turned.png", (48, 64), seed=50, orientation=6)
    images = [{"id": n, "file_name": f"i{n}.png", "width": 64, "height": 48} for n in range(12)]
    images += [
        {"id": 12, "file_name": "turned.png", "width": 48, "height": 64},
        {"id": 13, "file_name": "i3.png", "width": 64, "height": 48},
        {"id": 14, "file_name": "gone.png", "width": 64, "height": 48},
    ]
    images[11]["width"] = 100
    sound = {"category_id": 1, "bbox": [10, 10, 30, 30], "area": 900}
    rows = [sound | {"id": n, "image_id": n} for n in range(6)]
    bad = [
        {"bbox": None}, {"bbox": [1, 2, 3]}, {"bbox": ["a", 2, 3, 4]}, {"bbox": [9, 9, -4, 4]}, {"category_id": 77},
    ]  # fmt: skip
    rows += [sound | {"id": 20 + n, "image_id": 6 + n} | change for n, change in enumerate(bad)]
    rows += [
        sound | {"id": 1, "image_id": 11},
        sound | {"id": 40, "image_id": 999},
        sound | {"id": 41, "image_id": "2"},
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]
    path = folder / "gt.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return path


def voc(folder: Path) -> Path:
    sound = f"<annotation><object><name>cat</name>{BOX}</object></annotation>"
    size = "<size><width>100</width><height>48</height></size>"
    texts = {f"s{n}": sound for n in range(4)} | {
        "broken": "<annotation><object>", "nobox": "<annotation><object><name>cat</name></object></annotation>",
        "words": sound.replace("<xmin>10", "<xmin>a"), "inverted": sound.replace("<xmax>40", "<xmax>1"),
        "nameless": sound.replace("cat", ""), "size": sound.replace("<object>", f"{size}<object>"),
        "named": sound.replace("<object>", "<filename>other.png</filename><object>"),
    }  # fmt: skip
    pictures(folder / "JPEGImages", *texts)
    (folder / "Annotations").mkdir()
    for name, text in texts.items():
        (folder / f"Annotations/{name}.xml").write_text(text)
    (folder / "Annotations/gone.xml").write_text(sound)
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/train.txt").write_text("s0\ns1\nnobody\n")
    return folder


def cvat(folder: Path) -> Path:
    shapes = {f"s{n}": '<box label="cat" xtl="9" ytl="9" xbr="40" ybr="40"/>' for n in range(4)} | {
        "nolabel": '<box xtl="1" ytl="1" xbr="9" ybr="9"/>',
        "words": '<box label="cat" xtl="a" ytl="1" xbr="9" ybr="9"/>',
        "inverted": '<box label="cat" xtl="9" ytl="1" xbr="1" ybr="9"/>',
        "points": '<points label="cat" points="1,1"/>',
    }  # fmt: skip
    pictures(folder / "images", *shapes)
    lines = [
        f'<image id="{n}" name="{name}.png" width="64" height="48">{shape}</image>'
        for n, (name, shape) in enumerate(shapes.items())
    ]
    lines.append('<image id="90" name="s0.png" width="64" height="48"/>')
    lines[1] = lines[1].replace('"64"', '"100"')
    (folder / "annotations.xml").write_text(f"<annotations>{''.join(lines)}</annotations>")
    return folder / "annotations.xml"


def paligemma(folder: Path) -> Path:
    sound = "<loc0100><loc0100><loc0500><loc0500> cat"
    suffixes = [sound] * 4 + [
        "<loc0100> cat", "<loc0100><loc0100><loc1024><loc0500> cat", "<loc0500><loc0100><loc0100><loc0500> cat"
    ]  # fmt: skip
    pictures(folder, *(f"i{n}" for n in range(len(suffixes))))
    rows = [json.dumps({"image": f"i{n}.png", "suffix": suffix}) for n, suffix in enumerate(suffixes)]
    path = folder / "set.jsonl"
    path.write_text("\n".join(rows) + "\n")
    return path


def labelme(folder: Path) -> Path:
    pictures(folder, *(f"i{n}" for n in range(6)))
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[10, 5], [30, 25]]}
    bad = [shape] * 3 + [shape | {"shape_type": "point", "points": [[1, 1]]}, shape | {"points": "none"}, None]
    for number, one in enumerate(bad):
        page = {"imagePath": f"i{number}.png", "imageWidth": 64, "imageHeight": 48, "shapes": [one] if one else "none"}
        (folder / f"i{number}.json").write_text(json.dumps(page))
    return folder


def createml(folder: Path) -> Path:
    pictures(folder, *(f"i{n}" for n in range(5)))
    at = {"x": 20, "y": 15, "width": 10, "height": 20}
    places = [at, at, at, at | {"width": -10}, at | {"x": "left"}]
    rows = [{"image": f"i{n}.png", "annotations": [{"label": "cat", "coordinates": p}]} for n, p in enumerate(places)]
    (folder / "set.createml.json").write_text(json.dumps(rows))
    return folder


def darknet(folder: Path) -> Path:
    pictures(folder, *(f"i{n}" for n in range(5)))
    for number in range(5):
        (folder / f"i{number}.txt").write_text("0,.5\n" if number == 4 else GOOD)
    (folder / "classes.txt").write_text("cat\n")
    return folder


READERS: dict[str, Callable[[Path], Path]] = {
    "YOLO": yolo, "COCO": coco, "Pascal VOC": voc, "CVAT": cvat, "PaliGemma": paligemma, "labelme": labelme,
    "CreateML": createml, "darknet": darknet,
}  # fmt: skip


def said(words: list[str]) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main([*words, "--json"])
    return out.getvalue(), err.getvalue()


def verb_words(verb: str, source: Path, other: Path, out: Path) -> list[str]:
    accept = ["--accept", "same_image"]
    return {
        "check": ["check", str(source)],
        "stats": ["data", "stats", str(source)],
        "evaluate": ["evaluate", "--truth", str(source), "--predictions", str(out / "none.json")],
        "convert": ["data", "convert", str(source), "--to", "coco", "--out", str(out / "convert")],
        "merge": ["data", "merge", str(source), f"sound={other}", "--out", str(out / "merge"), *accept],
        "split": ["data", "split", str(source), "--out", str(out / "split")],
        "mix": ["data", "mix", str(source), f"sound={other}", "--held-out", "sound", "--out", str(out / "mix"),
                *accept],
        "snapshot": ["data", "snapshot", str(source), "--out", str(out / "snapshot.json")],
    }[verb]  # fmt: skip


def table(work: Path) -> list[str]:
    """Return the rows of the table: reader, fault, and by verb whether the fault is in its JSON or in what it says."""
    rows = []
    labels: dict[str, str | None] = {f"{split}/x{n}.png": GOOD for split in ("train", "val") for n in range(3)}
    other = yolo_folder(work / "sound", labels, names=["cat"])
    for reader, make in READERS.items():
        folder = work / reader.replace(" ", "")
        (folder / "set").mkdir(parents=True)
        (folder / "none.json").write_text("[]")
        source = make(folder / "set")
        kinds = sorted({fault.kind for fault in read(source).faults})
        texts = {verb: said(verb_words(verb, source, other, folder)) for verb in VERBS}
        for kind in kinds:
            words = (kind, *RULES.get(kind, ()))  # where it is the whole of a rule, check names the rule
            cells = [
                "json" if any(word in out for word in words) else "said" if kind in err else "no"
                for out, err in texts.values()
            ]
            rows.append(f"| {reader} | `{kind}` | {' | '.join(cells)} |")
    return rows


def test_the_page_shows_what_every_verb_says_of_every_fault(tmp_path: Path) -> None:
    shown = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    assert shown == table(tmp_path)


def test_no_verb_is_silent_about_labels() -> None:
    """What evaluate does not say is about pixels, which measuring does not need."""
    for line in PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]:
        reader, kind, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
        silent = {verb for verb, cell in zip(VERBS, cells, strict=True) if cell == "no"}
        assert silent <= ({"evaluate"} if kind.startswith(("image_", "images_", "split_")) else set()), (reader, kind)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        head = f"| reader | fault | {' | '.join(VERBS)} |\n|---|---|{'---|' * len(VERBS)}\n"
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        body = head + "\n".join(table(Path(place)))
        PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")
