"""Predictions of models on images that they have not seen: trained on half of a set's groups, predicted on the other.

    python -P benchmarks/trained_halves.py TRUTH|digits OUT --model NAME=WEIGHTS:EPOCHS … [--groups RULE] [--imgsz 320]

OUT gets the half that was held out (`data.yaml`, split val) and NAME.json for each model: what benchmarks/labels.py
`real` and benchmarks/mistakes.py compare with the labels. Without groups every image is its own. `digits` makes 110
videos of 4 frames as the demo makes its own, without its faults.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.backends.base import PredictJob, TrainJob
from liftgate.data import read
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.yolo import tree
from liftgate.data.grouping.groups import assign_groups
from liftgate.demo import demo_dataset, scenes
from liftgate.training import launch


def halves(dataset: Dataset, seed: int) -> Dataset:
    """Return the data set with half of its groups for training and the other half for validation."""
    names = np.unique(np.array(dataset.groups).astype(str))
    trained = set(np.random.default_rng(seed).permutation(names)[: len(names) // 2])
    images = tuple(
        replace(image, split="train" if str(group) in trained else "val")
        for image, group in zip(dataset.images, dataset.groups, strict=True)
    )
    return replace(dataset, images=images)


def digits(folder: Path) -> Path:
    """Write videos of handwritten digits and return their data.yaml."""
    rng = np.random.default_rng(0)
    pool = demo_dataset.DigitPool(rng)
    for video in range(110):
        for number, frame in enumerate(scenes.render_video(pool.take(), 4, rng)):
            demo_dataset.write_frame(folder, f"video{video:03d}_{number}", frame)
    yaml = folder / "data.yaml"
    yaml.write_text(f"train: images\nval: images\nnames: [{', '.join(demo_dataset.CLASSES)}]\n")
    return yaml


def train_and_predict(data: Path, weights: str, epochs: int, imgsz: int, out: Path, predictions: Path) -> None:
    """Train one model for some epochs and write its detections on the held-out half."""
    recipe = {"epochs": epochs, "imgsz": imgsz, "batch": 8, "nbs": 8, "workers": 0, "plots": False}
    job = TrainJob(weights, data, recipe, 0, "detect", out / "results", device="cpu")
    best = launch.train(job, backend="ultralytics", folder=out, on_event=lambda _: None).best
    settings = {"imgsz": imgsz, "conf": 0.01}
    seen = PredictJob(str(best), data, "val", "detect", predictions, settings, device="cpu")
    launch.predict(seen, backend="ultralytics", folder=out / "predict", on_event=lambda _: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=WEIGHTS:EPOCHS")
    parser.add_argument("--groups")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    truth = read(digits(args.out / "videos") if args.truth == Path("digits") else args.truth)
    if args.groups:
        truth = assign_groups(truth, args.groups, base=Path.cwd())
    data = tree.write(halves(truth, args.seed), args.out.absolute() / "tree", portable=True)
    for model in args.model:
        name, _, rest = model.partition("=")
        weights, _, epochs = rest.rpartition(":")
        out = args.out.absolute() / name
        train_and_predict(data, str(Path(weights).absolute()), int(epochs), args.imgsz, out, out.with_suffix(".json"))
        print(f"{name}: {out.with_suffix('.json')}", flush=True)


if __name__ == "__main__":
    main()
