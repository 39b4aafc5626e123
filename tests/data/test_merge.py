"""Merge and mix: every class and conflict shown before, nothing lost, val and test never mixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.card import read_card
from liftgate.data.combining import read_rules
from liftgate.data.dataset import Dataset, Keypoints
from liftgate.data.formats import yolo
from liftgate.data.merge import ClassRules, merge, mix, plan_merge
from liftgate.data.reading import read
from liftgate.data.terms import Terms
from liftgate.errors import DataError
from liftgate.testing import data as factory
from liftgate.testing.data import picture, yolo_folder

ROW = "0 .5 .5 .25 .5\n"


def made(name: str, classes: list[str], n_images: int = 6, **more) -> Dataset:
    return replace(factory.dataset(n_images, classes=classes, **more), name=name)


def counts(dataset: Dataset) -> dict[str, int]:
    return dict(
        zip(dataset.classes, np.bincount(dataset.labels.cls, minlength=len(dataset.classes)).tolist(), strict=True)
    )


def test_12_and_16_classes_without_one_in_common_become_28_and_no_label_is_lost() -> None:
    a = made("luggage", [f"a{n}" for n in range(12)], 60)
    b = made("extra", [f"b{n}" for n in range(16)], 40, seed=1)
    plan = plan_merge([a, b])
    assert plan.conflicts == ()
    merged = merge(plan)
    assert len(merged.classes) == 28
    assert counts(merged) == counts(a) | counts(b)
    assert len(merged.images) == 100
    assert sum(row["objects"] for row in plan.table()) == len(merged.labels) == 300
    np.testing.assert_array_equal(merged.labels.boxes, np.vstack([a.labels.boxes, b.labels.boxes]))
    owners = [merged.images[i].id.split("/")[0] for i in merged.labels.image]
    assert owners == ["luggage"] * 180 + ["extra"] * 120


def test_synonyms_join_and_dropped_classes_go_with_their_boxes_while_images_stay() -> None:
    a, b = made("a", ["Mobile phone", "0"], 10), made("b", ["phone", "knife"], 10, seed=2)
    rules = {"a": ClassRules(rename={"Mobile phone": "phone"}, drop=frozenset({"0"}))}
    merged = merge(plan_merge([a, b], rules, order=["knife"]))
    assert merged.classes == ("knife", "phone")
    assert counts(merged)["phone"] == counts(a)["Mobile phone"] + counts(b)["phone"]
    assert len(merged.images) == 20


def test_conflicts_are_listed_all_at_once_and_refused_until_accepted() -> None:
    a = made("a", ["Mobile Phone", "café"])
    b = made("b", ["mobile_phone", "cafe\u0301", "cafe"], seed=1)
    plan = plan_merge([a, b], {"a": ClassRules(drop=frozenset({"gun"}))})
    assert [conflict.kind for conflict in plan.conflicts] == ["unknown_class", "alike", "alike"]
    with pytest.raises(DataError, match="3 conflicts") as caught:
        merge(plan)
    assert "'Mobile Phone' and 'mobile_phone'" in str(caught.value)
    assert len(merge(plan, accept=["alike", "unknown_class"]).classes) == 5


def test_the_same_file_in_two_sets_is_a_conflict(tmp_path: Path) -> None:
    a = read(yolo_folder(tmp_path / "a", {"train/x.jpg": ROW, "train/y.jpg": ROW}))
    b = read(yolo_folder(tmp_path / "b", {"val/other.jpg": ROW}))
    (conflict,) = plan_merge([a, b]).conflicts
    assert conflict.kind == "same_image"
    assert "a/images/train/x.jpg = b/images/val/other.jpg" in conflict.message


def test_sets_with_the_same_names_and_files_do_not_collide() -> None:
    merged = merge(plan_merge([made("x", ["cat"], n_groups=2), made("x", ["cat"], n_groups=2, seed=5)]))
    assert len({image.id for image in merged.images}) == 12
    assert len(set(merged.groups)) == 4, "group0 of one is not group0 of the other"


def test_the_strictest_terms_bind() -> None:
    a = replace(made("a", ["cat"]), licence="MIT", origin="synthetic")
    b = replace(made("b", ["cat"], seed=1), licence="CC-BY-4.0", confidential=True)
    merged = merge(plan_merge([a, b]))
    assert (merged.licence, merged.origin, merged.confidential) == ("CC-BY-4.0", "real", True)


def test_skeletons_that_differ_are_never_merged() -> None:
    a = replace(made("a", ["car"]), keypoints=Keypoints(("l", "r"), (1, 0)))
    b = replace(made("b", ["car"], seed=1), keypoints=Keypoints(("l", "r"), (0, 1)))
    plan = plan_merge([a, b])
    assert [conflict.kind for conflict in plan.conflicts] == ["keypoints"]
    with pytest.raises(DataError):
        merge(plan, accept=["keypoints"])


def test_the_kill_switch_mix_has_224_training_entries_and_real_val_only(tmp_path: Path) -> None:
    synthetic = {f"train/s{n}.jpg": ROW for n in range(144)} | {"val/sv.jpg": ROW}
    real = {f"train/r{n}.jpg": ROW for n in range(10)} | {"val/rv.jpg": ROW, "test/rt.jpg": ROW}
    a = read(yolo_folder(tmp_path / "synthetic", synthetic, size=(32, 24)))
    b = read(yolo_folder(tmp_path / "real", real, size=(24, 32)))
    mixed = mix(plan_merge([a, b]), repeats={"real": 8}, held_out="real")
    assert mixed.left_out == {"synthetic": 1}
    document = yolo.write(mixed.dataset, tmp_path / "tree", repeats=mixed.repeats)
    lines = (document.parent / "train.txt").read_text().splitlines()
    assert len(lines) == 144 + 10 * 8 == 224
    assert len(set(lines)) == 154
    back = yolo.read_manifest(document.parent)
    for split in ("val", "test"):
        listed = (document.parent / f"{split}.txt").read_text().splitlines()
        assert [back[line[2:]].split("/")[0] for line in listed] == ["real"]


def test_whose_val_is_meant_has_to_be_said() -> None:
    a, b = made("a", ["cat"]), made("b", ["cat"], seed=1)
    for_val = [d.with_images([replace(i, split="val") for i in d.images]) for d in (a, b)]
    with pytest.raises(DataError, match="more than one data set has val"):
        mix(plan_merge(for_val), repeats={})
    with pytest.raises(DataError, match="no such data set"):
        mix(plan_merge(for_val), repeats={"c": 2})
    with pytest.raises(DataError, match="two data sets"):
        plan_merge([a])
    with pytest.raises(DataError, match="not there"):
        plan_merge([a, b], {"c": ClassRules()})


def test_a_merge_writes_and_reads_back(tmp_path: Path) -> None:
    picture(tmp_path / "a/images/train/only.jpg", seed=50)
    a = read(yolo_folder(tmp_path / "a", {"train/x.jpg": ROW, "val/y.jpg": ROW}, ["cat"], size=(32, 32)))
    b = read(yolo_folder(tmp_path / "b", {"train/x.jpg": "0 .5 .5 .1 .1\n"}, ["dog"], size=(48, 32)))
    again = read(yolo.write(merge(plan_merge([a, b])), tmp_path / "tree"))
    assert again.classes == ("cat", "dog")
    assert counts(again) == {"cat": 2, "dog": 1}
    assert again.faults == ()


@pytest.mark.train
def test_ultralytics_sees_exactly_224_training_entries_of_the_kill_switch_mix(tmp_path: Path) -> None:
    synthetic = {f"train/s{n}.jpg": ROW for n in range(144)} | {"val/sv.jpg": ROW}
    real = {f"train/r{n}.jpg": ROW for n in range(10)} | {"val/rv.jpg": ROW}
    yolo_folder(tmp_path / "synthetic", synthetic, ["car"], size=(32, 24))
    yolo_folder(tmp_path / "real", real, ["car"], size=(24, 32))
    words = ["data", "mix", *(str(tmp_path / name) for name in ("synthetic", "real"))]
    words += ["--repeat", "real=8", "--held-out", "real", "--out", str(tmp_path / "tree")]
    assert main(words) == 0
    # In a child: Ultralytics writes settings on import, looks for a network and behaves differently under pytest.
    seen = subprocess.run(
        [sys.executable, "-c", ASK_ULTRALYTICS, str(tmp_path / "tree/data.yaml")],
        env=os.environ | {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    train, val = json.loads(seen.stdout.splitlines()[-1])
    assert (train["entries"], train["files"], train["boxes"]) == (224, 154, 224)
    assert (train["real"], train["synthetic"]) == (80, 144)
    assert (val["entries"], val["real"]) == (1, 1), "validated on real images alone"


ASK_ULTRALYTICS = """
import json, os, pathlib, sys, yaml
from ultralytics.data.dataset import YOLODataset

document = pathlib.Path(sys.argv[1])
data = yaml.safe_load(document.read_text())
data["channels"] = 3
found = []
for split in ("train", "val"):
    place = str(document.parent / data[split])
    dataset = YOLODataset(img_path=place, data=data, task="detect", imgsz=32, augment=False)
    owners = [os.path.realpath(file).split(os.sep) for file in dataset.im_files]
    found.append(
        {
            "entries": len(dataset),
            "files": len(set(dataset.im_files)),
            "boxes": sum(len(label["cls"]) for label in dataset.labels),
            "real": sum("real" in owner for owner in owners),
            "synthetic": sum("synthetic" in owner for owner in owners),
        }
    )
print(json.dumps(found))
"""


def test_the_x_ray_merge_as_typed_with_its_mapping_file_and_no_label_lost(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def labels(n_images: int, n_classes: int) -> dict[str, str | None]:
        rows = {f"{'val' if n % 7 == 0 else 'train'}/{n}.jpg": "" for n in range(n_images)}
        for number, name in enumerate(rows):
            for k in range(3):
                x, y, w, h = rng.uniform([0.3, 0.3, 0.05, 0.05], [0.7, 0.7, 0.4, 0.4])
                rows[name] += f"{(number + k) % n_classes} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n"
        return dict(rows)

    a = yolo_folder(tmp_path / "luggage", labels(48, 12), [f"threat {n}" for n in range(12)], size=(32, 24))
    b = yolo_folder(tmp_path / "extra", labels(32, 16), [f"item {n}" for n in range(16)], size=(24, 32))
    assert main(["data", "merge", str(a), str(b), "--out", str(tmp_path / "out")]) == 0
    merged = read(tmp_path / "out")
    assert len(merged.classes) == 28
    assert counts(merged) == counts(read(a)) | counts(read(b))
    assert merged.faults == ()
    mapping = (tmp_path / "out/classes.csv").read_text().splitlines()
    assert mapping[0] == "dataset,class,becomes,objects"
    assert "luggage,threat 11,threat 11,12" in mapping
    assert len(mapping) == 29

    synonyms = tmp_path / "rules.yaml"
    synonyms.write_text("rename: {item 3: threat 1, item 4: threat 1}\ndrop: [item 15]\n")
    words = ["data", "merge", str(a), str(b), "--rules", str(synonyms), "--out", str(tmp_path / "joined")]
    assert main(words) == 0
    joined = read(tmp_path / "joined")
    assert len(joined.classes) == 28 - 3
    want = counts(merged)
    assert counts(joined)["threat 1"] == want["threat 1"] + want["item 3"] + want["item 4"]
    assert len(joined.labels) == len(merged.labels) - want["item 15"]
    assert len(joined.images) == len(merged.images)
    assert "extra,item 15,,6" in (tmp_path / "joined/classes.csv").read_text().splitlines()


def test_cards_say_the_strictest_terms_of_the_parts_and_hand_them_on(tmp_path: Path) -> None:
    a = yolo_folder(tmp_path / "a", {"train/x.jpg": ROW, "val/z.jpg": ROW}, ["cat"])
    b = yolo_folder(tmp_path / "b", {"train/y.jpg": ROW}, ["cat"], size=(40, 40))
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "datasets:\n  a: {licence: MIT, origin: synthetic}\n"
        "  b: {licence: CC BY-NC 4.0, origin: real, confidential: true, consent: signed forms}\n"
    )
    for verb, more in (("merge", ["--to", "coco"]), ("mix", ["--held-out", "a", "--repeat", "b=3"])):
        words = ["data", verb, str(a), str(b), "--rules", str(rules), "--out", str(tmp_path / verb), *more]
        assert main(words) == 0
        card = read_card(tmp_path / verb)
        assert card is not None
        assert card.terms == Terms("CC-BY-NC-4.0", "real", True, "signed forms")
        assert dict(card.parts)["a"] == Terms("MIT", "synthetic")
        assert str(tmp_path) not in (tmp_path / verb / "README.md").read_text()
    # What was written carries its terms into what is made of it, though nobody says them again.
    assert main(["data", "convert", str(tmp_path / "merge"), "--to", "voc", "--out", str(tmp_path / "voc")]) == 0
    assert (
        main(["data", "split", str(tmp_path / "voc"), "--out", str(tmp_path / "split"), "--ratios", "1", "1", "1"]) == 0
    )
    for made in ("voc", "split"):
        card = read_card(tmp_path / made)
        assert card is not None
        assert card.terms == Terms("CC-BY-NC-4.0", "real", True, "signed forms")


def test_two_spellings_of_one_letter_are_shown_so_that_a_rule_can_name_them() -> None:
    first, second = factory.dataset(2, classes=("b\u00fcro",)), factory.dataset(2, classes=("bu\u0308ro",))
    (conflict,) = plan_merge([first, second]).conflicts
    assert conflict.kind == "alike"
    assert r"'b\xfcro' and 'bu\u0308ro'" in conflict.message


def test_rules_say_which_keypoints_of_a_data_set_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("datasets: {pose: {keypoints: [nose, left eye]}}")
    assert read_rules(path).keypoints == {"pose": ("nose", "left eye")}
    path.write_text("datasets: {pose: {keypoints: nose}}")
    with pytest.raises(DataError, match="keypoints"):
        read_rules(path)
