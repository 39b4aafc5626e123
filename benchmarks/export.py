"""What exports cost: formats × precisions of real models in accuracy, time and size, naive quantisation beside ours.

    python -P benchmarks/export.py FIXTURES OUT make     # train bccd's model, write all exports
    python -P benchmarks/export.py FIXTURES OUT prove    # accuracy: `liftgate export --prove` for each of them
    python -P benchmarks/export.py FIXTURES OUT time     # time over that of onnx-fp32, in turns, with A/A
    python -P benchmarks/export.py FIXTURES OUT cpu      # CPU time instead, for a machine whose clock says nothing
    python -P benchmarks/export.py FIXTURES OUT table    # Markdown of what has been measured

FIXTURES has bccd, coco_cc, geometry and weights (see CONTRIBUTING.md). Each part goes on where it was cut off: what
lies in OUT is not made again, and results are added to OUT/prove.jsonl and OUT/time.jsonl one by one.

bccd is the study of examples/: yolov8n, 6 epochs at 256. Models with COCO weights are measured on 26 images of coco_cc;
their INT8 is calibrated on its 25 other images and 60 of carla, as 25 are too few.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

import liftgate
from liftgate.backends.base import TrainJob
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.yolo.tree import write
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.deploy.bench.engine import Engine, open_export
from liftgate.deploy.export.calibration import draw_calibration
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.card_file import card_files, read_card, write_card
from liftgate.deploy.export.finish import model_facts
from liftgate.deploy.export.formats import NEEDS
from liftgate.deploy.export.proof import ExportProof
from liftgate.deploy.export.quantise import Kind, QuantiseJob, quantise
from liftgate.services.export_proof import prove_exports
from liftgate.training import launch

RECIPE = {"epochs": 6, "imgsz": 256, "batch": 8, "optimizer": "AdamW", "lr0": 0.001}
FORMATS: tuple[Kind, ...] = ("onnx", "openvino")
PRECISIONS = ("fp32", "fp16", "int8")
OTHERS = {"ncnn": ("fp32", "fp16"), "litert": ("fp32",), "executorch": ("fp32",), "torchscript": ("fp32",)}
"""Made where their packages are installed"""


@dataclass(frozen=True)
class Model:
    """One model with the images that it is measured on."""

    name: str
    imgsz: int
    fixtures: Path
    out: Path

    @property
    def exports(self) -> list[Path]:
        made = [self.out / self.name / f"{kind}-{precision}" for kind in FORMATS for precision in PRECISIONS]
        made += [self.out / f"{self.name}-naive" / f"{kind}-int8-naive" for kind in FORMATS]
        others = (self.out / f"{self.name}-{kind}" / f"{kind}-{one}" for kind in OTHERS for one in OTHERS[kind])
        return made + [one for one in others if one.is_dir()]

    @property
    def weights(self) -> Path:
        if self.name == "bccd":
            return self.out / "bccd-run/out/weights/best.pt"
        return self.fixtures / "weights" / f"{self.name}_coco_recon.pt"

    @cached_property
    def truth(self) -> Dataset:
        if self.name == "bccd":
            held_out = self.calibrated_on.take(np.array([one.split != "train" for one in self.calibrated_on.images]))
            return held_out.with_images([replace(image, split="test") for image in held_out.images])
        kind = "person_keypoints" if self.name.endswith("pose") else "instances"
        return read(self._coco(f"{kind}_train2017"), images=self.fixtures / "coco_cc/images")

    @cached_property
    def calibrated_on(self) -> Dataset:
        if self.name == "bccd":
            return read(self.fixtures / "bccd")
        folder = self.out / "photographs"
        listed = read(self._coco("instances_val2017"), images=self.fixtures / "coco_cc/images").images
        files = [image.path for image in listed] + sorted((self.fixtures / "geometry/carla/images").rglob("*.jpg"))
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, folder / file.name)
        found = unlabelled_dataset(folder)
        return found.with_images([replace(image, split="train") for image in found.images])

    def _coco(self, name: str) -> Path:
        return self.fixtures / f"coco_cc/annotations/{name}.json"


def make(model: Model) -> None:
    if model.name == "bccd" and not model.weights.is_file():
        folder = model.out / "bccd-run"
        data = write(model.calibrated_on, folder / "tree")
        start = str(model.fixtures / "weights/yolov8n_coco_recon.pt")
        job = TrainJob(start, data.resolve(), RECIPE, 0, "detect", (folder / "out").resolve(), "cpu")
        launch.train(job, backend="ultralytics", folder=(folder / "job").resolve(), on_event=lambda _: None)
    folder = model.out / model.name
    if not folder.is_dir():
        data = model.calibrated_on
        liftgate.export(model.weights, folder, formats=FORMATS, precisions=PRECISIONS, data=data, imgsz=model.imgsz)
    for kind in FORMATS:
        naive(model, kind)
    for other, precisions in OTHERS.items():
        folder = model.out / f"{model.name}-{other}"
        if not folder.is_dir() and all(map(find_spec, NEEDS[other].packages)):  # type: ignore[index]
            liftgate.export(model.weights, folder, formats=[other], precisions=precisions, imgsz=model.imgsz)


def naive(model: Model, kind: Kind) -> None:
    """Quantise all operations, as the packages do unless told otherwise."""
    source = model.out / model.name / f"{kind}-fp32"
    folder = model.out / f"{model.name}-naive" / f"{kind}-int8-naive"
    if folder.is_dir():
        return
    part = folder.with_name(f".{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    card, drawn = read_card(source), draw_calibration(model.calibrated_on)
    original, target = source / card.model, part / card.model
    if kind == "openvino":
        original, target = next(original.glob("*.xml")), next(target.glob("*.xml"))
    facts = model_facts(source / card.model, card.format)
    assert facts is not None
    images = tuple(str(path.resolve()) for path in drawn.paths)
    paths = str(original.resolve()), str(target.resolve())
    quantise(QuantiseJob(kind, *paths, images, card.input, facts.inputs[0].name, whole=True))
    drawn.write(part)
    record = replace(drawn.record, method="all operations, as the package does by default")
    files = card_files(part, card.model)
    write_card(replace(card, precision="int8", calibration=record, files=files), part)
    part.rename(folder)


def prove(model: Model) -> None:
    done = {(row["model"], row["export"]) for row in rows(model.out / "prove.jsonl")}
    split = "test" if model.name == "bccd" else None
    for folder in model.exports:
        if (model.name, folder.name) not in done:
            (proof,) = prove_exports(model.weights, [folder], model.truth, split=split).proofs
            add(model.out / "prove.jsonl", {"model": model.name, "export": folder.name, **cells(proof, folder)})


def cells(proof: ExportProof, folder: Path) -> dict[str, object]:
    found, cost = proof.agreement, proof.cost
    named = ", ".join(one.id for one in proof.symptoms)
    best = () if proof.best_conf is None else proof.best_conf
    return {
        "verdict": proof.word + (f" ({named})" if named else ""),
        "images": f"{proof.n_images} in {proof.n_groups}",
        "cost": "not measured further" if cost is None else str(cost.delta),
        "keypoints": None if proof.keypoints is None else str(proof.keypoints.delta),
        "iou": None if found is None or found.median_iou is None else round(found.median_iou, 4),
        "rank": None if found is None or found.rank is None else round(found.rank, 4),
        "best_f1": " → ".join("none" if one is None else f"{one:.3f}" for one in best) or None,
        "settles": next((note for note in proof.notes if "would settle" in note), None),
        "mb": round(read_card(folder).n_bytes / 1e6, 1),
    }


def time(model: Model) -> None:
    """Measure the exports over the first of them; a model is measured as a whole, or not at all."""
    done = {row["model"] for row in rows(model.out / "time.jsonl")}
    if model.name in done:
        return
    folder = model.out / "images" / model.name
    folder.mkdir(parents=True, exist_ok=True)
    for image in model.truth.images[:16]:
        shutil.copyfile(image.path, folder / image.path.name)
    exports = [one for one in model.exports if "naive" not in one.name]
    found = liftgate.bench(exports, images=folder, batches=[1], blocks=8, seconds=0.4, threads=1)
    machine = f"{found.machine.processor}, load {found.machine.load}"
    speeds = {one.name: one.batches[0].ms_per_image.estimate for one in found.models}
    add(model.out / "time.jsonl", {
        "model": model.name, "machine": machine, "export": exports[0].name, "time": "1", "ms": speeds[exports[0].name],
    })  # fmt: skip
    for one in (ratio for ratio in found.ratios if ratio.model in speeds):  # not that of the first to itself
        bounds = f" [{one.ratio.low:.2f}, {one.ratio.high:.2f}]" if one.ratio.established else ""
        text = f"{one.ratio.estimate:.2f}{bounds}, A/A {one.same_model.estimate:.2f}: {one.word}"
        row = {"model": model.name, "machine": machine, "export": one.model, "time": text, "ms": speeds[one.model]}
        add(model.out / "time.jsonl", row)


def cpu(model: Model) -> None:
    """Measure CPU time of inference on one thread, in rounds of A B A C A …, and A against the A after it.

    It is what an undisturbed core would take as far as caches and clock allow; A/A says how far.
    """
    done = {row["model"] for row in rows(model.out / "cpu.jsonl")}
    exports = [one for one in model.exports if "naive" not in one.name and one.is_dir()]
    if model.name in done or not exports:
        return
    engines = [open_export(one, 1, UseSettings()) for one in exports]
    for engine in engines:
        for _ in range(5):
            _cpu_of(engine)
    ratios: dict[str, list[float]] = {one.name: [] for one in exports[1:]}
    same: list[float] = []
    base: list[float] = []
    for _ in range(20):
        firsts = [_cpu_of(engines[0])]
        for export, engine in zip(exports[1:], engines[1:], strict=True):
            found = _cpu_of(engine)
            firsts.append(_cpu_of(engines[0]))
            ratios[export.name].append(2 * found / (firsts[-2] + firsts[-1]))
        same += [second / first for first, second in pairwise(firsts)]
        base += firsts
    alike = f"A/A {np.median(same):.3f} [{np.quantile(same, 0.05):.2f}, {np.quantile(same, 0.95):.2f}]"
    for name, found_ratios in ratios.items():
        low, high = _median_bounds(found_ratios)
        row = {"model": model.name, "export": name, "cpu": f"{np.median(found_ratios):.2f} [{low:.2f}, {high:.2f}]"}
        add(model.out / "cpu.jsonl", {**row, "same": alike, "ms_of_onnx_fp32": round(float(np.median(base)), 1)})


def _cpu_of(engine: Engine, calls: int = 5) -> float:
    """Return milliseconds of CPU for one inference."""
    tensor = np.zeros((1, 3, engine.input.height, engine.input.width), engine.input.dtype)
    begun = clock.process_time()
    for _ in range(calls):
        engine.run(tensor)
    return (clock.process_time() - begun) * 1e3 / calls


def _median_bounds(values: list[float]) -> tuple[float, float]:
    """Return an interval of the median that holds it in 95% of samples, by order statistics of 20."""
    ordered = sorted(values)
    return ordered[5], ordered[14]


def table(out: Path) -> None:
    heads = ["model", "export", "verdict", "images, groups", "mAP50-95, export − .pt", "boxes, median IoU"]
    heads += ["scores, rank", "best F1 at", "time / onnx-fp32", "MB"]
    print("|", " | ".join(heads), "|")
    print("|" + "---|" * len(heads))
    times = {(row["model"], row["export"]): row["time"] for row in rows(out / "time.jsonl")}
    for row in rows(out / "prove.jsonl"):
        cost = row["cost"] if row["keypoints"] is None else f"{row['cost']}; OKS-mAP50-95 {row['keypoints']}"
        time_text = times.get((row["model"], row["export"]))
        listed = [row["model"], row["export"], row["verdict"], row["images"], cost, row["iou"], row["rank"]]
        listed += [row["best_f1"], time_text, row["mb"]]
        print("|", " | ".join("–" if one is None else str(one) for one in listed), "|")


def rows(path: Path) -> Iterator[dict[str, str]]:
    for line in path.read_text().splitlines() if path.is_file() else []:
        yield json.loads(line)


def add(path: Path, row: dict[str, object]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("part", choices=["make", "prove", "time", "cpu", "table"])
    parser.add_argument("--models", default="bccd,yolov8n,yolo11n", help="of bccd, yolov8n, yolo11n, yolov8n-pose")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.models.split(",") if args.part != "table" else ():
        size = 256 if name == "bccd" else 640
        model = Model(name, size, args.fixtures.resolve(), args.out.resolve())
        {"make": make, "prove": prove, "time": time, "cpu": cpu}[args.part](model)
    if args.part == "table":
        table(args.out)


if __name__ == "__main__":
    main()
