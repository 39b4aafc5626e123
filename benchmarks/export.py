"""What exports cost in accuracy: formats × precisions of three models, naive quantisation beside ours, and their sizes.

    python -P benchmarks/export.py FIXTURES OUT [--models bccd,yolov8n,yolo11n,pose]

FIXTURES has bccd, coco_cc and weights (see CONTRIBUTING.md). bccd is trained first: yolov8n, 6 epochs at 256. Images of
coco_cc are too few to calibrate on, so its models have no INT8. Prints Markdown, which docs/benchmarks.md has: what
each export costs, and its time per image over that of onnx-fp32, in turns on one thread, with A/A beside it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import liftgate
from liftgate.backends.base import TrainJob
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.yolo.tree import write
from liftgate.deploy.export.calibration import draw_calibration
from liftgate.deploy.export.card import read_card, write_card
from liftgate.deploy.export.finish import model_facts
from liftgate.deploy.export.quantise import Kind, QuantiseJob, quantise
from liftgate.services.export_proof import ExportProofs, prove_exports
from liftgate.training import launch

RECIPE = {"epochs": 6, "imgsz": 256, "batch": 8, "nbs": 8, "optimizer": "AdamW", "lr0": 0.001, "warmup_epochs": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", default="bccd,yolov8n,yolo11n")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = args.models.split(",")
    print(
        "| model | export | verdict | mAP50-95, difference | boxes, median IoU | scores, rank | best F1 at "
        "| time / onnx-fp32 | MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    if "bccd" in chosen:
        bccd(args.fixtures, args.out)
    for name, start in (("yolov8n", "instances"), ("yolo11n", "instances"), ("pose", "person_keypoints")):
        if name in chosen:
            coco(args.fixtures, args.out, "yolov8n-pose" if name == "pose" else name, start)


def bccd(fixtures: Path, out: Path) -> None:
    dataset = read(fixtures / "bccd")
    weights = trained(dataset, fixtures, out / "bccd-run")
    exports = exported(weights, out / "bccd", ["fp32", "fp16", "int8"], dataset, 256)
    exports += [naive(out / "bccd", dataset, kind) for kind in ("onnx", "openvino")]
    judged = np.array([image.split in ("val", "test") for image in dataset.images])
    truth = dataset.take(judged)
    truth = truth.with_images([replace(image, split="test") for image in truth.images])
    times = ratios(exports, fixtures / "bccd/JPEGImages")
    show("bccd", prove_exports(weights, exports, truth, split="test"), exports, times)


def coco(fixtures: Path, out: Path, name: str, start: str) -> None:
    weights = fixtures / "weights" / f"{name}_coco_recon.pt"
    files = sorted((fixtures / "coco_cc/annotations").glob(f"{start}_*.json"))
    exports = exported(weights, out / name, ["fp32", "fp16"], None, 640)
    times = ratios(exports, fixtures / "coco_cc/images")
    for file in files:
        truth = read(file, images=fixtures / "coco_cc/images")
        show(f"{name}, {file.stem}", prove_exports(weights, exports, truth), exports, times)


def trained(dataset: Dataset, fixtures: Path, folder: Path) -> Path:
    best = folder / "out/weights/best.pt"
    if not best.is_file():
        data = write(dataset, folder / "tree")
        start = str(fixtures / "weights/yolov8n_coco_recon.pt")
        job = TrainJob(start, data.resolve(), RECIPE, 0, "detect", (folder / "out").resolve(), "cpu")
        launch.train(job, backend="ultralytics", folder=(folder / "job").resolve(), on_event=lambda _: None)
    return best


def exported(weights: Path, out: Path, precisions: Sequence[str], data: Dataset | None, imgsz: int) -> list[Path]:
    formats = ["onnx", "openvino"]
    if not out.is_dir():
        liftgate.export(weights, out, formats=formats, precisions=precisions, data=data, imgsz=imgsz)
    return [out / f"{name}-{precision}" for name in formats for precision in precisions]


def naive(out: Path, dataset: Dataset, kind: Kind) -> Path:
    """Quantise all operations, as the packages do unless told otherwise."""
    folder = out.with_name(f"{out.name}-naive") / f"{kind}-int8-naive"
    source = out / f"{kind}-fp32"
    card = read_card(source)
    if not folder.is_dir():
        shutil.copytree(source, folder)
        drawn = draw_calibration(dataset)
        model, target = source / card.model, folder / card.model
        if kind == "openvino":
            model, target = next(model.glob("*.xml")), next(target.glob("*.xml"))
        facts = model_facts(source / card.model, card.format)
        assert facts is not None
        images = tuple(str(path.resolve()) for path in drawn.paths)
        job = QuantiseJob(
            kind, str(model.resolve()), str(target.resolve()), images, card.input, facts.inputs[0].name, whole=True
        )
        quantise(job)
        files = tuple(replace(one, **hashed(folder / one.path)) for one in card.files)
        write_card(replace(card, files=files), folder)
    return folder


def hashed(path: Path) -> dict[str, object]:
    from liftgate.hashing import file_hash

    return {"sha256": file_hash(path), "bytes": path.stat().st_size}


def ratios(exports: Sequence[Path], images: Path) -> dict[str, str]:
    """Return the time per image of each export over that of the first, with the word that `bench` gives it."""
    found = liftgate.bench(list(exports), images=images, batches=[1], blocks=8, seconds=0.4, threads=1)
    texts = {exports[0].name: "1"}
    for one in found.ratios:
        value, same = one.ratio, one.same_model.estimate
        bounds = f" [{value.low:.2f}, {value.high:.2f}]" if value.established else ""
        texts[one.model] = f"{value.estimate:.2f}{bounds}, A/A {same:.2f}: {one.word}"
    return texts


def show(model: str, result: ExportProofs, exports: Sequence[Path], times: Mapping[str, str]) -> None:
    for proof, folder in zip(result.proofs, exports, strict=True):
        found, cost = proof.agreement, proof.cost
        size = f"{read_card(folder).n_bytes / 1e6:.1f}"
        named = ", ".join(one.id for one in proof.symptoms)
        cells = [model, proof.name, proof.word + (f" ({named})" if named else "")]
        cells.append("not measured further" if cost is None else str(cost.delta))
        cells.append("–" if found is None or found.median_iou is None else f"{found.median_iou:.4f}")
        cells.append("–" if found is None or found.rank is None else f"{found.rank:.4f}")
        best = () if proof.best_conf is None else proof.best_conf
        cells.append(" → ".join("none" if one is None else f"{one:.3f}" for one in best) or "–")
        if proof.keypoints is not None:
            cells[3] += f"; OKS-mAP50-95 {proof.keypoints.delta}"
        print("| " + " | ".join([*cells, times[folder.name], size]) + " |", flush=True)


if __name__ == "__main__":
    main()
