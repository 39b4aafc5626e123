"""Real data: what is wrong with it is found, nothing else is called an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Picture

from liftgate.checks.images.scan import scan_images
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read


@pytest.fixture(scope="session")
def bccd(fixtures: Path) -> Dataset:
    return read(fixtures / "bccd")


@pytest.fixture(scope="session")
def dice(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    yaml_path = tmp_path_factory.mktemp("dice") / "data.yaml"
    names = ["one", "two", "three", "four", "five", "six"]
    keys = {"path": str(fixtures / "dice"), "train": "images/train", "val": "images/test", "names": names}
    yaml_path.write_text(yaml.safe_dump(keys))
    return read(yaml_path, name="dice")


def test_bccd_has_two_boxes_without_area_by_file_and_object(bccd: Dataset) -> None:
    found = run(Subject({"bccd": bccd}), select=["labels.zero_area"]).findings
    assert [(Path(f.where.split(",")[0]).name, f.where.split(", ")[1]) for f in found] == [
        ("BloodImage_00338.xml", "object 13"),
        ("BloodImage_00343.xml", "object 4"),
    ]


def test_bccd_can_be_trained_on(bccd: Dataset) -> None:
    result = run(Subject({"bccd": bccd}))
    assert result.ok
    assert {f.id for f in result.findings} == {"labels.zero_area", "splits.leak_near", "images.no_background"}


def test_dice_can_be_trained_on(dice: Dataset) -> None:
    result = run(Subject({"dice": dice}))
    assert result.ok
    # Two series of photographs, cut into train and val picture by picture.
    assert {f.id for f in result.findings} == {"splits.leak_near", "splits.leak_time", "images.no_background"}


def test_coco_can_be_trained_on(fixtures: Path) -> None:
    for file in sorted((fixtures / "coco_cc" / "annotations").glob("*.json")):
        dataset = read(file, images=fixtures / "coco_cc" / "images")
        assert run(Subject({dataset.name: dataset})).ok, file.name


def _dhash(path: Path) -> int:
    """Of the whole picture, in the plainest way."""
    with Picture.open(path) as picture:
        small = np.asarray(picture.convert("L").resize((9, 8)), dtype=np.int64)
    return sum(1 << int(i) for i in np.flatnonzero(small[:, 1:] > small[:, :-1]))


def test_the_33_near_copies_of_dice_are_found(dice: Dataset) -> None:
    hashes = np.array([_dhash(image.path) for image in dice.images], dtype=np.uint64)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    pairs = [(a, b) for a, b in zip(*np.nonzero(distances <= 4), strict=True) if a < b]
    assert len(pairs) == 33
    copies = {frozenset((p.first.image.id, p.second.image.id)) for p in Subject({"dice": dice}).copies}
    assert all(frozenset((dice.images[a].id, dice.images[b].id)) in copies for a, b in pairs)


def test_planted_copies_are_found_and_next_to_nothing_else(bccd: Dataset, tmp_path: Path) -> None:
    """100 copies of bccd's training pictures, re-saved, smaller, brighter or darker, put into a test split."""
    chosen = [image for image in bccd.images if image.split == "train"][:100]
    rng = np.random.default_rng(3)
    planted = []
    for number, image in enumerate(chosen):
        picture = Picture.open(image.path).convert("RGB")
        if number % 3 == 1:
            factor = rng.uniform(0.4, 0.9)
            picture = picture.resize((int(picture.width * factor), int(picture.height * factor)))
        elif number % 3 == 2:
            light = np.asarray(picture, dtype=np.float64) * rng.uniform(0.7, 1.2) + rng.uniform(-20, 20)
            picture = Picture.fromarray(light.clip(0, 255).astype(np.uint8))
        path = tmp_path / "images" / "test" / f"copy{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=int(rng.integers(60, 95)))
        planted.append(path)
    (tmp_path / "data.yaml").write_text("train: images/test\nval: images/test\ntest: images/test\nnames: [RBC]\n")
    copies = read(tmp_path / "data.yaml", name="copies")
    assert len(copies.images) == 100
    pairs = Subject({"bccd": bccd, "copies": copies}).copies
    crossing = {(p.first.image.id, p.second.image.path.name) for p in pairs if p.first.dataset != p.second.dataset}
    expected = {(image.id, path.name) for image, path in zip(chosen, planted, strict=True)}
    assert expected <= crossing
    false = [pair for pair in crossing - expected if "BloodImage_00037" not in pair[0] and "00038" not in pair[0]]
    assert len(false) * 1000 <= len(bccd.images) + len(copies.images)


def test_the_second_look_comes_from_the_cache(bccd: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan_images(bccd)
    monkeypatch.setattr(
        "liftgate.checks.images.scan.read_facts", lambda path: pytest.fail(f"{path} was looked at again")
    )
    assert scan_images(bccd).facts == first.facts
