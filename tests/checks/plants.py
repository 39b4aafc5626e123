"""One planted fault, or more, for every rule: `PLANTS[id]` spoils a sound data set and returns what to check."""

from __future__ import annotations

import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from checks.mistakes import with_mistake
from checks.small_set import CLASSES, SIDE, SmallSet
from liftgate.checks.machine import Machine, Package
from liftgate.checks.probes.box_conventions import TRANSFORMS
from liftgate.checks.probes.learnability import LearnabilityResult
from liftgate.checks.subject import CheckedModel, Subject
from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.study.records import Arm, FlowStep, Gate, Part, Stage

Plant = Callable[[SmallSet], Subject]
PLANTS: dict[str, list[Plant]] = {}

SGD = {"epochs": 60, "optimizer": "SGD", "lr0": 0.01, "imgsz": 320, "nbs": 16}


def plants(id_: str) -> Callable[[Plant], Plant]:
    def keep(plant: Plant) -> Plant:
        PLANTS.setdefault(id_, []).append(plant)
        return plant

    return keep


def changed(id_: str, change: Callable[[SmallSet], object]) -> None:
    """A plant that only spoils files."""

    def plant(small: SmallSet) -> Subject:
        change(small)
        return small.subject()

    plants(id_)(plant)


def recipe(id_: str, **arguments: object) -> None:
    """A plant that is one recipe, on top of a sound one; None takes an argument away."""

    def plant(small: SmallSet) -> Subject:
        spoilt = {key: value for key, value in (SGD | arguments).items() if value is not None}
        return small.subject(recipe=spoilt)

    plants(id_)(plant)


# ---- data

changed("data.path", lambda s: s.keys(val="images/nowhere"))
changed(
    "data.path",
    lambda s: (
        s.keys(train="../train/images")
        or (s.root / "train").mkdir()
        or shutil.move(s.root / "images/train", s.root / "train/images")
    ),
)
changed("data.path", lambda s: s.keys(path="datasets/elsewhere"))
changed("data.download_key", lambda s: s.keys(download="import os\nos.system('true')"))
changed("data.empty", lambda s: [label.write_text("") for label in (s.root / "labels").rglob("*.txt")])


@plants("data.reading")
def listed_twice(small: SmallSet) -> Subject:
    (small.root / "train.txt").write_text(
        "./images/train/train05.png\n" * 2 + "./images/train/train06.png\n./notes.md\n"
    )
    small.keys(train="train.txt")
    return small.subject()


# ---- classes

changed("classes.mismatch", lambda s: s.keys(nc=7))
changed("classes.mismatch", lambda s: s.add_row("3 0.5 0.5 0.2 0.2"))
changed("classes.mismatch", lambda s: (s.root / "labels/train/classes.txt").write_text("plate\ncup\nspoon\n"))
changed("classes.absent", lambda s: s.keys(names=[*CLASSES, "fork"], nc=4))
changed("classes.names", lambda s: s.keys(names=["0", "phone", "Mobile phone"]))
changed("classes.names", lambda s: s.keys(names=["Cup", "cups", "spoon"]))


@plants("classes.rare")
def few_forks(small: SmallSet) -> Subject:
    small.keys(names=[*CLASSES, "fork"], nc=4)
    for split in ("train", "val", "test"):
        small.add_row("3 0.5 0.5 0.2 0.2", split)
    return small.subject()


@plants("classes.mismatch")
def other_order(small: SmallSet) -> Subject:
    first = small.read()
    return Subject(
        {"a": first, "b": replace(first, name="b", images=first.images[:1], classes=("plate", "cup", "spoon"))}
    )


@plants("classes.imbalance")
def a_hundred_cups_for_each_spoon(small: SmallSet) -> Subject:
    dataset = small.read()
    spoons = np.flatnonzero(dataset.labels.cls == 2)
    rows = np.concatenate([np.repeat(np.flatnonzero(dataset.labels.cls != 2), 5), spoons[:1]])
    return small.subject(replace(dataset, labels=dataset.labels.take(rows)))


@plants("classes.skew")
def spoons_are_tested_on(small: SmallSet) -> Subject:
    for number in range(3, 30):
        small.label("train", number).write_text("\n".join(small.label("train", number).read_text().splitlines()[:2]))
    return small.subject()


# ---- labels

for row in ("0 1.2 0.5 0.2 0.2", "0 0.5 -0.3 0.2 0.2"):
    changed("labels.out_of_range", lambda s, row=row: s.add_row(row))
    changed("labels.dropped_image", lambda s, row=row: s.add_row(row))
changed("labels.dropped_image", lambda s: s.add_row("9 0.5 0.5 0.2 0.2"))
changed("labels.malformed", lambda s: s.add_row("0 0.5 0.5 0.2"))
changed("labels.malformed", lambda s: s.add_row("0 0.5 nan 0.2 0.2"))
changed("labels.unreadable", lambda s: s.label().write_bytes(b"\xff\xfe0\x00 \x00"))
changed("labels.zero_area", lambda s: s.add_row("1 0.5 0.5 0.0 0.2"))
changed("labels.speck", lambda s: s.add_row("1 0.5 0.5 0.01 0.01"))
changed("labels.sliver", lambda s: s.add_row(f"1 0.5 0.5 0.98 {1.5 / SIDE}"))
changed("labels.whole_image", lambda s: s.add_row("1 0.5 0.5 1.0 0.99"))
changed("labels.duplicate_box", lambda s: s.add_row(s.label().read_text().splitlines()[0]))
changed("labels.duplicate_box", lambda s: s.add_row("0 0.5 0.5 0.3 0.3\n0 0.5 0.5 0.3 0.302"))
changed("labels.two_classes", lambda s: s.add_row("0 0.5 0.5 0.3 0.3\n1 0.5 0.5 0.3 0.302"))
changed("labels.missing", lambda s: s.label().unlink())
changed("labels.missing", lambda s: shutil.rmtree(s.root / "labels/train"))
changed("labels.orphan", lambda s: s.image().unlink())
changed("labels.same_file", lambda s: s.label(number=6).write_text(s.label(number=5).read_text()))
changed(
    "labels.crowded",
    lambda s: s.add_row(
        "\n".join(f"0 {0.1 + 0.04 * (i % 20):.3f} {0.1 + 0.04 * (i // 20):.3f} 0.03 0.03" for i in range(320))
    ),
)

changed("labels.crowded", lambda s: s.add_row("\n".join(f"0 0.5 0.{i} 0.05 0.05" for i in range(100, 180))))
changed("labels.same_file", lambda s: [s.label(number=n).write_text("1 0.412 0.537 0.21 0.2") for n in range(5, 10)])
changed("labels.outlines", lambda s: s.add_row("1 0.2 0.2 0.5 0.25 0.45 0.6"))
changed("labels.stale_cache", lambda s: stale(s.root / "labels" / "train.cache"))


def stale(cache: Path) -> None:
    cache.write_bytes(b"of last week")
    os.utime(cache, (1, 1))


# Scales of 2.4% are hardly more than a margin: found on some sets only.
for mistake in [one for one in TRANSFORMS[1:] if one not in ("scaled by 1000/1024", "scaled by 1024/1000")]:
    plants("labels.geometry")(lambda s, mistake=mistake: Subject({"small": with_mistake(s.read(), mistake)}))


@plants("labels.geometry")
def in_pixels(small: SmallSet) -> Subject:
    for label in (small.root / "labels").rglob("*.txt"):
        rows = [[float(word) * SIDE for word in row.split()[1:]] for row in label.read_text().splitlines()]
        label.write_text("".join(f"0 {' '.join(map(str, row))}\n" for row in rows))
    return small.subject()


# ---- images

changed("images.unreadable", lambda s: s.image().write_text("this is no picture"))
changed("images.unreadable", lambda s: s.image().write_bytes(s.image().read_bytes()[:-900]))
changed("images.unreadable", lambda s: s.image().write_bytes(b""))
changed("images.no_background", lambda s: [s.add_row("0 0.5 0.5 0.3 0.3", number=n) for n in range(3)])
changed("images.mostly_background", lambda s: [s.label(number=n).write_text("") for n in range(20)])
changed("images.uniform", lambda s: Image.new("RGB", (SIDE, SIDE), (90, 90, 90)).save(s.image()))
changed("images.mode", lambda s: Image.open(s.image()).convert("RGBA").save(s.image()))
changed("images.mixed_sizes", lambda s: Image.open(s.image()).resize((900, 900)).save(s.image()))
changed("images.size", lambda s: Image.open(s.image()).resize((8, 8)).save(s.image()))
changed("images.size", lambda s: Image.open(s.image()).resize((24, 60)).save(s.image()))
changed("images.size", lambda s: Image.open(s.image()).resize((900, 40)).save(s.image()))
changed("images.format", lambda s: Image.open(s.image()).save(s.image(number=90).with_suffix(".gif")))
changed("images.names", lambda s: shutil.copy(s.image(), s.image().with_name("TRAIN05.png")))


@plants("images.exif_rotation")
def turned(small: SmallSet) -> Subject:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(small.image()).save(small.image().with_suffix(".jpg"), exif=exif, quality=95)
    small.image().unlink()
    return small.subject()


@plants("images.format")
def cut_end_marker(small: SmallSet) -> Subject:
    jpeg = small.image().with_suffix(".jpg")
    Image.open(small.image()).save(jpeg, quality=95)
    jpeg.write_bytes(jpeg.read_bytes() + b"appended")
    small.image().unlink()
    return small.subject()


@plants("images.duplicate")
def twice_in_train(small: SmallSet) -> Subject:
    shutil.copy(small.image(number=5), small.image(number=6))
    return small.subject()


# ---- splits


def resaved(small: SmallSet) -> Subject:
    """The same pixels in another file format, on the other side."""
    Image.open(small.image("train", 5)).save(small.image("test", 5).with_suffix(".bmp"))
    small.image("test", 5).unlink()
    return small.subject()


plants("splits.leak_exact")(resaved)


@plants("splits.leak_exact")
def in_pretraining(small: SmallSet) -> Subject:
    """The pre-training set holds the benchmark's test picture."""
    bench = small.read()
    big = small.root.with_name("big")
    shutil.copytree(small.root, big)
    other = SmallSet(big, small.root.with_name("other"))
    rng = np.random.default_rng(1)
    for image in (other.root / "images").rglob("*.png"):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(image)
    shutil.copy(small.image("test", 7), other.image("train", 2))
    return Subject({"bench": bench, "big": replace(other.read(), name="big")})


@plants("splits.leak_near")
def brighter(small: SmallSet) -> Subject:
    picture = np.asarray(Image.open(small.image("train", 5)), dtype=np.float64)
    Image.fromarray((picture * 0.8 + 40).clip(0, 255).astype(np.uint8)).save(small.image("test", 5))
    return small.subject()


@plants("splits.leak_near")
def resized(small: SmallSet) -> Subject:
    Image.open(small.image("train", 5)).resize((150, 150)).save(small.image("val", 5))
    return small.subject()


@plants("splits.leak_source")
def roboflow_siblings(small: SmallSet) -> Subject:
    code = "0123456789abcdef" * 2
    for split, suffix in (("train", code), ("test", code[::-1])):
        image, label = small.image(split), small.label(split)
        image.rename(image.with_name(f"street_jpg.rf.{suffix}.png"))
        label.rename(label.with_name(f"street_jpg.rf.{suffix}.txt"))
    return small.subject()


@plants("splits.leak_source")
def mirrored_sibling(small: SmallSet) -> Subject:
    """An augmented sibling: mirrored and turned by a quarter, which no hash of the whole picture sees."""
    picture = Image.open(small.image("train", 5)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(90)
    picture.save(small.image("test", 5))
    return roboflow_siblings(small)


def grouped(dataset: Dataset, groups: int = 1000) -> Dataset:
    return dataset.with_images([replace(image, group=f"g{i % groups}") for i, image in enumerate(dataset.images)])


plants("splits.leak_group")(lambda s: s.subject(grouped(s.read(), groups=11)))


@plants("splits.leak_time")
def film_cut_by_image(small: SmallSet) -> Subject:
    """A film of 200 frames that drifts slowly; every fifth frame is tested on."""
    rng = np.random.default_rng(2)
    wide = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 90), dtype=np.uint8)).resize((1800, SIDE)))
    for split in ("train", "val"):
        shutil.rmtree(small.root / "images" / split)
        (small.root / "images" / split).mkdir()
    for frame in range(200):
        split = "val" if frame % 5 == 0 else "train"
        Image.fromarray(wide[:, frame * 8 : frame * 8 + SIDE]).save(small.root / f"images/{split}/film_{frame:04}.png")
    return small.subject()


@plants("splits.leak_time")
def still_camera(small: SmallSet) -> Subject:
    """One scene for 200 frames, in which something small moves: strangers resemble each other nearly as much."""
    rng = np.random.default_rng(3)
    scene = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).resize((SIDE, SIDE)))
    for split in ("train", "val"):
        shutil.rmtree(small.root / "images" / split)
        (small.root / "images" / split).mkdir()
    for frame in range(200):
        now, left = scene.copy(), frame % 100 * (SIDE - 30) // 100
        now[60:110, left : left + 30] = 255 - now[60:110, left : left + 30]
        Image.fromarray(now).save(small.root / f"images/{'val' if frame % 5 == 0 else 'train'}/film_{frame:04}.png")
    return small.subject()


changed("splits.same", lambda s: s.keys(val="images/train"))
changed("splits.same", lambda s: s.keys(test="images/val"))
changed("splits.small", lambda s: [s.image("test", n).unlink() for n in range(5)])
changed("splits.missing", lambda s: s.keys(val=None))
plants("splits.missing")(lambda s: s.keys(test=None) or s.subject(recipe=SGD))


@plants("splits.unassigned")
def some_loose(small: SmallSet) -> Subject:
    dataset = small.read()
    return small.subject(dataset.with_images([replace(dataset.images[0], split=None), *dataset.images[1:]]))


# ---- objects

changed(
    "objects.tiny", lambda s: [s.add_row("0 0.5 0.5 0.009 0.009\n1 0.2 0.2 0.009 0.009", number=n) for n in range(30)]
)

# ---- recipes

recipe("recipe.lr_ignored", optimizer=None, lr0=0.001)
recipe("recipe.lr_ignored", optimizer="auto", lr0=None, momentum=0.9)
recipe("recipe.lr_high", optimizer="AdamW", lr0=None)
recipe("recipe.unknown", learning_rate=0.01)
recipe("recipe.unknown", label_smoothing=0.1)
recipe("recipe.value", lr0="1e-3")
recipe("recipe.value", mosaic=1.5)
recipe("recipe.value", optimizer="Lion")
recipe("recipe.confounded", cos_lr=True)
recipe("recipe.warmup", epochs=5)
recipe("recipe.warmup", warmup_epochs=0.5)
recipe("recipe.few_steps", epochs=3)
recipe("recipe.patience", patience=60)
recipe("recipe.patience", patience=5)
recipe("recipe.close_mosaic", close_mosaic=60)
recipe("recipe.fraction", fraction=0.5)
recipe("recipe.classes", classes=[0])
recipe("recipe.classes", single_cls=True)
plants("recipe.imgsz")(lambda s: s.subject(recipe=SGD, evaluation={"imgsz": 640}))
plants("recipe.fliplr")(lambda s: s.keys(names=["turn_left", "turn_right", "spoon"]) or s.subject(recipe=SGD))


@plants("recipe.lr_high")
def second_stage(small: SmallSet) -> Subject:
    stages = (Stage("small", "yolov8n.pt", SGD), Stage("small", None, SGD))
    return small.subject(arms=(Arm("control", stages[:1]), Arm("treatment", stages)))


@plants("recipe.confounded")
def auto_changes_its_mind(small: SmallSet) -> Subject:
    """Same words in both recipes; with 400 times the epochs auto takes another optimiser."""
    arms = (
        Arm("control", (Stage("small", "yolov8n.pt", {"epochs": 60}),)),
        Arm("treatment", (Stage("small", "yolov8n.pt", {"epochs": 24_000}),)),
    )
    return small.subject(arms=arms, gate={"differ": ("recipe.epochs",)})


# ---- weights


def with_weights(id_: str, name: str, write: Callable[[SmallSet], object] = lambda s: None) -> None:
    def plant(small: SmallSet) -> Subject:
        write(small)
        return small.subject(weights=name)

    plants(id_)(plant)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("echo this must never be printed",)


def checkpoint(small: SmallSet, content: object, name: str = "w.pt", protocol: int = 2) -> None:
    with zipfile.ZipFile(small.root / name, "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(content, protocol=protocol))
        archive.writestr("w/data/0", bytes(4000))


def truncated(small: SmallSet) -> None:
    checkpoint(small, {"names": {0: "cup"}})
    whole = (small.root / "w.pt").read_bytes()
    (small.root / "w.pt").write_bytes(whole[: len(whole) // 2])


with_weights("weights.missing", "yolo8n.pt")
with_weights("weights.missing", "runs/best.pt")
with_weights("weights.unreadable", "w.pt", truncated)
with_weights("weights.unreadable", "w.pt", lambda s: (s.root / "w.pt").write_text("<!DOCTYPE html>"))
with_weights("weights.unreadable", "w.pt", lambda s: (s.root / "w.pt").write_bytes(pickle.dumps({"a": 1})[:-3]))
with_weights("weights.untrusted", "w.pt", lambda s: checkpoint(s, Hostile()))
with_weights("weights.untrusted", "w.pt", lambda s: checkpoint(s, {"model": Hostile()}, protocol=4))
with_weights("weights.task", "yolov8n-pose.pt")


@plants("weights.classes")
def other_classes(small: SmallSet) -> Subject:
    checkpoint(small, {"model": {"names": {0: "person", 1: "car"}}})
    arms = (Arm("control", (), weights="w.pt"),)
    return small.subject(arms=arms, gate={"treatment": None, "control": None, "arm": "control", "differ": ()})


# ---- environment

GIB = 1 << 30
SOUND_PACKAGES = {"torch": Package("2.15.0"), "numpy": Package("2.4.6"), "opencv-python": Package("4.10.0.84")}


def on_a_machine(id_: str, *, study: dict[str, object] | None = None, **facts: object) -> None:
    """A plant that is a machine, on top of a sound one."""
    sound = {"now": time.time(), "free_disk": 500 * GIB, "gpu_memory": (24 * GIB,), "packages": SOUND_PACKAGES}

    def plant(small: SmallSet) -> Subject:
        subject = small.subject(**({"flow": (FlowStep("train"),), "recipe": SGD} | (study or {})))
        return replace(subject, _machine=[Machine(**(sound | facts))])  # type: ignore[arg-type]

    plants(id_)(plant)


LARGE = {"recipe": SGD | {"imgsz": 1280, "batch": 64}, "control": SGD | {"imgsz": 1280, "batch": 4}}
on_a_machine("environment.versions", packages={"torch": Package("2.2.1+cu121"), "numpy": Package("2.1.0")})
on_a_machine("environment.versions", packages={"opencv-python": Package("4.9.0.80"), "numpy": Package("2.1.0")})
on_a_machine(
    "environment.versions",
    packages={"ultralytics": Package("8.2.50", ("numpy<2.0.0,>=1.23.0",)), "numpy": Package("2.1.0")},
)
on_a_machine("environment.disk", free_disk=50_000_000)
on_a_machine("environment.disk", free_disk=150_000_000, study={"weights": "yolov8n.pt", "seeds": (0, 1, 2, 3)})
on_a_machine("environment.gpu_memory", study={"weights": "yolov8x.pt", **LARGE})
on_a_machine("environment.clock", now=0.0)
on_a_machine("environment.clock", unknown_zone="Europe/Nowhere")


# ---- licences


@plants("licence.missing")
def no_licence(small: SmallSet) -> Subject:
    return Subject({"small": small.read()}, small.study())


@plants("licence.conflict")
def not_commercial(small: SmallSet) -> Subject:
    return Subject({"small": replace(small.read(), licence="CC-BY-NC-4.0")}, small.study())


@plants("licence.conflict")
def not_commercial_beside_share_alike(small: SmallSet) -> Subject:
    first = replace(small.read(), licence="CC BY-NC 4.0")
    second = replace(first, name="other", licence="CC-BY-SA-4.0")
    stage = Stage("small", "yolov8n.pt", SGD, mix=(Part("small"), Part("other")))
    study = small.study(arms=(Arm("control", (stage,)), Arm("treatment", (stage,))), backend="toy")
    return Subject({"small": first, "other": second}, study)


@plants("licence.conflict")
def not_for_the_declared_use(small: SmallSet) -> Subject:
    study = small.study(use="commercial", backend="toy")
    return Subject({"small": replace(small.read(), licence="CC-BY-NC-4.0")}, study)


# ---- trainers


@plants("licence.trainer")
def agpl_weights_to_sell(small: SmallSet) -> Subject:
    return small.subject(recipe=SGD, use="commercial")


def of_libreyolo(small: SmallSet, model: str, recipe: Mapping[str, object]) -> Subject:
    (small.root / "model.yaml").write_text(f"libreyolo: {model}\n")
    return small.subject(recipe=recipe, control=recipe, weights="model.yaml", backend="libreyolo")


plants("recipe.augmentation_off")(lambda s: of_libreyolo(s, "yolox-n", {"epochs": 12, "imgsz": 320}))
plants("recipe.augmentation_off")(
    lambda s: of_libreyolo(s, "yolox-n", {"epochs": 30, "no_aug_epochs": 30, "imgsz": 320})
)
plants("recipe.queries")(lambda s: of_libreyolo(s, "dfine-n", {"epochs": 60, "imgsz": 224}))
plants("recipe.queries")(lambda s: of_libreyolo(s, "dfine-s", {"epochs": 60, "imgsz": 96}))


# ---- pose

SIDES = ["nose", "left_eye", "right_eye"]


def pose(id_: str, spoil: Callable[[SmallSet], object], names: list[str] = SIDES) -> None:
    def plant(small: SmallSet) -> Subject:
        small.keypoints(names)
        small.keys(flip_idx=[0, 2, 1], kpt_oks_sigmas=[0.05] * 3)
        spoil(small)
        return small.subject()

    plants(id_)(plant)


pose("pose.flip_idx", lambda s: s.keys(flip_idx=None))
pose("pose.flip_idx", lambda s: s.keys(flip_idx=[0, 1, 2]))
pose("pose.flip_idx", lambda s: s.keys(flip_idx=[1, 2, 0]))
pose("pose.flip_idx", lambda s: s.keys(flip_idx=[0, 1]))
pose("pose.sigmas", lambda s: s.keys(kpt_oks_sigmas=None))
pose("pose.kpt_shape", lambda s: s.keys(kpt_shape=[4, 3], kpt_names=[*SIDES, "chin"], flip_idx=None))


@plants("pose.visibility")
def never_seen(small: SmallSet) -> Subject:
    small.keypoints(SIDES, per_row="0.5 0.5 2 0.5 0.5 2 0 0 0")
    return small.subject()


@plants("pose.outside")
def elsewhere(small: SmallSet) -> Subject:
    small.keypoints(SIDES, per_row="0.01 0.01 2 0.99 0.99 2 0.01 0.99 2")
    return small.subject()


# ---- probes: what a training showed (the trainings themselves are in tests/pipeline/test_probing.py)


def probed(id_: str, **showed: object) -> None:
    """A plant that is one probe, on top of one that learned everything."""
    curve = {"losses": (4.0, *[1.0] * 29), "scores": (0.1, *[0.95] * 29)}
    sound = {
        **{"weights": "yolov8n.pt", "dataset": "small", "arms": ("control", "treatment"), "n_images": 24},
        **{"imgsz": 320, "epochs": 30, "epochs_asked": 30, "seconds": 60.0, "ap50": 0.95, "n_others": 24},
        **{"others_ap50": 0.4, "per_class": {"cup": 0.9, "plate": 1.0}, "objects": {"cup": 20, "plate": 30}},
        **{"too_small": (), **curve},
    }
    plants(id_)(lambda small: replace(small.subject(), probes=(LearnabilityResult(**(sound | showed)),)))  # type: ignore[arg-type]


probed("probe.not_learned", ap50=0.1, scores=(0.1,) * 30, losses=(3.0,) * 30)
probed("probe.not_learned", ap50=0.5, scores=tuple(i / 60 for i in range(30)))
probed("probe.by_heart_only", others_ap50=0.0)
THROWN = {"cup": {"cup": 20, "plate": 22}, "plate": {"cup": 19, "plate": 18}, "spoon": {"cup": 9, "spoon": 1}}
probed("probe.classes_by_chance", others_named=THROWN)
probed("probe.class_never_learned", per_class={"cup": 0.0, "plate": 1.0}, ap50=0.5)


@plants("gate.vacuous")
def _a_point_gate_without_a_margin(small: SmallSet) -> Subject:
    return small.subject(gate={"rule": "point", "margin": 0.0})


@plants("gate.vacuous")
def _a_margin_of_less_than_an_object(small: SmallSet) -> Subject:
    return small.subject(gate={"rule": "point", "margin": 0.0001})


@plants("gate.vacuous")
def _a_contribution_without_a_margin(small: SmallSet) -> Subject:
    subject = small.subject(gate={"margin": 0.0})
    assert subject.study is not None
    (lift,) = subject.study.gates
    target = Gate("target", lift.on, arm=lift.treatment)
    return replace(subject, study=replace(subject.study, gates=(lift, target)))


@plants("gate.image_sizes")
def _a_model_measured_at_two_sizes(small: SmallSet) -> Subject:
    subject = small.subject(control=SGD)
    assert subject.study is not None
    (lift,), (_, treatment) = subject.study.gates, subject.study.arms
    shelf = Arm("shelf", weights="yolov8n.pt")
    gates = (replace(lift, control="shelf"), Gate("enough", lift.on, arm="shelf"))
    return replace(subject, study=replace(subject.study, arms=(shelf, treatment), gates=gates))


__all__ = ["PLANTS", "Gate"]


# ---- mistakes


def sure_of(dataset: Dataset) -> Predictions:
    """A model that finds every label, exactly."""
    labels, names = dataset.labels, tuple(image.id for image in dataset.images)
    return Predictions(names, dataset.classes, labels.image, labels.cls, labels.boxes, np.full(len(labels), 0.95))


def contradicted(small: SmallSet, change: Callable[[Labels], Labels]) -> Subject:
    """The labels with one mistake, and a model that sees what was there."""
    dataset = small.read()
    return Subject({"small": replace(dataset, labels=change(dataset.labels))}, predictions={"small": sure_of(dataset)})


@plants("mistakes.missing")
def _label_gone(small: SmallSet) -> Subject:
    return contradicted(small, lambda labels: labels.take(np.arange(len(labels)) != 3))


@plants("mistakes.spurious")
def _label_of_nothing(small: SmallSet) -> Subject:
    dataset = small.read()
    seen = sure_of(dataset)
    rows = np.arange(len(seen)) != 3
    columns = (seen.image[rows], seen.cls[rows], seen.boxes[rows], seen.scores[rows])
    found = Predictions(seen.images, seen.classes, *columns)
    return Subject({"small": dataset}, predictions={"small": found})


@plants("mistakes.class")
def _other_class(small: SmallSet) -> Subject:
    def change(labels: Labels) -> Labels:
        cls = labels.cls.copy()
        cls[3] = (cls[3] + 1) % len(CLASSES)
        return replace(labels, cls=cls)

    return contradicted(small, change)


@plants("mistakes.box")
def _shifted_box(small: SmallSet) -> Subject:
    def change(labels: Labels) -> Labels:
        boxes = labels.boxes.copy()
        boxes[3, 0::2] += 0.5 * (boxes[3, 2] - boxes[3, 0])
        return replace(labels, boxes=boxes)

    return contradicted(small, change)


@plants("mistakes.overlooked")
def _a_model_that_sees_nothing(small: SmallSet) -> Subject:
    dataset = small.read()
    seen = sure_of(dataset)
    return Subject({"small": dataset}, predictions={"small": replace(seen, scores=np.full(len(seen), 0.1))})


@plants("mistakes.overlooked")
def _classes_in_another_order(small: SmallSet) -> Subject:
    dataset = small.read()
    seen = sure_of(dataset)
    turned = replace(seen, cls=(seen.cls + 1) % len(CLASSES))
    return Subject({"small": dataset}, predictions={"small": turned})


# ---- model files


def modelled(id_: str, **facts: object) -> None:
    """A plant that is what was found out about a model file."""

    def plant(small: SmallSet) -> Subject:
        return Subject({}, models=(CheckedModel("theirs.onnx", **facts),))  # type: ignore[arg-type]

    plants(id_)(plant)


modelled("model.unusable", unusable="a file of the export is cut short: expected 12 bytes, got 4", hint="copy it again")
modelled("model.contract", missing=("the order of channels: RGB is taken",))
modelled("model.preparation", ignored=("images go through static-crop first: Liftgate does not do that",))
modelled("model.limits", limits=("suppression is inside the file",))
modelled("model.limits", limits=("it was calibrated on 8 images",))
