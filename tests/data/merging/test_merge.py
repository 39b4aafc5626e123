"""Merge and mix: every class and conflict shown before, nothing lost, val and test never mixed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset, Keypoints
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.data.merging.class_rules import read_merge_rules
from liftgate.data.merging.merge import ClassRules, merge, plan_merge
from liftgate.data.merging.mix import mix
from liftgate.data.provenance.card import read_card
from liftgate.data.provenance.licences import Terms
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
    assert sum(row.objects for row in plan.table()) == len(merged.labels) == 300
    np.testing.assert_array_equal(merged.labels.boxes, np.vstack([a.labels.boxes, b.labels.boxes]))
    owners = [merged.images[i].id.split("/")[0] for i in merged.labels.image]
    assert owners == ["luggage"] * 180 + ["extra"] * 120


def test_synonyms_join_and_dropped_classes_go_with_their_boxes() -> None:
    a, b = made("a", ["Mobile phone", "0"], 10), made("b", ["phone", "knife"], 10, seed=2)
    rules = {"a": ClassRules(rename={"Mobile phone": "phone"}, drop=frozenset({"0"}))}
    plan = plan_merge([a, b], rules, order=["knife"])
    merged = merge(plan)
    assert merged.classes == ("knife", "phone")
    assert counts(merged)["phone"] == counts(a)["Mobile phone"] + counts(b)["phone"]


def test_images_that_lose_all_their_boxes_are_backgrounds_only_when_asked() -> None:
    a, b = made("a", ["cat", "dog"], 30, objects=1), made("b", ["cat"], 10, seed=2)
    empty = replace(b, labels=b.labels.take(b.labels.image > 0))  # its first image was labelled as empty before
    plan = plan_merge([a, empty], keep=["dog"])
    assert [conflict.message for conflict in plan_merge([a, empty], keep=["cow"]).conflicts] == [
        "'cow' is to be kept, but is no class"
    ]
    n_dogs = counts(a)["dog"]
    merged = merge(plan)
    assert merged.classes == ("dog",)
    assert counts(merged) == {"dog": n_dogs}
    assert len(merged.images) == n_dogs + 1
    assert [mask.sum() for mask in plan.emptied()] == [30 - n_dogs, 9]
    with_backgrounds = merge(plan, backgrounds=True)
    assert counts(with_backgrounds) == {"dog": n_dogs}
    assert len(with_backgrounds.images) == 40


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
    assert len(joined.images) == len(merged.images), "every image has another object"
    assert "extra,item 15,,6" in (tmp_path / "joined/classes.csv").read_text().splitlines()


@pytest.mark.parametrize("words", [["merge", "--to", "yolo"], ["merge", "--to", "coco"], ["mix"]], ids="-".join)
def test_what_fails_at_its_last_file_leaves_nothing_and_can_be_made_again(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = yolo_folder(tmp_path / "a", {"train/x.jpg": ROW}, ["cat"])
    b = yolo_folder(tmp_path / "b", {"train/y.jpg": ROW}, ["dog"])
    command = ["data", words[0], str(a), str(b), *words[1:], "--accept", "same_image", "--out", str(tmp_path / "out")]

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("liftgate.services.merge.write_bytes", full)
        assert main(command) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert main(command) == 0
    assert (tmp_path / "out" / "classes.csv").is_file()


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
    path.write_text("datasets: {pose: {keypoints: [nose, left eye]}, drawn: {keypoints: {n: nose, le: left eye}}}")
    assert read_merge_rules(path).keypoints == {
        "pose": {"nose": "nose", "left eye": "left eye"},
        "drawn": {"n": "nose", "le": "left eye"},
    }
    for bad in ("nose", "[nose, nose]"):
        path.write_text(f"datasets: {{pose: {{keypoints: {bad}}}}}")
        with pytest.raises(DataError, match="keypoints"):
            read_merge_rules(path)


def test_24_keypoints_become_14_of_another_naming_and_flip_idx_and_sigmas_follow(tmp_path: Path) -> None:
    """Case K: a synthetic skeleton of 24 points beside a real one of 14, which says nothing about sigmas."""
    real_names, real_flip = [f"r{n}" for n in range(14)], [1, 0, 3, 2, 5, 4, 7, 6, 8, 10, 9, 12, 11, 13]
    drawn_names = [f"x{n}" for n in range(5)] + [f"d{n}" for n in reversed(range(14))] + [f"y{n}" for n in range(5)]
    place = {name: number for number, name in enumerate(drawn_names)}
    drawn_flip = list(range(24))
    for left, right in enumerate(real_flip):
        drawn_flip[place[f"d{left}"]] = place[f"d{right}"]

    def points(count: int) -> str:
        return ROW.strip() + "".join(f" {(n + 1) / 32:.5f} .5 {1 + n % 2}" for n in range(count)) + "\n"

    yolo_folder(
        tmp_path / "drawn",
        {"train/s.jpg": points(24)},
        ["car"],
        kpt_shape=[24, 3],
        kpt_names={0: drawn_names},
        flip_idx=drawn_flip,
        kpt_oks_sigmas=[0.01 * (n + 1) for n in range(24)],
    )
    yolo_folder(
        tmp_path / "real",
        {"train/r.jpg": points(14), "val/v.jpg": points(14)},
        ["car"],
        size=(24, 32),
        kpt_shape=[14, 3],
        kpt_names={0: real_names},
        flip_idx=real_flip,
    )
    rules = tmp_path / "rules.yaml"
    mapped = ", ".join(f"d{n}: r{n}" for n in range(14))
    rules.write_text(f"datasets: {{drawn: {{keypoints: {{{mapped}}}}}}}\n")
    words = ["data", "mix", str(tmp_path / "drawn"), str(tmp_path / "real"), "--rules", str(rules)]
    assert main([*words, "--out", str(tmp_path / "mix")]) == 0
    mixed = read(tmp_path / "mix")
    assert mixed.keypoints is not None
    assert mixed.keypoints.names == tuple(real_names)
    assert mixed.keypoints.flip_idx == tuple(real_flip)
    assert mixed.keypoints.sigmas == pytest.approx([0.01 * (place[f"d{n}"] + 1) for n in range(14)])
    drawn = mixed.split("train").labels.keypoints
    assert drawn is not None
    width = next(image.width for image in mixed.images if "s" in Path(image.id).stem)
    row = next(r for r in drawn if r[0, 0] == pytest.approx((place["d0"] + 1) / 32 * width, abs=0.01))
    assert row[:, 2].tolist() == [1 + place[f"d{n}"] % 2 for n in range(14)]
    rules.write_text("datasets: {drawn: {keypoints: [" + ", ".join(f"d{n}" for n in range(14)) + "]}}")
    assert main([*words, "--out", str(tmp_path / "no")]) == 2, "other names are another skeleton"


def test_weights_are_shares_of_an_epoch_and_no_image_is_left_out(tmp_path: Path) -> None:
    yolo_folder(tmp_path / "synthetic", {f"train/s{n}.jpg": ROW for n in range(12)}, size=(32, 24))
    yolo_folder(tmp_path / "real", {f"train/r{n}.jpg": ROW for n in range(5)} | {"val/v.jpg": ROW}, size=(24, 32))
    words = ["data", "mix", str(tmp_path / "synthetic"), str(tmp_path / "real"), "--weight", "real=2"]
    assert main([*words, "--out", str(tmp_path / "no")]) == 2, "a weight for one of two says nothing"
    lists = []
    for seed in ("0", "0", "1"):
        out = tmp_path / f"mix{len(lists)}"
        assert main([*words, "--weight", "synthetic=3", "--seed", seed, "--out", str(out)]) == 0
        lists.append((out / "train.txt").read_text().splitlines())
    assert lists[0] == lists[1] != lists[2]
    seen = {name: [line for line in lists[0] if f"/{name[0]}" in line] for name in ("synthetic", "real")}
    assert {name: len(lines) for name, lines in seen.items()} == {"synthetic": 12, "real": 8}
    assert sorted(seen["real"].count(line) for line in set(seen["real"])) == [1, 1, 2, 2, 2]
    assert main([*words, "--weight", "synthetic=3", "--repeat", "real=2", "--out", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "no").exists()


def test_groups_of_the_parts_stay_apart_and_can_be_split_by(tmp_path: Path) -> None:
    for name, size in (("a", (32, 24)), ("b", (24, 32))):
        yolo_folder(tmp_path / name, {f"train/v{n % 4}_{n}.jpg": ROW for n in range(8)}, ["cat"], size=size)
    rules = tmp_path / "rules.yaml"
    rule = r"'^(?P<group>v\d)_'"
    rules.write_text(f"datasets: {{a: {{groups: {rule}}}, b: {{groups: {rule}}}}}\n")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--rules", str(rules), "--out"]
    for verb in ("merge", "mix"):
        out = tmp_path / verb
        assert main(["data", verb, *words, str(out)]) == 0
        split = [
            "data",
            "split",
            str(out),
            "--groups",
            str(out / "groups.csv"),
            "--out",
            str(tmp_path / f"{verb}-split"),
        ]
        assert main(split) == 0
        rows = (tmp_path / f"{verb}-split/split.csv").read_text().splitlines()[1:]
        assert {row.split(",")[1] for row in rows} == {f"{part}:v{n}" for part in "ab" for n in range(4)}


def test_the_mapping_file_of_a_merge_can_be_changed_and_is_the_rules_of_the_next(tmp_path: Path) -> None:
    for name, size in (("a", (32, 24)), ("b", (24, 32))):
        rows = "".join(f"{n} .5 .5 .{n + 2} .{n + 2}\n" for n in range(3))
        yolo_folder(tmp_path / name, {"train/x.jpg": rows}, [f"{name}{n}" for n in range(3)], size=size)
    words = ["data", "merge", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*words, "--out", str(tmp_path / "first")]) == 0
    mapping = tmp_path / "map.csv"
    text = (tmp_path / "first/classes.csv").read_text()
    mapping.write_text(text.replace("b,b0,b0,", "b,b0,a0,").replace("b,b1,b1,", "b,b1,,"))
    assert main([*words, "--rules", str(mapping), "--out", str(tmp_path / "second")]) == 0
    assert counts(read(tmp_path / "second")) == {"a0": 2, "a1": 1, "a2": 1, "b2": 1}
    mapping.write_text("dataset,class,becomes\na,a0,x\na,a0,y\n")
    with pytest.raises(DataError, match="becomes two"):
        read_merge_rules(mapping)
