"""Images are recognised by what they show, not by what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from liftgate.data.core.image_identity import ImageIdentities
from liftgate.data.formats.read import read
from liftgate.testing.backends import write_tree
from liftgate.testing.data import dataset


def test_every_image_is_recognised_in_the_same_files_and_none_in_others(tmp_path: Path) -> None:
    data = read(write_tree(tmp_path / "scenes"))
    known = ImageIdentities.of(data.split("test"), data.split("val"))
    assert known.shared_with(data).tolist() == [image.split == "test" for image in data.images]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    known = ImageIdentities.of(read(write_tree(tmp_path / "scenes")).split("test"))
    assert ImageIdentities.from_json(known.to_json()) == known
    with pytest.raises(ValueError, match="identities"):
        ImageIdentities.from_json("{}")


def test_where_no_image_is_there_labels_decide_once_enough_of_them_agree() -> None:
    data = dataset(6, objects=2)  # without files
    known = ImageIdentities.of(data)
    assert known.shared_with(data).all()
    assert not known.shared_with(dataset(6, objects=2, seed=1)).any()
    assert not known.shared_with(data.take(np.array([0]))).any(), "two boxes that agree may be chance"


def test_labels_that_were_rounded_on_the_way_still_agree() -> None:
    data = dataset(6, objects=3)
    moved = data.labels.boxes + np.random.default_rng(0).uniform(-0.5, 0.5, data.labels.boxes.shape)
    object.__setattr__(data.labels, "boxes", moved)
    assert ImageIdentities.of(dataset(6, objects=3)).shared_with(data).all()


def test_a_data_set_without_images_or_labels_shares_nothing() -> None:
    data = dataset(4, objects=2)
    empty = data.take(np.zeros(4, dtype=np.bool_))
    assert ImageIdentities.of(data).shared_with(empty).tolist() == []
    assert not ImageIdentities.of(empty).shared_with(data).any()
    assert not ImageIdentities.of(data).shared_with(dataset(4, objects=0)).any()


def _changed(path: Path, kind: str, rows: list[list[float]]) -> list[list[float]]:
    """Change a picture in place; return its labels (class, x, y, width, height), which follow."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    pixels = [[c, x * width, y * height, w * width, h * height] for c, x, y, w, h in rows]
    if kind.startswith("padded"):
        border = int(kind.split()[-1])
        picture = ImageOps.expand(picture, border, (114, 114, 114))
        pixels = [[c, x + border, y + border, w, h] for c, x, y, w, h in pixels]
    elif kind == "letterboxed":
        border = (width - height) // 2
        picture = ImageOps.expand(picture, (0, border, 0, border), (114, 114, 114))
        pixels = [[c, x, y + border, w, h] for c, x, y, w, h in pixels]
    elif kind == "cropped":
        picture = picture.crop((2, 2, width - 2, height - 2))
        pixels = [[c, x - 2, y - 2, w, h] for c, x, y, w, h in pixels]
    elif kind == "mirrored":
        picture = ImageOps.mirror(picture)
        pixels = [[c, width - x, y, w, h] for c, x, y, w, h in pixels]
    elif kind == "upside down":
        picture = picture.rotate(180)
        pixels = [[c, width - x, height - y, w, h] for c, x, y, w, h in pixels]
    elif kind == "top for bottom":
        picture = ImageOps.flip(picture)
        pixels = [[c, x, height - y, w, h] for c, x, y, w, h in pixels]
    elif kind == "half the size":
        picture = picture.resize((width // 2, height // 2))
        pixels = [[c, *(value / 2 for value in box)] for c, *box in pixels]
    elif kind == "brighter":
        picture = ImageEnhance.Brightness(picture).enhance(1.2)
    elif kind == "a box fewer":
        pixels = pixels[:-1]
    elif kind == "a box moved":
        pixels = [*pixels[:-1], [0, 0.5 * width, 0.5 * height, 0.3 * width, 0.3 * height]]
    elif kind == "a box more":
        pixels = [*pixels, [0, 0.5 * width, 0.5 * height, 0.3 * width, 0.3 * height]]
    picture.save(path.with_suffix(".jpg"), quality=30 if kind == "JPEG at 30" else 95)
    if path.suffix != ".jpg":
        path.unlink()
    width, height = picture.size
    return [[c, x / width, y / height, w / width, h / height] for c, x, y, w, h in pixels]


WINDOWS = ["padded 3", "padded 8", "letterboxed", "cropped", "mirrored", "upside down", "top for bottom"]
SAVED = ["half the size", "brighter", "JPEG at 30"]


@pytest.mark.parametrize(
    ("kind", "objects"),
    [
        *(
            (kind, (2, 4))
            for kind in (*WINDOWS, "half the size", "brighter", "JPEG at 30", "a box fewer", "a box more")
        ),
        *((kind, (1, 1)) for kind in (*WINDOWS, "half the size", "brighter", "JPEG at 30", "a box more")),
        ("a box moved", (3, 4)),
    ],
)
def test_changed_pictures_and_label_sets_are_recognised_and_other_images_are_not(
    kind: str, objects: tuple[int, int], tmp_path: Path
) -> None:
    """On 24 scenes: every changed copy of test is found, and no image of val."""
    root = _scenes(tmp_path / "data", 24, objects)
    known = ImageIdentities.of(read(root / "data.yaml").split("test"))
    _change(root, kind)
    again = read(root / "data.yaml")
    same = known.shared_with(again)
    test = np.array([image.split == "test" for image in again.images])
    assert same[test].all(), f"{same[test].mean():.0%} found"
    assert not same[~test].any()


def test_one_thing_that_moves_a_little_before_a_fixed_camera_makes_no_copies(tmp_path: Path) -> None:
    rng, root = np.random.default_rng(4), _scenes(tmp_path / "data", 60, (1, 1))
    ground = np.asarray(Image.open(root / "images/test/0.png"), dtype=np.int64)
    for path in (root / "images").glob("*/*.png"):
        (x, y), (w, h) = rng.integers(40, 60, 2).tolist(), rng.integers(18, 24, 2).tolist()
        frame = ground + rng.normal(0, 3, ground.shape)
        frame[y : y + h, x : x + w] = 250
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(path)
        label = root / "labels" / path.parent.name / f"{path.stem}.txt"
        label.write_text(f"0 {(x + w / 2) / 160} {(y + h / 2) / 120} {w / 160} {h / 120}\n")
    data = read(root / "data.yaml")
    test = np.array([image.split == "test" for image in data.images])
    assert ImageIdentities.of(data.take(test)).shared_with(data).tolist() == test.tolist()


def _change(root: Path, kind: str) -> None:
    """Change all pictures of a data set and their labels."""
    for label in sorted((root / "labels").glob("*/*.txt")):
        rows = [[float(text) for text in line.split()] for line in label.read_text().splitlines()]
        image = next((root / "images" / label.parent.name).glob(f"{label.stem}.*"))
        label.write_text("".join(f"{int(c)} {x} {y} {w} {h}\n" for c, x, y, w, h in _changed(image, kind, rows)))


def _scenes(root: Path, count: int, objects: tuple[int, int]) -> Path:
    """Write textured pictures of 160 x 120 with so many objects, from and to, half of them in test."""
    rng = np.random.default_rng(0)
    for index in range(count):
        split = ("test", "val")[index % 2]
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        ground = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120))
        lines = []
        for _ in range(int(rng.integers(objects[0], objects[1] + 1))):
            w, h = rng.integers(16, 48, 2).tolist()
            x, y = int(rng.integers(4, 156 - w)), int(rng.integers(4, 116 - h))
            ground.paste(tuple(rng.integers(0, 255, 3).tolist()), (x, y, x + w, y + h))
            lines.append(f"0 {(x + w / 2) / 160} {(y + h / 2) / 120} {w / 160} {h / 120}\n")
        ground.save(root / "images" / split / f"{index}.png")
        (root / "labels" / split / f"{index}.txt").write_text("".join(lines))
    (root / "data.yaml").write_text("path: .\ntrain: images/val\nval: images/val\ntest: images/test\nnames: [sign]\n")
    return root
