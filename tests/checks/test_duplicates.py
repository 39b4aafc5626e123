"""Images that show the same are linked, grouped, and kept together by the split that is made of the groups."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checks.plants import film_cut_by_image
from checks.small_set import SmallSet
from liftgate.checks.duplicates import find_links, group_names
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.cli import main
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.splits.split import make_split


def leaked(small: SmallSet) -> Path:
    """An equal picture, a resized one and two siblings of one source, across splits."""
    shutil.copy(small.image("train", 5), small.image("test", 5))
    Image.open(small.image("train", 6)).resize((150, 150)).save(small.image("val", 6))
    code = "0123456789abcdef" * 2
    turned = Image.open(small.image("train", 7)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(small.image("test", 7))
    for split, suffix in (("train", code), ("test", code[::-1])):
        for path in (small.image(split, 7), small.label(split, 7)):
            path.rename(path.with_name(f"street_jpg.rf.{suffix}{path.suffix}"))
    return small.root / "data.yaml"


def test_each_kind_of_link_is_found_and_nothing_else(small: SmallSet) -> None:
    leaked(small)
    links = find_links(Subject({"small": small.read()}))
    assert [link.kind for link in links] == ["exact", "near", "source"]
    assert all(link.crosses for link in links)


def test_sound_data_have_no_links(small: SmallSet) -> None:
    assert find_links(Subject({"small": small.read()})) == ()


def test_neighbours_in_time_are_linked_into_one_film(small: SmallSet) -> None:
    subject = film_cut_by_image(small)
    links = find_links(subject)
    groups = group_names(subject, links)["small"]
    film = {group for image, group in groups.items() if "film_" in image}
    assert len(film) < 20, "200 frames that drift slowly are a few scenes"
    assert any(link.kind == "time" and link.crosses for link in links)


def test_a_picture_in_two_data_sets_has_one_group_in_both(small: SmallSet, tmp_path: Path) -> None:
    shutil.copytree(small.root, tmp_path / "other")
    other = SmallSet(tmp_path / "other", tmp_path / "copy")
    rng = np.random.default_rng(3)
    for path in (other.root / "images").rglob("*.png"):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    shutil.copy(small.image("test", 7), other.image("train", 2))
    subject = Subject({"bench": small.read(), "big": other.read()})
    links = find_links(subject)
    assert [(link.kind, link.crosses) for link in links] == [("exact", True)]
    groups = group_names(subject, links)
    (first, second) = links[0].first, links[0].second
    assert groups[first.dataset][first.image.id] == groups[second.dataset][second.image.id]


def test_groups_that_are_known_stay_together(small: SmallSet) -> None:
    dataset = assign_groups(small.read(), r"(?P<group>\d)\.png$", base=small.root)
    groups = group_names(Subject({"small": dataset}), ())["small"]
    assert len(set(groups.values())) == len({image.group for image in dataset.images})


def test_a_leaked_split_is_repaired_by_the_groups(
    small: SmallSet, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data, out = leaked(small), tmp_path / "groups.csv"
    before = run(Subject({"small": small.read()}), select=["splits"])
    assert {"splits.leak_exact", "splits.leak_near", "splits.leak_source"} <= {one.id for one in before.findings}
    assert main(["data", "duplicates", str(data), "--groups-out", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["crossing"] == {"exact": 1, "near": 1, "source": 1, "time": 0}
    with out.open() as file:
        assert len(list(csv.DictReader(file))) == record["n_images"] == len(small.read().images)
    grouped = assign_groups(small.read(), str(out), base=tmp_path)
    mended = make_split(grouped, seed=1).apply(grouped)
    after = run(Subject({"small": mended}), select=["splits"])
    assert not [one.id for one in after.findings if "leak" in one.id]


def test_the_proposed_groups_make_a_split_that_no_copy_crosses(small: SmallSet, tmp_path: Path) -> None:
    data, out = leaked(small), tmp_path / "groups.csv"
    assert main(["data", "duplicates", str(data), "--groups-out", str(out), "--json"]) == 0
    assert main(["data", "split", str(data), "--by", str(out), "--out", str(tmp_path / "split"), "--json"]) == 0
    with out.open() as groups, (tmp_path / "split" / "split.csv").open() as split:
        group_of = {row["image"]: row["group"] for row in csv.DictReader(groups)}
        sides: dict[str, set[str]] = {}
        for row in csv.DictReader(split):
            sides.setdefault(group_of[row["image"]], set()).add(row["split"])
    assert max(map(len, sides.values())) == 1 and set.union(*sides.values()) == {"train", "val", "test"}


def test_the_page_shows_both_pictures_and_no_name_becomes_html(small: SmallSet, tmp_path: Path) -> None:
    leaked(small)
    shutil.copy(small.image("train", 8), small.image("train", 8).with_name("<b>x.png"))
    page = tmp_path / "pairs.html"
    assert main(["data", "duplicates", str(small.root / "data.yaml"), "--page", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 2 * 4
    assert "<b>x.png" not in text and "&lt;b&gt;x.png" in text


def test_what_is_no_csv_is_refused_before_anything_is_written(small: SmallSet, tmp_path: Path) -> None:
    target = tmp_path / "groups.txt"
    assert main(["data", "duplicates", str(small.root / "data.yaml"), "--groups-out", str(target)]) == 2
    assert not target.exists()
